"""What is made of kept results: by the settings that ran, against glibc in the same trial, and never more than there is."""

import csv

import pytest

import evidence

REPO = evidence.REPO
BUILTINS = evidence.builtin((REPO / "daemon/core/config.c").read_text())
COLUMNS = (*evidence.COLUMNS, "late_growth_mib_h", "live_late_growth_mib_h")


def row(group, rss, library=None, version="5.3.0", environment="", run="trixie-1", cpu=5.0, **more):
    return {"run": run, "date": "2026-11-29", "release": "trixie", "group": group, "library": library or group, "version": version,
            "cpus": "16", "consensuses": "12", "huge_pages": "always", "environment": environment, "relays": "3", "rss_mib": f"{rss}", "cpu_s_a_1000": f"{cpu}", "requests": "1000", "broken": "0", "network": "8000",
            "late_growth_mib_h": "", "live_late_growth_mib_h": "", "elsewhere": False, **more}


def collect(*rows):
    return evidence.collect(list(rows), BUILTINS)


TRIAL = [row("glibc", 400, version="2.41", cpu=10.0), row("jemalloc", 120, cpu=9.5), row("live", 380, library="glibc", version="2.41"),
         row("jemalloc-tuned", 80, "jemalloc", environment="MALLOC_CONF=background_thread:true", cpu=9.5)]


def test_the_programs_own_table():
    by_name = {b.name: b for b in BUILTINS}
    assert by_name["glibc"] == ("glibc", None, frozenset()) and by_name["mimalloc3"].library == "libmimalloc.so.3"
    assert by_name["mimalloc-tuned"].environment == {"MIMALLOC_PURGE_DELAY=0", "MIMALLOC_DECOMMIT_DELAY=0"}


def test_against_glibc_in_the_same_trial():
    found = {e.allocator: e for e in collect(*TRIAL)}
    assert set(found) == {"glibc", "jemalloc", "jemalloc-tuned"}
    e = found["jemalloc-tuned"]
    assert (e.memory, e.cpu, e.served, e.runs, e.relays, e.release) == (pytest.approx(0.2), pytest.approx(0.95), 1, 1, 3, "Debian 13") and e.against is None
    assert evidence.trials(e) == "one trial, 3 relays"


@pytest.mark.parametrize("other", [{"cpus": "2"}, {"consensuses": "24"}, {"network": "1500"}, {"huge_pages": "madvise"}])
def test_trials_of_relays_that_were_set_up_otherwise_weigh_on_nothing(other):
    again = [{**r, "run": "trixie-2", "rss_mib": "400", **other} for r in TRIAL]
    assert collect(*TRIAL, *again) == collect(*TRIAL) and collect(*again) == []


def test_what_the_program_warns_of_is_told_of_any_trial():
    other = [{**r, "huge_pages": "madvise"} for r in (TRIAL[0], row("mimalloc3", 500, "mimalloc", "3.0.1"), TRIAL[1])]
    e, = collect(*other)
    assert (e.allocator, e.memory) == ("mimalloc3", pytest.approx(1.25)) and "is warned of" in e.against
    assert "against: `mimalloc3` is warned of" in evidence.as_readme([e])


def test_trials_are_counted_and_their_spread_is_kept():
    again = [{**r, "run": "trixie-2", "date": "2026-12-01", "rss_mib": f"{float(r['rss_mib']) * (1 if r['group'] == 'glibc' else 1.5)}"} for r in TRIAL]
    e = {e.allocator: e for e in collect(*TRIAL, *again)}["jemalloc-tuned"]
    assert (e.runs, e.relays, e.date) == (2, 6, "2026-12-01")
    assert [round(v, 3) for v in (e.least, e.memory, e.most)] == [0.2, 0.245, 0.3]
    assert evidence.trials(e) == "2 trials, 6 relays"


def of(found, name):
    return next(e for e in found if e.allocator == name)


DECAY = "MALLOC_CONF=background_thread:true,dirty_decay_ms:1000"


def test_a_row_rests_on_the_trials_that_have_glibc_and_its_stock_twin():
    """A trial without the twin would weigh on the one and not on the other; it is told apart."""
    alone = [row("glibc", 400, version="2.41", cpu=10.0, run="trixie-2"), row("jemalloc-decay", 40, "jemalloc", environment=DECAY, cpu=15.0, run="trixie-2")]
    found = collect(*TRIAL[:3], row("jemalloc-decay", 60, "jemalloc", environment=DECAY, cpu=9.5), *alone)
    e = of(found, "jemalloc-decay")
    assert (e.runs, e.relays, e.stock, e.against) == (1, 3, "jemalloc", None)
    assert (e.memory, e.cpu, e.stock_memory, e.stock_cpu) == pytest.approx((0.15, 0.95, 0.5, 1))
    assert e.left == (("trixie-2", 0.1, 1.5),)
    assert "Left out: jemalloc-decay 5.3.0 in trixie-2, which had no stock jemalloc (10 % of glibc's RSS, CPU time a request: 150 %)." \
        in evidence.as_markdown(found, [])
    told = "in a trial without stock jemalloc it took 10 % of glibc's memory, 150 % of its CPU time a request"
    assert f'.stock = "jemalloc", .stock_memory = 0.5, .stock_cpu = 1.0, .against = NULL, .left = "{told}" }},' in evidence.as_c(found)
    assert f"- Debian 13, `jemalloc-decay`: {told}.\n" in evidence.as_readme(found)
    assert of(found, "jemalloc").stock is None and of(found, "jemalloc").left == ()


def test_a_twin_is_of_the_same_version():
    found = collect(*TRIAL[:1], row("jemalloc", 120, version="5.3.1"), TRIAL[3])
    e = of(found, "jemalloc-tuned")
    assert e.stock_memory is None and e.stock_cpu is None and e.memory == pytest.approx(0.2)
    assert e.against == "was in no trial beside jemalloc as it is shipped: not compared"
    assert "| jemalloc-tuned 5.3.0 | 20 % | 95 % | not compared |" in evidence.as_markdown(found, [])
    assert f"- Debian 13, against: `jemalloc-tuned` {e.against}.\n" in evidence.as_readme(found) and "| `jemalloc-tuned` |" not in evidence.as_readme(found)


def test_a_twin_of_another_trial_is_none():
    again = [{**TRIAL[0], "run": "trixie-2"}, {**TRIAL[1], "run": "trixie-2"}]
    e = of(collect(TRIAL[0], TRIAL[3], *again), "jemalloc-tuned")
    assert (e.runs, e.memory, e.stock_memory, e.left) == (1, pytest.approx(0.2), None, ()) and "not compared" in e.against


@pytest.mark.parametrize("rss, words", [(370, "saves little beside glibc as it is shipped"), (350, None)])
def test_the_stock_library_of_all_is_glibc(rss, words):
    """Of what is shipped, and of glibc with settings."""
    tunables = "GLIBC_TUNABLES=glibc.malloc.mmap_threshold=131072"
    found = collect(TRIAL[0], row("tcmalloc", rss, version="2.16"), row("glibc-tuned", rss, "glibc", "2.41", tunables))
    assert of(found, "tcmalloc").against == of(found, "glibc-tuned").against == words
    assert of(found, "glibc-tuned").stock is None and of(found, "glibc").against is None


def test_what_was_not_measured_is_told_as_not_compared():
    found = collect(*TRIAL[:1], {**TRIAL[1], "cpu_s_a_1000": ""})
    assert of(found, "jemalloc").cpu is None and "| jemalloc 5.3.0 | 30 % | not compared | - | 100 % | not measured |" in evidence.as_markdown(found, [])


@pytest.mark.parametrize("broken, words", [("100", None), ("101", "was in no trial that can tell its CPU time: answers were cut")])
@pytest.mark.parametrize("whose", range(3))
def test_cpu_time_counts_only_where_answers_came_whole(broken, words, whose):
    """Whoever of those is compared: who answers less on a machine that is too busy would seem dear. Memory counts all the same."""
    rows = [*TRIAL[:2], TRIAL[3]]
    rows[whose] = {**rows[whose], "broken": broken}
    e = of(collect(*rows), "jemalloc-tuned")
    assert e.against == words and e.memory == pytest.approx(0.2)
    whole = [{**r, "run": "trixie-2"} for r in TRIAL]
    e = of(collect(*rows, *whole), "jemalloc-tuned")
    assert (e.against, e.cpu, e.runs) == (None, pytest.approx(0.95), 2)
    e = of(collect(*rows, *({**r, "relays": "1"} for r in whole)), "jemalloc-tuned")
    assert e.relays == 4 and e.against == (words and "rests on 1 relay in its CPU time: too few")


def test_a_range_that_nobody_sees_is_none():
    again = [{**r, "run": "trixie-2", "rss_mib": "80.5" if r["group"] == "jemalloc-tuned" else r["rss_mib"]} for r in TRIAL]
    assert "| jemalloc-tuned 5.3.0 | 20 % | 95 % |" in evidence.as_markdown(collect(*TRIAL, *again), [])


def test_cpu_time_is_that_of_the_time_in_which_memory_counts():
    late = of(collect(*({**r, "late_cpu_s_a_1000": "10" if r["group"] == "glibc" else "8"} for r in TRIAL)), "jemalloc-tuned")
    assert late.cpu == pytest.approx(0.8)


@pytest.mark.parametrize("of_glibc, relays", [("3", 3), ("1", 1), ("9", 3)])
def test_a_relay_counts_with_one_of_glibc_beside_it(of_glibc, relays):
    """Three beside one of glibc would be one comparison: how that one differs from another of glibc is in all of them."""
    e = of(collect({**TRIAL[0], "relays": of_glibc}, *TRIAL[1:]), "jemalloc-tuned")
    assert e.relays == relays and (e.against is None) == (relays == 3)


def test_a_trial_of_more_relays_weighs_more():
    small = [{**r, "run": "trixie-2", "relays": "1", "rss_mib": f"{float(r['rss_mib']) * (1 if r['group'] == 'glibc' else 2)}"} for r in TRIAL]
    e = of(collect(*TRIAL, *small), "jemalloc-tuned")
    assert e.memory == pytest.approx((0.2 ** 3 * 0.4) ** 0.25) and (e.least, e.most) == pytest.approx((0.2, 0.4))


@pytest.mark.parametrize("relays, words", [("2", "rests on 2 relays: too few"), ("1", "rests on 1 relay: too few"), ("3", None)])
def test_no_verdict_below_three_relays(relays, words):
    """Neither for nor against; three trials of one relay are three."""
    found = collect(*({**r, "relays": relays} for r in TRIAL))
    assert of(found, "jemalloc-tuned").against == of(found, "jemalloc").against == words
    dear = collect(*({**r, "relays": relays} for r in TRIAL[:3]), {**TRIAL[3], "relays": relays, "cpu_s_a_1000": "13"})
    assert of(dear, "jemalloc-tuned").against == (words or "takes 30 % more CPU time a request than glibc")
    readme = evidence.as_readme(found)
    assert (f", too few to judge: `jemalloc-tuned` ({relays} relay" in readme) == bool(words) and ("Nothing yet" in readme) == bool(words)
    assert (": too few" in evidence.as_scdoc(found, [])) == bool(words)
    more = [{**r, "relays": "1", "run": f"trixie-{n}"} for r in TRIAL for n in (1, 2, 3)]
    assert of(collect(*more), "jemalloc-tuned").against is None


def test_harm_is_told_of_fewer():
    found = collect(*TRIAL[:1], row("mimalloc3", 20, "mimalloc", "3.0.1", relays="1"), {**TRIAL[1], "relays": "1", "late_growth_mib_h": "400"})
    assert "grows without bound" in of(found, "mimalloc3").against and of(found, "jemalloc").against == "still climbs by 400 MiB an hour"
    # and of one trial of several, whatever its network is
    again = [{**r, "run": f"trixie-{n}", "network": "1500" if n == 2 else "8000", "late_growth_mib_h": "400" if n == 2 else "5"}
             for r in TRIAL for n in (1, 2, 3)]
    e = of(collect(*again), "jemalloc")
    assert (e.against, e.growth, e.runs) == ("still climbs by 400 MiB an hour", 400, 2)
    small = [r for r in again if r["network"] == "1500" and r["group"] != "jemalloc-tuned"]
    assert {e.allocator: e.against for e in collect(*small, {**small[0], "group": "tcmalloc", "library": "tcmalloc", "late_growth_mib_h": "5"})} \
        == dict.fromkeys(("glibc", "jemalloc"), "still climbs by 400 MiB an hour")
    assert collect(*({**r, "late_growth_mib_h": ""} for r in small)) == []


def test_releases_without_a_trial_are_told():
    found = collect(*TRIAL)
    words = "Debian 12 and Ubuntu 24.04: no trial of this lab."
    assert f"- {words}\n" in evidence.as_readme(found) and f"\n{words}\n" in evidence.as_scdoc(found, [])
    all_three = collect(*({**r, "release": release, "huge_pages": evidence.OWN_HUGE_PAGES[release], "run": f"{release}-1"} for r in TRIAL
                          for release in evidence.RELEASES))
    assert "no trial of this lab" not in evidence.as_readme(all_three) + evidence.as_scdoc(all_three, []) + evidence.as_readme([])


def test_a_trial_without_glibc_says_nothing():
    assert collect(*TRIAL[1:]) == []


@pytest.mark.parametrize("requests, counts", [("800", True), ("799", False)])
def test_a_relay_that_served_much_less_does_not_compare(requests, counts):
    found = {e.allocator for e in collect(*TRIAL[:1], {**TRIAL[1], "requests": requests})}
    assert ("jemalloc" in found) == counts


def test_what_ran_counts_and_not_its_groups_name():
    purge = "MIMALLOC_PURGE_DELAY=0"
    found = collect(*TRIAL, row("mimalloc3-tuned", 100, "mimalloc", "3.0.1", purge),
                    row("mimalloc36-tuned", 90, "mimalloc", "3.6.0", purge, elsewhere=True), row("mimalloc2", 90, "mimalloc", "2.0.9", elsewhere=True), row("mine", 10, "jemalloc", environment="MALLOC_CONF=narenas:1"),
                    row("jemalloc-decay", 70, "jemalloc", environment="MALLOC_CONF=background_thread:true,dirty_decay_ms:1000"),
                    row("other", 10, "other"))
    assert {(e.allocator, e.version, e.elsewhere) for e in found} >= {
        ("mimalloc3-purge", "3.0.1", False), ("mimalloc3-purge", "3.6.0", True), ("mimalloc", "2.0.9", True), ("jemalloc-decay", "5.3.0", False)}
    assert len(found) == 7


def test_a_preset_under_another_name_is_that_preset():
    """As those of a screening: beside the stock library of the release, and in one row with the trials of its own name."""
    found = collect(*TRIAL[:2], row("screen-jemalloc-bg", 60, "jemalloc", environment="MALLOC_CONF=background_thread:true", cpu=9.5),
                    *({**r, "run": "trixie-2"} for r in TRIAL))
    e = of(found, "jemalloc-tuned")
    assert (e.runs, e.relays, e.elsewhere, e.stock_memory, e.against) == (2, 6, False, pytest.approx((60 * 80) ** 0.5 / 120), None)


def test_two_groups_of_a_trial_that_ran_the_same_are_one():
    """Else a trial would count twice, and its range would be called one over trials."""
    e = of(collect(*TRIAL, row("screen-jemalloc-bg", 40, "jemalloc", environment="MALLOC_CONF=background_thread:true", cpu=7.5, relays="1")),
           "jemalloc-tuned")
    assert (e.runs, e.relays, e.memory, e.cpu, e.least, e.most) == (1, 3, *map(pytest.approx, (0.175, 0.9, 0.175, 0.175)))
    assert e.stock_memory == pytest.approx(70 / 120)


CONF = """allocators = { live = { library = "/usr/local/lib/relayalloc-lab/liblive-bytes.so"; };
  mimalloc2 = { library = "/usr/local/lib/relayalloc-lab/bookworm-libmimalloc2.0/libmimalloc.so.2"; };
  turned = { environment = { A = "b"; }; library = "/usr/local/lib/relayalloc-lab/sid-libmimalloc3/libmimalloc.so.3"; };
  own = { library = "libjemalloc.so.2"; environment = { A = "b"; }; };
  bare = { environment = { A = "b"; }; };
};
groups = ( { name = "own"; allocator = "own"; relays = [ "relay1" ]; } );
"""


def test_where_a_library_is_from_is_told_by_the_configuration_of_the_trial(tmp_path):
    assert evidence.elsewhere_in(CONF) - {"live"} == {"mimalloc2", "turned"}
    with (tmp_path / "trixie-1.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(row(name, 1) for name in ("glibc", "own", "mimalloc2"))
    (tmp_path / "trixie-1.conf").write_text(CONF)
    assert [r["elsewhere"] for r in evidence.rows_of(tmp_path / "trixie-1.csv")] == [False, False, True]


@pytest.mark.parametrize("figures, words", [
    ({"late_growth_mib_h": "400", "live_late_growth_mib_h": "50"}, "still climbs by 350 MiB an hour"),
    ({"late_growth_mib_h": "400", "live_late_growth_mib_h": "350"}, None),
    ({"late_growth_mib_h": "400", "live_late_growth_mib_h": ""}, "still climbs by 400 MiB an hour"),
    ({"cpu_s_a_1000": "12.6"}, "takes 26 % more CPU time a request than glibc"),
    ({"cpu_s_a_1000": "10.925"}, "takes 15 % more CPU time a request than jemalloc as it is shipped"),
    ({"rss_mib": "115"}, "saves little beside jemalloc as it is shipped"),
    ({"rss_mib": "100"}, None)])
def test_what_speaks_against_it(figures, words):
    found = {e.allocator: e for e in collect(*TRIAL[:3], {**TRIAL[3], **figures})}
    assert found["jemalloc-tuned"].against == words


def test_the_best_that_nothing_speaks_against_is_first():
    climbing = row("mimalloc3", 20, "mimalloc", "3.0.1", late_growth_mib_h="900")
    assert [e.allocator for e in collect(climbing, *TRIAL)] == ["jemalloc-tuned", "jemalloc", "glibc", "mimalloc3"]


def test_what_is_known_to_grow_is_never_among_the_best():
    found = {e.allocator: e.against for e in collect(row("mimalloc3", 20, "mimalloc", "3.0.1"), *TRIAL)}
    assert "grows without bound" in found["mimalloc3"] and found["jemalloc"] is None


def test_files_that_are_something_else_are_passed_over(tmp_path):
    for name, columns, rows in (("trixie-1.csv", COLUMNS, TRIAL), ("trixie-1.curve.csv", ["minutes", "glibc"], [{"minutes": "1", "glibc": "2"}])):
        with (tmp_path / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
    (tmp_path / "empty.csv").touch()
    made = {path.name: text for path, text in evidence.made(REPO, tmp_path).items()}
    assert ('{ .allocator = "jemalloc-tuned", .version = "5.3.0", .release = "Debian 13", .elsewhere = false, .date = "2026-11-29", .runs = 1, .relays = 3, '
            '.memory = 0.2, .least = 0.2, .most = 0.2, .cpu = 0.95, .cpu_least = 0.95, .cpu_most = 0.95, .served = 1.0, .growth = NAN, '
            '.stock = "jemalloc", .stock_memory = 0.6667, .stock_cpu = 1.0, .against = NULL, .left = NULL },' in made["evidence.inc"])
    assert "| jemalloc-tuned 5.3.0 | 20 % | 95 % | 67 %, 100 % | 100 % | not measured | one trial, 3 relays | 2026-11-29, Debian 13 | - |" in made["lab.md"]
    assert "jemalloc-tuned 5.3.0  20 %" in made["relayalloc.conf.5.scd"]
    assert ("| Debian 13 | `jemalloc-tuned` | 20 % | 95 % | 67 %, 100 % | not measured | one trial, 3 relays |\n"
            "| Debian 13 | `jemalloc` | 30 % |" in made["README.md"]) and "`glibc`" not in evidence.as_readme(collect(*TRIAL))
    assert "No evidence yet of: mimalloc, " in made["lab.md"]


def test_without_results_nothing_is_claimed(tmp_path):
    made = {path.name: text for path, text in evidence.made(REPO, tmp_path).items()}
    assert "{" not in made["evidence.inc"].replace("{ \"", "{") and made["evidence.inc"].count("\n") == 1
    assert "No evidence yet: no trials are kept." in made["README.md"]
    for name in ("lab.md", "relayalloc.conf.5.scd"):
        assert f"No evidence yet of: {', '.join(b.name for b in BUILTINS)}." in made[name], name


def test_text_between_marks():
    assert evidence.between("a\n<\nold\n>\nb\n", "<", ">", "new\n") == "a\n<\nnew\n>\nb\n"
    with pytest.raises(ValueError):
        evidence.between("a\n", "<", ">", "new\n")


def test_all_that_is_made_is_of_the_kept_results():
    """`make evidence` would change nothing."""
    for path, text in evidence.made(REPO, evidence.RESULTS).items():
        assert path.read_text() == text, f"{path}: run make evidence"
