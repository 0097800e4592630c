"""Chaos: rounds of what may happen to a host all at once, and at the end of each nothing is broken (chaos.py, oracle.py).

CHAOS_ROUNDS says how many, CHAOS_SEED where they begin ("random": anywhere), FLEET of how many relays, CHAOS_MACHINES on how
many machines at once. As they stand here, they are the same each time, so that what turns them red is the change that is
tested; `make chaos` draws new ones. A round that breaks something tells its own seed, of which CHAOS_SEED alone draws it
again."""

import contextlib
import os

import pytest

import chaos
from machine import Machine

RELAYS = int(os.environ.get("FLEET") or 8)
pytestmark = pytest.mark.release("last")
ROUNDS = int(os.environ.get("CHAOS_ROUNDS") or (1 if os.environ.get("CHAOS_SEED") else 5))
MACHINES = int(os.environ.get("CHAOS_MACHINES") or 1)


def test_rounds(machine, figures):
    with contextlib.ExitStack() as end:
        machines = [machine]
        for n in range(2, MACHINES + 1):
            machines.append(Machine.boot(f"{machine.name}-{n}", machine.release, RELAYS, machine.sanitize))
            end.callback(machines[-1].stop)
            machines[-1].install()
        stories, told = chaos.run_rounds(machines, chaos.first_seed(304), ROUNDS)
    figures(told)
    for story in stories:
        figures(story.partition("\nacts:")[0])
    assert not stories, "\n\n".join(stories)
