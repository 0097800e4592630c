"""A configuration file moves real relays: the first time, again, after edits, and across stops of the daemon."""

import pytest

RELAYS = 8
pytestmark = pytest.mark.release("every")


def four_groups(m, **changes):
    wanted = {
        "A": ("glibc", ["relay1", "relay2"]),
        "B": ("jemalloc", ["relay3", "relay4"]),
        "C": (m.mimalloc, ["relay5", "relay6"]),
        "D": ("tcmalloc", ["relay7", "relay8"]),
    }
    wanted.update(changes)
    return wanted


def conf(m, wanted, **options):
    groups = []
    for name, (allocator, relays) in wanted.items():
        patterns = ", ".join(f'"{r}"' for r in relays)
        groups.append((name, allocator, f"relays = [ {patterns} ]"))
    return m.settings(groups, **options)


def assert_as_assigned(m, wanted):
    """Every relay of every group runs what its group says: by /proc, by the list, and by the drop-in."""
    listing = m.listing()
    for group, (allocator, relays) in wanted.items():
        family = "mimalloc" if allocator.startswith("mimalloc") else allocator
        for relay in relays:
            row = listing[relay]
            assert m.allocator_in_maps(relay) == family, f"{relay}: {row}"
            assert (row["state"], row["group"], row["assigned"]) == ("ok", group, allocator), row
            assert row["running"] == allocator, row
            if allocator != "glibc":
                text = m.drop_in(relay)
                first = text.splitlines()[0]
                assert first == (f"# relayalloc: written from /etc/relayalloc.conf, group {group}, "
                                 f"allocator {allocator}; changes made here are lost")
                assert "[Service]" in text and "LD_PRELOAD=" in text


def test_installing_and_starting_without_groups_changes_nothing(fresh):
    m = fresh
    before = m.invocations()
    m.start_daemon()
    assert m.is_active("relayallocd")
    m.wait_all("observed")
    assert m.invocations() == before
    assert m.drop_in_times() == {}


def test_first_rollout(fresh):
    m = fresh
    before = m.invocations()
    wanted = four_groups(m)
    m.write_conf(conf(m, wanted, parallel=2, canary=1))
    m.start_daemon()
    m.wait_all("ok")
    m.wait_event("rollout-finished")
    assert_as_assigned(m, wanted)
    after = m.invocations()
    for relay in ("relay1", "relay2"):
        assert after[relay] == before[relay], f"{relay} ran glibc already and was restarted"
    for relay in m.names[2:]:
        assert m.starts(relay) == 1, f"{relay} was started {m.starts(relay)} times"
        assert len(m.events("relay-moved", relay=relay)) == 1
    assert m.prop("relayallocd", "StatusText") != ""


def test_drop_ins_are_written_only_in_their_turn(fresh):
    m = fresh
    m.write_conf(conf(m, four_groups(m), parallel=1, settle=1))
    m.start_daemon()
    seen = []
    # However often one looks: at most the relay whose turn it is has a drop-in without having been moved.

    def finished():
        moved = {e["RELAYALLOC_RELAY"] for e in m.events("relay-restarting")}
        written = {p.split("@")[1].split(".service")[0] for p in m.drop_in_times()} - {"relay1", "relay2"}
        seen.append((len(written), len(m.events("relay-restarting"))))
        later = {e["RELAYALLOC_RELAY"] for e in m.events("relay-restarting")}
        assert len(written - later) <= 1, f"written ahead of their turn: {written - later}"
        return len(later) == 6 and len(moved) == 6

    failures = []

    def poll():
        try:
            return finished()
        except AssertionError as error:
            failures.append(error)
            return True

    m.wait_until(poll, 60, "six relays to be restarted one after the other")
    assert not failures, failures[0]
    assert any(0 < written < 6 for written, _ in seen), "the rollout was never seen in progress"


def test_second_start_changes_nothing(fresh):
    m = fresh
    wanted = four_groups(m)
    m.write_conf(conf(m, wanted, parallel=4))
    m.start_daemon()
    m.wait_all("ok")
    m.wait_event("rollout-finished")
    invocations, times = m.invocations(), m.drop_in_times()
    assert len(times) >= 6
    m.mark()
    m.systemctl("restart", "relayallocd")
    m.wait_event("daemon-started")
    m.wait_all("ok")
    # A sample of every relay comes after everything that start-up does.
    m.wait_until(lambda: {e["RELAYALLOC_RELAY"] for e in m.events("sample-relay")} == set(m.names), 20,
                 "a sample of every relay")
    assert m.invocations() == invocations
    assert m.drop_in_times() == times
    assert m.events("rollout-started", "relay-restarting", "dropin-written", "dropin-removed") == []
    assert_as_assigned(m, wanted)


def test_saving_the_file_reassigns_a_group(fresh):
    m = fresh
    wanted = four_groups(m)
    m.write_conf(conf(m, wanted, parallel=4))
    m.start_daemon()
    m.wait_all("ok")
    m.wait_event("rollout-finished")
    before = m.invocations()
    m.mark()
    wanted["B"] = ("tcmalloc", wanted["B"][1])
    m.write_conf(conf(m, wanted, parallel=4))
    m.wait_event("config-loaded")
    m.wait_event("relay-moved", count=2, timeout=60)
    m.wait_all("ok")
    assert_as_assigned(m, wanted)
    after = m.invocations()
    assert {r for r in m.names if after[r] != before[r]} == {"relay3", "relay4"}
    assert [m.starts(r) for r in ("relay3", "relay4")] == [1, 1]


def test_writing_the_file_in_place_reloads_too(fresh):
    m = fresh
    m.write_conf(conf(m, {"A": ("jemalloc", ["relay1"])}))
    m.start_daemon()
    m.wait_all("ok", ["relay1"])
    text = conf(m, {"A": ("jemalloc", ["relay1", "relay2"])})
    m.path("/etc/relayalloc.conf").write_text(text)
    m.wait_all("ok", ["relay1", "relay2"])
    assert m.allocator_in_maps("relay2") == "jemalloc"


def test_relay_that_leaves_all_groups(fresh):
    m = fresh
    m.write_conf(conf(m, {"A": ("jemalloc", ["relay1", "relay2"])}))
    m.start_daemon()
    m.wait_all("ok", ["relay1", "relay2"])
    m.wait_event("rollout-finished")
    kept = m.invocation("relay1")
    m.mark()
    m.write_conf(conf(m, {"A": ("jemalloc", ["relay1"])}))
    m.wait_until(lambda: m.allocator_in_maps("relay2") == "glibc", 60, "relay2 to run glibc")
    m.wait_all("observed", ["relay2"])
    assert m.drop_in("relay2") is None
    assert not m.exists("/etc/systemd/system/tor@relay2.service.d"), "our file was the last: the folder goes, too"
    assert m.starts("relay2") == 1
    m.wait_event("dropin-removed", relay="relay2")
    assert m.invocation("relay1") == kept
    m.wait_all("ok", ["relay1"])


def test_a_folder_with_files_of_others_stays(fresh):
    m = fresh
    other = "/etc/systemd/system/tor@relay1.service.d/override.conf"
    m.write(other, "[Service]\nNice=5\n")
    m.systemctl("daemon-reload")
    m.write_conf(conf(m, {"A": ("jemalloc", ["relay1"])}))
    m.start_daemon()
    m.wait_all("ok", ["relay1"])
    m.write_conf("# no groups\n")
    m.wait_until(lambda: m.drop_in("relay1") is None and m.allocator_in_maps("relay1") == "glibc", 60,
                 "relay1 to be back on glibc")
    assert m.read(other) == "[Service]\nNice=5\n"


def test_daemon_stopped_and_started_in_mid_rollout(fresh):
    m = fresh
    wanted = four_groups(m)
    m.write_conf(conf(m, wanted, parallel=1, settle=2))
    m.start_daemon()
    m.wait_event("relay-moved", count=2, timeout=60)
    m.systemctl("stop", "relayallocd")
    moved = {r for r in m.names[2:] if m.allocator_in_maps(r) != "glibc"}
    assert 2 <= len(moved) < 6, moved
    # systemd continues a restart that was just requested
    m.wait_until(lambda: all(m.is_active(m.unit(r)) for r in m.names), 30, "stopping the daemon leaves the relays alone")
    # One that was only written gets its old file back, and then its turn again.
    right = [f"{m.unit(r)}.d/zz-relayalloc.conf" for r in m.names if r in moved or r in ("relay1", "relay2")]
    times = {p: t for p, t in m.drop_in_times().items() if p in right}
    assert len(times) == len(right)
    m.write_conf(conf(m, wanted, parallel=2, settle=0))
    m.start_daemon()
    m.wait_all("ok")
    m.wait_event("rollout-finished")
    assert_as_assigned(m, wanted)
    assert {r: m.starts(r) for r in m.names} == {r: 0 if r in ("relay1", "relay2") else 1 for r in m.names}
    later = m.drop_in_times()
    assert {p: later[p] for p in times} == times, "a drop-in that was right was written again"


def test_sized_group_takes_so_many(fresh):
    m = fresh
    # tor@default is a relay, too, and stopped here
    m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "relay*" ]; size = 2'),
                             ("B", "tcmalloc", 'relays = [ "relay*" ]; share = 50')], parallel=8))
    m.start_daemon()
    m.wait_until(lambda: sorted(m.states().values()) == ["observed"] * 3 + ["ok"] * 5, 60,
                 "2 relays in A, half of the other 6 in B, the rest observed")
    found = sorted(m.allocator_in_maps(r) for r in m.names)
    assert found == ["glibc"] * 3 + ["jemalloc"] * 2 + ["tcmalloc"] * 3
