"""The verbs that make the daemon do something, and how a rollout is followed."""

import re
import signal
import time

import pytest

from conftest import HOUR, NOW, relay, wait_until

NO_ROLLOUT = "org.relayalloc1.Error.NoRollout"
DENIED = "org.freedesktop.DBus.Error.AccessDenied"


@pytest.mark.parametrize("verb", ["pause", "resume", "abort"])
def test_the_rollout_is_steered(ctl, daemon, verb):
    daemon.says([relay("a")])
    done = ctl(verb)
    assert done.status == 0 and done.out and daemon.calls == [verb.capitalize()]
    assert ctl(verb, "--quiet").out == "" and ctl(verb, "--json=short").out == ""
    daemon.says([relay("a")], errors=[(verb.capitalize(), NO_ROLLOUT, "there is no rollout")])
    done = ctl(verb)
    assert done.status == 1 and "there is no rollout" in done.err and done.out == ""
    daemon.says([relay("a")], errors=[(verb.capitalize(), DENIED, "no")])
    done = ctl(verb)
    assert done.status == 1 and "as root" in done.err


def test_verify(ctl, fleet):
    done = ctl("verify")
    assert done.status == 3 and done.out.splitlines()[0].split() == ["RELAY", "STATE", "REASON"]
    assert done.out.splitlines()[2].split(maxsplit=2) == ["drifter", "drifted", "overridden by /etc/x.conf"]
    assert done.out.splitlines()[-1] == "4 of 8 relays are not as assigned; 1 still settling."
    assert ctl("verify", "--json=short").json[1] == {"relay": "drifter", "state": "drifted",
                                                    "reason": "overridden by /etc/x.conf"}
    fleet.says([relay("a")])
    done = ctl("verify")
    assert done.status == 0 and done.out.splitlines()[-1] == "1 relay verified, all as assigned."
    fleet.says([relay("a"), relay("b", "settling")])  # which has been proved
    done = ctl("verify")
    assert done.status == 0 and done.out.splitlines()[-1] == "2 relays verified, all as assigned; 1 still settling."
    fleet.says([relay("a"), relay("b", "settling", reason="overridden by /etc/x.conf")])
    assert ctl("verify").status == 3


# ---- revert ----


def test_revert_of_some(ctl, fleet):
    done = ctl("revert", "st*", "done")
    assert done.status == 0 and done.out == "3 relays to be put back.\n"
    assert fleet.calls == ["Revert done starter stands"]


def waiting():
    """From now on, and not from the beginning of all tests."""
    return {"Window": "02:00-06:00", "WindowOpens": int(time.time() * 1e6) + 14 * HOUR + 49 * HOUR // 60 + HOUR // 120}


TOLD = 'Relays are waiting for the window 02:00-06:00, which opens in 14h 49min; "relayallocctl resume --now" does not wait.'
TURN = (1, "a", "restart", "A", "mimalloc", "runs glibc, not mimalloc")


@pytest.mark.parametrize("verb", ["revert", "resume", "reload"])
def test_window_that_has_to_be_waited_for_is_told(ctl, daemon, verb):
    operands, noted = (["a"], " a") if verb == "revert" else ([], "")
    daemon.says([relay("a")], [TURN], **waiting())
    done = ctl(verb, *operands)
    assert done.status == 0 and done.out.splitlines()[1:] == [TOLD]
    assert ctl(verb, *operands, "--quiet").out == ""
    done = ctl(verb, *operands, "--now")
    assert done.status == 0 and "window 02:00" not in done.out
    assert daemon.calls == [verb.capitalize() + noted] * 2 + [f"{verb.capitalize()}Now{noted}"]
    for nothing in (dict(WindowOpens=0), dict(RolloutPaused=1)):
        daemon.says([relay("a")], [TURN], **{**waiting(), **nothing})
        assert len(ctl(verb, *operands).out.splitlines()) == 1, nothing
    daemon.says([relay("a")], [(0, "a", "refused", "A", "mimalloc", "missing")], **waiting())
    assert len(ctl(verb, *operands).out.splitlines()) == 1, "nobody's turn is to come"


def test_restart_names_the_window(ctl, daemon):
    daemon.says([relay("a")], [TURN], **waiting())
    done = ctl("restart", "a")
    assert done.status == 0 and done.out.splitlines()[1:] == [TOLD], done
    daemon.says([relay("a")], [TURN], **{**waiting(), "WindowOpens": 0})
    assert "window" not in ctl("restart", "a").out
    calls = daemon.calls
    done = ctl("restart", "a", "--now")  # which would wait all the same, and say nothing of it
    assert done.status == 2 and '"relayallocctl resume --now"' in done.err and daemon.calls == calls, done


def test_relays_that_are_resumed_wait_for_the_window(ctl, daemon):
    daemon.says([relay("a", "reverted")], [TURN], **waiting())
    done = ctl("resume", "a")
    assert done.status == 0 and done.out.splitlines()[1:] == [TOLD], done
    assert ctl("resume", "a", "--quiet").out == ""
    calls = daemon.calls
    done = ctl("resume", "a", "--now")  # which would wait all the same, and say nothing of it
    assert done.status == 2 and '"relayallocctl resume --now"' in done.err and daemon.calls == calls, done


@pytest.mark.parametrize("arguments, instead", [
    (["pause", "--now"], "resume, reload and revert"), (["abort", "--now"], "resume, reload and revert"),
    (["list", "--now"], "resume, reload and revert"), (["--now"], "resume, reload and revert"),
    (["resume", "a", "--now"], '"relayallocctl resume --now"'),
    (["abort", "--wait"], "reload, restart and revert"), (["pause", "--wait"], "reload, restart and revert"),
    (["resume", "--wait"], "reload, restart and revert"),
])
def test_a_wait_that_no_verb_obeys_is_refused(ctl, daemon, arguments, instead):
    """A script that believes it has waited for the end goes on in the middle of a rollout."""
    daemon.says([relay("a")])
    done = ctl(*arguments)
    assert done.status == 2 and instead in done.err and done.out == "" and daemon.calls == [], done


def test_status_names_the_window(ctl, daemon):
    daemon.says([relay("a", "pending")], Rollout="waiting", RolloutID=3, RolloutTotal=2, RolloutWaves=2,
                RolloutStarted=NOW - HOUR, **waiting())
    done = ctl("status")
    assert ('Window: waiting for the window 02:00-06:00, which opens in 14h 49min ("relayallocctl resume --now" does not wait)'
            in done.out)
    assert ctl("status", "--json=short").json["rollout"]["window"] == "02:00-06:00"
    daemon.says([relay("a", "pending")], Rollout="running", RolloutID=3, RolloutTotal=2, **waiting())
    assert "Window" not in ctl("status").out


def test_a_daemon_that_has_no_name_for_root(ctl, daemon):
    """One of an earlier version, or whose policy the bus has not read yet."""
    daemon.environment["MOCK_ONE_NAME"] = "1"
    daemon.says([relay("a"), relay("b")])
    assert ctl("revert", "b").status == 0 and daemon.calls == ["Revert b"]
    assert ctl("list").status == ctl("status").status == 0
    assert ctl("pause").status == 0 and daemon.calls == ["Revert b", "Pause"]
    daemon.stop()
    done = ctl("pause")
    assert done.status == 1 and "is not running; start it with" in done.err


def test_revert_of_all(ctl, fleet):
    assert ctl("revert").status == 0 and fleet.calls == ["Revert"]


@pytest.mark.parametrize("operands", [["done", "nobody"], ["x*"], [""]])
def test_revert_of_nobody_reverts_nobody(ctl, fleet, operands):
    done = ctl("revert", *operands)
    assert done.status == 4 and fleet.calls == []


def test_revert_of_one_that_has_just_gone(ctl, daemon):
    daemon.says([relay("a")], errors=[("Revert", "org.relayalloc1.Error.NoSuchRelay", 'No relay named "a".')])
    done = ctl("revert", "a")
    assert done.status == 4 and done.err == 'relayallocctl: No relay named "a".\n'


def test_revert_asks_on_a_terminal(ctl, fleet):
    done = ctl.on_terminal("revert", "done", keys=["n\n"])
    assert done.status == 1 and "[y/N]" in done.out and "nothing was changed" in done.out and fleet.calls == []
    assert ctl.on_terminal("revert", "done", keys=["y\n"]).status == 0 and fleet.calls == ["Revert done"]
    done = ctl.on_terminal("revert", "--yes", "done")
    assert done.status == 0 and "[y/N]" not in done.out and len(fleet.calls) == 2


# ---- reload ----


def test_reload(ctl, daemon):
    daemon.says([relay("a")])
    done = ctl("reload")
    assert done.status == 0 and daemon.calls == ["Reload"] and done.out.startswith("The configuration is in force.\n")


def test_reload_of_an_invalid_file(ctl, daemon):
    daemon.says([relay("a")], errors=[("Reload", "org.relayalloc1.Error.InvalidFile", "/etc/r.conf:1: x: y\n/etc/r.conf:2: z")])
    for more in ([], ["--wait"]):
        done = ctl("reload", *more)
        assert done.status == 2 and done.err == "/etc/r.conf:1: x: y\n/etc/r.conf:2: z\n" and done.out == ""


def running(done, total=4, failed=0, state="running", reason="", rollout=1):
    return {"Rollout": state, "RolloutID": rollout, "RolloutWave": done + 1, "RolloutWaves": total, "RolloutTotal": total,
            "RolloutDone": done, "RolloutFailed": failed, "RolloutReason": reason, "RolloutEnds": NOW + 100 * HOUR}


def ended(result, done=4, total=4, failed=0, reason="", state="idle", rollout=1):
    return {**running(done, total, failed, state, reason, rollout), "RolloutResult": result, "RolloutEnds": 0}


def test_reload_of_a_file_that_has_to_wait(ctl, daemon):
    """Relays in progress are finished under the file before it, whatever the rollout calls itself by then."""
    for state in ("ending", "running", "halted"):
        daemon.says([relay("a")], Rollout=state, RolloutID=3, ConfigWaits=1)
        out = ctl("reload").out
        assert out.startswith("The configuration was read; it is in force when rollout 3 has ended.\n"), out
    daemon.says([relay("a")], Rollout="ending", RolloutID=3)  # as an operator has aborted it; the file came before that
    assert ctl("reload").out.startswith("The configuration is in force.\n")


@pytest.mark.parametrize("end", [ended("aborted", 1, state="aborted", rollout=3), ended("halted", 1, failed=1, state="halted", rollout=3),
                                 ended("superseded", 1, rollout=3)])
def test_reload_waits_until_the_file_is_in_force(ctl, daemon, end):
    """Also past the moment at which the rollout before it is over and the file is not there yet."""
    relays = [relay("a")]
    daemon.says(relays, **running(1, state="ending", rollout=3))
    daemon.says_after("Reload", relays, **running(1, state="ending", rollout=3), ConfigWaits=1)
    process = ctl.start("reload", "--wait")
    assert process.stdout.readline() == "wave 2 of 4, 1 of 4 relays moved, 0 failed; ending\n"
    daemon.changes(relays, **end, ConfigWaits=1)
    time.sleep(1)
    assert process.poll() is None
    daemon.changes(relays, **running(0, 2, rollout=4))
    daemon.changes(relays, **ended("done", 2, 2, rollout=4))
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0 and out.endswith("Done: 2 of 2 relays moved, 0 failed.\n"), (out, err)


def test_a_rollout_that_a_newer_file_ends_is_not_called_done(ctl, daemon):
    relays = [relay("a")]
    daemon.says(relays)
    daemon.says_after("Reload", relays, **running(0, 1))
    process = ctl.start("reload", "--wait")
    assert process.stdout.readline().startswith("wave 1 of 1")
    daemon.changes(relays, **ended("superseded", 0, 1))
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0 and out.endswith("The rollout ended early, because the configuration or the plan changed: 0 of 1 relays moved, 0 failed.\n"), (out, err)
    out = ctl("status").out
    assert "none in progress; the last (1): ended early, because the configuration or the plan changed, 0 of 1 relays moved, 0 failed" in out.replace("\n               ", " "), out


def test_reload_that_changes_nothing_waits_for_nothing(ctl, daemon):
    daemon.says([relay("a")], [(0, "b", "refused", "A", "x", "no library")])
    done = ctl("reload", "--wait", timeout=5)
    assert done.status == 0 and done.out == "Nothing to do: no drop-in to write, no relay to restart.\n"


def test_reload_while_a_rollout_is_halted_since_before(ctl, daemon):
    daemon.says([relay("a")], **ended("halted", 1, failed=1, reason="c: it crashed", state="halted"))
    done = ctl("reload", "--wait", timeout=5)
    assert done.status == 1 and "already halted: c: it crashed" in done.err and "Nothing to do" not in done.out


@pytest.mark.parametrize("end, status, words", [
    (ended("done"), 0, "Done: 4 of 4 relays moved, 0 failed.\n"),
    (ended("halted", 1, failed=1, reason="c: it crashed", state="halted"), 1,
     "the rollout was halted after 1 of 4 relays, 1 failed: c: it crashed"),
    (ended("aborted", 1, state="aborted"), 1, "the rollout was aborted after 1 of 4 relays"),
])
def test_reload_follows_to_the_end(ctl, daemon, end, status, words):
    relays = [relay("a")]
    daemon.says(relays)
    daemon.says_after("Reload", relays, **running(0))
    process = ctl.start("reload", "--wait")
    assert process.stdout.readline() == "wave 1 of 4, 0 of 4 relays moved, 0 failed\n"
    daemon.changes(relays, **running(1))
    assert process.stdout.readline() == "wave 2 of 4, 1 of 4 relays moved, 0 failed\n"
    daemon.changes(relays, **running(1, state="paused"))
    assert process.stdout.readline() == "wave 2 of 4, 1 of 4 relays moved, 0 failed; paused\n"
    daemon.changes(relays, **end)
    out, err = process.communicate(timeout=10)
    assert process.returncode == status and words in out + err
    assert out.count("wave") <= 1  # nothing is told twice


def test_a_rollout_that_goes_already_is_followed(ctl, daemon):
    """As after an editor: saving the file has begun it."""
    relays = [relay("a")]
    daemon.says(relays, **running(1))
    process = ctl.start("reload", "--wait")
    assert process.stdout.readline() == "wave 2 of 4, 1 of 4 relays moved, 0 failed\n"
    wait_until(lambda: daemon.calls == ["Reload"])
    daemon.changes(relays, **ended("done"))
    out, err = process.communicate(timeout=10)
    assert process.returncode == 0 and out.endswith("Done: 4 of 4 relays moved, 0 failed.\n"), (out, err)


def test_a_rollout_that_begins_late_is_waited_for(ctl, daemon):
    relays = [relay("a")]
    plan = [(1, "a", "restart", "A", "jemalloc", "x")]
    daemon.says(relays)
    daemon.says_after("Reload", relays, plan)
    process = ctl.start("reload", "--wait")
    wait_until(lambda: daemon.calls[-1:] == ["Reload"])
    daemon.changes(relays, **running(0, 1))
    assert process.stdout.readline() == "wave 1 of 1, 0 of 1 relays moved, 0 failed\n"
    # One that a new file ends early is followed by the next.
    daemon.changes(relays, plan, **ended("aborted", 0, 1))
    daemon.changes(relays, **running(0, 1, rollout=2))
    daemon.changes(relays, **ended("done", 1, 1, rollout=2))
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0 and "Done: 1 of 1" in out, err


def test_the_daemon_ends_meanwhile(ctl, daemon):
    daemon.says([relay("a")])
    daemon.says_after("Reload", [relay("a")], **running(0))
    process = ctl.start("reload", "--wait")
    assert process.stdout.readline()
    daemon.stop()
    out, err = process.communicate(timeout=10)
    assert process.returncode == 1 and "relayallocd has exited; it continues" in err


def test_progress_bar_on_a_terminal(ctl, daemon):
    relays = [relay("a")]
    for columns in (100, 40):
        daemon.says(relays)
        daemon.says_after("Reload", relays, **running(2, reason="ü" * 200))
        done = ctl.on_terminal("reload", "--wait", columns=columns, keys=["\x03"])
        # Who gives up waiting is told that the rollout does not.
        assert done.status == -signal.SIGINT and done.out.endswith('"relayallocctl pause" pauses it.\n'), done
        assert "The rollout continues" in done.out
        bars = re.findall(r"\r(█.*?)\033\[K", done.out)
        assert bars and all(len(bar) < columns for bar in bars), done
        assert re.match(r"█+░+ ", bars[0]) and bars[0].count("█") == bars[0].count("░")
        assert ("wave 3 of 4, 2 of 4 relays moved, 0 failed, 4 days" if columns == 100 else "2/4, 4 days") in bars[0]


def test_wait_of_revert(ctl, daemon):
    daemon.says([relay("a")])
    daemon.says_after("Revert", [relay("a", "observed"), relay("b")], **ended("done", 1, 1))
    done = ctl("revert", "a", "--wait", timeout=10)
    assert done.status == 0 and done.out == "1 relay to be put back.\nDone: 1 of 1 relays moved, 0 failed.\n"


# ---- restart ----

@pytest.mark.parametrize("operands, calls, said", [
    (["st*", "done"], ["Restart done starter stands"], "3 relays to be restarted.\n"),
    (["done"], ["Restart done"], "1 relay to be restarted.\n"),
    (["*", "--replaced"], ["Restart done"], "1 relay to be restarted.\n"),
    (["st*", "--replaced"], [], "No relay runs a library that was replaced on disk.\n"),
])
def test_restart(ctl, daemon, operands, calls, said):
    daemon.says([relay("done"), relay("starter", "restarting"), relay("stands", "stopped")],
                fields=[("done", "Replaced", "b", 1), ("stands", "Replaced", "b", 0)])
    done = ctl("restart", *operands)
    assert (done.status, done.out, done.err) == (0, said, "")
    assert daemon.calls == calls


def test_restart_of_a_group(ctl, daemon):
    daemon.says([relay("a", group="A"), relay("b", group="B"), relay("c", group="A")], fields=[("c", "Replaced", "b", 1)])
    assert ctl("restart", "--group=A").status == 0 and ctl("restart", "--group=A", "--replaced").status == 0
    assert daemon.calls == ["Restart a c", "Restart c"]


@pytest.mark.parametrize("operands, status, words", [
    ([], 2, "restart requires relays, --group=NAME or --replaced"),
    (["--group=Z"], 4, 'no relay is in a group named "Z"; "relayallocctl groups" shows all of them'),
    (["--group=Z", "--replaced"], 4, 'no relay is in a group named "Z"'),
    (["nobody"], 4, "nobody"),
    (["--colour"], 2, "colour"),
])
def test_restart_of_nobody_restarts_nobody(ctl, daemon, operands, status, words):
    daemon.says([relay("a")])
    done = ctl("restart", *operands)
    assert done.status == status and words in done.err
    assert not [call for call in daemon.calls if call.startswith("Restart")]


def test_restart_asks_on_a_terminal(ctl, daemon):
    daemon.says([relay("a")])
    done = ctl.on_terminal("restart", "a", keys=["n\n"])
    assert done.status == 1 and "Restart 1 relay, paced like a rollout? [y/N]" in done.out and daemon.calls == []
    assert ctl.on_terminal("restart", "a", keys=["y\n"]).status == 0 and daemon.calls == ["Restart a"]


def test_wait_of_restart(ctl, daemon):
    daemon.says([relay("a")])
    daemon.says_after("Restart", [relay("a")], **ended("halted", 0, 1, 1, reason="a: it crashed", state="halted"))
    done = ctl("restart", "a", "--wait", timeout=10)
    assert done.status == 1 and "a: it crashed" in done.out + done.err
