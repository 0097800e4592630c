"""What a trial comes to: a row a group, from the samples and the table of the load. Pure."""

import collections
import statistics

import load

COLUMNS = ("group", "relays", "rss_mib", "anon_mib", "anon_of_glibc", "lazyfree_mib", "huge_mib", "live_mib", "cpu_s", "requests",
           "mib_served", "cpu_ms_a_request", "refused", "broken")
BASELINE = "glibc"
KIB_A_MIB = 1024


def _mean(values):
    return statistics.fmean(values) if values else None


def _memory(rows, column):
    """Mean over relays of each one's mean over time, in MiB."""
    of_relay = collections.defaultdict(list)
    for row in rows:
        if row.get(column, "") != "":
            of_relay[row["relay"]].append(int(row[column]))
    mean = _mean([_mean(values) for values in of_relay.values()])
    return None if mean is None else mean / KIB_A_MIB


def _cpu(rows):
    """Mean over relays of the seconds from a relay's first sample of a process to its last."""
    spans = collections.defaultdict(list)
    for row in rows:
        spans[row["relay"], row["pid"]].append(float(row["cpu_s"]))
    of_relay = collections.Counter()
    for (relay, _), values in spans.items():
        of_relay[relay] += values[-1] - values[0]
    return _mean(list(of_relay.values()))


def _served(load_rows, names):
    """Means over relays."""
    total = collections.Counter()
    for row in load_rows:
        if row["relay"] in names:
            for column in load.COLUMNS[3:]:
                total[column] += int(row[column])
    return {column: total[column] / len(names) for column in load.COLUMNS[3:]}


def _ratio(a, b):
    return a / b if a is not None and b else None


def summary(members, sample_rows, load_rows, counted_from):
    """A dict of COLUMNS for each group, in their order; memory counts from `counted_from` seconds on, the rest from the
    start of the load. None where nothing can be said. members: {group: [relay]}."""
    table = []
    for group, names in members.items():
        mine = [row for row in sample_rows if row["relay"] in names]
        late = [row for row in mine if float(row["seconds"]) >= counted_from]
        served, cpu = _served(load_rows, set(names)), _cpu(mine)
        table.append({
            "group": group, "relays": len(names), "rss_mib": _memory(late, "rss_kb"), "anon_mib": _memory(late, "anon_kb"),
            "lazyfree_mib": _memory(late, "lazyfree_kb"), "huge_mib": _memory(late, "huge_kb"),
            "live_mib": _memory(late, "live_kb"), "cpu_s": cpu, "requests": served["requests"],
            "mib_served": served["bytes"] / KIB_A_MIB**2, "refused": served["refused"], "broken": served["broken"],
            "cpu_ms_a_request": _ratio(None if cpu is None else 1000 * cpu, served["requests"])})
    baseline = next((row["anon_mib"] for row in table if row["group"] == BASELINE), None)
    for row in table:
        row["anon_of_glibc"] = _ratio(row["anon_mib"], baseline)
    return table


def _cell(value):
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) and abs(value) < 10 else f"{value:.0f}" if isinstance(value, float) else str(value)


def as_text(table):
    rows = [COLUMNS, *([_cell(row[c]) for c in COLUMNS] for row in table)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    return "\n".join("  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths)))
                     for row in rows) + "\n"


def served_by_kind(load_rows):
    """{(relay, kind): bytes of what was answered}"""
    total = collections.Counter()
    for row in load_rows:
        total[row["relay"], row["kind"]] += int(row["bytes"])
    return total


