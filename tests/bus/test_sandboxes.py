"""The preflight in relays' own sandboxes: who is refused, who is moved, and what is said of it."""
from conftest import wait_until
from test_jobs import LIBRARY, begin, restarts


def give(world, relay, *paths):
    """The relay's own ReadWritePaths=."""
    world.do("set", unit=f"tor@{relay}.service", values={"read_write": list(paths)})


def test_broken_sandbox_of_one_relay_refuses_that_relay_alone(world):
    begin(world, "a", "b", "c", "d", rollout="settle = 0; canary = 1; parallel = 2;")
    give(world, "a", "/srv/tor/a")
    world.do("break-sandboxes", value={"/srv/tor/a": 226})
    world.start()
    world.wait_said("Rollout 1 finished: 3 done, 1 failed")
    assert world.said(r"a is not moved to jemalloc, and not touched: systemd cannot set up the sandbox of tor@a\.service "
                      r"\(226/NAMESPACE\)")
    assert not world.said("Allocator jemalloc is refused")
    assert restarts(world, "a") == (0, 0) and world.dropin("a") is None
    assert [world.runs(r, LIBRARY) for r in "abcd"] == [False, True, True, True]
    assert world.states() == {"a": "failed", "b": "ok", "c": "ok", "d": "ok"}
    assert "226/NAMESPACE" in world.reason("a") and "failed before" not in world.reason("a")
    assert world.do("look")["kept"] == [], "nothing of the preflights is left over"


def test_refused_relay_is_looked_at_again_at_a_reload(world):
    begin(world, "a", "b")
    give(world, "a", "/srv/tor/a")
    world.do("break-sandboxes", value={"/srv/tor/a": 226})
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 1 failed")
    world.manager("Verify")
    assert world.property("RolloutID") == 1, "not tried again by itself"
    tried = len(world.do("look")["transients"])
    world.manager("Reload")
    world.wait_said("Rollout 2 finished: 0 done, 1 failed")
    assert len(world.do("look")["transients"]) == tried + 1
    world.do("break-sandboxes", value={})
    world.manager("Reload")
    world.wait_said("Rollout 3 finished: 1 done, 0 failed")
    assert world.states() == {"a": "ok", "b": "ok"} and restarts(world, "a") == (1, 0)


def test_program_that_the_sandbox_does_not_let_run(world):
    begin(world, "a", "b")
    give(world, "a", "/")
    world.do("break-sandboxes", value={"/": 203})
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 1 failed")
    assert "203/EXEC" in world.reason("a")
    assert "ExecPaths=" in world.reason("a") and "relayalloc-probe in a drop-in" in world.reason("a")


def test_relays_of_one_sandbox_are_refused_together(world):
    begin(world, "a", "b", "c", "d")
    for relay in "ab":
        give(world, relay, "/srv/tor")
    world.do("break-sandboxes", value={"/srv/tor": 226})
    world.start()
    world.wait_said("Rollout 1 finished: 2 done, 2 failed")
    assert world.said("a and 1 more with the same sandbox are not moved to jemalloc, and not touched: ")
    assert len(world.do("look")["transients"]) == 2
    for relay in "ab":
        assert restarts(world, relay) == (0, 0) and "226/NAMESPACE" in world.reason(relay)


def test_allocator_that_works_in_no_sandbox_is_refused_itself(world):
    begin(world, "a", "b")
    give(world, "a", "/srv/tor/a")
    world.do("hide-preload", value=True)
    world.start()
    world.wait_said("Rollout 1 finished: 0 done, 2 failed")
    assert world.said("a is not moved to jemalloc, and not touched: ")
    assert world.said("Allocator jemalloc is refused before any relay is restarted: ")
    assert [restarts(world, r) for r in "ab"] == [(0, 0)] * 2


def test_relay_that_joins_with_a_broken_sandbox_does_not_condemn_the_allocator(world):
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    world.add_instance("b")
    world.do("break-sandboxes", value={"": 226})
    world.do("add", unit="tor@b.service")
    world.wait_said("Rollout 2 finished: 0 done, 1 failed")
    assert not world.said("Allocator jemalloc is refused")
    wait_until(lambda: world.states() == {"a": "ok", "b": "failed"}, "b alone is refused")
