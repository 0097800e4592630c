import kept
import tables

RUN = dict.fromkeys(kept.COLUMNS, "1") | {"run": "trixie-1", "live_mib": "50", "live_slope_mib_h": "12.4", "environment": "", "library": "glibc"}
ROWS = [RUN | {"group": "glibc", "anon_mib": "200", "slope_mib_h": "-7"},
        RUN | {"group": "je", "library": "jemalloc", "version": "5.3.0", "environment": "A=b C=d", "relays": "3", "anon_mib": "60",
               "anon_least_mib": "55", "anon_most_mib": "71", "slope_mib_h": ""},
        RUN | {"group": "live", "anon_mib": "220"}]


def test_the_least_memory_comes_first_beside_live_bytes():
    lines = tables.table(ROWS).splitlines()
    assert "Live bytes: 50 MiB, which grow by +12 MiB an hour." in lines[0]
    assert lines[4].startswith("| je | jemalloc 5.3.0 `A=b` `C=d` | 3 | 1 | 60 (55–71) | 1.00 | 1.00 |") and lines[4].endswith("| – |")
    assert lines[5].startswith("| glibc | glibc 1 | 1 | 1 | 200 | 1.00 | 1.00 |") and lines[5].endswith("| -7 |")
    assert not any(line.startswith("| live") for line in lines)


def test_a_trial_without_live_bytes_says_nothing_of_them():
    text = tables.table([ROWS[0] | {"live_mib": "", "live_slope_mib_h": ""}])
    assert "Live bytes:" not in text and "| 200 | 1.00 |" in text


def test_tables_are_put_between_their_marks_and_again():
    page = "a\n<!-- trial x -->\nold\n<!-- end of trial -->\nb\n"
    new = tables.put(page, {"x": ROWS}.__getitem__)
    assert "old" not in new and new.startswith("a\n<!-- trial x -->\ntrixie-1: ") and new.endswith("<!-- end of trial -->\nb\n")
    assert tables.put(new, {"x": ROWS}.__getitem__) == new
