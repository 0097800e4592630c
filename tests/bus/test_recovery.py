"""What a lost bus and a refused preflight must not lead to."""
import subprocess

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


def test_way_back_survives_a_crash_while_a_process_is_too_young_to_be_judged(world):
    """It was told to load the library and has not, which counts after three seconds. The daemon ends before."""
    begin(world, "a")
    deaf = str(world.path / "deaf")
    subprocess.run(["cc", "-static", "-x", "c", "-o", deaf, "-"], input="#include <unistd.h>\nint main(void) { return pause(); }\n",
                   text=True, check=True)
    world.script("a", *[{"program": [deaf]}] * 2)
    before = world.unit("a")["pid"]
    world.start()
    wait_until(lambda: world.unit("a")["pid"] not in (0, before), "the new process")
    world.stop(9)
    world.start()
    world.wait_said("Rollout 2 halted: 0 done, 1 failed")
    assert restarts(world, "a") == (2, 1)
    assert world.said("a was put back and runs as before") and world.dropin("a") is None
