"""What of a trial is kept in docs/lab: RUN.csv, a row a group, and RUN.curve.csv, memory over time; docs/lab/README.md says
what is in them. Pure."""

import collections
import statistics

import live
import relays
import result

RUN = ("run", "date", "release", "tor", "network", "cpus", "seed", "minutes", "counted_from_s", "clients", "interval_s")
GROUP = ("group", "library", "version", "environment", "relays", "ended", "rss_mib", "anon_mib", "anon_least_mib", "anon_most_mib",
         "anon_of_glibc", "lazyfree_mib", "huge_mib", "live_mib", "cpu_s", "requests", "cpu_s_a_1000", "late_requests", "late_cpu_s_a_1000", "bytes", "refused", "broken",
         "slope_mib_h", "live_slope_mib_h")
COLUMNS = RUN + GROUP
CURVE_SECONDS = 30
SHORTEST_SLOPE = 1200  # seconds: from less nobody can tell what an hour would bring
SETTINGS_OF = ("MALLOC_CONF", "MIMALLOC_", "GLIBC_TUNABLES", "TCMALLOC_")


def environment_in(environ):
    """The settings of an allocator in a /proc/PID/environ, as a configuration would have them."""
    return " ".join(sorted(word for word in environ.split("\0") if word.startswith(SETTINGS_OF)))


def _means(rows, column, seconds):
    """{start of a window: MiB}: the mean over all samples of all relays in it."""
    windows = collections.defaultdict(list)
    for row in rows:
        if row[column] != "":
            windows[float(row["seconds"]) // seconds * seconds].append(int(row[column]) / result.KIB_A_MIB)
    return {at: statistics.fmean(values) for at, values in sorted(windows.items())}


def slope(rows, column, since, until, interval):
    """MiB an hour from `since` to `until`, by least squares over the least value of each relay in each whole interval, so that
    peaks of compression do not count; None where that is too short a time."""
    if until - since < SHORTEST_SLOPE:
        return None
    floors = {}
    for row in rows:
        at = float(row["seconds"]) // interval * interval
        if row[column] != "" and at >= since and at + interval <= until:
            key = row["relay"], at
            floors[key] = min(floors.get(key, float("inf")), int(row[column]) / result.KIB_A_MIB)
    times = [at for _, at in floors]
    if len(set(times)) < 3:  # it has ended
        return None
    # each relay around its own mean, or two that stand at different heights would make a slope
    own = collections.defaultdict(list)
    for (relay, _), value in floors.items():
        own[relay].append(value)
    middle = statistics.fmean(times)
    above = sum((at - middle) * (value - statistics.fmean(own[relay])) for (relay, at), value in floors.items())
    return 3600 * above / sum((at - middle) ** 2 for at in times)


def cut(run, sample_rows, served_rows, minutes):
    """(run, samples, what was served until when) as if it had ended then."""
    minutes = min(minutes, float(run["minutes"]))
    seconds = minutes * 60
    return ({**run, "minutes": minutes, "counted_from_s": min(float(run["counted_from_s"]), seconds / 2)},
            *([row for row in table if float(row["seconds"]) < seconds] for table in (sample_rows, served_rows)))


def of_a_part(run, relay_rows, sample_rows, load_rows, served_rows, memory_minutes, cpu_minutes):
    """The rows of a trial whose memory counts only for so many minutes, and its CPU for so many. Requests are those of all
    of it: CPU is to be cut only where none was answered afterwards. What is late is cut with the CPU."""
    def until(minutes):
        part, sampled, served = cut(run, sample_rows, served_rows, minutes)
        return rows(part, relay_rows, sampled, load_rows, served)

    of_cpu = ("cpu_s", "cpu_s_a_1000", "late_requests", "late_cpu_s_a_1000")
    return [{**row, **{column: other[column] for column in of_cpu}} for row, other in zip(until(memory_minutes), until(cpu_minutes))]


def rows(run, relay_rows, sample_rows, load_rows, served_rows):
    """A dict of COLUMNS for each group. run: {RUN: …}; the others are the trial's tables."""
    members = collections.defaultdict(list)
    for row in relay_rows:
        members[row["group"]].append(row["relay"])
    table = result.summary(members, sample_rows, load_rows, served_rows, float(run["counted_from_s"]))
    # not before the ramp has ended: until then the work itself grows
    end = float(run["minutes"]) * 60
    span = max(end / 2, relays.INTERVALS_OF_DIFFS * float(run["interval_s"])), end
    lasting = {group: result.lasting(sample_rows, names) for group, names in members.items()}
    of_group = {group: [row for row in sample_rows if row["relay"] in names] for group, names in lasting.items()}
    counting = of_group.get(live.GROUP, [])
    live_mib = next((row["live_mib"] for row in table if row["group"] == live.GROUP), None)
    kept = []
    for row in table:
        first = next(r for r in relay_rows if r["group"] == row["group"])
        late = [r for r in of_group[row["group"]] if float(r["seconds"]) >= float(run["counted_from_s"])]
        means = [statistics.fmean(int(r["anon_kb"]) for r in late if r["relay"] == name) / result.KIB_A_MIB
                 for name in lasting[row["group"]] if any(r["relay"] == name for r in late)]
        kept.append({
            **run, **{c: row[c] for c in GROUP if c in row}, "library": first["mapped"], "version": first["version"],
            "environment": first["environment"], "anon_least_mib": min(means, default=None),
            "anon_most_mib": max(means, default=None), "live_mib": live_mib, "cpu_s_a_1000": row["cpu_ms_a_request"],
            "late_cpu_s_a_1000": row["late_cpu_ms_a_request"],
            "bytes": None if row["mib_served"] is None else row["mib_served"] * result.KIB_A_MIB**2,
            "slope_mib_h": slope(of_group[row["group"]], "anon_kb", *span, float(run["interval_s"])),
            "live_slope_mib_h": slope(counting, "live_kb", *span, float(run["interval_s"]))})
    return kept


def progress(served_rows):
    """(columns, rows): minutes, and what all relays together had served until then."""
    total = collections.defaultdict(collections.Counter)
    for row in served_rows:
        total[float(row["seconds"])].update({column: int(row[column]) for column in ("requests", "bytes")})
    return ["minutes", "requests", "mib_served"], [[round(at / 60, 2), of["requests"], round(of["bytes"] / result.KIB_A_MIB**2)]
                                                   for at, of in sorted(total.items())]


def curve(relay_rows, sample_rows):
    """(columns, rows): minutes, then the anonymous memory of each group in MiB, and the live bytes of those that count."""
    group_of = {row["relay"]: row["group"] for row in relay_rows}
    groups = list(dict.fromkeys(group_of.values()))
    columns = {group: _means([r for r in sample_rows if group_of[r["relay"]] == group], "anon_kb", CURVE_SECONDS)
               for group in groups if group != live.GROUP}
    if live.GROUP in groups:
        columns["live bytes"] = _means([r for r in sample_rows if group_of[r["relay"]] == live.GROUP], "live_kb", CURVE_SECONDS)
    times = sorted({at for means in columns.values() for at in means})
    return ["minutes", *columns], [[at / 60, *(means.get(at) for means in columns.values())] for at in times]


def cell(value):
    """A number with as many digits as it is worth."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value)
