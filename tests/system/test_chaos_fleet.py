"""One round of chaos with a large fleet: what grows with the number of relays shows in no other."""

import pytest

import chaos

RELAYS = 40
pytestmark = pytest.mark.release("last")


def test_one_round(machine, figures):
    stories, told = chaos.run_rounds([machine], chaos.first_seed(40), 1)
    figures(told)
    assert not stories, "\n\n".join(stories)
