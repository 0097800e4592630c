import kept
import tables

RUN = dict.fromkeys(kept.COLUMNS, "1") | {"run": "trixie-1", "live_mib": "50", "live_early_growth_mib_h": "12.4", "live_late_growth_mib_h": "11", "environment": "", "library": "glibc", "ended": "0"}
ROWS = [RUN | {"group": "glibc", "rss_mib": "200", "anon_mib": "200", "late_cpu_s_a_1000": "2.5", "early_growth_mib_h": "40.2", "late_growth_mib_h": "-0.3"},
        RUN | {"group": "je", "library": "jemalloc", "version": "5.3.0", "environment": "A=b C=d", "relays": "3", "rss_mib": "70", "rss_high_mib": "90", "anon_mib": "60",
               "anon_least_mib": "55", "anon_most_mib": "71", "early_growth_mib_h": "", "late_growth_mib_h": ""},
        RUN | {"group": "live", "anon_mib": "220"}]
SETTINGS = {"A=b": "je-tuned", "A=c": "mi-tuned"}


def named(row):
    return SETTINGS.get(row["environment"]) if row["environment"] else {"mi3": "mimalloc3", "live": None}.get(row["group"], row["group"])


def test_the_least_memory_comes_first_beside_live_bytes():
    lines = tables.table(ROWS).splitlines()
    assert "Live bytes: 50 MiB on average, 1 MiB between peaks, which grow by +12 → +11 MiB an hour." in lines[0] and "memory and CPU time from" in lines[0]
    assert lines[4] == "| je | jemalloc 5.3.0 `A=b` `C=d` | 3 | 70 | 0.35 | 90 | 60 (55–71) | 1.00 | 1 | – |"
    assert lines[5] == "| glibc | glibc 1 | 1 | 200 | 1.00 | 1 | 200 | 2.50 | 1 | +40 → +0 |"
    assert lines[2].endswith("| requests | growth MiB/h, early → late |") and len({line.count("|") for line in lines[2:6]}) == 1
    assert not any(line.startswith("| live") for line in lines)


def test_a_trial_that_was_too_short_for_growth_has_no_column_of_it():
    short = dict.fromkeys((*kept.GROWTH, *kept.LIVE_GROWTH, "rss_high_mib", "live_floor_mib", "late_cpu_s_a_1000"), "")
    text = tables.table([row | short for row in ROWS])
    assert "growth" not in text and "grow by" not in text and text.splitlines()[3].count("|") == 9 and "CPU time from" not in text and "average." in text and "95 %" not in text


def test_relays_that_ended_are_told():
    assert "| glibc | glibc 1 | 1 (2 more ended) | 200 |" in tables.table([ROWS[0] | {"ended": "2"}])
    nothing = dict.fromkeys(("rss_high_mib", "anon_mib", "anon_least_mib", "anon_most_mib", "anon_of_glibc", "rss_mib", *kept.GROWTH), "")
    assert "| glibc | glibc 1 | 0 (1 more ended) | – | – | – |" in tables.table([ROWS[0] | nothing | {"relays": "0", "ended": "1"}])


def test_a_trial_without_live_bytes_says_nothing_of_them():
    text = tables.table([ROWS[0] | {"live_mib": "", "live_early_growth_mib_h": "", "live_late_growth_mib_h": ""}])
    assert "Live bytes:" not in text and "| 200 | 1.00 |" in text


def test_tables_are_put_between_their_marks_and_again():
    page = "a\n<!-- trial x -->\nold\n<!-- end of trial -->\nb\n"
    new = tables.put(page, {"x": ROWS}.__getitem__, named)
    assert "old" not in new and new.startswith("a\n<!-- trial x -->\ntrixie-1: ") and new.endswith("<!-- end of trial -->\nb\n")
    assert tables.put(new, {"x": ROWS}.__getitem__, named) == new


def measured(group, library, version, rss, cpu, environment="", requests="1000"):
    return RUN | {"group": group, "library": library, "version": version, "rss_mib": f"{rss}", "anon_mib": f"{rss}",
                  "cpu_s_a_1000": f"{cpu}", "late_cpu_s_a_1000": "", "environment": environment, "requests": requests, "broken": "0"}


STOCK = [measured("glibc", "glibc", "2.41", 500, 5), measured("je", "jemalloc", "5.3.0", 200, 4), measured("tc", "tcmalloc", "2.16", 300, 3)]


def test_settings_stand_beside_the_best_stock_library_of_their_trial():
    trials = {"a-1": [*STOCK, measured("x", "jemalloc", "5.3.0", 160, 4.4, "A=b"), measured("y", "mimalloc", "2.0.9", 162, 4, "A=c")],
              "a-2": [*STOCK, measured("x", "jemalloc", "5.3.0", 100, 5, "A=b"), measured("y", "mimalloc", "2.0.9", 100, 4, "A=c", "799"),
                      measured("z", "jemalloc", "5.3.0", 1, 1, "A=d"), measured("mi3", "mimalloc", "3.0.1", 2, 1)],
              "a-3": [STOCK[0], measured("x", "jemalloc", "5.3.0", 1, 1, "A=b"), measured("mi3", "mimalloc", "3.0.1", 2, 1)]}
    assert tables.target(trials, named).splitlines() == [
        "| Settings | a-1, 1 relay | a-2, 1 relay | Holds in |", "| --- | --- | --- | --- |",
        "| the best stock library | jemalloc 5.3.0, 200 MiB | jemalloc 5.3.0, 200 MiB |  |",
        "| je-tuned 5.3.0 | −20 %, CPU +10 % | −50 %, CPU +25 % | 1 of 2 |",
        "| mi-tuned 2.0.9 | −19 %, CPU +0 % | answered too little | 0 of 1 |"]


def test_what_was_not_in_a_trial_is_told_of_the_others_alone():
    """Or ended before its memory counted."""
    gone = [measured("x", "jemalloc", "5.3.0", "", "", "A=b"), measured("mi", "mimalloc", "2.0.9", "", "")]
    trials = {"a-0": [*STOCK, *gone], "a-1": STOCK, "a-2": [*STOCK, measured("x", "jemalloc", "5.3.0", 100, 4, "A=b")]}
    assert "| je-tuned 5.3.0 | – | – | −50 %, CPU +0 % | 1 of 1 |" in tables.target(trials, named)


def test_what_the_program_knows_stands_beside_glibc_under_the_conditions_of_each_trial():
    """Which of them makes the difference is for the reader to see, and nothing is left out because it was tried once."""
    other = {"run": "a-2", "cpus": "2", "consensuses": "24", "network": "1500", "clients": "60", "minutes": "140"}
    mine = measured("x", "jemalloc", "5.3.0", 125, 5.5, "A=b")
    trials = {"a-1": [*STOCK[:2], mine, measured("live", "glibc", "2.41", 550, 5.5), measured("own", "jemalloc", "5.3.0", 1, 1, "A=z")],
              "a-2": [r | other for r in (*STOCK, mine | {"rss_mib": "100", "requests": "799"})],
              "a-3": [r | {"run": "a-3"} for r in STOCK[1:]]}
    assert tables.conditions(trials, named).splitlines() == [
        "| Trial | a-1 | a-2 |", "| --- | --- | --- |",
        "| processors | 1 | 1 |", "| synthetic relays | 1 | 1500 |", "| seconds from one consensus to the next | 1 | 1 |", "| minutes | 1 | 140 |", "| connections a wave | 1 | 60 |",
        "| tor's NumCPUs | 1 | 2 |", "| consensuses kept | 1 | 24 |", "| huge pages | 1 | 1 |", "| relays of glibc | 1 | 1 |", "| glibc again | 1.10, CPU +10 % | – |",
        "| je 5.3.0 | 0.40, CPU −20 % | 0.40, CPU −20 % |",
        "| je-tuned 5.3.0 | 0.25, CPU +10 % | answered too little |",
        "| tc 2.16 | – | 0.60, CPU −40 % |"]


def test_what_ended_has_no_share():
    trials = {"a-1": [*STOCK[:2], measured("tc", "tcmalloc", "2.16", "", "")]}
    assert "| tc 2.16 | – |" in tables.conditions(trials, named)
    assert "\n<!-- conditions -->\n| Trial | x |" in tables.put("<!-- trial x -->\n<!-- end of trial -->\n<!-- conditions -->\nold\n<!-- end of conditions -->\n", {"x": ROWS}.__getitem__, named)


def test_a_screening_tells_what_each_factor_does():
    names = {"screen-x-a": 100, "screen-x-b": 200, "screen-x-c": 400, "screen-x-a-b-c": 200, "screen-y-a": 1}
    rows = [RUN | {"group": group, "anon_mib": f"{mib}", "late_cpu_s_a_1000": "5", "late_requests": "900"} for group, mib in names.items()]
    page = "<!-- trial x -->\n<!-- end of trial -->\n<!-- effects x -->\nold\n<!-- end of effects -->\n"
    text = tables.put(page, {"x": rows}.__getitem__, named)
    assert "| x | a | −50 % | +0 % | +0 % |\n| x | b | +0 %" in text and "-->\nold" not in text
    assert "\n\nNothing is told of y: factor a is there in 1 of 1, not in half of them.\n<!-- end of effects -->\n" in text
    assert tables.put(text, {"x": rows}.__getitem__, named) == text


def test_what_allocators_say_of_themselves():
    rows = [{"relay": "relay1", "group": "je", "anon_kb": "2048", "given_back_kb": "-1024", "used_kb": "1024", "held_kb": "3072"},
            {"relay": "relay2", "group": "mi", "anon_kb": "9000", "given_back_kb": "0", "used_kb": "", "held_kb": ""}]
    text = tables.put("<!-- inside x -->\nold\n<!-- end of inside -->\n", {"x.inside": rows}.__getitem__, named)
    assert text.splitlines()[3:] == ["| mi | 9 | 0 | – | – |", "| je | 2 | −1 | 1 | 3 |", "<!-- end of inside -->"]


def test_cpu_time_of_cut_answers_meets_no_target():
    cut = measured("x", "jemalloc", "5.3.0", 100, 4, "A=b") | {"broken": "101"}
    text = tables.target({"a-1": [*STOCK, cut]}, named)
    assert "| je-tuned 5.3.0 | −50 %, CPU – | 0 of 0 |" in text
    assert "| je-tuned 5.3.0 | 0.20, CPU – |" in tables.conditions({"a-1": [*STOCK, cut]}, named)


def test_two_groups_of_a_trial_that_ran_the_same_are_one():
    twice = [measured(name, "jemalloc", "5.3.0", rss, 4, "A=b") for name, rss in (("x", 100), ("screen-x", 300))]
    assert "| je-tuned 5.3.0 | +0 %, CPU +0 % | 0 of 1 |" in tables.target({"a-1": [*STOCK, *twice]}, named)
    assert "| je-tuned 5.3.0 | 0.40, CPU −20 % |" in tables.conditions({"a-1": [*STOCK, *twice]}, named)
