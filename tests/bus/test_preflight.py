"""An allocator is tried where it must work, before anybody is restarted for it: in a sandbox like the relay's, and, if the
relay is confined by AppArmor, once more inside of its profile."""
import pytest

from conftest import wait_until
from test_jobs import LIBRARY, begin, restarts
from test_relays import sampling

PROFILE = "system_tor"


def begin_labelled(world, label, *relays):
    begin(world, *relays)
    proc = world.path / "proc"
    proc.mkdir()
    world.environment["RELAYALLOC_PROC"] = str(proc)
    world.do("proc", path=str(proc), label=label)


def tries(world):
    """Whether each was in the relay's profile."""
    return [f"--apparmor={PROFILE}" in argv for argv in world.do("look")["argvs"]]


def test_confined_relay(world):
    begin_labelled(world, f"{PROFILE} (enforce)", "a", "b")
    world.do("transient-script", steps=[{}, {"output": "confined=\nloadable=yes\n"}])
    world.start()
    world.wait_said("Rollout 1 finished: 2 done, 0 failed")
    assert tries(world) == [False, True]
    confined = world.do("look")["argvs"][1]
    assert any(a.startswith("--dlopen=/") and LIBRARY in a for a in confined)
    assert [restarts(world, r) for r in "ab"] == [(1, 0)] * 2


def test_confined_relay_may_not_load_it(world):
    begin_labelled(world, f"{PROFILE} (enforce)", "a", "b")
    world.do("transient-script", steps=[{}, {"output": "confined=\nloadable=no\nerror=Permission denied\n"}])
    world.start()
    world.wait_said("Rollout 1 finished: 0 done, 2 failed")
    assert world.said(f"Allocator jemalloc is refused.*{PROFILE}.*Permission denied")
    assert [restarts(world, r) for r in "ab"] == [(0, 0)] * 2 and world.dropin("a") is None


def test_confinement_that_cannot_be_tried_is_no_refusal(world):
    """No verdict: the canary will tell."""
    begin_labelled(world, f"{PROFILE} (enforce)", "a")
    world.do("transient-script", steps=[{}, {"output": f'error=there is no AppArmor profile "{PROFILE}"\n'}])
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    assert tries(world) == [False, True] and world.said(f"Cannot .* under AppArmor profile {PROFILE}: there is no")


def test_preflight_for_which_systemd_is_short_of_resources_is_no_refusal(world):
    begin(world, "a", "b", rollout="settle = 0; canary = 0; };\nsample = { interval = 1;")
    world.do("transient-script", steps=[{"output": "resources"}, {"error": "org.freedesktop.DBus.Error.NoMemory"}])
    world.start()
    world.wait_said("Allocator jemalloc could not be tested yet: the preflight could not be started: systemd is short")
    wait_until(lambda: world.property("Rollout") == "idle", "its end")
    assert set(world.states().values()) == {"pending"}
    world.wait_said("Rollout 3 finished: 2 done, 0 failed")
    assert len(world.do("look")["argvs"]) == 2 and not world.said("is refused")
    assert world.said("Rollout 1 finished: 0 done, 0 failed, 2 skipped")
    assert [restarts(world, r) for r in "ab"] == [(1, 0)] * 2


@pytest.mark.parametrize("end, words", [("oom-kill", "was killed from outside"), ("killed", "was killed from outside"),
                                        ("timeout", "did not finish in time")])
def test_preflight_that_the_host_cuts_short_is_no_refusal(world, end, words):
    begin(world, "a", "b", rollout="settle = 0; canary = 0; };\nsample = { interval = 1;")
    world.do("transient-script", steps=[{"output": end}])
    world.start()
    world.wait_said(f"Allocator jemalloc could not be tested yet: the preflight {words}")
    world.wait_said("Rollout 2 finished: 2 done, 0 failed")
    assert not world.said("is refused") and [restarts(world, r) for r in "ab"] == [(1, 0)] * 2


def test_refusal_of_the_sandbox_is_the_last_word(world):
    """That the profile would allow it does not make up for that."""
    begin_labelled(world, f"{PROFILE} (enforce)", "a", "b")
    world.do("hide-preload", value=True)
    world.do("transient-script", steps=[{}, {"output": "confined=\nloadable=yes\n"}])
    world.start()
    world.wait_said("Rollout 1 finished: 0 done, 2 failed")
    assert tries(world) == [False] and world.said("Allocator jemalloc is refused")
    assert [restarts(world, r) for r in "ab"] == [(0, 0)] * 2


def test_relay_that_nothing_confines(world):
    begin_labelled(world, "unconfined", "a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    assert tries(world) == [False]
    wait_until(lambda: world.states() == {"a": "ok"}, "its state")


@pytest.mark.slow
def test_preflight_that_systemd_does_not_begin_in_time_is_tried_again(world):
    """systemd reads all its files for others, say, and answers nobody meanwhile: that is no fault of the library."""
    begin(world, "a")
    sampling(world, 1)
    world.do("transient-script", steps=[{"delay": 70}])
    world.start()
    world.wait_said("Allocator jemalloc (could not be tested yet|is refused)", timeout=90)
    world.wait_said("finished: 1 done, 0 failed", timeout=30)
    assert not world.said("is refused") and restarts(world, "a") == (1, 0)
