"""Finding relays, however hard it is made."""
import ctypes.util
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import dbus
import dbus.bus
import pytest

from conftest import BUILD, wait_until
from test_jobs import GROUP, LIBRARY, begin, restarts
from test_ready import ctl


def test_list_that_fails_is_asked_again(world):
    begin(world, "a")
    world.do("list-errors", errors=["org.freedesktop.DBus.Error.AccessDenied"] * 2)
    world.start()
    world.wait_said("Cannot list units: scripted error")
    world.wait_ready()
    world.wait_said("Rollout 1 finished: 1 done")


def test_who_asks_before_it_is_known_who_there_is_gets_all_of_it(world):
    """Systemd does not answer yet: nobody is told that there are no relays, or that all of none are as assigned."""
    begin(world, "a", "b")
    world.do("list-errors", errors=["org.freedesktop.DBus.Error.AccessDenied"] * 2)
    world.start()
    world.wait_said("Cannot list units: scripted error")
    with ThreadPoolExecutor(8) as pool:
        verified = [pool.submit(world.manager, "Verify") for _ in range(2)]
        listed = pool.submit(world.manager, "ListRelays")
        got = pool.submit(world.manager, "GetRelays", ["Name"])
        found = pool.submit(world.manager, "GetRelay", "b")
        planned = pool.submit(world.manager, "Plan")
        shown = [pool.submit(ctl, world, *verb) for verb in (["list", "-q", "--no-legend", "-o", "relay"], ["status"])]
    for verdicts in verified:
        assert [str(relay) for relay, _, _ in verdicts.result()] == ["a", "b"]
    assert [str(row[0]) for row in listed.result()] == ["a", "b"]
    assert [str(properties["Name"]) for _, properties in got.result()] == ["a", "b"]
    assert str(found.result()).endswith("/b")
    assert [str(item[1]) for item in planned.result()] == ["a", "b"]
    assert shown[0].result().stdout.split() == ["a", "b"], shown[0].result()
    assert "2 relays" in shown[1].result().stdout, shown[1].result()
    world.wait_said("Rollout 1 finished: 2 done")


def test_who_asks_while_systemd_does_not_answer_is_told_so(world):
    begin(world, "a")
    world.do("list-errors", errors=["org.freedesktop.DBus.Error.AccessDenied"] * 9)
    world.start()
    world.wait_said("Cannot list units: scripted error")
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(world.manager, *call) for call in (["ListRelays"], ["GetRelays", ["Name"]], ["GetRelay", "a"],
                                                                ["Plan"])]
        shown = [pool.submit(ctl, world, verb) for verb in ("list", "status")]
    for call in asked:
        assert call.exception().get_dbus_name() == "org.relayalloc1.Error.NotRead", call.exception()
    for verb in shown:
        done = verb.result()
        assert (done.returncode, done.stdout) == (1, "") and "not known yet" in done.stderr, done


def test_relays_of_another_unit_are_there_when_it_is_in_force(world):
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done")
    with world.config.open("a") as f:
        f.write('unit = "other@.service";\n')
    world.do("list-errors", errors=["org.freedesktop.DBus.Error.AccessDenied"])
    world.manager("Reload")
    shown = ctl(world, "list", "--no-legend", "-o", "relay")
    assert shown.stdout.split() == ["a", "b", "tor@a.service", "tor@b.service"], shown


def test_unit_that_cannot_be_read_does_not_keep_the_others_waiting(world):
    begin(world, "a", "b")
    world.do("set", unit="tor@a.service", values={"error": "org.freedesktop.DBus.Error.InvalidArgs"})
    world.start()
    world.wait_ready()
    world.wait_said("Rollout 1 finished: 1 done")
    assert world.states()["b"] == "ok" and restarts(world, "a") == (0, 0)
    world.do("set", unit="tor@a.service", values={"error": None})
    wait_until(lambda: world.states().get("a") == "ok", "it to be read and moved")


def test_names_that_no_relay_has_are_told_once(world):
    begin(world, "relay1")
    world.write_config('{ name = "A"; allocator = "jemalloc"; relays = [ "tor@relay1.service", "realy2" ]; }')
    told = f'{world.config}:2: groups[0].relays[1]: no relay of this host is called "realy2" (did you mean "relay1"?)'
    world.start()
    world.wait_ready()
    wait_until(lambda: world.text().count(told) == 1, "it to be told")
    world.wait_said("Rollout 1 finished: 1 done")
    assert world.property("ConfigWarnings") == told
    world.add_instance("c")
    world.wait_said("c appeared")
    assert world.text().count(told) == 1
    world.manager("Reload")
    wait_until(lambda: world.text().count(told) == 2, "it to be told of the configuration that is read again")
    # It comes right by itself, and what was said of it goes.
    world.add_instance("realy2")
    wait_until(lambda: world.property("ConfigWarnings") == "", "nothing to be wrong with the file any more")
    world.write_config('{ name = "A"; allocator = "jemalloc"; relays = [ "c" ]; }, { name = "B"; allocator = "glibc"; relays = [ "*" ]; }, '
                       '{ name = "C"; allocator = "glibc"; size = 1; }')
    world.manager("Reload")
    wait_until(lambda: world.text().count("groups[2]: group C takes no relay: earlier groups take them all.") == 1, "it to be told")
    assert world.text().count("takes no relay") == 1


def test_strange_names(world):
    names = ["1.2.3.4_9000", "a-b", "_", "x:y", "00"]
    begin(world, *names, rollout="settle = 0; canary = 0; parallel = 5;")
    world.start()
    world.wait_said("Rollout 1 finished: 5 done, 0 failed")
    assert world.states() == dict.fromkeys(sorted(names), "ok")
    bus = dbus.bus.BusConnection(world.address)
    for name in names:
        path = world.manager("GetRelay", name)
        relay = bus.get_object("org.relayalloc1", path, introspect=False)
        properties = relay.GetAll("org.relayalloc1.Relay", dbus_interface="org.freedesktop.DBus.Properties")
        assert (properties["Name"], properties["State"], properties["Running"]) == (name, "ok", "jemalloc")
    bus.close()


def test_library_of_a_name_that_is_no_text(world):
    """A relay may map what it likes: everybody else must still be able to look at all of them."""
    begin(world, "a", "b")
    world.write_config('{ name = "A"; allocator = "glibc"; relays = [ "a" ]; }', 'window = "00:00-00:01";')
    world.start()
    world.wait_ready()
    jemalloc = ctypes.util._findSoname_ldconfig("jemalloc")
    odd = os.fsencode(world.path) + b"/libjemalloc\xff\n.so"
    shutil.copy(f"/usr/lib/{os.uname().machine}-linux-gnu/{jemalloc}", odd)
    world.do("restart-by-hand", unit="tor@a.service", environment=["LD_PRELOAD=" + os.fsdecode(odd)])
    wait_until(lambda: "runs jemalloc, not glibc" in world.manager("Verify")[0][2], "the reason")
    bus = dbus.bus.BusConnection(world.address)
    relay = bus.get_object("org.relayalloc1", world.manager("GetRelay", "a"), introspect=False)
    properties = relay.GetAll("org.relayalloc1.Relay", dbus_interface="org.freedesktop.DBus.Properties")
    assert properties["Library"] == str(world.path) + "/libjemalloc?\n.so"
    bus.close()


HEAP = """
#include <stddef.h>
void *__libc_malloc(size_t); void *__libc_calloc(size_t, size_t); void *__libc_realloc(void *, size_t);
void __libc_free(void *);
void *malloc(size_t n) { return __libc_malloc(n); }
void *calloc(size_t n, size_t m) { return __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { return __libc_realloc(p, n); }
void free(void *p) { __libc_free(p); }
"""


def relay_properties(world, name):
    bus = dbus.bus.BusConnection(world.address)
    relay = bus.get_object("org.relayalloc1", world.manager("GetRelay", name), introspect=False)
    properties = relay.GetAll("org.relayalloc1.Relay", dbus_interface="org.freedesktop.DBus.Properties")
    bus.close()
    return properties


def test_allocator_that_no_name_tells(world):
    """What defines malloc serves it, whatever it is called; what is only called like an allocator does not."""
    heap, named = world.path / "libheap.so", world.path / "libnice_malloc.so"
    subprocess.run(["cc", "-fno-builtin", "-shared", "-fPIC", "-x", "c", "-o", heap, "-"], input=HEAP, text=True, check=True)
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-o", named, "-"], input="int nice;", text=True, check=True)
    begin(world, "a", "b", "c")
    world.write_config('{ name = "A"; allocator = "glibc"; relays = [ "a", "b" ]; }', 'window = "00:00-00:01";')
    world.start()
    world.wait_ready()
    world.do("restart-by-hand", unit="tor@a.service", environment=[f"LD_PRELOAD={heap}"])
    world.do("restart-by-hand", unit="tor@b.service", environment=[f"LD_PRELOAD={named}"])
    world.do("restart-by-hand", unit="tor@c.service", environment=[f"LD_PRELOAD={heap}"])

    def found():
        running = {str(r[0]): str(r[3]) for r in world.manager("ListRelays")}
        return running == {"a": "libheap.so", "b": "glibc", "c": "libheap.so"} or running
    wait_until(lambda: found() is True, "the libraries to be found")
    assert f"runs {heap}, not glibc" in world.reason("a")
    assert relay_properties(world, "a")["Library"] == str(heap)


def test_preload_that_is_not_loaded(world):
    begin(world, "a", "b", rollout='window = "00:00-00:01";')
    world.start()
    world.wait_ready()
    jemalloc = ctypes.util._findSoname_ldconfig("jemalloc")
    world.do("restart-by-hand", unit="tor@a.service", environment=[f"LD_PRELOAD=libjemalloc.so.1 {jemalloc}"])
    world.do("restart-by-hand", unit="tor@b.service", environment=["LD_PRELOAD==/usr/lib/x.so"])
    wait_until(lambda: relay_properties(world, "a")["Notes"] ==
               ["its LD_PRELOAD names libjemalloc.so.1, which it has not loaded"], "the note")
    assert relay_properties(world, "a")["Running"] == "jemalloc"
    wait_until(lambda: relay_properties(world, "b")["Notes"] ==
               ["its LD_PRELOAD names =/usr/lib/x.so, which it has not loaded"], "the note")


def test_process_that_maps_its_library_after_the_first_look(world):
    """Nothing is to be done about it, and nothing else would have it looked at again: but samples say what it runs."""
    world.write_config("")
    world.start_fake("a")
    world.start()
    world.wait_ready()
    jemalloc = ctypes.util._findSoname_ldconfig("jemalloc")
    world.do("restart-by-hand", unit="tor@a.service", environment=["LD_PRELOAD=" + jemalloc], late=1, first=["HOME=/"])
    wait_until(lambda: relay_properties(world, "a")["Running"] == "glibc", "the first look")
    wait_until(lambda: relay_properties(world, "a")["Running"] == "jemalloc", "the second one")


def test_plan_is_asked_for_while_relays_come_and_go(world):
    begin(world, *"abcdefgh", rollout='settle = 0; canary = 0; window = "00:00-00:01";')
    world.start()
    world.wait_ready()
    for name in "abcdefgh":
        world.remove_instance(name)
        world.do("remove", unit=f"tor@{name}.service")
    def gone():
        assert all(p[1] in "abcdefgh" for p in world.manager("Plan"))
        return not world.states()
    wait_until(gone, "all to be gone")
    assert len(world.manager("Plan")) == 0


def look_again(world):
    for _ in range(2):  # the second look begins when the first has ended
        before = world.do("look")["lists"]
        world.do("reloading")
        wait_until(lambda: world.do("look")["lists"] > before, "a look")


def test_more_relays_than_the_bus_takes_calls_and_matches(world):
    """dbus-daemon takes 128 calls without answers and 512 matches of one connection."""
    names = [f"r{i:03}" for i in range(530)]
    begin(world, *names, rollout="settle = 0; canary = 0; parallel = 200;")
    world.start()
    world.wait_said("Rollout 1 finished: 530 done, 0 failed", timeout=240)
    for name in ("r000", "r300", "r529"):
        world.do("stop", unit=f"tor@{name}.service")
        wait_until(lambda: world.states().get(name) == "stopped", f"{name} to be seen stopped")
    assert not world.said("Lost the connection")


def stack(world):
    """KiB of it that have been used."""
    smaps = pathlib.Path(f"/proc/{world.daemon.pid}/smaps").read_text().split("[stack]")[1]
    return int(re.search(r"^Rss: *([0-9]+) kB", smaps, re.M).group(1))


def test_wide_wave_needs_no_deep_stack(world):
    """Each file that is written is answered at once, and the answer brings the next one."""
    names = [f"r{i:03}" for i in range(300)]
    begin(world, *names)
    world.write_config("")
    world.start()
    world.wait_ready()
    before = stack(world)
    world.write_config(GROUP, "settle = 0; canary = 0; parallel = 300;")
    world.manager("Reload")
    world.wait_said("Rollout 1 finished: 300 done, 0 failed", timeout=60)
    assert stack(world) - before < 50


def test_instances_folder_that_comes_later(world):
    begin(world, "a")
    world.remove_instance("a")
    world.instances.rmdir()
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    world.instances.mkdir()
    look_again(world)  # the package that brings it has systemd reloaded
    world.add_instance("new")
    wait_until(lambda: "new" in world.states(), "the new relay")


def test_instances_folder_that_is_replaced(world):
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    world.instances.rename(world.path / "old")
    world.instances.mkdir()
    look_again(world)
    world.add_instance("new")
    wait_until(lambda: "new" in world.states(), "the new relay")


def begin_without_groups(world, *relays):
    """Relays that nothing shows but their folders among the instances; nobody has systemd read anything again."""
    world.write_config("")
    sampling(world, 1)
    world.start_fake()
    for relay in relays:
        world.add_instance(relay)


def test_instances_folder_that_comes_later_unannounced(world):
    world.instances.rmdir()
    begin_without_groups(world)
    world.start()
    world.wait_ready()
    world.instances.mkdir()
    world.add_instance("a")
    wait_until(lambda: world.states() == {"a": "stopped"}, "the relay")
    before = world.do("look")["lists"]
    time.sleep(3)
    assert world.do("look")["lists"] == before, "what is watched needs no look with each sample"


def test_instances_folder_that_is_moved_away_and_back(world):
    begin_without_groups(world, "a", "b")
    world.start()
    world.wait_ready()
    wait_until(lambda: world.states() == {"a": "stopped", "b": "stopped"}, "both")
    world.instances.rename(world.path / "away")
    wait_until(lambda: world.states() == {}, "them to be gone")
    (world.path / "away").rename(world.instances)
    wait_until(lambda: world.states() == {"a": "stopped", "b": "stopped"}, "both")
    world.add_instance("c")
    wait_until(lambda: "c" in world.states(), "what is in it to be watched again", timeout=10)


def test_instances_folder_whose_own_folder_is_moved_away_and_back(world):
    """It is not moved itself, and goes all the same."""
    world.instances.rmdir()
    (world.path / "lib").mkdir()
    world.instances = world.path / "lib" / "instances"
    world.instances.mkdir()
    begin_without_groups(world, "a")
    world.start()
    world.wait_ready()
    for _ in range(2):
        wait_until(lambda: world.states() == {"a": "stopped"}, "the relay")
        (world.path / "lib").rename(world.path / "away")
        wait_until(lambda: world.states() == {}, "it to be gone")
        (world.path / "away").rename(world.path / "lib")
    wait_until(lambda: world.states() == {"a": "stopped"}, "the relay")


def test_instances_folder_that_is_mounted_over(world):
    folder, outside = world.own_folder()
    (outside / "new").mkdir()
    (outside / "new" / "torrc").touch()
    begin_without_groups(world, "old")
    world.start()
    world.wait_ready()
    wait_until(lambda: world.states() == {"old": "stopped"}, "what is there")
    subprocess.run([*world.inside, "mount", "--bind", folder, world.instances], check=True)
    wait_until(lambda: world.states() == {"new": "stopped"}, "what lies over it")
    (outside / "new").rename(outside / "other")
    wait_until(lambda: world.states() == {"other": "stopped"}, "that to be watched")
    subprocess.run([*world.inside, "umount", world.instances], check=True)
    wait_until(lambda: world.states() == {"old": "stopped"}, "what was there before")


def test_other_template(world):
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    world.do("add", unit="onion@a.service")
    text = world.config.read_text()
    world.config.write_text('unit = "onion@.service";\n' + text)
    world.manager("Reload")
    wait_until(lambda: world.do("look")["units"]["onion@a.service"]["restarts"] == 1, "the other unit to be moved")
    assert restarts(world, "a") == (1, 0)


def test_what_another_unit_left_is_named_and_removed_on_request(world):
    """The relays move to another template: no phantoms of the old one but those that have our drop-in, which are named,
    kept, and given back one after the other by a revert of theirs, also through a crash."""
    begin(world, "a", "b", "c")
    world.start()
    world.wait_said("Rollout 1 finished: 3 done")
    world.do("stop", unit="tor@c.service")
    world.do("add", unit="onion@a.service")
    text = world.config.read_text().replace("canary = 0;", "canary = 0; parallel = 1;")
    world.config.write_text('unit = "onion@.service";\n' + text)
    plan = subprocess.run([BUILD / "relayallocctl", "plan", world.config], capture_output=True, text=True, timeout=60,
                          env={"PATH": os.environ["PATH"], "DBUS_SYSTEM_BUS_ADDRESS": world.address,
                               "RELAYALLOC_DROPIN_ROOT": str(world.root), "RELAYALLOC_STATE_DIR": str(world.state)})
    assert plan.returncode == 0 and "Left over from before `unit` was changed: 3 drop-ins of tor@.service (tor@a" in plan.stderr
    assert "gives up" not in plan.stderr
    world.manager("Reload")
    wait_until(lambda: world.do("look")["units"]["onion@a.service"]["restarts"] == 1, "the other unit to be moved")
    old = ["tor@a.service", "tor@b.service", "tor@c.service"]
    assert world.said(r"3 drop-ins are left over from before `unit` was changed and kept \(tor@a\.service, tor@b\.service, "
                      r"tor@c\.service\); \"relayallocctl revert --unit=tor@\.service\" removes them\.")
    wait_until(lambda: {k: v for k, v in world.states().items() if k in old} ==
               {old[0]: "observed", old[1]: "observed", old[2]: "stopped"}, "what is left over to be listed")
    groups = {str(row[0]): str(row[1]) for row in world.manager("ListRelays")}
    assert groups.pop("a") == "A" and {groups.get(name) for name in old} == {""}
    assert "is left over from before `unit` was changed" in world.reason("tor@a.service")
    time.sleep(1)
    assert [restarts(world, r)[0] for r in "abc"] == [1, 1, 1] and all(world.dropin(r) for r in "abc")
    assert world.manager("Restart", dbus.Array([], signature="s")) == 1  # of relays, of which onion@a is one
    world.wait_said("Rollout 3 finished")
    # One crash while the first is given back.
    world.script("a", {"delay": 2})
    assert world.manager("Revert", old) == 3
    wait_until(lambda: world.dropin("a") is None, "the first to lose our drop-in")
    world.stop(signal.SIGKILL)
    world.start()
    wait_until(lambda: not any(world.dropin(r) for r in "abc"), "all to lose our drop-in")
    wait_until(lambda: not set(old) & set(world.states()), "none of them to be listed any more")
    assert not world.runs("a", LIBRARY) and not world.runs("b", LIBRARY) and not world.unit("c")["pid"]
    assert [restarts(world, r)[0] for r in "abc"] == [2, 2, 1]
    wait_until(lambda: "tor@" not in (world.state / "state").read_text(), "nothing of them to be remembered")


def sampling(world, seconds):
    with world.config.open("a") as f:
        f.write(f"sample = {{ interval = {seconds}; }};\n")


def samples(world, relay):
    return len(re.findall(rf"^{relay}: .* resident", world.text(), re.M))


def test_relay_that_goes_down_before_its_first_sample_is_told(world):
    world.write_config("")
    sampling(world, 2)
    world.start_fake("a")
    world.start()
    world.wait_ready()

    def come_and_go():
        world.do("restart-by-hand", unit="tor@b.service")
        wait_until(lambda: world.states().get("b") == "observed", "b to be seen up")
        world.do("stop", unit="tor@b.service")
        wait_until(lambda: world.states().get("b") == "stopped", "b to be seen down")

    world.add_instance("b")
    before = samples(world, "a")
    wait_until(lambda: samples(world, "a") > before, "the beat, so that the next one is far")
    world.do("add", unit="tor@b.service")
    come_and_go()
    world.wait_said("b is down: no samples")
    # Once more between two samples: nothing that has not been told.
    come_and_go()
    before = samples(world, "a")
    wait_until(lambda: samples(world, "a") > before + 1, "two samples of the other")
    assert world.text().count("b is down") == 1
    world.do("restart-by-hand", unit="tor@b.service")
    world.wait_said("b is up again")
    world.do("stop", unit="tor@b.service")
    wait_until(lambda: world.text().count("b is down") == 2, "the second absence to be told")


def test_relay_that_we_restart_ourselves_is_not_told_as_down(world):
    begin(world, "a", "b")
    sampling(world, 1)
    world.script("a", {"meanwhile": "deactivating", "delay": 3})
    world.start()
    world.wait_said("Rollout 1 finished: 2 done")
    text = world.text()
    move = text[text.index("a: restarting"):text.index("a runs jemalloc")]
    assert re.search(r"^b: .* resident", move, re.M), "there was no sample while it was down"
    world.wait_said("a: .* resident, jemalloc")
    assert not world.said("a is (down|up again)")


def test_relay_is_down_when_systemd_says_so(world):
    """A process may end a moment before systemd knows, and may be started again."""
    world.write_config("")
    sampling(world, 1)
    world.start_fake("a", "b")
    world.start()
    wait_until(lambda: samples(world, "b") > 0, "a sample")
    os.kill(world.unit("b")["pid"], signal.SIGKILL)
    before = samples(world, "a")
    wait_until(lambda: samples(world, "a") > before + 1, "two samples of the other")
    assert not world.said("b is down")
    world.do("stop", unit="tor@b.service")
    world.wait_said("b is down: no samples")


def test_read_that_is_out_when_the_unit_changes_again(world):
    """Its answer is from before; nothing else would ever say so."""
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    wait_until(lambda: world.states() == {"a": "ok"}, "its state")
    world.do("set", unit="tor@a.service", values={"read_delay": 1})
    world.do("stop", unit="tor@a.service")
    wait_until(lambda: world.unit("a")["read_as"] == "inactive", "the read")  # and not one from before
    world.do("restart-by-hand", unit="tor@a.service")
    wait_until(lambda: world.states() == {"a": "stopped"}, "what it says to be taken")
    wait_until(lambda: world.states() == {"a": "ok"}, "what came after it")


def test_unit_file_that_nobody_runs_is_no_relay(world):
    """As tor@default.service, which tor ships. Who names it means it."""
    begin(world, "a", "b")
    world.do("add-file", unit="tor@default.service")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done")
    assert world.states() == {"a": "ok", "b": "ok", "default": "stopped"} and world.dropin("default") is None
    world.write_config('{ name = "A"; allocator = "jemalloc"; relays = [ "a", "b", "default" ]; }')
    world.manager("Reload")
    wait_until(lambda: world.dropin("default"), "its file")
    # Now it is one: what has a file of ours does not lose it because a pattern takes it instead of its name.
    world.write_config('{ name = "A"; allocator = "mimalloc"; relays = [ "*" ]; }')
    world.manager("Reload")
    wait_until(lambda: "mimalloc" in (world.dropin("default") or "mimalloc"), "its file to change")
    wait_until(lambda: set(world.states().values()) == {"ok", "stopped"}, "the others")
    assert "mimalloc" in world.dropin("default")


def test_instances_that_cannot_be_read_for_a_moment(world):
    """Relays that nobody else knows of do not vanish, and others do not change their groups."""
    begin(world, "a", "c")
    world.add_instance("b")
    world.do("add-unloaded", unit="tor@b.service")
    world.start()
    world.wait_said("Rollout 1 finished")
    wait_until(lambda: world.states() == {"a": "ok", "b": "stopped", "c": "ok"}, "all")
    world.instances.rename(world.path / "away")
    world.instances.write_text("in its place")
    look_again(world)
    world.wait_said("Cannot read .*/instances: Not a directory")
    look_again(world)
    assert world.states() == {"a": "ok", "b": "stopped", "c": "ok"} and not world.said("b is gone")
    assert world.dropin("b")
    world.instances.unlink()
    (world.path / "away").rename(world.instances)
    shutil.rmtree(world.instances / "b")
    look_again(world)
    wait_until(lambda: not world.dropin("b"), "it to lose its file, as nobody knows of it any more")


@pytest.mark.parametrize("active, sub, job", [("inactive", "dead", 7), ("activating", "start", 0), ("deactivating", "stop-sigterm", 0)])
def test_relay_that_comes_or_goes_is_planned_when_it_has_come(world, active, sub, job):
    """A file that is written in the meantime would be taken for that of a stopped relay: never restarted, or too late."""
    begin(world, "a", "b")
    world.do("set", unit="tor@b.service", values={"active": active, "sub": sub, "job": job})
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    assert world.dropin("b") is None and restarts(world, "b") == (0, 0)
    world.do("restart-by-hand", unit="tor@b.service")
    world.wait_said("Rollout 2 finished: 1 done, 0 failed")
    assert restarts(world, "b") == (1, 0) and world.runs("b", LIBRARY)
