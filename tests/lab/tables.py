"""The tables of docs/lab.md from docs/lab/RUN.csv: of each trial, put between <!-- trial RUN --> and <!-- end of trial -->, and of
all of them beside the target for settings, between <!-- target --> and <!-- end of target -->, and under what conditions they were made,
between <!-- conditions --> and <!-- end of conditions -->; of a screening what each factor does, between <!-- effects RUN --> and
<!-- end of effects -->; and what allocators say of themselves at the end, between <!-- inside RUN --> and <!-- end of inside -->. Pure."""

import collections
import re

import effects
import evidence
import kept
import live

# The target: of the memory (RSS) of the best stock library in the same trial, and of its CPU time a request.
MOST_MEMORY, MOST_CPU = 0.8, 1.1
NO_CPU = "CPU –"  # answers were cut
OF_A_TRIAL = {"processors": "processors", "synthetic relays": "network", "seconds from one consensus to the next": "interval_s", "minutes": "minutes",
              "connections a wave": "clients", "tor's NumCPUs": "cpus", "consensuses kept": "consensuses"}
MARKED = re.compile(r"(<!-- (trial|effects|inside|target|conditions)(?: (\S+))? -->\n).*?(<!-- end of \2 -->)", re.S)


def _number(text, form):
    return format(float(text), form) if text != "" else "–"


def _anonymous(row):
    mean = _number(row["anon_mib"], ".0f")
    return mean if row["relays"] in ("0", "1") else f"{mean} ({_number(row['anon_least_mib'], '.0f')}–{_number(row['anon_most_mib'], '.0f')})"


def _growth(row, columns):
    """None: it is not known, as of a trial that was too short for it."""
    return " → ".join(f"{round(float(row[column])):+d}" for column in columns) if row[columns[0]] != "" else None


def _settings(row):
    return f"{row['library']} {row['version']}" + "".join(f" `{word}`" for word in row["environment"].split())


def _columns(baseline):
    """(head, alignment, cell of a row or None where nothing is known)"""
    return (("allocator", "---", lambda row: row["group"]), ("library and settings", "---", _settings),
            ("relays", "---:", lambda row: row["relays"] + (f" ({row['ended']} more ended)" if row["ended"] not in ("", "0") else "")),
            ("RSS MiB", "---:", lambda row: _number(row["rss_mib"], ".0f")),
            ("of glibc's", "---:", lambda row: _number(row["rss_mib"] and baseline and float(row["rss_mib"]) / float(baseline), ".2f")),
            ("RSS 95 % of the time below", "---:", lambda row: _number(row["rss_high_mib"], ".0f") if row["rss_high_mib"] else None),
            ("anonymous MiB (least–most)", "---:", _anonymous),
            ("CPU s / 1,000 requests", "---:", lambda row: _number(row["late_cpu_s_a_1000"] or row["cpu_s_a_1000"], ".2f")),
            ("requests", "---:", lambda row: _number(row["requests"], ".0f")),
            ("growth MiB/h, early → late", "---:", lambda row: _growth(row, kept.GROWTH)))


def table(rows):
    """Markdown; the least memory first, and no column of which nothing is known. Relays under the counter of live bytes compare with
    nothing: they are a line of text."""
    compared = sorted((row for row in rows if row["group"] != live.GROUP), key=lambda row: float(row["rss_mib"] or "inf"))
    run = rows[0]
    of_live = _growth(run, kept.LIVE_GROWTH)
    growth = f", which grow by {of_live} MiB an hour" if of_live else ""
    floor = f", {_number(run['live_floor_mib'], '.0f')} MiB between peaks" if run["live_floor_mib"] else ""
    under = f" Live bytes: {_number(run['live_mib'], '.0f')} MiB on average{floor}{growth}." if run["live_mib"] else ""
    baseline = next((row["rss_mib"] for row in rows if row["group"] == evidence.BASELINE), "")
    columns = [[head, line, *cells] for head, line, cell in _columns(baseline) if any(cells := list(map(cell, compared)))]
    return "\n".join((
        f"{run['run']}: {run['date']}, {run['release']}, tor {run['tor']}, {run['network']} synthetic relays, NumCPUs {run['cpus']}, seed "
        f"{run['seed']}, {_number(run['minutes'], 'g')} minutes, {run['clients']} connections a wave, an interval of {run['interval_s']} s; memory"
        f"{' and CPU time' if run['late_cpu_s_a_1000'] else ''} from second {_number(run['counted_from_s'], '.0f')} on.{under}", "",
        *("| " + " | ".join(text or "–" for text in cells) + " |" for cells in zip(*columns)), "",
        f"![Memory over time, {run['run']}](lab/{run['run']}.svg)", ""))


def _by_name(rows, named):
    """{(name in the program, version): row} of one trial; glibc has no version here, as it is what the others are compared with."""
    of_name = collections.defaultdict(list)
    for row in rows:
        if named(row):
            of_name[named(row), "" if named(row) == evidence.BASELINE else row["version"]].append(row)
    return {key: row for key, mine in of_name.items() for row in evidence.one_a_run(mine).values()}


def _best_stock(by_name):
    """Of the program's libraries as they are shipped that with the least memory. None: there is none that it does not warn of."""
    stock = [row for (name, _), row in by_name.items()
             if evidence.FIGURE["memory"](row) and not row["environment"] and name not in (evidence.BASELINE, evidence.WARNED)]
    return min(stock, key=evidence.FIGURE["memory"], default=None)


def _markdown(rows):
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _shares(row, other):
    """(memory, CPU), each None where one of the two has none."""
    return tuple(evidence.share(row, other, figure) for figure in ("memory", "cpu"))


def _beside(row, baseline, best):
    """(cell, does it meet the target?), the latter None where that cannot be said."""
    if row is None or not evidence.FIGURE["memory"](row):
        return "–", None
    if baseline is not None and not evidence.compares(row, baseline):
        return "answered too little", None
    memory, cpu = _shares(row, best)
    if cpu is None:
        return f"{effects.change(memory)}, {NO_CPU}", None
    return f"{effects.change(memory)}, CPU {effects.change(cpu)}", memory <= MOST_MEMORY and cpu <= MOST_CPU


def target(trials, named):
    """Markdown. trials: {run: rows}; named(row): the program's name for what it ran, None: it has none. Settings that it has no
    name for, and trials without a stock library to compare with, are left out."""
    compared = {run: _by_name(rows, named) for run, rows in trials.items()}
    best = {run: _best_stock(by_name) for run, by_name in compared.items()}
    compared = {run: by_name for run, by_name in compared.items() if best[run]}
    lines = []
    for key in {key for by_name in compared.values() for key, row in by_name.items() if row["environment"]}:
        cells = [_beside(by_name.get(key), by_name.get((evidence.BASELINE, "")), best[run]) for run, by_name in compared.items()]
        said = [holds for _, holds in cells if holds is not None]
        name = " ".join(key)
        lines.append((-sum(said), -len(said), name, [name, *(text for text, _ in cells), f"{sum(said)} of {len(said)}"]))
    stock = [best[run] for run in compared]
    head = [f"{run}, {row['relays']} relay{'s' if row['relays'] != '1' else ''}" for run, row in zip(compared, stock)]
    rows = [["Settings", *head, "Holds in"], ["---"] * (len(head) + 2),
            ["the best stock library", *(f"{row['library']} {row['version']}, {_number(row['rss_mib'], '.0f')} MiB" for row in stock), ""],
            *(cells for *_, cells in sorted(lines, key=lambda line: line[:3]))]
    return _markdown(rows)


def _of_baseline(row, baseline):
    if row is None or not evidence.FIGURE["memory"](row):
        return "–"
    if not evidence.compares(row, baseline):
        return "answered too little"
    memory, cpu = _shares(row, baseline)
    return f"{memory:.2f}, {NO_CPU if cpu is None else f'CPU {effects.change(cpu)}'}"


def conditions(trials, named):
    """Markdown: what the program has a name for, as a share of glibc's memory in the same trial, under what makes trials differ. First
    glibc once more, under the counter of live bytes: by how much relays differ that run the same, and what the counter takes. As of
    target()."""
    compared = {run: _by_name(rows, named) for run, rows in trials.items()}
    compared = {run: by_name for run, by_name in compared.items() if evidence.FIGURE["memory"](by_name.get((evidence.BASELINE, ""), {"rss_mib": ""}))}
    again = {run: next((row for row in trials[run] if row["group"] == live.GROUP), None) for run in compared}
    baselines = {run: by_name[evidence.BASELINE, ""] for run, by_name in compared.items()}
    names = sorted({key for by_name in compared.values() for key in by_name if key[0] != evidence.BASELINE})
    rows = [["Trial", *compared], ["---"] * (len(compared) + 1),
            *([words, *(f"{float(row[column]):g}" for row in baselines.values())] for words, column in OF_A_TRIAL.items()),
            ["huge pages", *(row["huge_pages"] for row in baselines.values())],
            ["relays of glibc", *(f"{row['relays']}" for row in baselines.values())],
            ["glibc again", *(_of_baseline(again[run], row) for run, row in baselines.items())],
            *([" ".join(key), *(_of_baseline(compared[run].get(key), row) for run, row in baselines.items())] for key in names)]
    return _markdown(rows)


def _effects(rows):
    told, not_told = effects.of(rows)
    return effects.as_markdown(told) + "\n" + "".join(f"\nNothing is told of {why}.\n" for why in not_told)


def inside(rows):
    """Markdown, the most memory first. rows: of inside.csv, a relay each."""
    def mib(row, column):
        return "–" if row[column] == "" else f"{round(float(row[column]) / 1024)}".replace("-", "−")

    cells = [["Allocator", "anonymous MiB at the end", "of that given back when told to", "in use by its own count", "held by its own count"],
             ["---", *["---:"] * 4],
             *([row["group"], *(mib(row, column) for column in ("anon_kb", "given_back_kb", "used_kb", "held_kb"))]
               for row in sorted(rows, key=lambda row: -float(row["anon_kb"])))]
    return _markdown(cells)


def runs_in(text):
    """The trials that have a table in the document."""
    found = [found[3] for found in MARKED.finditer(text) if found[2] == "trial"]
    return sorted(found, key=lambda run: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", run)])


def put(text, rows_of, named):
    """The document with each marked table made anew. rows_of(name): rows of docs/lab/NAME.csv; named: as of target()."""
    trials = {run: rows_of(run) for run in runs_in(text)}
    made = {"trial": lambda run: table(trials[run]), "effects": lambda run: _effects(trials[run]), "inside": lambda run: inside(rows_of(f"{run}.inside")),
            "target": lambda _: target(trials, named), "conditions": lambda _: conditions(trials, named)}
    return MARKED.sub(lambda found: found[1] + made[found[2]](found[3]) + found[4], text)
