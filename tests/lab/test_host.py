import pytest

import host


@pytest.mark.parametrize("text, chosen", [("always [madvise] never\n", "madvise"), ("[always] madvise never\n", "always"), ("", "none"), (None, "none")])
def test_what_the_kernel_does_by_itself(text, chosen, tmp_path):
    if text is not None:
        (tmp_path / "enabled").write_text(text)
    assert host.huge_pages(tmp_path / "enabled") == chosen


@pytest.mark.parametrize("wanted, meanwhile, afterwards", [("always", "always", "madvise"), ("", "a [madvise] n", "a [madvise] n"),
                                                           ("madvise", "a [madvise] n", "a [madvise] n")])
def test_huge_pages_of_the_whole_machine_are_put_back(wanted, meanwhile, afterwards, tmp_path):
    """Also where the trial ends with an error; what is there already is not written."""
    enabled = tmp_path / "enabled"
    enabled.write_text("a [madvise] n")
    with pytest.raises(KeyboardInterrupt), host.with_huge_pages(wanted, enabled):
        assert enabled.read_text() == meanwhile
        raise KeyboardInterrupt
    assert enabled.read_text() == afterwards


@pytest.mark.parametrize("first, second", [("always", "never"), ("always", "always"), ("madvise", "always")])
def test_two_trials_do_not_take_each_others_huge_pages(first, second, tmp_path):
    """Also where both want the same: the first would put it back while the second runs."""
    enabled = tmp_path / "enabled"
    enabled.write_text("a [madvise] n")
    with host.with_huge_pages(first, enabled):
        enabled.write_text(f"a [{first}] n")  # as the kernel says it
        with pytest.raises(host.Taken, match="wait for its end"), host.with_huge_pages(second, enabled):
            pass
        assert host.huge_pages(enabled) == first
    with host.with_huge_pages("never", enabled):
        assert enabled.read_text() == "never"


def test_trials_share_huge_pages_that_nobody_changes(tmp_path):
    enabled = tmp_path / "enabled"
    enabled.write_text("a [madvise] n")
    with host.with_huge_pages("madvise", enabled), host.with_huge_pages("madvise", enabled), host.with_huge_pages("", enabled):
        assert enabled.read_text() == "a [madvise] n"
