#!/usr/bin/python3 -B
"""effects.py TABLE…: what each factor of a screening (tests/lab/screen.conf) does to memory and CPU time, from summary.csv of a trial or
docs/lab/RUN.csv: all from the time on from which memory counts. A trial may have several families; several tables of the same design
are repetitions, and each is told by itself."""

import collections
import csv
import itertools
import pathlib
import statistics
import sys

import evidence

PREFIX = "screen"
PAIRS = "two together, at most"


def factors(group):
    """(family, {factor}) of a group's name, "screen-FAMILY-FACTOR-…"; None: it is no part of a screening."""
    prefix, *words = group.split("-")
    return (words[0], frozenset(words[1:])) if prefix == PREFIX and len(words) > 1 else None


def _effect(values, is_there):
    """By how much what is there multiplies, all else in balance. values: {factors that are there: value}"""
    there, not_there = ([value for present, value in values.items() if is_there(present) == wanted] for wanted in (True, False))
    return statistics.geometric_mean(there) / statistics.geometric_mean(not_there)


def _pairs(values, names):
    """The most that two factors multiply or divide by together, beyond what each does by itself: with a relay to a combination there is
    no other measure of chance, and an effect that is no larger is none to speak of."""
    effects = (_effect(values, lambda present, pair=pair: (pair[0] in present) == (pair[1] in present))
               for pair in itertools.combinations(names, 2))
    return max(max(effect, 1 / effect) for effect in effects)


def _whole(family, runs):
    for group, *figures in runs.values():
        if not all(figures) or float(figures[-1]) == 0:
            raise ValueError(f"{family}: {group} has no result")
    answered = {group: float(figures[-1]) for group, *figures in runs.values()}
    least = min(answered, key=answered.get)
    if answered[least] < evidence.SERVED * max(answered.values()):
        raise ValueError(f"{family}: {least} answered {answered[least]:.0f} requests, another one {max(answered.values()):.0f}")
    for factor in sorted(set().union(*runs)):
        there = sum(factor in present for present in runs)
        if 2 * there != len(runs):
            raise ValueError(f"{family}: factor {factor} is there in {there} of {len(runs)}, not in half of them")


def _of_family(family, runs):
    _whole(family, runs)
    figures = [{present: float(run[column]) for present, run in runs.items()} for column in (1, 2, 3)]
    names = sorted(set().union(*runs))
    told = sorted(((family, name, *(_effect(values, lambda present, name=name: name in present) for values in figures)) for name in names),
                  key=lambda line: (line[2], line[1]))
    # of three factors each two are the third
    return told + ([(family, PAIRS, *(_pairs(values, names) for values in figures))] if len(names) > 3 else [])


def of(rows):
    """([(family, factor, of memory, of CPU time a request, of requests)], [sentence]): by what it multiplies each, the least memory of a
    family first, and then what two together do at most; and of which families nothing can be said. Where it changes the
    requests memory and CPU time do not compare."""
    families = collections.defaultdict(dict)
    for row in rows:
        if factors(row["group"]):
            family, present = factors(row["group"])
            families[family][present] = (row["group"], row["anon_mib"], row.get("late_cpu_ms_a_request") or row.get("late_cpu_s_a_1000"),
                                         row["late_requests"])
    told, not_told = [], []
    for family, runs in sorted(families.items()):
        try:
            told += _of_family(family, runs)
        except ValueError as why:
            not_told.append(f"{why}")
    return told, not_told


def change(share):
    """What multiplies by that, as a sentence has it."""
    return f"{round(100 * (share - 1)):+d} %".replace("-", "−")


def as_markdown(told):
    rows = [("family", "factor", "anonymous memory", "CPU time a request", "requests"), ("---", "---", "---:", "---:", "---:"),
            *((family, factor, *(("±" + change(share)[1:] if factor == PAIRS else change(share)) for share in shares))
              for family, factor, *shares in told)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main(paths):
    """Is there something to tell of each?"""
    whole = True
    for path in paths:
        with pathlib.Path(path).open(newline="") as file:
            told, not_told = of(list(csv.DictReader(file)))
        print("\n\n".join([path, *([as_markdown(told)] if told else []), *(f"Nothing is told of {why}." for why in not_told)]) + "\n")
        whole = whole and bool(told)
    return whole


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(0 if main(sys.argv[1:]) else 1)
