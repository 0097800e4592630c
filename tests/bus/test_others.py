"""What others do while the daemon runs: to unit files, to what a relay is started with, to the table of processes."""
import json
import os
import shutil
import subprocess

import pytest

from conftest import BUILD, wait_until
from test_jobs import GROUP, LIBRARY, begin, restarts
from test_once import stays
from test_relays import look_again, relay_properties, samples, sampling

GLIBC = '{ name = "A"; allocator = "glibc"; relays = [ "*" ]; }'
TCMALLOC = "libtcmalloc_minimal.so.4"


def foreign(world, relay, name, text):
    path = world.root / f"tor@{relay}.service.d" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"[Service]\n{text}\n")
    return path


def test_reload_by_others_is_followed(world):
    """A drop-in that overrides ours is named, and forgotten as soon as systemd has forgotten it."""
    begin(world, "a", "b")
    other = foreign(world, "a", "zzz-site.conf", "Environment=LD_PRELOAD=" + TCMALLOC)
    world.do("daemon-reload")
    world.start()
    world.wait_ready()
    wait_until(lambda: "zzz-site.conf" in world.reason("a"), "it to be named")
    wait_until(lambda: world.states().get("b") == "ok", "the other one to be moved")
    other.unlink()
    before = world.do("daemon-reload")["units"]["tor@a.service"]["reads"]
    wait_until(lambda: str(other) not in relay_properties(world, "a")["DropIns"], "systemd's new word")
    wait_until(lambda: "zzz-site.conf" not in world.reason("a"), "the reason to be forgotten")
    assert world.unit("a")["reads"] - before < 12  # its move reads it, too
    later = foreign(world, "b", "zzz-later.conf", "Environment=UNIMPORTANT=1")
    world.do("daemon-reload")
    wait_until(lambda: str(later) in relay_properties(world, "b")["DropIns"], "what was added to be seen")
    assert restarts(world, "b") == (1, 0)


def test_own_reloads_are_looked_at_once(world):
    """Every wave has systemd read all units; what a wave does not touch is read again behind the last."""
    names = [f"r{i}" for i in range(8)]
    begin(world, *names, rollout="settle = 0; canary = 0;")
    world.write_config('{ name = "A"; allocator = "jemalloc"; relays = [ "r[0-6]" ]; }')
    world.start()
    world.wait_ready()
    before = world.unit("r7")["reads"]
    other = foreign(world, "r7", "site.conf", "Environment=UNIMPORTANT=1")
    world.wait_said("Rollout 1 finished: 7 done, 0 failed")
    wait_until(lambda: str(other) in relay_properties(world, "r7")["DropIns"], "what came with our reloads")
    assert world.do("look")["reloads"] == 7
    assert 1 <= world.unit("r7")["reads"] - before <= 3


def test_file_that_sets_what_ours_sets_is_named_at_the_next_proof(world):
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    other = foreign(world, "a", "10-site.conf", "Environment=LD_PRELOAD=" + TCMALLOC)
    world.do("daemon-reload")
    sentence = f"{other} sets LD_PRELOAD"
    world.wait_said(f"a: {sentence} as well")
    assert [str(n) for n in relay_properties(world, "a")["Notes"]] == [f"{sentence} as well"]
    assert world.states() == {"a": "ok"}
    world.manager("Verify")
    world.manager("Verify")
    assert world.text().count(sentence) == 1, "once"
    other.unlink()
    world.do("daemon-reload")
    wait_until(lambda: not relay_properties(world, "a")["Notes"], "it to be forgotten")
    assert restarts(world, "a") == (1, 0)


def test_verify_looks_at_drop_ins_on_disk(world):
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    world.manager("Pause")
    ours = world.root / "tor@a.service.d" / "zz-relayalloc.conf"
    ours.write_text(ours.read_text().replace("libjemalloc", "libnone"))
    assert [str(v[1]) for v in world.manager("Verify")] == ["pending"]
    ours.unlink()
    assert [str(v[1]) for v in world.manager("Verify")] == ["pending"]
    assert world.property("Relays") == 1 and relay_properties(world, "a")["DropIn"] == ""


def begin_with_own_proc(world, groups):
    """Where its process is seen, and where it can be moved to, so that it cannot be opened."""
    proc = world.path / "proc"
    proc.mkdir()
    world.environment["RELAYALLOC_PROC"] = str(proc)
    world.write_config(groups)
    world.start_fake("a")
    world.do("proc", path=str(proc), label="")
    return proc, world.path / "away"


def test_process_that_cannot_be_opened_at_first(world):
    """Short of descriptors or memory for a moment: it is tried again, and nothing is "ok" until then."""
    proc, away = begin_with_own_proc(world, GLIBC)
    world.start()
    wait_until(lambda: world.states() == {"a": "ok"}, "it to be proved")
    world.stop()
    proc.rename(away)
    proc.mkdir()
    world.start()
    world.wait_ready(times=2)
    assert world.states()["a"] in ("restarting", "drifted")
    proc.rmdir()
    away.rename(proc)
    wait_until(lambda: world.states() == {"a": "ok"}, "it to be proved", 10)
    assert restarts(world, "a") == (0, 0)
    assert relay_properties(world, "a")["MainPID"] == world.unit("a")["pid"]


def test_process_that_cannot_be_opened_gets_no_file(world):
    """Nobody knows what it runs, so that its next start would be the first on what nobody has proved."""
    proc, away = begin_with_own_proc(world, GROUP)
    proc.rename(away)
    proc.mkdir()
    world.start()
    stays(world, lambda: world.dropin("a") is None, 6)  # it is too new to be judged for three
    proc.rmdir()
    away.rename(proc)
    world.wait_said("a runs jemalloc .*, proved")
    assert restarts(world, "a") == (1, 0) and world.states() == {"a": "ok"}


def jemalloc_path(world):
    """That library as our drop-in names it."""
    world.write_config(GROUP)
    listed = subprocess.run([BUILD / "relayallocctl", f"--config={world.config}", "--json=short", "allocators"], text=True,
                            capture_output=True, check=True).stdout
    return next(a["library"] for a in json.loads(listed) if a["allocator"] == "jemalloc")


def take_over(world, name, text=None, allocator="jemalloc"):
    """A fleet whose own files set an allocator before it is assigned one. Returns that library as our drop-in names it."""
    path = jemalloc_path(world)
    for relay in ("a", "b"):
        foreign(world, relay, name, text or f'Environment="LD_PRELOAD={path}"')
    world.write_config(f'{{ name = "A"; allocator = "{allocator}"; relays = [ "a" ]; }}')
    world.start_fake("a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    return path


def test_revert_of_a_relay_whose_own_settings_say_the_same(world):
    """What its unit says without our drop-in is what is wanted, and its process runs that."""
    take_over(world, "override.conf")
    assert restarts(world, "a") == (0, 0) and world.dropin("a") is not None
    world.manager("Revert", ["a"])
    wait_until(lambda: world.dropin("a") is None and world.property("Rollout") == "idle", "it to be taken back")
    world.wait_said("Rollout 2 finished: 1 done")
    wait_until(lambda: world.states() == {"a": "reverted", "b": "observed"}, "states")
    assert restarts(world, "a") == (0, 0) and world.runs("a", LIBRARY)
    assert not world.said("halted")


def test_relay_that_leaves_its_group_and_whose_own_settings_say_the_same(world):
    take_over(world, "override.conf")
    world.write_config('{ name = "A"; allocator = "jemalloc"; relays = [ "b" ]; }')
    world.manager("Reload")
    wait_until(lambda: world.states() == {"a": "observed", "b": "ok"}, "states")
    assert world.dropin("a") is None and restarts(world, "a") == (0, 0)


def test_revert_finds_at_the_reload_that_its_own_settings_say_the_same(world):
    """The file of others was not loaded before, so that only our reload shows that no restart is needed."""
    path = take_over(world, "override.conf", "Environment=UNIMPORTANT=1")
    assert restarts(world, "a") == (1, 0)
    foreign(world, "a", "allocator.conf", f"Environment=LD_PRELOAD={path}")
    world.manager("Revert", ["a"])
    world.wait_said("Rollout 2 finished: 1 done")
    wait_until(lambda: world.states().get("a") == "reverted", "its state")
    assert restarts(world, "a") == (1, 0) and world.dropin("a") is None
    assert world.said("a runs what its own settings say, and is not restarted")


def test_revert_to_what_its_own_settings_say(world):
    """It is restarted onto that, also where that is another allocator than glibc, or our drop-in kept it off."""
    path = take_over(world, "override.conf", allocator="glibc")
    assert restarts(world, "a") == (1, 0) and not world.runs("a", LIBRARY)
    world.manager("Revert", ["a"])
    world.wait_said("Rollout 2 finished: 1 done")
    wait_until(lambda: world.states().get("a") == "reverted", "its state")
    assert restarts(world, "a") == (2, 0) and world.runs("a", LIBRARY)
    foreign(world, "b", "override.conf", "Environment=LD_PRELOAD=" + TCMALLOC)
    world.do("daemon-reload")
    world.write_config('{ name = "A"; allocator = "jemalloc"; relays = [ "b" ]; }')
    world.manager("Reload")
    wait_until(lambda: world.states().get("b") == "ok", "it to be taken over")
    assert path in world.dropin("b") and restarts(world, "b") == (0, 0)
    world.manager("Revert", ["b"])
    world.wait_said("Rollout 4 finished: 1 done")
    wait_until(lambda: world.states().get("b") == "reverted", "it to be put onto its own")
    assert restarts(world, "b") == (1, 0) and world.runs("b", "tcmalloc") and not world.said("halted")


def test_relay_that_others_restart_is_neither_drifted_nor_stopped(world):
    """While it starts, and while its new process shows nothing yet, nothing is proved, and nothing else is said."""
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    wait_until(lambda: world.states() == {"a": "ok"}, "the end")
    world.do("set", unit="tor@a.service", values={"active": "activating", "sub": "start", "job": 7})
    wait_until(lambda: world.states() != {"a": "ok"}, "the start to be seen")
    assert world.states() == {"a": "restarting"}
    words = set()
    world.do("restart-by-hand", unit="tor@a.service", late=1)
    wait_until(lambda: words.add(world.states()["a"]) or "ok" in words, "it to be proved")
    assert words == {"restarting", "ok"}
    assert not world.said("drifted") and restarts(world, "a") == (1, 0)


def test_relay_whose_main_process_has_just_ended(world):
    """systemd names a process that is gone already: it is about to name another one."""
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done")
    wait_until(lambda: set(world.states().values()) == {"ok"}, "the end")
    world.do("restart-by-hand", unit="tor@a.service", program=["/bin/true"])
    words = set()
    wait_until(lambda: words.add(world.states()["a"]) or words - {"ok"}, "it to be seen")
    assert words <= {"ok", "restarting"}
    wait_until(lambda: world.states().get("a") == "drifted", "it to count when it stays so")
    assert world.states()["b"] == "ok"


@pytest.mark.parametrize("how", ("file", "folder"))
def test_drop_in_that_others_remove_before_systemd_reads_it(world, how):
    """A restart would be in vain, and so would be the one for its way back."""
    begin(world, "a")
    world.do("reload-script", steps=[{"delay": 1}])
    world.start()
    world.wait_said("a: wrote")
    folder = world.root / "tor@a.service.d"
    if how == "file":
        (folder / "zz-relayalloc.conf").unlink()
    else:
        shutil.rmtree(folder)
    world.wait_said("Rollout 1 (finished|halted)")
    assert restarts(world, "a") == (0, 0) and world.said("a was put back and runs as before: systemd has loaded something else")
    world.manager("Reload")
    wait_until(lambda: world.states() == {"a": "ok"}, "it to be moved")
    assert restarts(world, "a") == (1, 0)


def test_restart_as_it_is_of_a_relay_whose_next_process_would_have_something_else(world):
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    foreign(world, "a", "zzz.conf", "Environment=LD_PRELOAD=")
    world.do("daemon-reload")
    world.manager("Restart", ["a"])
    world.wait_said("Rollout 2 (finished|halted)")
    assert restarts(world, "a") == (1, 0) and world.runs("a", LIBRARY) and world.states() == {"a": "ok"}


def test_masked_unit_waits_until_it_is_unmasked(world):
    """systemd has nothing of it loaded, our drop-in neither, and would not start it again."""
    begin(world, "a", "b")
    world.do("set", unit="tor@a.service", values={"load_state": "masked"})
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    assert "its unit is masked (systemctl unmask)" in world.reason("a") and world.states() == {"a": "drifted", "b": "ok"}
    assert restarts(world, "a") == (0, 0) and world.dropin("a") is None
    world.do("set", unit="tor@a.service", values={"load_state": "loaded"})
    look_again(world)
    world.wait_said("Rollout 2 finished: 1 done")
    assert world.runs("a", LIBRARY) and restarts(world, "a") == (1, 0)


def environment_file(world):
    """Read after our drop-in; systemd needs no reload for it."""
    path = world.path / "environment"
    path.write_text("OTHER=1\nLD_PRELOAD=" + TCMALLOC + "\n")
    world.do("environment-file", unit="tor@a.service", path=str(path))
    return lambda: path.write_text("OTHER=1\n"), f"LD_PRELOAD is overridden by EnvironmentFile {path}"


def file_at_our_name(world):
    path = foreign(world, "a", "zz-relayalloc.conf", "Environment=MINE=1")
    return path.unlink, f"{path} is not ours, so it is left alone"


@pytest.mark.parametrize("obstacle", (environment_file, file_at_our_name))
def test_relay_is_moved_once_what_kept_it_off_is_gone(world, obstacle):
    """By the hands of others, and systemd reads nothing again for it: nobody says so."""
    begin(world, "a", "b")
    sampling(world, 1)
    remove, words = obstacle(world)
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    before = samples(world, "a")
    wait_until(lambda: samples(world, "a") > before + 3, "some samples")
    assert words in world.reason("a") and world.states() == {"a": "drifted", "b": "ok"}
    assert world.text().count("a drifted") == 1 and restarts(world, "a") == (0, 0) and not world.said("Rollout 2")
    remove()
    world.wait_said("Rollout 2 finished: 1 done, 0 failed")
    wait_until(lambda: world.states() == {"a": "ok", "b": "ok"}, "it to be moved")
    assert world.runs("a", LIBRARY) and [restarts(world, relay) for relay in "ab"] == [(1, 0)] * 2


def test_relay_is_moved_once_nothing_is_preloaded_into_every_process(world):
    folder, outside = world.own_folder()
    shutil.copytree("/etc", outside / "etc", symlinks=True)
    subprocess.run([*world.inside, "mount", "--bind", folder / "etc", "/etc"], check=True)
    preload = outside.parent / "etc/ld.so.preload"
    world.write_config("")
    world.start_fake("a")
    world.start()
    world.wait_ready()
    preload.write_text(TCMALLOC + "\n")  # now: the daemon itself is to have nothing of it
    world.do("restart-by-hand", unit="tor@a.service")
    world.write_config(GLIBC)
    sampling(world, 1)
    world.manager("Reload")
    wait_until(lambda: world.states() == {"a": "drifted"}, "it to be judged")
    before = samples(world, "a")
    wait_until(lambda: samples(world, "a") > before + 5, "it not to be new")
    assert f"/etc/ld.so.preload loads {TCMALLOC} into every process" in world.reason("a") and world.dropin("a") is None
    preload.unlink()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    wait_until(lambda: world.states() == {"a": "ok"}, "it to be moved")
    assert restarts(world, "a") == (1, 0) and not world.runs("a", "tcmalloc")


def test_what_keeps_a_relay_off_and_comes_back(world):
    """A process that has all it should is left alone; the next one has it not, and is restarted once what took it is gone."""
    begin(world, "a")
    sampling(world, 1)
    remove, words = environment_file(world)
    path = world.path / "environment"
    theirs = path.read_text()
    remove()
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    path.write_text(theirs)
    before = samples(world, "a")
    wait_until(lambda: samples(world, "a") > before + 3, "some samples")
    assert world.states() == {"a": "ok"} and restarts(world, "a") == (1, 0)
    world.do("restart-by-hand", unit="tor@a.service", environment=["LD_PRELOAD=" + TCMALLOC])
    wait_until(lambda: world.states() == {"a": "drifted"}, "it to be seen")
    path.write_text(theirs.replace("OTHER=1", "OTHER=2"))
    before = samples(world, "a")
    wait_until(lambda: samples(world, "a") > before + 6, "it not to be new")
    assert world.states() == {"a": "drifted"} and words in world.reason("a") and world.text().count("a drifted") == 1
    remove()
    world.wait_said("Rollout 2 finished: 1 done, 0 failed")
    assert restarts(world, "a") == (2, 0) and world.runs("a", LIBRARY) and world.states() == {"a": "ok"}


def test_relay_that_loses_the_privileges_of_its_program_is_moved_only_when_somebody_asks(world):
    """As with file capabilities, which count only for a process that is not root's: until its unit grants what it loses, it may
    not start again, with our drop-in or without."""
    if os.geteuid() != 0:
        pytest.skip("only root can have a program of another user")
    begin(world, "a")
    sampling(world, 1)
    path = world.path / "tor"
    shutil.copy(shutil.which("sleep"), path)
    os.chown(path, 65534, 65534)
    path.chmod(0o4755)
    world.do("restart-by-hand", unit="tor@a.service", program=[str(path), "infinity"], stays=True)
    world.start()
    wait_until(lambda: world.states() == {"a": "drifted"}, "it to be judged")
    before = samples(world, "a")
    wait_until(lambda: samples(world, "a") > before + 5, "it not to be new")
    path.chmod(0o755)
    before = samples(world, "a")
    wait_until(lambda: samples(world, "a") > before + 3, "some samples")
    assert "tor starts in secure-execution mode" in world.reason("a") and restarts(world, "a") == (0, 0)
    world.manager("Verify")
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    assert world.runs("a", LIBRARY)


def test_drop_in_that_comes_back_from_a_backup(world):
    """Its process began with another one that was ours, too: it needs a restart, and no wrapper is at fault."""
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    backup = world.dropin("a")
    world.write_config('{ name = "A"; allocator = "jemalloc-tuned"; relays = [ "a" ]; }')
    world.wait_said("Rollout 2 finished: 1 done")
    world.manager("Pause")
    world.write_config(GROUP)
    wait_until(lambda: world.states() == {"a": "pending"}, "the plan")
    (world.root / "tor@a.service.d" / "zz-relayalloc.conf").write_text(backup)
    world.do("daemon-reload")
    wait_until(lambda: str(relay_properties(world, "a")["State"]) == "pending" and
               "started before the drop-in was written" in world.reason("a"), "systemd's new word")
    world.manager("Resume")
    world.wait_said("Rollout 3 finished: 1 done")
    assert world.states() == {"a": "ok"} and restarts(world, "a") == (3, 0)
