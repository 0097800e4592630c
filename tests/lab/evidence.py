#!/usr/bin/python3 -B
"""`make evidence`: what the kept results say of each built-in allocator, put into the table of the program
(daemon/core/evidence.inc) and into the documents, between their marks. --check writes nothing and fails where they differ.

docs/lab/README.md describes the kept results. What a group ran is told by the library that was mapped, its version and the
settings in the process' environment, not by the group's name: settings that are no allocator of the program are left out.
Each figure compares with glibc in the same trial; a trial without glibc says nothing."""

import collections
import csv
import pathlib
import re
import statistics
import sys

REPO = pathlib.Path(__file__).resolve().parents[2]
RESULTS = REPO / "docs/lab"
COLUMNS = ("run", "date", "release", "group", "library", "version", "environment", "relays", "anon_mib", "cpu_s_a_1000", "requests")
BASELINE = "glibc"
NOT_COMPARED = "live"  # glibc under the counter of live bytes
RELEASES = {"bookworm": "Debian 12", "trixie": "Debian 13", "noble": "Ubuntu 24.04"}
WARNED = "mimalloc3"  # core/known says the same; a short trial does not clear it
CLIMBS = 100  # MiB an hour: what stands still varies by less
DEAR = 1.1  # of glibc's CPU time a request
SERVED = 0.8  # of the requests of glibc's relay: with less work done, neither memory nor CPU time compares
GAIN = 0.9  # of its stock twin's memory: else the settings are not worth their name

Evidence = collections.namedtuple("Evidence", "allocator version release elsewhere date runs relays memory least most cpu cpu_ms "
                                              "requests growth against")


Builtin = collections.namedtuple("Builtin", "name library environment")


def builtin(text):
    """From the text of config.c: each Builtin, in their order, and {former name: name}."""
    table = re.search(r"builtin_allocators\[\] = \{(.*?)\n\};", text, re.S)[1]
    found = []
    for entry in re.split(r"\{ (?=\.name)", table)[1:]:
        library = re.search(r'\.library = "([^"]+)"', entry)
        found.append(Builtin(re.search(r'\.name = "([^"]+)"', entry)[1], library and library[1],
                             frozenset("=".join(pair) for pair in re.findall(r'\{ "([A-Z_]+)", "([^"]+)" \}', entry))))
    return found, dict(re.findall(r'\{ "([^"]+)", "([^"]+)" \},', re.search(r"former_names\[\] = \{(.*?)\n\};", text, re.S)[1]))


def _library_of(row):
    """What the row's library is called in the program: mimalloc has a file name for each great version."""
    name = {"jemalloc": "libjemalloc.so.2", "tcmalloc": "libtcmalloc.so.4", "mimalloc": f"libmimalloc.so.{row['version'].partition('.')[0]}"}
    return name.get(row["library"]) if row["library"] != BASELINE else None


def named(row, builtins):
    """The program's name for what the row ran; None: it has none."""
    if row["group"] == NOT_COMPARED or row["library"] not in (BASELINE, "jemalloc", "mimalloc", "tcmalloc"):
        return None
    mine = (_library_of(row), frozenset(row["environment"].split()))
    return next((b.name for b in builtins if (b.library, b.environment) == mine), None)


def twin(name):
    """The same library as its makers ship it: "jemalloc" of "jemalloc-tuned"."""
    return name.partition("-")[0]


def rows_of(path):
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        return list(reader) if set(COLUMNS) <= set(reader.fieldnames or ()) else []


def _number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def _mean(values):
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _share(row, baseline, column):
    mine, other = _number(row[column]), _number(baseline[column])
    return mine / other if mine is not None and other else None


def _compares(row, baseline):
    served = _share(row, baseline, "requests")
    return _share(row, baseline, "anon_mib") is not None and (served is None or served >= SERVED)


def against(memory, cpu, growth, of_twin, warned=False):
    """Why nobody should take it; None: nothing that was measured speaks against it."""
    if growth is not None and growth > CLIMBS:
        return f"still climbs by {growth:.0f} MiB an hour"
    if warned:
        return "is warned of by the program: mimalloc 3.0.1 grows without bound under tor, and no later 3 was measured for days"
    if cpu is not None and cpu > DEAR:
        return f"takes {100 * (cpu - 1):.0f} % more CPU time a request than glibc"
    if of_twin is not None and memory > GAIN * of_twin:
        return "saves little beside the library as it is shipped"
    return None


def _growth(row):
    """Beyond that of the live bytes, where those were counted."""
    own, live = _number(row.get("slope_mib_h")), _number(row.get("live_slope_mib_h"))
    return own if own is None or live is None else own - live


def collect(rows, builtins, former):
    """The Evidence of each allocator, version and release, what nothing speaks against first, and of that the least memory."""
    ours = {b.name for b in builtins} | set(former)
    baselines = {row["run"]: row for row in rows if row["group"] == BASELINE}
    found = collections.defaultdict(list)
    for row in rows:
        name = named(row, builtins)
        if name and row["run"] in baselines and _compares(row, baselines[row["run"]]):
            found[name, row["version"], RELEASES.get(row["release"], row["release"]), row["group"] not in ours].append(row)
    shares = {key: [_share(row, baselines[row["run"]], "anon_mib") for row in mine] for key, mine in found.items()}
    table = []
    for key, mine in found.items():
        name, version, release, elsewhere = key
        memory, growth = _mean(shares[key]), _mean([_growth(row) for row in mine])
        cpu = _mean([_share(row, baselines[row["run"]], "cpu_s_a_1000") for row in mine])
        stock = shares.get((twin(name), version, release, elsewhere)) if twin(name) != name else None
        table.append(Evidence(name, version, release, elsewhere, max(row["date"] for row in mine), len({row["run"] for row in mine}),
                              sum(int(row["relays"]) for row in mine), memory, min(shares[key]), max(shares[key]), cpu,
                              _mean([_number(row["cpu_s_a_1000"]) for row in mine]), _mean([_number(row["requests"]) for row in mine]),
                              growth, against(memory, cpu, growth, _mean(stock or []), twin(name) == WARNED)))
    return sorted(table, key=lambda e: (e.against is not None, e.memory, e.allocator, e.version, e.release))


# ---- what is made of it ----

def _c(value):
    if value is None:
        return "NAN"
    return f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


def as_c(table):
    lines = ["/* Made by `make evidence` out of docs/lab/<trial>.csv; see core/evidence.h. */"]
    for e in table:
        fields = [_c(e.allocator), _c(e.version), _c(e.release), _c(e.elsewhere), _c(e.date), f"{e.runs}", f"{e.relays}", f"{e.memory:.4f}",
                  f"{e.least:.4f}", f"{e.most:.4f}", *(_c(v if v is None else round(v, 4)) for v in (e.cpu, e.cpu_ms, e.requests, e.growth)),
                  "NULL" if e.against is None else _c(e.against)]
        lines.append("{ " + ", ".join(fields) + " },")
    return "\n".join(lines) + "\n"


def trials(e):
    if e.runs == 1:
        return f"one trial, {'one relay' if e.relays == 1 else f'{e.relays} relays'}"
    return f"{e.runs} trials, {e.relays} relays"


def _percent(value):
    return "-" if value is None else f"{100 * value:.0f} %"


def _spread(e):
    return _percent(e.memory) + (f" ({100 * e.least:.0f} to {100 * e.most:.0f})" if e.runs > 1 else "")


def _cells(e):
    requests = "-" if e.requests is None else f"{e.requests:,.0f}"
    where = e.release + (", library from elsewhere" if e.elsewhere else "")
    return [f"{e.allocator} {e.version}".strip(), _spread(e), _percent(e.cpu), requests, trials(e), f"{e.date}, {where}", e.against or "-"]


HEAD = ["Allocator", "Memory of glibc's", "CPU time a request of glibc's", "Requests a relay", "Rests on", "Seen", "Against it"]


def _unseen(table, names):
    return [name for name in names if name not in {e.allocator for e in table}]


def as_markdown(table, names):
    lines = []
    if table:
        lines += ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD), *("| " + " | ".join(_cells(e)) + " |" for e in table)]
    unseen = _unseen(table, names)
    if unseen:
        lines += [*([""] if lines else []), f"No evidence yet of: {', '.join(unseen)}."]
    return "\n".join(lines) + "\n"


def as_scdoc(table, names):
    """Of the same, what fits a manual page: a line each."""
    rows = [("", "MEMORY", "CPU", "RESTS ON", "SEEN"),
            *((f"{e.allocator} {e.version}", _spread(e), _percent(e.cpu), trials(e), f"{e.date}, {e.release}" + (" *" if e.elsewhere else ""))
              for e in table)]
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows] if table else []
    unseen = _unseen(table, names)
    text = ("```\n" + "\n".join(lines) + "\n```\n") if lines else ""
    return text + (("\n" if text else "") + f"No evidence yet of: {', '.join(unseen)}.\n" if unseen else "")


def as_readme(table):
    """What nothing speaks against, by release; libraries of the release alone."""
    lines = []
    for release in sorted({e.release for e in table}):
        mine = [e for e in table if e.release == release and not e.elsewhere and e.against is None and e.allocator != BASELINE]
        lines += [f"- {release}: " + ("; ".join(f"`{e.allocator}` ({_spread(e)} of glibc's memory, {_percent(e.cpu)} of its CPU time a request, "
                                                f"{trials(e)})" for e in mine[:4]) or "nothing that was measured") + "."]
    return "\n".join(lines or ["No evidence yet: no trials are kept."]) + "\n"


def between(text, begin, end, new):
    """`text` with `new` between the lines `begin` and `end`."""
    head, found, rest = text.partition(begin + "\n")
    _, ended, tail = rest.partition(end + "\n")
    if not found or not ended:
        raise ValueError(f"the marks {begin} and {end} are missing")
    return head + found + new + ended + tail


def made(repo, results):
    """{path: its text} of all that is made of the kept results."""
    builtins, former = builtin((repo / "daemon/core/config.c").read_text())
    names = [b.name for b in builtins]
    table = collect([row for path in sorted(results.rglob("*.csv")) for row in rows_of(path)], builtins, former)
    marks = ("<!-- evidence: made by `make evidence` -->", "<!-- end of evidence -->")
    man = ("; evidence: made by make evidence", "; end of evidence")

    def document(path, begin, end, new):
        return repo / path, between((repo / path).read_text(), begin, end, new)

    return dict([(repo / "daemon/core/evidence.inc", as_c(table)), document("docs/lab.md", *marks, as_markdown(table, names)),
                 document("README.md", *marks, as_readme(table)),
                 document("docs/man/relayalloc.conf.5.scd", *man, as_scdoc(table, names))])


def main():
    wrong = []
    for path, text in made(REPO, RESULTS).items():
        if path.exists() and path.read_text() == text:
            continue
        wrong.append(str(path.relative_to(REPO)))
        if sys.argv[1:] != ["--check"]:
            path.write_text(text)
    for name in wrong:
        print(f"{name}: {'not what the kept results say; run make evidence' if sys.argv[1:] == ['--check'] else 'written'}")
    sys.exit(1 if wrong and sys.argv[1:] == ["--check"] else 0)


if __name__ == "__main__":
    main()
