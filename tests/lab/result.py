"""What a trial comes to: a row a group, from the samples and the table of the load. Pure."""

import collections
import statistics

import evidence
import load

COLUMNS = ("group", "relays", "ended", "rss_mib", "anon_mib", "anon_of_glibc", "lazyfree_mib", "huge_mib", "live_mib", "cpu_s", "requests",
           "mib_served", "cpu_ms_a_request", "refused", "broken", "late_requests", "late_cpu_ms_a_request")
BASELINE = "glibc"
KIB_A_MIB = 1024
MISSED = 60  # seconds: a busy machine is slow to sample


def lasting(sample_rows, names):
    """Those of the relays that ran from the first sample to the last in one process. Another one did not do what they did: its memory
    is younger, and nobody was there to answer for a while."""
    first, last, end = {}, {}, 0.0
    for row in sample_rows:
        first.setdefault(row["relay"], row["pid"])
        last[row["relay"]] = row["pid"], float(row["seconds"])
        end = max(end, float(row["seconds"]))
    return [name for name in names if name in last and last[name][0] == first[name] and last[name][1] > end - MISSED]


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
    """Mean over relays of the seconds from a relay's first sample to its last."""
    of_relay = collections.defaultdict(list)
    for row in rows:
        of_relay[row["relay"]].append(float(row["cpu_s"]))
    return _mean([values[-1] - values[0] for values in of_relay.values()])


def _served(load_rows, names):
    """Means over relays."""
    if not names:
        return dict.fromkeys(load.COUNTED)
    total = collections.Counter()
    for row in load_rows:
        if row["relay"] in names:
            for column in load.COUNTED:
                total[column] += int(row[column])
    return {column: total[column] / len(names) for column in load.COUNTED}


def _late(sample_rows, served_rows, names, counted_from):
    """(requests, CPU seconds) from then on, means over relays, both of the same time."""
    times = [float(row["seconds"]) for row in served_rows if float(row["seconds"]) >= counted_from]
    if not names or not times or min(times) == max(times):
        return None, None
    since, until = min(times), max(times)
    total = collections.Counter()
    for row in served_rows:
        if row["relay"] in names and float(row["seconds"]) in (since, until):
            total[float(row["seconds"])] += int(row["requests"])
    return (total[until] - total[since]) / len(names), _cpu([row for row in sample_rows if since <= float(row["seconds"]) <= until])


def _ratio(a, b):
    return a / b if a is not None and b else None


def _milliseconds(cpu, requests):
    return _ratio(None if cpu is None else 1000 * cpu, requests)


def summary(members, sample_rows, load_rows, served_rows, counted_from):
    """A dict of COLUMNS for each group, in their order; memory and what is "late" counts from `counted_from` seconds on, the rest from
    the start of the load, and only of relays that last; `ended` are the others. None where nothing can be said. members:
    {group: [relay]}."""
    table = []
    for group, given in members.items():
        names = lasting(sample_rows, given)
        mine = [row for row in sample_rows if row["relay"] in names]
        late = [row for row in mine if float(row["seconds"]) >= counted_from]
        served, cpu = _served(load_rows, set(names)), _cpu(mine)
        late_requests, late_cpu = _late(mine, served_rows, set(names), counted_from)
        table.append({
            "group": group, "relays": len(names), "ended": len(given) - len(names),
            "rss_mib": _memory(late, "rss_kb"), "anon_mib": _memory(late, "anon_kb"), "lazyfree_mib": _memory(late, "lazyfree_kb"),
            "huge_mib": _memory(late, "huge_kb"), "live_mib": _memory(late, "live_kb"), "cpu_s": cpu, "requests": served["requests"],
            "mib_served": _ratio(served["bytes"], KIB_A_MIB**2), "refused": served["refused"], "broken": served["broken"],
            "cpu_ms_a_request": _milliseconds(cpu, served["requests"]), "late_requests": late_requests,
            "late_cpu_ms_a_request": _milliseconds(late_cpu, late_requests)})
    baseline = next((row["anon_mib"] for row in table if row["group"] == BASELINE), None)
    for row in table:
        row["anon_of_glibc"] = _ratio(row["anon_mib"], baseline)
    return table


def too_busy(table, clients):
    """A sentence where so few answers came whole that CPU time compares with nothing; None: they did. clients: LAB_CLIENTS"""
    asked = [(row["requests"] * row["relays"], row["broken"] * row["relays"]) for row in table if row["relays"]]
    requests, broken = (sum(of) for of in zip(*asked)) if asked else (0, 0)
    if evidence.came_whole(requests, broken):
        return None
    return (f"{broken:.0f} answers did not come whole, or not at all, beside {requests:.0f} that came: this machine is too busy for as many "
            f"clients, and CPU time compares with nothing. Try LAB_CLIENTS={max(1, clients // 2)}, or fewer LAB_RELAYS")


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


