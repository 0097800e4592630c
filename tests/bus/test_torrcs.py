"""A relay whose torrc does not verify is not restarted: its unit's own pre-start command says so, before anything is written."""
import os
import pathlib

from conftest import wait_until
from test_jobs import LIBRARY, begin, restarts

GATE = r'not touched \(gate "verify-config"\): its torrc does not verify: Unknown option \'Fooo\''
TOR = """#!/bin/sh
# As tor --verify-config, as far as one option goes.
echo "$0 $LD_PRELOAD" >>{log}
if grep -q Fooo "$2" {include} 2>/dev/null; then
    echo "Nov 28 17:07:22.326 [warn] Failed to parse/validate config: Unknown option 'Fooo'.  Failing."
    echo "Nov 28 17:07:22.326 [err] Reading config failed--see warnings above."
    exit 1
fi
echo "Configuration was valid"
"""


def torrc(world, relay):
    return world.instances / relay / "torrc"


def begin_verified(world, *relays, bad=(), **kw):
    """Units with Debian's kind of pre-start command."""
    begin(world, *relays, **kw)
    tor = world.path / "tor"
    tor.write_text(TOR.format(log=world.path / "verified", include=world.path / "included"))
    tor.chmod(0o755)
    for relay in relays:
        torrc(world, relay).write_text("Fooo 1\n" if relay in bad else "ORPort 9001\n")
        world.do("set", unit=f"tor@{relay}.service", values={"verify_config": [str(tor), "-f", str(torrc(world, relay)), "--verify-config"]})


def mend(world, relay, text="ORPort 9002\n"):
    """As an editor does."""
    new = torrc(world, relay).with_suffix(".new")
    new.write_text(text)
    os.replace(new, torrc(world, relay))


def test_broken_torrc_costs_nobody_a_restart(world):
    begin_verified(world, "a", "b", "c", bad="a", rollout="settle = 0; canary = 1;")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done, 1 failed")
    assert world.said("a is not moved to jemalloc, and " + GATE)
    assert not world.said("Allocator jemalloc is refused") and not world.said("halted")
    assert restarts(world, "a") == (0, 0) and world.dropin("a") is None
    assert [world.runs(r, LIBRARY) for r in "abc"] == [False, True, True]
    assert world.states() == {"a": "failed", "b": "ok", "c": "ok"}
    assert world.reason("a") == "its torrc does not verify: Unknown option 'Fooo'"
    assert world.do("look")["kept"] == [], "nothing of the checks is left over"


def test_whole_fleet_with_a_broken_torrc_runs_on(world):
    """A deployment broke all of them: the rollout ends, max_failed or not, and nobody was touched."""
    begin_verified(world, "a", "b", "c", bad="abc", rollout="settle = 0; max_failed = 1; parallel = 2;")
    world.start()
    world.wait_said("Rollout 1 finished: 0 done, 3 failed")
    assert [restarts(world, r) for r in "abc"] == [(0, 0)] * 3
    assert set(world.states().values()) == {"failed"} and world.property("Rollout") == "idle"
    assert world.manager("Plan") and {str(row[2]) for row in world.manager("Plan")} == {"refused"}
    assert {str(row[5]) for row in world.manager("Plan")} == {"its torrc does not verify: Unknown option 'Fooo'"}


def test_mended_torrc_is_tried_again(world):
    begin_verified(world, "a", bad="a")
    world.start()
    world.wait_said("Rollout 1 finished: 0 done, 1 failed")
    world.manager("Verify")
    assert world.property("RolloutID") == 1, "it is what it was: not tried again"
    mend(world, "a")
    world.manager("Verify")
    world.wait_said("Rollout 2 finished: 1 done, 0 failed")
    assert world.runs("a", LIBRARY) and world.states() == {"a": "ok"} and restarts(world, "a") == (1, 0)


def test_torrc_that_is_still_broken_is_told_again_and_no_more(world):
    begin_verified(world, "a", bad="a")
    world.start()
    world.wait_said("Rollout 1 finished: 0 done, 1 failed")
    mend(world, "a", "Nickname x\nFooo 1\n")
    world.manager("Verify")
    world.wait_said("Rollout 2 finished: 0 done, 1 failed")
    world.manager("Verify")
    assert world.property("RolloutID") == 2 and restarts(world, "a") == (0, 0)


def test_included_file_that_is_mended(world):
    begin_verified(world, "a")
    included = world.path / "included"
    included.write_text("Fooo 1\n")
    mend(world, "a", f"%include {world.path}/incl*\n")
    world.start()
    world.wait_said("Rollout 1 finished: 0 done, 1 failed")
    included.write_text("ContactInfo somebody\n")
    world.manager("Verify")
    world.wait_said("Rollout 2 finished: 1 done, 0 failed")


def test_resume_and_reload_try_again(world):
    begin_verified(world, "a", bad="a")
    world.start()
    world.wait_said("Rollout 1 finished: 0 done, 1 failed")
    world.manager("Resume")
    world.wait_said("Rollout 2 finished: 0 done, 1 failed")
    world.manager("Reload")
    world.wait_said("Rollout 3 finished: 0 done, 1 failed")
    assert restarts(world, "a") == (0, 0)


def test_restart_by_its_operator_ends_the_refusal(world):
    """Where it came up, its configuration was fine."""
    begin_verified(world, "a", bad="a")
    world.start()
    world.wait_said("Rollout 1 finished: 0 done, 1 failed")
    mend(world, "a")
    world.do("restart-by-hand", unit="tor@a.service")
    wait_until(lambda: world.states() == {"a": "pending"} or world.said("Rollout 2"), "it is to be moved")


def test_relay_that_is_taken_back_is_verified_too(world):
    begin_verified(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done, 0 failed")
    mend(world, "a", "Fooo 1\n")
    world.manager("Revert", ["a", "b"])
    world.wait_said("Rollout 2 finished: 1 done, 1 failed")
    assert world.said("a is not moved to the settings of its own unit, and " + GATE)
    assert restarts(world, "a") == (1, 0) and world.runs("a", LIBRARY) and world.dropin("a")
    assert restarts(world, "b") == (2, 0) and world.dropin("b") is None


def test_file_changes_without_a_restart_are_not_held_up(world):
    """It runs the right thing already; only our file is to be written."""
    begin_verified(world, "a", bad="a")
    path = world.root / "tor@a.service.d"
    world.start()
    world.wait_said("Rollout 1 finished: 0 done, 1 failed")
    mend(world, "a")
    world.manager("Verify")
    world.wait_said("Rollout 2 finished: 1 done")
    mend(world, "a", "Fooo 1\n")
    (path / "zz-relayalloc.conf").unlink()
    world.do("daemon-reload")
    world.wait_said("Rollout 3 finished: 1 done, 0 failed")
    assert world.dropin("a") and restarts(world, "a") == (1, 0)


def test_nothing_is_preloaded_into_the_check(world):
    begin_verified(world, "a")
    drop = world.root / "tor@a.service.d"
    drop.mkdir()
    (drop / "override.conf").write_text("[Service]\nEnvironment=LD_PRELOAD=/gone/libwhatever.so TORRC_OWNER=me\n")
    world.do("daemon-reload")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    verified = (world.path / "verified").read_text().splitlines()
    assert len(verified) == 1 and verified[0].strip() == str(world.path / "tor")
    assert [e.get("TORRC_OWNER") for e in world.do("look")["environments"]][-1] == "me", "all else is as its unit says"


def test_unit_without_such_a_command(world):
    begin(world, "a")
    world.do("set", unit="tor@a.service", values={"verify_config": ["/bin/sh", "-c", "rm -rf / --verify-config; exit 1"]})
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    assert len(world.do("look")["transients"]) == 1, "what a shell would do for it is nobody's to run"


def test_sandbox_in_which_its_start_would_fail(world):
    """Of the same kind: a folder, a user, a program that went since its last start. A revert has no other preflight."""
    begin_verified(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done, 0 failed")
    world.do("set", unit="tor@a.service", values={"read_write": ["/srv/tor/a"]})
    world.do("break-sandboxes", value={"/srv/tor/a": 217})
    world.manager("Revert", ["a"])
    world.wait_said("Rollout 2 finished: 0 done, 1 failed")
    assert world.said(r'a is not moved .* \(gate "verify-config"\): systemd cannot set up the sandbox of tor@a\.service \(217/USER\)')
    assert restarts(world, "a") == (1, 0)


def test_check_that_cannot_be_started_holds_nobody_up(world):
    begin_verified(world, "a")
    world.do("transient-script", steps=[{}, {"error": "org.freedesktop.DBus.Error.PropertyReadOnly"}])
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    assert world.said("a: its configuration cannot be verified before its restart: ")


def test_bus_that_goes_while_it_is_verified(world):
    begin_verified(world, "a", "b", bad="a", rollout="settle = 0; parallel = 2;")
    world.do("transient-script", steps=[{}, {"delay": 1}, {"delay": 1}])
    world.start()
    wait_until(lambda: len(world.do("look")["transients"]) == 3, "both are being verified")
    world.do("reconnect")
    world.wait_said("Rollout 1 finished: 1 done, 1 failed")
    assert restarts(world, "a") == (0, 0) and world.runs("b", LIBRARY)


def test_pause_while_it_is_verified(world):
    """What was found before says nothing of the time after."""
    begin_verified(world, "a")
    world.do("transient-script", steps=[{}, {"delay": 1}])
    world.start()
    wait_until(lambda: len(world.do("look")["transients"]) == 2, "it is being verified")
    world.manager("Pause")
    wait_until(lambda: (world.path / "verified").exists() and not world.do("look")["kept"], "the daemon knows the answer")
    mend(world, "a", "Fooo 1\n")
    world.manager("Resume")
    world.wait_said("Rollout 1 finished: 0 done, 1 failed")
    assert restarts(world, "a") == (0, 0) and world.dropin("a") is None


def test_crash_of_the_daemon_while_it_is_verified(world):
    begin_verified(world, "a", bad="a")
    world.do("transient-script", steps=[{}, {"delay": 1}])
    world.start()
    wait_until(lambda: len(world.do("look")["transients"]) == 2, "it is being verified")
    world.stop(9)
    world.start()
    world.wait_said("finished: 0 done, 1 failed")
    assert restarts(world, "a") == (0, 0) and world.dropin("a") is None
    assert pathlib.Path(world.state / "state").exists()
