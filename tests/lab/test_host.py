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
