"""Chaos: rounds of what may happen to a host all at once, and at the end of each nothing is broken (chaos.py, oracle.py).

CHAOS_ROUNDS says how many, CHAOS_SEED where they begin ("random": anywhere), FLEET of how many relays. As they stand here,
they are the same each time, so that what turns them red is the change that is tested; `make chaos` draws new ones. A round
that breaks something tells its own seed, of which CHAOS_SEED alone draws it again."""

import os

import chaos

RELAYS = int(os.environ.get("FLEET") or 8)
ROUNDS = int(os.environ.get("CHAOS_ROUNDS") or (1 if os.environ.get("CHAOS_SEED") else 8))


def test_rounds(machine, figures):
    stories, told = chaos.run_rounds(chaos.Host(machine), chaos.first_seed(304), ROUNDS)
    figures(told)
    assert not stories, "\n\n".join(stories)
