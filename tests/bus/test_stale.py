"""What is said of a file that was deleted or written since: verify looks again at everything it speaks of."""
import re
import shutil

from conftest import wait_until
from test_jobs import LIBRARY, begin, restarts
from test_libraries import configure, installed
from test_others import foreign

TCMALLOC = "/usr/lib/libtcmalloc.so.4"


def verified(world, relay):
    """Its state and reason by one call of Verify, as the verb prints them."""
    return next((str(r[1]), str(r[2])) for r in world.manager("Verify") if r[0] == relay)


def with_own_library(world, *relays):
    inside, outside = world.own_folder()
    shutil.copy2(installed("libjemalloc.so.2"), outside / "libown.so")
    configure(world, inside / "libown.so", "*")
    world.start_fake(*relays)
    world.start()
    return outside / "libown.so"


def test_library_that_was_removed_is_missing_at_once(world):
    library = with_own_library(world, "a")
    world.wait_said("Rollout 1 finished: 1 done")
    library.unlink()
    state, reason = verified(world, "a")
    assert state == "drifted" and re.search("is missing now|does not exist", reason) and "replaced" not in reason


def test_library_that_was_removed_during_a_rollout(world):
    """The rollout keeps the configuration that it began with, and what it knew of its libraries."""
    library = with_own_library(world, "a", "b")
    world.wait_said("Rollout 1 finished: 2 done")
    world.write_config(f'{{ name = "A"; allocator = "own"; relays = [ "a" ]; }}, {{ name = "B"; allocator = "jemalloc"; relays = [ "b" ]; }}',
                       rollout="settle = 60;")
    with world.config.open("a") as f:
        f.write('allocators = { own = { library = "/mnt/libown.so"; }; };\n')
    world.manager("Reload")
    wait_until(lambda: world.states().get("b") == "settling", "a rollout to be in progress")
    library.unlink()
    state, reason = verified(world, "a")
    assert state == "drifted" and re.search("is missing now|does not exist", reason) and "replaced" not in reason


def test_foreign_file_that_was_deleted_is_not_named(world):
    """systemd has not been told to reload: so it is our reload that ends it, with one restart."""
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    other = foreign(world, "a", "zzz-site.conf", "Environment=LD_PRELOAD=" + TCMALLOC)
    world.do("daemon-reload")
    world.do("restart-by-hand", unit="tor@a.service")
    wait_until(lambda: world.states() == {"a": "drifted"}, "it to be overridden")
    state, reason = verified(world, "a")
    assert state == "drifted" and "is overridden by" in reason and restarts(world, "a") == (1, 0)
    other.unlink()
    state, reason = verified(world, "a")
    assert "is overridden by" not in reason and "zzz-site.conf is deleted, but systemd has not reloaded since" in reason, reason
    world.wait_said("Rollout 2 finished: 1 done, 0 failed")
    assert world.runs("a", LIBRARY) and restarts(world, "a") == (2, 0) and verified(world, "a") == ("ok", "")


def test_drop_in_that_was_just_written_is_written(world):
    """It waits for systemd's reload, which takes long."""
    begin(world, "a")
    world.do("reload-script", steps=[{"delay": 2}])
    world.start()
    wait_until(lambda: world.dropin("a"), "it to be written")
    assert "systemd has not loaded the drop-in yet" in world.reason("a"), world.reason("a")
    assert "systemd has not loaded the drop-in yet" in verified(world, "a")[1]
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
