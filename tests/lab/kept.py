"""What of a trial is kept in docs/lab: RUN.csv, a row a group, and RUN.curve.csv, memory over time; docs/lab/README.md says
what is in them. Pure."""

import collections
import statistics

import live
import load
import result

RUN = ("run", "date", "release", "tor", "network", "cpus", "seed", "minutes", "counted_from_s", "clients", "interval_s", "consensuses",
       "processors", "huge_pages")
GROWTH = ("early_growth_mib_h", "late_growth_mib_h")
LIVE_GROWTH = tuple(f"live_{column}" for column in GROWTH)
GROUP = ("group", "library", "version", "environment", "relays", "ended", "rss_mib", "rss_high_mib", "anon_mib", "anon_least_mib", "anon_most_mib",
         "anon_of_glibc", "lazyfree_mib", "huge_mib", "live_mib", "live_floor_mib", "cpu_s", "requests", "cpu_s_a_1000", "late_requests",
         "late_cpu_s_a_1000", "bytes", "refused", "broken", *GROWTH, *LIVE_GROWTH)
COLUMNS = RUN + GROUP
RELAY = ("relay", "group", "rss_mib", "anon_mib", "huge_mib", "cpu_s", "requests", "cpu_s_a_1000", "late_requests", "late_cpu_s_a_1000",
         "bytes", "refused", "broken")
CURVE_SECONDS = 30
HIGH = 20  # a twentieth of the time is above it
SHORTEST_THIRD = 600  # seconds: from less nobody can tell what an hour would bring
FEWEST_FLOORS = 3  # of a median that one of them does not make
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


def _floors(rows, column, since, until, interval):
    """{relay: [(seconds, MiB)]}: the least of each whole interval, so that peaks of compression do not count."""
    least = collections.defaultdict(dict)
    for row in rows:
        at = float(row["seconds"]) // interval * interval
        if row[column] != "" and at >= since and at + interval <= until:
            value = int(row[column]) / result.KIB_A_MIB
            least[row["relay"]][at] = min(least[row["relay"]].get(at, value), value)
    return {relay: sorted(of.items()) for relay, of in least.items()}


def growth(rows, column, since, until, interval):
    """(early, late): MiB an hour from the first third of that time to the second, and from the second to the last, means over relays. A
    third is worth the median of its intervals' least values: no single step, drop or gap makes a growth of it. What levels off has
    little of the late one; what goes on to grow has as much of both. (None, None) where thirds are too short, or a relay is not there."""
    third = (until - since) / 3
    if third < SHORTEST_THIRD:
        return None, None
    steps = []
    for floors in _floors(rows, column, since, until, interval).values():
        parts = [[], [], []]
        for at, value in floors:
            parts[min(2, int((at + interval / 2 - since) // third))].append(value)
        if all(len(part) >= FEWEST_FLOORS for part in parts):
            levels = [statistics.median(part) for part in parts]
            steps.append([3600 * (after - before) / third for before, after in zip(levels, levels[1:])])
    return tuple(statistics.fmean(of) for of in zip(*steps)) if steps else (None, None)


def _high(rows, column, names):
    """MiB, mean over relays of what each is below for 95 % of the time."""
    values = [[int(row[column]) / result.KIB_A_MIB for row in rows if row["relay"] == name] for name in names]
    return statistics.fmean(statistics.quantiles(mine, n=HIGH, method="inclusive")[-1] for mine in values) if values and min(map(len, values)) > 1 else None


def _floor(rows, column, since, until, interval):
    """MiB, mean over relays of the median of the least value of each interval: what is there between peaks."""
    floors = _floors(rows, column, since, until, interval).values()
    return statistics.fmean(statistics.median(value for _, value in mine) for mine in floors) if floors else None


def cut(run, sample_rows, served_rows, minutes):
    """(run, samples, what was served until when) as if it had ended then."""
    minutes = min(minutes, float(run["minutes"]))
    seconds = minutes * 60
    return ({**run, "minutes": minutes, "counted_from_s": min(float(run["counted_from_s"]), seconds / 2)},
            *([row for row in table if float(row["seconds"]) < seconds] for table in (sample_rows, served_rows)))


def of_a_part(run, relay_rows, sample_rows, load_rows, served_rows, memory_minutes, cpu_minutes):
    """The rows of a trial whose memory counts only for so many minutes, and its CPU, with what was served for it, for so many."""
    def until(minutes):
        part, sampled, served = cut(run, sample_rows, served_rows, minutes)
        # of what was counted over time the last is the sum until then
        loaded = load_rows if minutes >= float(run["minutes"]) else list({row["relay"]: row for row in served}.values())
        return rows(part, relay_rows, sampled, loaded, served)

    of_cpu = ("cpu_s", "cpu_s_a_1000", "late_requests", "late_cpu_s_a_1000", *load.COUNTED)
    return [{**row, **{column: other[column] for column in of_cpu}} for row, other in zip(until(memory_minutes), until(cpu_minutes))]


def rows(run, relay_rows, sample_rows, load_rows, served_rows):
    """A dict of COLUMNS for each group. run: {RUN: …}; the others are the trial's tables."""
    members = collections.defaultdict(list)
    for row in relay_rows:
        members[row["group"]].append(row["relay"])
    table = result.summary(members, sample_rows, load_rows, served_rows, float(run["counted_from_s"]))
    # not before the ramp has ended: until then the work itself grows
    interval = float(run["interval_s"])
    span = float(run["consensuses"]) * interval, float(run["minutes"]) * 60, interval
    lasting = {group: result.lasting(sample_rows, names) for group, names in members.items()}
    of_group = {group: [row for row in sample_rows if row["relay"] in names] for group, names in lasting.items()}
    of_live = growth(of_group.get(live.GROUP, []), "live_kb", *span)
    live_mib = next((row["live_mib"] for row in table if row["group"] == live.GROUP), None)
    live_floor = _floor(of_group.get(live.GROUP, []), "live_kb", float(run["counted_from_s"]), float(run["minutes"]) * 60, interval)
    kept = []
    for row in table:
        first = next(r for r in relay_rows if r["group"] == row["group"])
        late = [r for r in of_group[row["group"]] if float(r["seconds"]) >= float(run["counted_from_s"])]
        means = [statistics.fmean(int(r["anon_kb"]) for r in late if r["relay"] == name) / result.KIB_A_MIB
                 for name in lasting[row["group"]] if any(r["relay"] == name for r in late)]
        kept.append({
            **run, **{c: row[c] for c in GROUP if c in row}, "library": first["mapped"], "version": first["version"],
            "environment": first["environment"], "anon_least_mib": min(means, default=None),
            "anon_most_mib": max(means, default=None), "live_mib": live_mib, "live_floor_mib": live_floor,
            "rss_high_mib": _high(late, "rss_kb", lasting[row["group"]]), "cpu_s_a_1000": row["cpu_ms_a_request"],
            "late_cpu_s_a_1000": row["late_cpu_ms_a_request"],
            "bytes": None if row["mib_served"] is None else row["mib_served"] * result.KIB_A_MIB**2,
            **dict(zip(GROWTH, growth(of_group[row["group"]], "anon_kb", *span))), **dict(zip(LIVE_GROWTH, of_live))})
    return kept


def relays_of_a_part(run, relay_rows, *tables_and_minutes):
    """As of_a_part(), a dict of RELAY for each relay: by how much those of one group differ."""
    group_of = {row["relay"]: row["group"] for row in relay_rows}
    alone = of_a_part(run, [{**row, "group": row["relay"]} for row in relay_rows], *tables_and_minutes)
    return [{**row, "relay": row["group"], "group": group_of[row["group"]]} for row in alone]


def progress(served_rows):
    """(columns, rows): minutes, and what all relays together had served until then."""
    total = collections.defaultdict(collections.Counter)
    for row in served_rows:
        total[float(row["seconds"])].update({column: int(row[column]) for column in ("requests", "bytes")})
    return ["minutes", "requests", "mib_served"], [[round(at / 60, 2), of["requests"], round(of["bytes"] / result.KIB_A_MIB**2)]
                                                   for at, of in sorted(total.items())]


def curve(relay_rows, sample_rows):
    """(columns, rows): minutes, then the anonymous memory of each group in MiB, and the live bytes of those that count; of the relays
    that last, as the figures are, or of all where none does."""
    members = collections.defaultdict(list)
    for row in relay_rows:
        members[row["group"]].append(row["relay"])
    shown = {group: result.lasting(sample_rows, names) or names for group, names in members.items()}

    def means(group, column):
        return _means([row for row in sample_rows if row["relay"] in shown[group]], column, CURVE_SECONDS)

    columns = {group: means(group, "anon_kb") for group in shown if group != live.GROUP}
    if live.GROUP in shown:
        columns["live bytes"] = means(live.GROUP, "live_kb")
    times = sorted({at for values in columns.values() for at in values})
    return ["minutes", *columns], [[at / 60, *(values.get(at) for values in columns.values())] for at in times]


def cell(value):
    """A number with as many digits as it is worth."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value)
