import pytest

import host


@pytest.mark.parametrize("text, chosen", [("always [madvise] never\n", "madvise"), ("[always] madvise never\n", "always"), ("", "none")])
def test_what_a_trial_tells_of_its_machine(text, chosen):
    assert host.facts(4, text) == {"processors": 4, "huge_pages": chosen}
