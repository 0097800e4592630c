"""relayallocctl doctor --self-test: each allocator in the sandboxes of the relays, a plan, and nobody is restarted."""
import json
import os
import re
import shutil
import subprocess

import pytest

from conftest import BUILD
from test_jobs import LIBRARY, begin, restarts
from test_preflight import PROFILE, begin_labelled, tries
from test_sandboxes import give

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="starts units, as root alone may")


def self_test(world, *options, first=(), build=BUILD):
    environment = {"PATH": os.environ["PATH"], "DBUS_SYSTEM_BUS_ADDRESS": world.address, "LANG": "C.UTF-8",
                   "RELAYALLOC_DROPIN_ROOT": str(world.root), "RELAYALLOC_STATE_DIR": str(world.state), **world.environment}
    done = subprocess.run([*first, build / "relayallocctl", f"--config={world.config}", *options, "doctor", "--self-test"], text=True,
                          capture_output=True, env=environment, timeout=180)
    return done.returncode, done.stdout, done.stderr


def rows(world):
    status, out, _ = self_test(world, "--json=short")
    return status, {row["allocator"]: row for row in json.loads(out)}


def untouched(world):
    """Nobody was restarted, nothing was written or reloaded, no unit of a preflight is left."""
    look = world.do("look")
    return look["kept"] == [] and look["reloads"] == 0 and all(
        restarts(world, r) == (0, 0) and world.dropin(r) is None for r in world.relays)


@as_root
def test_every_allocator_in_a_sandbox_and_a_plan(world):
    begin(world, "a", "b")
    status, out, err = self_test(world)
    assert (status, err) == (0, "")
    assert re.search(r"^jemalloc +works +works +5\.\S+ +/\S+libjemalloc\.so\.2", out, re.M)
    assert re.search(r"^glibc +works +- ", out, re.M), "what preloads nothing needs no sandbox"
    assert "In the relays' sandboxes (1) 0 refused. Nothing was changed, and no relay was restarted." in out
    # the plan, as plan prints it
    assert re.search(rf"The plan for {world.config}:\n.*\n +1 a +restart +A +jemalloc", out)
    assert "2 relays to be restarted, in 2 waves" in out
    preloads = [e["LD_PRELOAD"] for e in world.do("look")["environments"]]
    assert any(LIBRARY in p for p in preloads) and len(preloads) == len(re.findall(r"^\S+ +works +works ", out, re.M))
    assert untouched(world)


@as_root
def test_other_sandboxes_are_tested_with_what_is_assigned_there(world):
    begin(world, "a", "b", "c")
    give(world, "b", "/srv/tor/b")
    give(world, "c", "/srv/tor/b")
    world.do("break-sandboxes", value={"/srv/tor/b": 226})
    status, out, _ = self_test(world)
    assert status == 1, "a group uses it"
    assert re.search(r"^jemalloc +works +refused .*sandbox of tor@b\.service \(226/NAMESPACE\)", out, re.M)
    assert len(re.findall(r"^\S+ +\S+ +refused ", out, re.M)) == 1 and "In the relays' sandboxes (2) 1 refused." in out
    tried = [e["LD_PRELOAD"] for e in world.do("look")["environments"] if LIBRARY in e["LD_PRELOAD"]]
    built_in = re.findall(r"^jemalloc\S* +works ", out, re.M)
    assert len(built_in) > 1 and len(tried) == len(built_in) + 1, \
        "the built-in ones in the first, the assigned one in the other; c has the sandbox of b"
    assert untouched(world)


@as_root
def test_confined_relay(world):
    begin_labelled(world, f"{PROFILE} (enforce)", "a")
    world.write_config('{ name = "A"; allocator = "glibc"; relays = [ "*" ]; }')
    world.do("transient-script", steps=[{}, {"output": "confined=\nloadable=no\nerror=Permission denied\n"}])
    status, allocators = rows(world)
    assert tries(world)[:2] == [False, True]
    refused = [a for a in allocators.values() if a["sandbox"] == "refused"]
    assert len(refused) == 1 and PROFILE in refused[0]["reason"]
    assert status == 0, "no group uses it"


@as_root
def test_what_cannot_be_tested_is_said(world):
    begin(world, "a")
    world.do("transient-script", steps=[{"output": "resources"}])
    _, allocators = rows(world)
    untested = [a for a in allocators.values() if a["sandbox"] == "not tested"]
    assert len(untested) == 1 and "short of resources" in untested[0]["reason"]
    world.write_config("")
    world.do("remove", unit="tor@a.service")
    world.remove_instance("a")
    status, out, _ = self_test(world)
    assert status == 0 and "The relays' sandboxes were not tested: there is no relay." in out
    assert "Nothing to do" in out


@as_root
def test_user_is_told_what_needs_root(world):
    begin(world, "a")
    world.path.chmod(0o755)
    build = world.path / "build"  # the other one may be in root's own home
    build.mkdir()
    for program in ("relayallocctl", "relayalloc-probe"):
        shutil.copy(BUILD / program, build)
    status, out, err = self_test(world, first=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"], build=build)
    assert status == 0, out + err
    assert re.search(r"^jemalloc +works +- ", out, re.M)
    assert "The relays' sandboxes were not tested: only root may start them there; try again as root." in out
    assert f"The plan for {world.config}" in out and world.do("look")["transients"] == []
