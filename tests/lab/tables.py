"""The tables of docs/lab.md, a trial each, from docs/lab/RUN.csv: put between <!-- trial RUN --> and <!-- end of trial -->.
Pure."""

import re

import live

HEAD = ("allocator", "library and settings", "relays", "RSS MiB", "anonymous MiB (least–most)", "of glibc",
        "CPU s / 1,000 requests", "requests", "growth MiB/h")
MARKED = re.compile(r"(<!-- trial (\S+) -->\n).*?(<!-- end of trial -->)", re.S)


def _number(text, form):
    return format(float(text), form) if text != "" else "–"


def _anonymous(row):
    mean = _number(row["anon_mib"], ".0f")
    return mean if row["relays"] == "1" else f"{mean} ({_number(row['anon_least_mib'], '.0f')}–{_number(row['anon_most_mib'], '.0f')})"


def _row(row):
    settings = f"{row['library']} {row['version']}" + "".join(f" `{word}`" for word in row["environment"].split())
    return (row["group"], settings, row["relays"], _number(row["rss_mib"], ".0f"), _anonymous(row), _number(row["anon_of_glibc"], ".2f"),
            _number(row["cpu_s_a_1000"], ".2f"), _number(row["requests"], ".0f"), _number(row["slope_mib_h"], "+.0f"))


def table(rows):
    """Markdown; the least memory first. Relays under the counter of live bytes compare with nothing: they are a line of text."""
    compared = sorted((row for row in rows if row["group"] != live.GROUP), key=lambda row: float(row["anon_mib"] or "inf"))
    run = rows[0]
    growth = f", which grow by {_number(run['live_slope_mib_h'], '+.0f')} MiB an hour" if run["live_slope_mib_h"] else ""
    under = f" Live bytes: {_number(run['live_mib'], '.0f')} MiB{growth}." if run["live_mib"] else ""
    cells = [HEAD, ["---"] * 2 + ["---:"] * (len(HEAD) - 2), *map(_row, compared)]
    return "\n".join((
        f"{run['run']}: {run['date']}, {run['release']}, tor {run['tor']}, {run['network']} synthetic relays, NumCPUs {run['cpus']}, seed "
        f"{run['seed']}, {_number(run['minutes'], 'g')} minutes, {run['clients']} connections a wave, an interval of {run['interval_s']} s; memory from "
        f"second {_number(run['counted_from_s'], '.0f')} on.{under}", "",
        *("| " + " | ".join(row) + " |" for row in cells), "",
        f"![Memory over time, {run['run']}](lab/{run['run']}.svg)", ""))


def put(text, rows_of):
    """The document with each marked table made anew. rows_of(run): rows of its csv."""
    return MARKED.sub(lambda found: found[1] + table(rows_of(found[2])) + found[3], text)
