#!/usr/bin/python3 -B
"""effects.py TABLE…: what each factor of a screening (tests/lab/screen.conf) does to memory and CPU time, from summary.csv of a trial or
docs/lab/RUN.csv. Several tables of the same design are repetitions, and each is told by itself."""

import collections
import csv
import pathlib
import statistics
import sys

PREFIX = "screen"


def factors(group):
    """(family, {factor}) of a group's name, "screen-FAMILY-FACTOR-…"; None: it is no part of a screening."""
    prefix, *words = group.split("-")
    return (words[0], frozenset(words[1:])) if prefix == PREFIX and len(words) > 1 else None


def _effect(values, factor):
    """By how much it multiplies, the others in balance. values: {factors that are there: value}"""
    there, not_there = ([value for present, value in values.items() if (factor in present) == wanted] for wanted in (True, False))
    return statistics.geometric_mean(there) / statistics.geometric_mean(not_there)


def _whole(family, runs):
    for group, *figures in runs.values():
        if not all(figures) or float(figures[-1]) == 0:
            raise ValueError(f"{family}: {group} has no result")
    for factor in sorted(set().union(*runs)):
        there = sum(factor in present for present in runs)
        if 2 * there != len(runs):
            raise ValueError(f"{family}: factor {factor} is there in {there} of {len(runs)}, not in half of them")


def of(rows):
    """[(family, factor, of memory, of CPU time a request, of requests)]: by what it multiplies each, the least memory first. Where it
    changes the requests memory and CPU time do not compare. A ValueError says of which family nothing can be said."""
    families = collections.defaultdict(dict)
    for row in rows:
        if factors(row["group"]):
            family, present = factors(row["group"])
            families[family][present] = (row["group"], row["anon_mib"], row.get("cpu_ms_a_request") or row.get("cpu_s_a_1000"),
                                         row["requests"])
    told = []
    for family, runs in families.items():
        _whole(family, runs)
        figures = [{present: float(run[column]) for present, run in runs.items()} for column in (1, 2, 3)]
        told += [(family, factor, *(_effect(values, factor) for values in figures)) for factor in set().union(*runs)]
    return sorted(told, key=lambda line: (line[0], line[2], line[1]))


def _change(share):
    return f"{100 * (share - 1):+.0f} %".replace("-", "−")


def as_markdown(told):
    rows = [("family", "factor", "memory", "CPU time a request", "requests"), ("---", "---", "---:", "---:", "---:"),
            *((family, factor, *map(_change, shares)) for family, factor, *shares in told)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main(paths):
    for path in paths:
        with pathlib.Path(path).open(newline="") as file:
            rows = list(csv.DictReader(file))
        try:
            print(f"{path}\n\n{as_markdown(of(rows))}\n")
        except ValueError as why:
            sys.exit(f"{path}: {why}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
