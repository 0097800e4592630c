"""What a lost bus and a refused preflight must not lead to."""
from conftest import wait_until
from test_jobs import GROUP, LIBRARY, begin, restarts

def test_bus_dies_in_mid_restart(world):
    begin(world, "a", "b")
    world.script("a", {"delay": 1})
    world.start()
    world.wait_said("a: restarting")
    world.bus_process.kill()
    world.bus_process.wait()
    world.wait_said("Lost the connection to the system bus")
    world.fake.terminate()
    world.fake.wait()
    (world.path / "bus").unlink(missing_ok=True)
    world.start_bus()
    world.start_fake("a", "b")
    wait_until(lambda: world.states() == {"a": "ok", "b": "ok"}, "all ok again", 30)
    assert not world.said("could not be moved")


def test_preflight_refusal_is_not_tried_in_a_loop(world):
    begin(world, "a", "b")
    world.do("hide-preload", value=True)
    world.start()
    world.wait_said("Rollout 1 finished: 0 done, 2 failed")
    wait_until(lambda: set(world.states().values()) == {"drifted"}, "states")
    world.manager("Verify")
    assert world.property("RolloutID") == 1
    world.do("hide-preload", value=False)
    world.manager("Reload")
    world.wait_said("Rollout 2 finished: 2 done, 0 failed")
