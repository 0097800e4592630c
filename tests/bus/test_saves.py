"""The configuration on disk: every save is read, whatever it is saved with; nothing else is taken for one."""
import os
import re
import resource
import shutil
import time

import pytest

from conftest import wait_until
from test_jobs import GROUP, LIBRARY, begin


def groups(n):
    return "".join(f'{{ name = "G{i}"; allocator = "glibc"; relays = [ "nobody{i}" ]; }}, ' for i in range(n)).rstrip(", ")


def text(world, n):
    return f'instances_dir = "{world.instances}";\ngroups = ({groups(n)});\n'


def loads(world):
    return [int(n) for n in re.findall(r"Loaded \S+: ([0-9]+) group", world.text())]


def start(world, n=1):
    world.config.write_text(text(world, n))
    world.start_fake("a")
    world.start()
    world.wait_ready()
    assert loads(world) == [n]


def by_writing(path, content):
    path.write_text(content)


def by_rename(path, content):
    new = path.with_suffix(".tmp")
    new.write_text(content)
    new.rename(path)


def with_backup(path, content):
    path.rename(path.with_suffix(".conf~"))
    path.write_text(content)


def by_removal(path, content):
    path.unlink()
    time.sleep(0.3)
    path.write_text(content)


def slowly(path, content):
    with path.open("w") as f:
        for line in content.splitlines(keepends=True):
            f.write(line)
            f.flush()
            time.sleep(0.4)


def by_link(path, content):
    target = path.with_suffix(".target")
    target.write_text(content)
    path.unlink()
    path.symlink_to(target)


@pytest.mark.parametrize("save", [by_writing, by_rename, with_backup, by_removal, slowly, by_link])
def test_save_is_read_by_itself_and_once(world, save):
    start(world)
    save(world.config, text(world, 2))
    wait_until(lambda: loads(world)[-1] == 2, "it to be read", 3)
    assert world.property("ConfigChanged") == 0
    world.do("reloading")
    time.sleep(1)
    assert loads(world) == [1, 2] and not world.said("is invalid")


def test_links_are_followed(world):
    folder = world.path / "elsewhere"
    folder.mkdir()
    world.config.symlink_to("middle")
    (world.path / "middle").symlink_to(folder / "real")
    start(world)
    by_rename(folder / "real", text(world, 2))
    wait_until(lambda: loads(world) == [1, 2], "the target to be read", 3)
    (folder / "other").write_text(text(world, 3))
    (world.path / "new").symlink_to(folder / "other")
    (world.path / "new").rename(world.path / "middle")
    wait_until(lambda: loads(world) == [1, 2, 3], "the other target to be read", 3)
    (folder / "other").write_text(text(world, 4))
    wait_until(lambda: loads(world) == [1, 2, 3, 4], "it to be watched, too", 3)


def test_included_files_count(world):
    folder = world.path / "included"
    folder.mkdir()
    (folder / "groups").write_text(f"groups = ({groups(1)});\n")
    main = f'instances_dir = "{world.instances}";\n'
    start(world)
    by_rename(world.config, main + f'@include "{folder}/groups"\n')
    wait_until(lambda: loads(world) == [1, 1], "the file to be read", 3)
    by_rename(folder / "groups", f"groups = ({groups(2)});\n")
    wait_until(lambda: loads(world) == [1, 1, 2], "the included file to be read", 3)
    by_rename(world.config, main + '@include "later/groups"\n')
    world.wait_said("is invalid; the previous configuration stays")
    (world.path / "later").mkdir()
    (world.path / "later/groups").write_text(f"groups = ({groups(3)});\n")
    wait_until(lambda: loads(world) == [1, 1, 2, 3], "what was missing to be read", 5)


def test_invalid_file_is_told_once(world):
    start(world)
    by_rename(world.config, "groups = nonsense;\n")
    world.wait_said("is invalid; the previous configuration stays in force")
    for _ in range(3):
        world.do("reloading")
        time.sleep(0.3)
    assert world.text().count("is invalid") == 1 and world.property("ConfigError")
    assert world.property("ConfigChanged") == 0
    world.config.touch()
    by_rename(world.config, text(world, 2))
    wait_until(lambda: loads(world) == [1, 2], "the fixed file", 3)
    assert not world.property("ConfigError")


def test_file_that_is_gone_for_a_moment(world):
    """It is shown as not read, and read, which refuses it, only when it stays away."""
    start(world)
    for turn in range(3):
        (world.config.unlink if turn else lambda: world.config.write_text(""))()
        wait_until(lambda: world.property("ConfigChanged") == 1, "it to be noticed", 3)
        world.config.write_text(text(world, 1))
        wait_until(lambda: world.property("ConfigChanged") == 0, "all to be well", 3)
    assert loads(world) == [1] and not world.said("is invalid")
    world.config.write_text("")
    world.wait_said("the file is empty")
    assert loads(world) == [1] and world.text().count("is invalid") == 1


def test_same_text_is_no_save(world):
    start(world)
    for save in (by_writing, by_rename, with_backup):
        save(world.config, text(world, 1))
    os.utime(world.config)
    world.do("reloading")
    time.sleep(1)
    assert loads(world) == [1]


def test_saves_that_no_watch_tells_of_are_found(world):
    """inotify says nothing of a folder that another one was put in place of, nor of a save by another name."""
    start(world)
    twin = world.path / "folder"
    twin.mkdir()
    os.link(world.config, twin / "twin")
    (twin / "twin").write_text(text(world, 2))
    world.do("reloading")
    wait_until(lambda: loads(world) == [1, 2], "it to be found when systemd has reloaded", 3)
    with (twin / "twin").open("a") as f:
        f.write("sample = { interval = 2; };\n")
    world.manager("Verify")
    wait_until(lambda: loads(world) == [1, 2, 2], "it to be found by verify", 3)
    (twin / "twin").write_text(text(world, 3))
    wait_until(lambda: loads(world) == [1, 2, 2, 3], "it to be found with a sample", 6)


def test_folder_that_is_replaced(world):
    folder = world.path / "etc"
    folder.mkdir()
    (folder / "conf").write_text(text(world, 1))
    world.config.symlink_to(folder / "conf")
    world.start_fake("a")
    world.start()
    world.wait_ready()
    shutil.copytree(folder, world.path / "new")
    folder.rename(world.path / "old")
    (world.path / "new").rename(folder)
    time.sleep(0.5)
    (folder / "conf").write_text(text(world, 2))
    wait_until(lambda: loads(world) == [1, 2], "the file in the new folder", 4)


def test_many_saves_end_with_the_last(world):
    start(world)
    for i in range(2, 200):
        (by_rename if i % 2 else by_writing)(world.config, text(world, i % 7 + 1))
        time.sleep(0.005)
    by_rename(world.config, text(world, 9))
    wait_until(lambda: loads(world)[-1] == 9, "the last", 5)
    assert len(loads(world)) < 12


def test_save_in_mid_rollout(world):
    begin(world, "a", "b")
    world.script("a", {"delay": 1})
    world.start()
    world.wait_said("a: restarting")
    world.write_config(GROUP.replace("jemalloc", "glibc"))
    world.wait_said("Rollout 2 finished")
    assert set(world.states().values()) == {"ok"} and not world.runs("a", "libjemalloc")


def test_file_that_cannot_be_read_for_a_moment_is_no_bad_file(world):
    """No descriptor is left: what was saved counts as soon as there is one, and a daemon that starts then is started again."""
    begin(world, "a")
    world.config.write_text(world.config.read_text() + "sample = { interval = 1; };\n")
    world.start()
    world.wait_said("Rollout 1 finished")
    limit = resource.prlimit(world.daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(world.daemon.pid, resource.RLIMIT_NOFILE, (3, limit[1]))
    world.write_config('{ name = "B"; allocator = "glibc"; relays = [ "*" ]; }')
    world.wait_said("cannot be read at present, and is read again later; the previous configuration stays in force")
    resource.prlimit(world.daemon.pid, resource.RLIMIT_NOFILE, limit)
    world.wait_said("Rollout 2 finished: 1 done")
    assert not world.said("is invalid") and not world.property("ConfigError") and not world.runs("a", LIBRARY)
