"""adopt: what relays run by their operator's own files, described so that the daemon restarts nobody."""
import os
import subprocess

import dbus

from conftest import BUILD, wait_until
from test_jobs import begin, restarts, stop_relay
from test_others import TCMALLOC, foreign, jemalloc_path


def adopt(world):
    world.write_config("", "")
    done = subprocess.run([BUILD / "relayallocctl", f"--config={world.config}", "adopt"], text=True, capture_output=True,
                          env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": world.address, "RELAYALLOC_DROPIN_ROOT": str(world.root),
                               "RELAYALLOC_STATE_DIR": str(world.state)})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_adopted_is_restarted_nowhere(world):
    path = jemalloc_path(world)
    foreign(world, "a", "override.conf", f'Environment="LD_PRELOAD={path}"')
    foreign(world, "b", "allocator.conf", f"Environment=LD_PRELOAD={path}\nEnvironment=MALLOC_CONF=narenas:2")
    foreign(world, "c", "zzz-site.conf", "Environment=LD_PRELOAD=" + TCMALLOC)
    foreign(world, "d", "override.conf", "Environment=LD_PRELOAD=/no/libjemaloc.so.2")
    world.start_fake("a", "b", "c", "d", "e")
    text = adopt(world)
    assert "override.conf sets LD_PRELOAD: our drop-in overrides it, so you can remove it" in text
    assert "zzz-site.conf sets LD_PRELOAD and is read after our drop-in: remove it before" in text
    assert "d: its LD_PRELOAD names /no/libjemaloc.so.2, which it has not loaded: it runs glibc" in text
    assert 'MALLOC_CONF = "narenas:2"' in text and 'relays = [ "a" ]' in text and '"e"' in text
    world.config.write_text(f'instances_dir = "{world.instances}";\n{text}rollout = {{ settle = 0; canary = 0; }};\n')
    world.start()
    world.wait_ready()
    wait_until(lambda: [world.states().get(r) for r in "abe"] == ["ok"] * 3, "those that are described to be ok")
    wait_until(lambda: world.dropin("a") and world.dropin("b") and world.property("Rollout") == "idle", "the drop-ins")
    assert [restarts(world, r) for r in "abcde"] == [(0, 0)] * 5
    assert world.runs("a", "libjemalloc") and world.runs("c", "tcmalloc")
    if world.states()["d"] == "observed":
        assert "its LD_PRELOAD names /no/libjemaloc.so.2, which it has not loaded" in world.reason("d")


def test_a_restart_that_was_requested_is_no_doing_of_the_file(world):
    """Who waits for one is described like the others: left out, it would lose our drop-in and be restarted for that."""
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done")
    world.manager("Pause")
    assert world.manager("Restart", dbus.Array(["a"], signature="s")) == 1
    wait_until(lambda: world.states() == {"a": "pending", "b": "ok"}, "the request to be planned")
    text = adopt(world)
    assert 'relays = [ "a", "b" ]' in text and "requested" not in text, text


def test_a_stopped_relay_that_has_our_file_is_told_to_lose_it(world):
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done")
    stop_relay(world, "b")
    world.stop()
    text = adopt(world)
    told = " ".join(text.replace("#", " ").split())
    assert "In no group: b: it is not up, and without a group it loses our drop-in" in told, text
    world.config.write_text(f'instances_dir = "{world.instances}";\n{text}')
    world.start()
    wait_until(lambda: world.dropin("b") is None, "that to be so")
    assert world.dropin("a") is not None and restarts(world, "a") == (1, 0)
