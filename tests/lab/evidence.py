#!/usr/bin/python3 -B
"""`make evidence`: what the kept results say of each built-in allocator, put into the table of the program
(daemon/core/evidence.inc) and into the documents, between their marks. --check writes nothing and fails where they differ.

docs/lab/README.md describes the kept results. What a group ran is told by the library that was mapped, its version and the
settings in the process' environment, not by the group's name: settings that are no allocator of the program are left out. Memory is RSS,
as relayallocctl and everybody else's tools tell it.
Like is compared with like. Each figure compares with glibc in the same trial; a trial without glibc says nothing. What has settings
also compares with its stock twin, the same library in the same version as its makers ship it, and only trials that have both, glibc
and the twin, count: a share of glibc's differs more from one trial to the next than from one allocator to the other, so that a trial
in which the twin was not tried would weigh on the one and not on the other. Such a trial is told below the table (Evidence.left).
Where no trial has both, it is told as not compared. What a trial says of a smaller network, of relays that were set up in another way
(USUAL), or of a kernel that does something else with huge pages than the release's own (OWN_HUGE_PAGES), stands beside the others in
docs/lab.md, and weighs on nothing here but as harm: growth, and what the program warns of, is told wherever it was seen.
CPU time counts only where answers came whole (WHOLE): where a machine is too busy for that, who answers less has worked for nothing, and
CPU time a request tells that and not what an allocator takes. Means are geometric, as those of ratios are, and a relay of the allocator
that has one of glibc beside it weighs as any other."""

import collections
import csv
import math
import pathlib
import re
import sys

import libraries

REPO = pathlib.Path(__file__).resolve().parents[2]
RESULTS = REPO / "docs/lab"
COLUMNS = ("run", "date", "release", "network", "cpus", "consensuses", "huge_pages", "group", "library", "version", "environment", "relays", "rss_mib",
           "cpu_s_a_1000", "requests", "broken")
AVERAGED = ("rss_mib", "cpu_s_a_1000", "late_cpu_s_a_1000", "requests", "broken", "late_growth_mib_h", "live_late_growth_mib_h")
BASELINE = "glibc"
USUAL = {"network": "8000", "cpus": "16", "consensuses": "12"}  # as large as the public one; what a host of many relays has
# CONFIG_TRANSPARENT_HUGEPAGE_ALWAYS=y in the configurations of Debian's kernels 6.1 and 6.12. Of Ubuntu's it is told, and was not checked.
OWN_HUGE_PAGES = {"bookworm": "always", "trixie": "always", "noble": "madvise"}
NOT_COMPARED = "live"  # glibc under the counter of live bytes
RELEASES = {"bookworm": "Debian 12", "trixie": "Debian 13", "noble": "Ubuntu 24.04"}
WARNED = "mimalloc3"  # core/known says the same; a short trial does not clear it
CLIMBS = 100  # MiB an hour, in which the lab has 30 consensuses, the public network one: what stands still varies by less
# Of CPU time a request: of the stock twin's it is the settings that take it. Beside glibc all that saves memory takes more, which is told,
# and for the operator to judge; from a quarter more on it is not proposed.
STOCK_DEAR, DEAR = 1.1, 1.25
WHOLE = 0.9  # of the answers; one that did not come at all counts as one that was cut
SERVED = 0.8  # of the requests of glibc's relay: with less work done, neither memory nor CPU time compares
GAIN = 0.9  # of its stock twin's memory: else the settings are not worth their name
# The rule of the verdict, and against() is where it is made. A relay with one of glibc beside it is a repetition: those of a row in all
# of its trials. Below three nobody sees how far relays of one allocator differ by themselves (mimalloc 2 in trixie-4: 6.8 to 8.3 s of
# CPU for 1,000 requests, more than STOCK_DEAR allows), so that neither a good word nor a bad one is said, and nothing of it is
# recommended or proposed. Harm, growth and what the program warns of, is told of a single one.
ENOUGH = 3
FEW = "rests on"

Evidence = collections.namedtuple("Evidence", "allocator version release elsewhere date runs relays memory least most cpu cpu_least "
                                              "cpu_most served growth stock stock_memory stock_cpu against left")


Builtin = collections.namedtuple("Builtin", "name library environment")


def builtin(text):
    """Each Builtin, in their order, from the text of config.c."""
    table = re.search(r"builtin_allocators\[\] = \{(.*?)\n\};", text, re.S)[1]
    found = []
    for entry in re.split(r"\{ (?=\.name)", table)[1:]:
        library = re.search(r'\.library = "([^"]+)"', entry)
        found.append(Builtin(re.search(r'\.name = "([^"]+)"', entry)[1], library and library[1],
                             frozenset("=".join(pair) for pair in re.findall(r'\{ "([A-Z_]+)", "([^"]+)" \}', entry))))
    return found


def _library_of(row):
    """What the row's library is called in the program: mimalloc has a file name for each great version."""
    name = {"jemalloc": "libjemalloc.so.2", "tcmalloc": "libtcmalloc.so.4", "mimalloc": f"libmimalloc.so.{row['version'].partition('.')[0]}"}
    return name.get(row["library"]) if row["library"] != BASELINE else None


def builtins_of(repo):
    """builtin() of the checkout."""
    return builtin((repo / "daemon/core/config.c").read_text())


def named(row, builtins):
    """The program's name for what the row ran; None: it has none."""
    if row["group"] == NOT_COMPARED or row["library"] not in (BASELINE, "jemalloc", "mimalloc", "tcmalloc"):
        return None
    mine = (_library_of(row), frozenset(row["environment"].split()))
    return next((b.name for b in builtins if (b.library, b.environment) == mine), None)


def twin(name):
    """The same library as its makers ship it: "jemalloc" of "jemalloc-tuned"."""
    return name.partition("-")[0]


def stock_of(name):
    """Its twin where that is another one, and not glibc, with which all compare in any case; None: it has none."""
    return twin(name) if twin(name) not in (name, BASELINE) else None


def elsewhere_in(configuration):
    """The names of the allocators whose library the lab took from another release."""
    inner = r"(?:[^{}]|\{[^{}]*\})*?"
    return {name for name, path in re.findall(rf'([A-Za-z][\w-]*)\s*[=:]\s*\{{{inner}library\s*[=:]\s*"([^"]+)"', configuration)
            if path.startswith(libraries.FOLDER + "/")}


def rows_of(path):
    """Of a kept trial, each with `elsewhere`: was its library that of another release? Of anything else none."""
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader) if set(COLUMNS) <= set(reader.fieldnames or ()) else []
    conf = path.with_suffix(".conf")
    foreign = elsewhere_in(conf.read_text()) if rows and conf.exists() else ()
    return [{**row, "elsewhere": row["group"] in foreign} for row in rows]


def _number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def _mean(known):
    """[(share, weight)], of which a share may be None."""
    known = [(share, weight) for share, weight in known if share is not None]
    return math.exp(sum(weight * math.log(share) for share, weight in known) / sum(weight for _, weight in known)) if known else None


def came_whole(requests, broken):
    """So many of the answers that the CPU time compares. requests: those that were answered, cut ones among them."""
    return requests - broken >= WHOLE * requests


def cpu_of(row):
    """CPU seconds for 1,000 requests in the time in which memory counts, or in all of it where that was not noted; None: its answers
    were cut, and it compares with nothing."""
    requests, broken = _number(row["requests"]), _number(row["broken"])
    if not requests or broken is not None and not came_whole(requests, broken):
        return None
    late = _number(row.get("late_cpu_s_a_1000"))
    return _number(row["cpu_s_a_1000"]) if late is None else late


FIGURE = {"memory": lambda row: _number(row["rss_mib"]), "cpu": cpu_of, "served": lambda row: _number(row["requests"])}


def share(row, other, figure):
    """Of the other one's; None: one of them has none."""
    mine, its = FIGURE[figure](row), FIGURE[figure](other)
    return mine / its if mine is not None and its else None


def compares(row, baseline):
    """Did it serve enough for its memory and CPU time to be laid beside that of the same trial's glibc?"""
    served = share(row, baseline, "served")
    return share(row, baseline, "memory") is not None and (served is None or served >= SERVED)


def _relays(n):
    return "1 relay" if n == 1 else f"{n} relays"


def _shipped(name):
    return f"{name} as it is shipped"


def against(e, cpu_relays):
    """Why nobody should take it, or why that cannot be said; None: nothing that was measured speaks against it. cpu_relays: as
    e.relays, of those whose CPU time compares."""
    if e.growth is not None and e.growth > CLIMBS:
        return f"still climbs by {e.growth:.0f} MiB an hour"
    if twin(e.allocator) == WARNED:
        return "is warned of by the program: mimalloc 3.0.1 grows without bound under tor, and no later 3 was measured for days"
    if e.stock and e.stock_memory is None:
        return f"was in no trial beside {_shipped(e.stock)}: not compared"
    if e.relays < ENOUGH:
        return f"{FEW} {_relays(e.relays)}: too few"
    if e.cpu is None or e.stock and e.stock_cpu is None:
        return "was in no trial that can tell its CPU time: answers were cut"
    if cpu_relays < ENOUGH:
        return f"{FEW} {_relays(cpu_relays)} in its CPU time: too few"
    for of_other, most, other in ((e.cpu, DEAR, BASELINE), (e.stock_cpu, STOCK_DEAR, e.stock and _shipped(e.stock))):
        if of_other is not None and of_other > most:
            return f"takes {100 * (of_other - 1):.0f} % more CPU time a request than {other}"
    if (e.stock_memory if e.stock else e.memory if e.allocator != BASELINE else 0) > GAIN:
        return f"saves little beside {_shipped(e.stock or BASELINE)}"
    return None


def _growth(row):
    """At the end of a trial, beyond that of the live bytes where those were counted."""
    own, live = _number(row.get("late_growth_mib_h")), _number(row.get("live_late_growth_mib_h"))
    return own if own is None or live is None else own - live


def _weighted(rows, column):
    known = [(_number(row.get(column)), int(row["relays"])) for row in rows if _number(row.get(column)) is not None]
    return sum(value * n for value, n in known) / sum(n for _, n in known) if known else None


def one_a_run(rows):
    """Of rows that ran the same: groups of one trial, as a preset and its twin in a screening, are one of all their relays. {run: row}"""
    of_run = collections.defaultdict(list)
    for row in rows:
        of_run[row["run"]].append(row)
    return {run: mine[0] if len(mine) == 1 else
            {**mine[0], **{column: _weighted(mine, column) for column in AVERAGED}, "relays": sum(int(row["relays"]) for row in mine)}
            for run, mine in of_run.items()}


def _pairs(row, other):
    return min(int(row["relays"]), int(other["relays"]))


def _evidence(key, rows, stock, baselines, growth):
    """`rows` of one key by run, and those of its stock twin, {} where it has none by another name; glibc's by run."""
    name, version, release, elsewhere = key
    other = stock_of(name)
    counted = [row for run, row in rows.items() if run in stock] or list(rows.values())

    def shares(figure, others):
        return [(share(row, others[row["run"]], figure), _pairs(row, others[row["run"]])) for row in counted if row["run"] in others]

    memory, cpu = ([of for of, _ in shares(figure, baselines) if of is not None] for figure in ("memory", "cpu"))
    left = tuple((row["run"], share(row, baselines[row["run"]], "memory"), share(row, baselines[row["run"]], "cpu"))
                 for row in rows.values() if row not in counted)
    e = Evidence(name, version, release, elsewhere, max(row["date"] for row in counted), len(counted),
                 sum(_pairs(row, baselines[row["run"]]) for row in counted), _mean(shares("memory", baselines)), min(memory), max(memory),
                 _mean(shares("cpu", baselines)), min(cpu, default=None), max(cpu, default=None), _mean(shares("served", baselines)),
                 growth, other, _mean(shares("memory", stock)), _mean(shares("cpu", stock)), None, left)
    cpu_relays = min(sum(n for of, n in shares("cpu", others) if of is not None) for others in ((baselines, stock) if other else (baselines,)))
    return e._replace(against=against(e, cpu_relays))


def _by_key(rows, builtins):
    """{(name, version, release, elsewhere): [row]} of those that the program has a name for."""
    found = collections.defaultdict(list)
    for row in rows:
        name = named(row, builtins)
        if name:
            found[name, row["version"], RELEASES.get(row["release"], row["release"]), row["elsewhere"]].append(row)
    return found


def is_usual(row):
    """Was it made as hosts of its release are?"""
    return all(row[column] == value for column, value in USUAL.items()) and row["huge_pages"] == OWN_HUGE_PAGES.get(row["release"])


def collect(rows, builtins):
    """The Evidence of each allocator, version and release, what nothing speaks against first, and of that the least memory."""
    growth = {key: max((g for g in map(_growth, mine) if g is not None), default=None) for key, mine in _by_key(rows, builtins).items()}
    every = {key: one_a_run(mine) for key, mine in _by_key(rows, builtins).items()}
    baselines = {run: row for (name, *_), mine in every.items() if name == BASELINE for run, row in mine.items()}
    every = {key: {run: row for run, row in mine.items() if run in baselines and compares(row, baselines[run])} for key, mine in every.items()}
    usual = {key: {run: row for run, row in mine.items() if is_usual(row)} for key, mine in every.items()}
    # harm is told even where no trial counts otherwise
    found = {key: mine or (every[key] if (growth[key] or 0) > CLIMBS or twin(key[0]) == WARNED else {}) for key, mine in usual.items()}
    table = [_evidence(key, mine, found.get((stock_of(key[0]), *key[1:]), {}), baselines, growth[key])
             for key, mine in found.items() if mine]
    return sorted(table, key=lambda e: (e.against is not None, e.memory, e.allocator, e.version, e.release))


# ---- what is made of it ----

NUMBERS = ("memory", "least", "most", "cpu", "cpu_least", "cpu_most", "served", "growth", "stock_memory", "stock_cpu")


def _c(value, is_number):
    if value is None:
        return "NAN" if is_number else "NULL"
    if isinstance(value, str):
        return f'"{value}"'
    return str(value).lower() if isinstance(value, bool) else str(round(value, 4))


def _percent(value):
    return "not compared" if value is None else f"{100 * value:.0f} %"


def _without_stock(e):
    """A clause on the trials that had no stock twin: they count for nothing else, and what they say against it stands."""
    return ", and ".join(f"in a trial without stock {e.stock} it took {_percent(memory)} of glibc's memory"
                         + ("" if cpu is None else f", {_percent(cpu)} of its CPU time a request") for _, memory, cpu in e.left)


def as_c(table):
    lines = ["/* Made by `make evidence` out of docs/lab/<trial>.csv; see core/evidence.h. */"]
    for e in table:
        fields = {**e._asdict(), "left": _without_stock(e) or None}
        lines.append("{ " + ", ".join(f".{name} = {_c(fields[name], name in NUMBERS)}" for name in fields) + " },")
    return "\n".join(lines) + "\n"


def trials(e):
    return f"{'one trial' if e.runs == 1 else f'{e.runs} trials'}, {_relays(e.relays)}"


def _too_few(e):
    return ": too few" if e.relays < ENOUGH else ""


def _spread(mean, least, most):
    """The range where it is one."""
    return _percent(mean) + (f" ({100 * least:.0f} to {100 * most:.0f})" if mean is not None and _percent(least) != _percent(most) else "")


def _memory(e):
    return _spread(e.memory, e.least, e.most)


def _cpu(e):
    return _spread(e.cpu, e.cpu_least, e.cpu_most)


def _beside_stock(e):
    if e.stock is None:
        return "-"
    return "not compared" if e.stock_memory is None else f"{_percent(e.stock_memory)}, {_percent(e.stock_cpu)}"


def _cells(e):
    where = e.release + (", library from elsewhere" if e.elsewhere else "")
    return [f"{e.allocator} {e.version}".strip(), _memory(e), _cpu(e), _beside_stock(e), _percent(e.served), _growth_text(e), trials(e), f"{e.date}, {where}",
            e.against or "-"]


HEAD = ["Allocator", "RSS, of glibc's", "CPU time a request, of glibc's", "RSS and CPU time, of its stock library's", "Requests answered, of glibc's",
        "Growth beyond live bytes", "Rests on", "Seen", "Against it"]


def _unseen(table, names):
    return [name for name in names if name not in {e.allocator for e in table}]


def _left_out(table):
    return [f"Left out: {e.allocator} {e.version} in {run}, which had no stock {e.stock} ({_percent(memory)} of glibc's RSS, CPU time a request: {_percent(cpu)})." for e in table for run, memory, cpu in e.left]


def _untried(table):
    return [release for release in RELEASES.values() if release not in {e.release for e in table}] if table else []


def as_markdown(table, names):
    lines = []
    if table:
        lines += ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD), *("| " + " | ".join(_cells(e)) + " |" for e in table)]
    for line in _left_out(table):
        lines += ["", line]
    unseen = _unseen(table, names)
    if unseen:
        lines += [*([""] if lines else []), f"No evidence yet of: {', '.join(unseen)}."]
    return "\n".join(lines) + "\n"


def as_scdoc(table, names):
    """Of the same, what fits a manual page: a line each."""
    rows = [("", "RSS", "CPU", "OF STOCK", "RESTS ON", "SEEN"),
            *((f"{e.allocator} {e.version}", _memory(e), _cpu(e), _beside_stock(e), trials(e) + _too_few(e), f"{e.date}, {e.release}" + (" *" if e.elsewhere else ""))
              for e in table)]
    widths = [max(len(row[i]) for row in rows) for i in range(6)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows] if table else []
    unseen = _unseen(table, names)
    text = ("```\n" + "\n".join(lines) + "\n```\n") if lines else ""
    if _untried(table):
        text += f"\n{' and '.join(_untried(table))}: no trial of this lab.\n"
    return text + (("\n" if text else "") + f"No evidence yet of: {', '.join(unseen)}.\n" if unseen else "")


def _growth_text(e):
    return "not measured" if e.growth is None else f"{e.growth:+.0f} MiB/h"


def _of_release(table, release):
    """Sentences on what something speaks against, or too few relays ran it; libraries of the release alone."""
    because = collections.defaultdict(list)
    few = []
    for e in table:
        if e.release != release or e.elsewhere or e.against is None or e.allocator == BASELINE:
            continue
        if e.against.startswith(FEW):
            few.append(f"`{e.allocator}` ({_relays(e.relays)})")
        else:
            because[e.against].append(f"`{e.allocator}`")
    sentences = [f"{' and '.join(names)} {why if len(names) == 1 else why.replace('is warned', 'are warned')}" for why, names in because.items()]
    return [*([f"{release}, against: {'; '.join(sentences)}."] if sentences else []), *([f"{release}, too few to judge: {', '.join(few)}."] if few else [])]


README_HEAD = ["Release", "Allocator", "RSS, of glibc's", "CPU time a request, of glibc's", "both, of its stock library's", "Growth", "Rests on"]


def as_readme(table):
    """What nothing speaks against, by release, and what something does; libraries of the release alone."""
    if not table:
        return "No evidence yet: no trials are kept.\n"
    releases = sorted({e.release for e in table})
    good = [e for release in releases for e in table if e.release == release and e.against is None and not e.elsewhere and e.allocator != BASELINE]
    rows = [README_HEAD, ["---"] * len(README_HEAD),
            *([e.release, f"`{e.allocator}`", _memory(e), _cpu(e), _beside_stock(e), _growth_text(e), trials(e)] for e in good)]
    told = [*(f"{e.release}, `{e.allocator}`: {_without_stock(e)}." for e in good if e.left), *(s for release in releases for s in _of_release(table, release)),
            *([f"{' and '.join(_untried(table))}: no trial of this lab."] if _untried(table) else [])]
    lines = ["| " + " | ".join(row) + " |" for row in rows] if good else ["Nothing yet: something speaks against each that was measured, or too few relays ran it."]
    return "\n".join(lines) + "\n" + ("\n" + "\n".join(f"- {sentence}" for sentence in told) + "\n" if told else "")


def between(text, begin, end, new):
    """`text` with `new` between the lines `begin` and `end`."""
    head, found, rest = text.partition(begin + "\n")
    _, ended, tail = rest.partition(end + "\n")
    if not found or not ended:
        raise ValueError(f"the marks {begin} and {end} are missing")
    return head + found + new + ended + tail


def made(repo, results):
    """{path: its text} of all that is made of the kept results."""
    builtins = builtins_of(repo)
    names = [b.name for b in builtins]
    table = collect([row for path in sorted(results.rglob("*.csv")) for row in rows_of(path)], builtins)
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
