"""What a plan announces is what happens, and what the command line says without the daemon is what the daemon says."""
import json
import os
import random
import re
import shutil
import subprocess
import time

import dbus
import pytest

from conftest import BUILD, wait_until
from test_jobs import GROUP, LIBRARY, begin, restarts
from test_once import stays


def ctl(world, *arguments, fine=(0, 3)):
    env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "DBUS_SYSTEM_BUS_ADDRESS": world.address,
           "RELAYALLOC_DROPIN_ROOT": str(world.root), "RELAYALLOC_STATE_DIR": str(world.state),
           "ASAN_OPTIONS": "detect_leaks=1"}
    done = subprocess.run([BUILD / "relayallocctl", f"--config={world.config}", "--json=short", *map(str, arguments)],
                          env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode in fine, done.stderr
    return json.loads(done.stdout)


def planned(world, *file):
    return {row["relay"]: row["action"] for row in ctl(world, "plan", *file)}


def draft(world, groups, rollout="settle = 0; canary = 0;", more=""):
    path = world.config.with_suffix(".draft")
    path.write_text(f'instances_dir = "{world.instances}";\n{more}groups = ({groups});\nrollout = {{ {rollout} }};\n')
    return path


def listed(world):
    """As the command line says without the daemon, but what it cannot know."""
    return {row["relay"]: row["state"] for row in ctl(world, "list")}


def default_unit(world, **values):
    """tor@default.service as Debian ships it: a unit file that nobody runs."""
    world.do("add", unit="tor@default.service",
             values={"active": "inactive", "sub": "dead", "file_only": True, "invocation": "", **values})



def test_unit_that_is_no_relay_adds_nothing_to_how_many_may_be_down(world):
    world.start_fake("a", "b", "c")
    default_unit(world)
    world.write_config(GROUP, rollout='settle = 0; canary = 0; parallel = "50%";')
    assert {row["wave"] for row in ctl(world, "plan")} == {1, 2, 3}
    world.start()
    world.wait_said("Rollout 1: 3 relays, 1 at a time")
    world.wait_said("Rollout 1 finished: 3 done, 0 failed")


def test_unit_that_never_ran_takes_no_place(world):
    world.write_config('')
    world.start_fake(*[f"relay{i}" for i in range(1, 7)])
    default_unit(world)
    groups = '{ name = "A"; allocator = "jemalloc"; size = 3; seed = "a"; }'
    expected = dict.fromkeys(["relay3", "relay5", "relay6"], "restart")
    assert planned(world, draft(world, groups)) == expected
    world.write_config(groups)
    assert planned(world) == expected, "without the daemon"
    world.start()
    world.wait_said("Rollout 1 finished: 3 done")
    assert {r for r in world.relays if world.runs(r, LIBRARY)} == set(expected)


def test_masked_unit_with_our_dropin_takes_no_place(world):
    begin(world, "a", "b")
    default_unit(world, load_state="masked")
    directory = world.root / "tor@default.service.d"
    directory.mkdir()
    (directory / "zz-relayalloc.conf").write_text("# relayalloc: written from /etc/relayalloc.conf\n[Service]\n")
    file = draft(world, '{ name = "A"; allocator = "jemalloc"; size = 2; }')
    assert planned(world, file) == {"a": "restart", "b": "restart"}
    os.rename(file, world.config)
    world.start()
    world.wait_said("Rollout 1 finished")
    assert world.runs("a", LIBRARY) and world.runs("b", LIBRARY)


def test_revert_is_remembered_by_the_text_of_the_file(world):
    """And not by its time: who touches the file changes nothing."""
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done")
    world.manager("Revert", ["a"])
    world.wait_said("Rollout 2 finished: 1 done")
    assert world.states() == {"a": "reverted", "b": "ok"}
    world.stop()
    os.utime(world.config)
    assert listed(world) == {"a": "reverted", "b": "ok"}
    assert planned(world) == {}


def test_failed_move_to_glibc_is_remembered(world):
    """An allocator without a library has a build, too."""
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    world.script("a", {"result": "failed", "then": "failed"})
    world.write_config('{ name = "A"; allocator = "glibc"; relays = [ "*" ]; }')
    world.manager("Reload")
    world.wait_said("Rollout 2 halted")
    assert world.states() == {"a": "failed"}
    world.stop()
    assert listed(world) == {"a": "failed"} and planned(world) == {"a": "refused"}


def test_failed_removal_is_remembered(world):
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    world.script("a", {"result": "failed", "then": "failed"})
    world.manager("Revert", ["a"])
    world.wait_said("a could not be moved")
    wait_until(lambda: world.states() == {"a": "failed"}, "the state")
    world.stop()
    assert listed(world) == {"a": "failed"} and planned(world) == {"a": "refused"}


def test_relay_in_transition_is_planned_for_by_nobody(world):
    begin(world, "a", "b")
    world.do("set", unit="tor@a.service", values={"active": "activating", "sub": "auto-restart", "result": "exit-code"})
    assert planned(world) == {"b": "restart"}


def test_foreign_file_of_an_unassigned_relay_is_nobodys_business(world):
    begin(world, "a", "b")
    directory = world.root / "tor@a.service.d"
    directory.mkdir()
    (directory / "zz-relayalloc.conf").write_text("[Service]\nEnvironment=A=1\n")
    world.write_config('{ name = "A"; allocator = "jemalloc"; relays = [ "b" ]; }')
    assert planned(world) == {"b": "restart"}
    world.write_config(GROUP)
    assert planned(world) == {"a": "refused", "b": "restart"}


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_systemd_gives_to_all_services_is_nobodys_leftover(world, when):
    """systemctl set-environment, or DefaultEnvironment= and a daemon-reexec, before the daemon starts or while it runs."""
    begin(world, "a", "b")
    if when == "before":
        world.do("set-environment", environment=["MALLOC_ARENA_MAX=2"])
        assert planned(world) == {"a": "restart", "b": "restart"}
    else:
        world.write_config("")
    world.start()
    world.wait_ready()
    if when == "after":
        world.do("set-environment", environment=["MALLOC_ARENA_MAX=2"])
        world.write_config(GROUP)
        world.manager("Reload")
    world.wait_said("Rollout 1 (finished|halted)")
    assert world.said("Rollout 1 finished: 2 done, 0 failed")
    assert set(world.states().values()) == {"ok"}
    assert [restarts(world, r) for r in world.relays] == [(1, 0), (1, 0)]
    world.stop()
    assert set(listed(world).values()) == {"ok"} and planned(world) == {}


@pytest.mark.parametrize("delay", [0, 0.5])
def test_what_systemd_gives_to_all_services_since_a_moment_is_no_leftover_either(world, delay):
    """systemctl set-environment is announced to nobody, and then somebody restarts the relay."""
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    world.do("set-environment", environment=["MALLOC_ARENA_MAX=2"], delay=delay)
    world.do("restart-by-hand", unit="tor@a.service")
    wait_until(lambda: len(re.findall("a runs jemalloc .*group A, proved", world.text())) == 2, "its new process to be proved")
    stays(world, lambda: restarts(world, "a") == (1, 0), 3)
    # (If the answer comes after the proof, a rollout begins, and finds before the restart that there is none to be done.)
    assert world.states() == {"a": "ok"} and world.property("RolloutID") <= 2


def host_settings(world, fine=(0, 3)):
    return ctl(world, "status", fine=fine)["host_settings"]


def doctors_settings(world):
    return [f["what"] for f in ctl(world, "doctor", fine=(0, 1)) if f["finding"] == "host-environment"]


def test_settings_of_the_host_are_named(world):
    """What systemd gives to every service and an allocator reads: in status and doctor, with and without the daemon."""
    settings = ["MALLOC_CONF=narenas:1", "MALLOC_ARENA_MAX=2"]
    advised = [f"systemd gives {setting} to every service" for setting in settings]
    begin(world, "a")
    world.do("set-environment", environment=["LANG=C", *settings, "LD_PRELOAD="])
    assert host_settings(world, fine=[1]) == settings and doctors_settings(world) == advised
    world.start()
    world.wait_ready()
    assert host_settings(world) == settings and doctors_settings(world) == advised
    world.do("set-environment", environment=["GLIBC_TUNABLES=glibc.malloc.arena_max=1"])
    world.manager("Reload")
    wait_until(lambda: host_settings(world) == ["GLIBC_TUNABLES=glibc.malloc.arena_max=1"], "the new one")
    world.do("set-environment", environment=[])
    world.manager("Reload")
    wait_until(lambda: host_settings(world) == [], "none any more")
    world.stop()
    assert host_settings(world, fine=[1]) == [] and doctors_settings(world) == []


# ---- any file, any fleet ----

ALLOCATORS = ["glibc", "jemalloc", "jemalloc-tuned", "glibc-tuned"]
NOT_HERE = 'allocators = { not-here = { library = "libnothere.so.1"; }; };\n'  # refused


def some_names(rng, names, most):
    return "[ %s ]" % ", ".join(f'"{n}"' for n in rng.sample(names, rng.randint(1, most)))


def some_groups(rng, relays):
    groups = []
    for name in "ABC"[:rng.randint(0, 3)]:
        allocator = "not-here" if rng.random() < 0.1 else rng.choice(ALLOCATORS)
        group = f'name = "{name}"; allocator = "{allocator}";'
        if rng.random() < 0.6:
            group += " relays = %s;" % some_names(rng, [*relays, "default", "r*", "*"], 3)
            if rng.random() < 0.3:
                group += " except = %s;" % some_names(rng, [*relays, "default", "r[12]"], 2)
            group += rng.choice(["", "", " size = 2;", " share = 50;"])
        else:
            group += rng.choice([" size = 2;", " share = 50;", " size = 1; seed = \"x\";"])
        if ("size" in group or "share" in group) and rng.random() < 0.4:
            group += " hold = true;"
        groups.append("{ %s }" % group)
    return ", ".join(groups)


def some_fleet(rng, world):
    relays = [f"r{i}" for i in range(1, rng.randint(3, 6))]
    world.start_fake(*relays)
    if rng.random() < 0.7:
        default_unit(world, load_state=rng.choice(["loaded", "masked"]))
    for relay in relays:
        if rng.random() < 0.25:
            world.do("stop", unit=f"tor@{relay}.service")
        if rng.random() < 0.1:  # somebody else's file has our name
            directory = world.root / f"tor@{relay}.service.d"
            directory.mkdir()
            (directory / "zz-relayalloc.conf").write_text("[Service]\nEnvironment=A=1\n")
    return relays


def snapshot(world, relays):
    units = world.do("look")["units"]
    return {r: (units[f"tor@{r}.service"]["restarts"] + units[f"tor@{r}.service"]["starts"], world.dropin(r))
            for r in relays if f"tor@{r}.service" in units}


def what_happened(before, after):
    happened = {}
    for relay, (count, text) in after.items():
        if count != before[relay][0]:
            happened[relay] = "restart"
        elif text != before[relay][1]:
            happened[relay] = "write" if text else "remove"
    return happened


def settled(world):
    """Nothing is in progress, and nothing is about to start: a relay that is just being restarted is in no plan."""
    rollouts = world.property("RolloutID")
    quiet = world.property("Rollout") == "halted" or (
        world.property("Rollout") == "idle" and all(row[2] == "refused" for row in world.manager("Plan")))
    return quiet and world.property("Rollout") in ("idle", "halted") and world.property("RolloutID") == rollouts


@pytest.mark.parametrize("seed", range(int(os.environ.get("PLANS", "24"))))
def test_plan_of_a_file_is_what_the_daemon_does(world, seed):
    rng = random.Random(seed)
    world.write_config("")
    relays = some_fleet(rng, world)
    everybody = [*relays, "default"]
    os.rename(draft(world, some_groups(rng, relays), more=NOT_HERE), world.config)
    if rng.random() < 0.3:  # somebody fails in the first rollout: remembered, and put back
        world.script(rng.choice(relays), {"result": "failed", "then": "failed"})
    world.start()
    world.wait_ready()
    wait_until(lambda: settled(world), "the first rollout to end", 60)
    if rng.random() < 0.4:
        reverted = rng.sample(relays, rng.randint(1, 2))
        world.manager("Revert", reverted)
        wait_until(lambda: settled(world) and not any(row[1] in reverted for row in world.manager("Plan")),
                   "the revert to end", 60)
    world.do("forget-scripts")
    halted = world.property("Rollout") == "halted"
    text = world.config.read_text() if rng.random() < 0.2 else None
    file = draft(world, some_groups(rng, relays), more=NOT_HERE)
    if text:
        file.write_text(text)
    if rng.random() < 0.5:
        world.stop()
        announced = planned(world, file)
        before = snapshot(world, everybody)
        os.rename(file, world.config)
        assert planned(world) == announced, "in its place"
        world.start()
        world.wait_ready(2)
    else:
        announced = planned(world, file)
        before = snapshot(world, everybody)
        os.rename(file, world.config)
        world.manager("Reload")
    wait_until(lambda: settled(world), "the rollout to end", 60)
    expected = {r: a for r, a in announced.items() if a != "refused"}
    if text and halted:
        assert world.property("Rollout") == "halted"  # the same file again lifts no halt
    if world.property("Rollout") == "halted":  # nor does one that changes nothing of what failed
        expected = {}
    assert what_happened(before, snapshot(world, everybody)) == expected
    time.sleep(0.2)  # the daemon gathers changes for a moment before it plans
    states = world.states()
    refused = {str(row[1]): str(row[2]) for row in world.manager("Plan")}
    world.stop()
    assert planned(world) == refused
    assert text or refused == {r: a for r, a in announced.items() if a == "refused"}
    assert listed(world) == states


# ---- sized groups when relays join ----

FIRST, LATER = [f"r{i}" for i in range(1, 7)], [f"r{i}" for i in range(7, 25)]


def eighteen_join(world, hold):
    """Six relays have settled in two groups of three; nothing is done yet, for a pause."""
    world.write_config('{ name = "A"; allocator = "jemalloc"; size = 3; %s }, { name = "B"; allocator = "mimalloc"; size = 3; %s }'
                       % (hold, hold))
    world.start_fake(*FIRST)
    world.start()
    world.wait_said("Rollout 1 finished: 6 done, 0 failed")
    world.manager("Pause")
    for relay in LATER:
        world.do("add", unit=f"tor@{relay}.service")
        world.add_instance(relay)
    wait_until(lambda: len(world.states()) == 24 and set(world.states()) >= set(LATER), "them to be seen")


def test_redraw_is_told_before_it_happens(world):
    eighteen_join(world, "")
    told = r"groups\[[01]\].size: group [AB] gives up \d relays? that it has \(r\d.*hold = true"
    world.wait_said(told)
    assert re.search(told, world.property("ConfigWarnings"))
    assert all(world.dropin(relay) for relay in FIRST)
    world.manager("Resume")
    wait_until(lambda: set(world.states().values()) <= {"ok", "observed"}, "the redraw", 60)
    wait_until(lambda: "gives up" not in world.property("ConfigWarnings"), "nothing more to tell")


def test_redraw_is_declined_by_hold(world):
    eighteen_join(world, "hold = true;")
    before = {relay: world.dropin(relay) for relay in FIRST}
    world.manager("Resume")
    wait_until(lambda: set(world.states().values()) == {"ok", "observed"}, "them to be left alone")
    assert {relay: world.dropin(relay) for relay in FIRST} == before and not world.said("gives up|Rollout 2")


def test_relay2_comes_before_relay10(world):
    """Everywhere, with and without the daemon; a relay that appears takes its place."""
    names = ["relay1", "relay2", "relay9", "relay10", "relay11", "relay100"]
    world.start_fake(*sorted(set(names) - {"relay9"}))
    world.write_config("")
    world.start()
    world.wait_ready()
    world.add_instance("relay9")
    wait_until(lambda: [str(row[0]) for row in world.manager("ListRelays")] == names, "the relays in order")
    file = draft(world, GROUP)
    running = [name for name in names if name != "relay9"]
    assert [row["relay"] for row in ctl(world, "plan", file)] == running
    assert [str(row[0]) for row in world.manager("Verify")] == names
    assert str(world.manager("GetRelay", "relay10")).endswith("relay10")
    shutil.copy(file, world.config)
    world.wait_said("Rollout 1 finished: 5 done, 0 failed")
    assert re.findall(r"^(\w+): restarting for jemalloc", world.text(), re.M) == running
    world.stop()
    assert [row["relay"] for row in ctl(world, "list")] == names


def test_an_experiment_says_whom_it_leaves_to_glibc(world):
    """Whom a group held before and none of the experiment's does: in the plan's own sentence, before the question."""
    relays = [f"relay{i}" for i in range(1, 7)]
    begin(world, *relays)
    world.start()
    world.wait_said("Rollout 1 finished: 6 done")
    table = world.path / "samples.csv"
    table.write_text("timestamp,server,type,fingerprint,nickname,group,rss_kb,vmsize_kb,hwm_kb,frag_ratio,count,total_kb,avg_kb,min_kb,max_kb\n"
                     + "".join(f"2026-01-01T00:00:00,co,relay,,{r},,{20000 + i},40000,20000,2.0,,,,,\n" for i, r in enumerate(relays)))

    def begin_experiment(size, *more):
        env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TMPDIR": str(world.path), "DBUS_SYSTEM_BUS_ADDRESS": world.address,
               "RELAYALLOC_DROPIN_ROOT": str(world.root), "RELAYALLOC_STATE_DIR": str(world.state), "ASAN_OPTIONS": "detect_leaks=1"}
        done = subprocess.run([BUILD / "relayallocctl", f"--config={world.config}", "experiment", "start", f"--file={table}",
                               "--groups=A:jemalloc,Z:glibc", f"--size={size}", "--seed=1", *more], env=env, input="",
                              capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr

    said = begin_experiment(2)
    assert "[y/N]" in said and "nothing was changed" in said, said
    names = re.search(r"^2 relays go back to glibc: (relay\d), (relay\d)\.$", said, re.M)
    assert names, said
    assert "go back to glibc" not in begin_experiment(3), "every relay has a group"
    begin_experiment(2, "--yes")
    world.wait_said("Rollout 2 finished: 4 done")  # they, and the control
    assert {r for r, state in world.states().items() if state == "observed"} == set(names.groups())
    assert not any(world.runs(r, LIBRARY) for r in names.groups())


@pytest.mark.parametrize("names", [["r1"], []], ids=["one", "all"])
def test_revert_gives_the_place_to_nobody(world, names):
    """Its file goes, and with it all that says that it holds a place, but the request itself."""
    world.write_config('{ name = "A"; allocator = "jemalloc"; size = 1; hold = true; }')
    world.start_fake("r1")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    for relay in LATER:
        world.do("add", unit=f"tor@{relay}.service")
        world.add_instance(relay)
    wait_until(lambda: len(world.states()) == 19 and set(world.states().values()) == {"ok", "observed"}, "them to be seen")
    world.manager("Revert", dbus.Array(names, signature="s"))
    world.wait_said("Rollout 2 finished: 1 done, 0 failed")
    wait_until(lambda: world.property("Rollout") == "idle" and set(world.states().values()) == {"reverted", "observed"},
               "nobody to take its place")
    world.add_instance("r99")
    wait_until(lambda: "r99" in world.states(), "another one to be seen")
    assert set(world.states().values()) <= {"reverted", "observed", "stopped"} and not world.said("Rollout 3")
    world.stop()
    assert planned(world) == {}, "without the daemon"


def test_revert_of_a_stopped_relay_gives_its_place_to_nobody(world):
    """One that systemd has unloaded shows by its file alone that it ever ran."""
    world.write_config('{ name = "A"; allocator = "jemalloc"; size = 1; }')
    world.start_fake("a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    has, other = ("a", "b") if world.dropin("a") else ("b", "a")
    world.do("set", unit=f"tor@{has}.service", values={"active": "inactive", "sub": "dead", "invocation": None})
    wait_until(lambda: world.states() == {has: "stopped", other: "observed"}, "it to be seen")
    world.manager("Revert", dbus.Array([], signature="s"))
    wait_until(lambda: not world.dropin(has), "its file to go")
    wait_until(lambda: world.property("Rollout") == "idle" and world.states() in
               ({has: "reverted", other: "observed"}, {has: "stopped", other: "observed"}), "nobody to take its place")
    assert restarts(world, other) == (0, 0) and not world.dropin(other)


@pytest.mark.parametrize("moved", [True, False], ids=["moved", "yet to be moved"])
def test_unit_that_cannot_be_read_at_first_keeps_its_place(world, moved):
    """Groups that count are drawn of all relays: without one of them others would be restarted, and back again."""
    begin(world, "a", "b", "c")
    world.write_config('{ name = "A"; allocator = "jemalloc"; size = 1; }')
    (has,) = planned(world)
    if moved:
        world.start()
        world.wait_said("Rollout 1 finished: 1 done, 0 failed")
        world.stop()
    world.do("set", unit=f"tor@{has}.service", values={"error": "org.freedesktop.DBus.Error.InvalidArgs"})
    assert planned(world) == {}
    world.start()
    world.wait_ready(1 + moved)
    world.wait_said(f"{has}: cannot read its unit")
    world.do("set", unit=f"tor@{has}.service", values={"error": None})
    wait_until(lambda: world.states().get(has) == "ok", "it to be read")
    assert [restarts(world, relay) for relay in "abc" if relay != has] == [(0, 0)] * 2
    assert not world.said("Rollout 2")


@pytest.mark.parametrize("how", ["add-unloaded", "add"], ids=["as it is", "and started"])
def test_relay_that_is_copied_with_its_dropin_keeps_its_place(world, how):
    """Whoever clones a relay with all its files copies ours, too: that file is not our work, and gives no right to the place."""
    world.write_config('{ name = "A"; allocator = "jemalloc"; size = 1; hold = true; }')
    world.start_fake("r1")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    for relay in LATER:
        shutil.copytree(world.root / "tor@r1.service.d", world.root / f"tor@{relay}.service.d")
    for relay in LATER:
        world.do(how, unit=f"tor@{relay}.service")
        world.add_instance(relay)
    wait_until(lambda: len(world.states()) == 19, "them to be seen")
    world.manager("Reload")
    wait_until(lambda: settled(world), "nothing to be done")
    assert world.states()["r1"] == "ok" and restarts(world, "r1") == (1, 0) and not world.said("Rollout 2")
    world.stop()
    assert planned(world) == {}, "without the daemon"
