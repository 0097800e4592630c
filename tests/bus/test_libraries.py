"""Libraries that come, go and change on disk while the daemon runs."""
import errno
import os
import pathlib
import re
import resource
import shutil
import subprocess
import time

import dbus
import pytest

from conftest import BUILD, of_process, wait_until
from test_jobs import begin, restarts
from test_relays import samples, sampling
from test_operator import relay_property

INSTALLED = pathlib.Path(f"/usr/lib/{os.uname().machine}-linux-gnu")
GARBAGE = b"no library any more"


def installed(name):
    return next(INSTALLED.glob(name)).resolve()


def configure(world, library, relays):
    world.write_config(f'{{ name = "A"; allocator = "own"; relays = [ "{relays}" ]; }}')
    with world.config.open("a") as f:
        f.write(f'allocators = {{ own = {{ library = "{library}"; }}; }};\n')


def preload_calls(world, source):
    """What this defines is called by the daemon in the place of libc's."""
    library = world.path / "libcalls.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-D_GNU_SOURCE", "-x", "c", "-", "-o", library], input=source, text=True, check=True)
    world.environment |= {"LD_PRELOAD": str(library), "ASAN_OPTIONS": "exitcode=99:detect_leaks=1:verify_asan_link_order=0"}


LATER = """
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *time)
{
    int r = (int)syscall(SYS_clock_gettime, clock, time), later = 0;
    FILE *f = clock == CLOCK_MONOTONIC ? fopen("%s", "re") : NULL;
    if (f && fscanf(f, "%%d", &later) == 1)
        time->tv_sec += later;
    if (f)
        fclose(f);
    return r;
}
"""


def with_own_clock(world):
    """later(seconds): the daemon's clock goes so much ahead."""
    file = world.path / "later"
    file.write_text("0\n")
    preload_calls(world, LATER % file)

    def later(seconds):
        file.with_suffix(".new").write_text(f"{seconds}\n")
        file.with_suffix(".new").rename(file)
    return later


def test_library_that_changes_beside_a_bad_file_is_looked_at_once(world):
    """It is found with a sample; the file that is refused in the meantime must not make each sample find it again."""
    begin(world, "a")
    with world.config.open("a") as f:
        f.write(f'allocators = {{ own = {{ library = "{world.path}/libown.so"; }}; }};\n')
    sampling(world, 1)
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    good = world.config.read_text()
    world.config.write_text("nonsense")
    found = "A library, or who can change it, has changed"
    for times in (1, 2):
        (world.path / "libown.so").write_text("x" * times)
        wait_until(lambda: world.text().count(found) == times, "it to be found")
        before = samples(world, "a")
        wait_until(lambda: samples(world, "a") > before + 2, "three samples")
        assert world.text().count(found) == times
    assert world.states() == {"a": "ok"}
    world.config.write_text(good)
    world.manager("Reload")
    assert world.property("ConfigError") == ""


def replace(world, path):
    """By another file that is like it in all but its number."""
    new = path.with_suffix(".new")
    shutil.copy2(path, new)
    with new.open("r+b") as f:
        f.write(GARBAGE)
    os.utime(new, ns=(path.stat().st_mtime_ns,) * 2)
    new.rename(path)


def mount_over(world, path):
    """By one of another file system, where it may well have the same number."""
    content, before = path.read_bytes(), path.stat()
    subprocess.run([*world.inside, "mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/mnt"], check=True)
    path.write_bytes(GARBAGE + content[len(GARBAGE):])
    os.utime(path, ns=(before.st_mtime_ns,) * 2)


def overwrite(world, path, later=0, longer=0):
    """In place, as cp does, with a time and a length of one's own."""
    before = path.stat()
    with path.open("r+b") as f:
        f.write(GARBAGE)
        f.truncate(before.st_size + longer)
    os.utime(path, ns=(before.st_mtime_ns + later,) * 2)
    assert path.stat().st_ino == before.st_ino


CHANGES = {
    "another-file": replace,
    "another-file-system": mount_over,
    "a-second-later": lambda world, path: overwrite(world, path, later=1_000_000_000),
    "a-moment-later": lambda world, path: overwrite(world, path, later=1),
    "longer": lambda world, path: overwrite(world, path, longer=1),
    "gone": lambda world, path: path.unlink(),
}


def begin_with_own_of_nobody(world):
    """A library of our own that a group names and no relay runs: its folder as the daemon and as the test sees it."""
    inside, outside = world.own_folder()
    shutil.copy(installed("libjemalloc.so.2"), outside / "libown.so")
    configure(world, inside / "libown.so", "nobody*")
    world.start_fake("a")
    world.start()
    world.wait_ready()
    return inside, outside


@pytest.mark.parametrize("change", CHANGES)
def test_replaced_library_is_tried_again(world, change):
    """What is known of one holds as long as it is the same file: else a relay would be moved to what nobody has tried."""
    inside, outside = begin_with_own_of_nobody(world)
    assert not world.said("own is refused")
    CHANGES[change](world, outside / "libown.so")
    world.manager("Reload")
    world.wait_said("Allocator own is refused: .*" + ("does not exist" if change == "gone" else "not an ELF file"))


WAITS = """
#include <unistd.h>
__attribute__((constructor)) static void wait_for(void)
{
    for (int i = 0; i < 5000 && access("/mnt/go", F_OK) != 0; i++)
        usleep(1000);
}
"""


def test_file_counts_as_loaded_when_it_was_read(world):
    """However long its libraries take to be tried: what is saved meanwhile is not in force, and must not seem to be."""
    inside, outside = world.own_folder()
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", outside / "libown.so"], input=WAITS, text=True, check=True)
    configure(world, inside / "libown.so", "nobody*")
    world.start_fake("a")
    world.start()
    wait_until(lambda: "relayalloc-probe" in subprocess.run(["pgrep", "-a", "-P", str(world.daemon.pid)], capture_output=True,
                                                            text=True).stdout, "the probe")
    meanwhile = time.time_ns() // 1000
    (outside / "go").touch()
    world.wait_ready()
    assert world.property("ConfigLoaded") < meanwhile


def test_same_library_is_not_tried_again(world):
    """A reload costs nothing then."""
    inside, outside = begin_with_own_of_nobody(world)
    overwrite(world, outside / "libown.so")  # which only a new try would tell
    world.manager("Reload")
    assert world.text().count("Loaded ") == 2 and not world.said("own is refused")


def begin_own(world):
    """A relay that was moved to a library of our own: its folder as the test sees it, and the version that the relay has."""
    inside, outside = world.own_folder()
    shutil.copy(installed("libjemalloc.so.2"), outside / "libown.so")
    configure(world, inside / "libown.so", "*")
    sampling(world, 1)
    world.start_fake("a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    version = str(relay_property(world, "a", "Version"))
    return outside, version


def test_version_of_a_replaced_library_stays_that_of_what_runs(world):
    outside, version = begin_own(world)
    assert version.startswith("5.")
    shutil.copy(installed("libmimalloc.so.*"), outside / "libnew.so")
    (outside / "libnew.so").rename(outside / "libown.so")
    world.wait_said("a drifted from own: .* replaced on disk")
    assert relay_property(world, "a", "Version") == version and restarts(world, "a") == (1, 0)
    world.do("restart-by-hand", unit="tor@a.service")
    wait_until(lambda: relay_property(world, "a", "Version") not in ("", version), "the new build")
    wait_until(lambda: world.states() == {"a": "ok"}, "the state")


def test_library_that_others_can_change_meanwhile(world):
    """What was safe when it was chosen may not stay so: said with the next sample, as is that it is safe again."""
    inside, outside = world.own_folder()
    shutil.copy(installed("libjemalloc.so.2"), outside / "libown.so")
    configure(world, inside / "libown.so", "*")
    sampling(world, 1)
    world.start_fake("a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    for path, mode in ((outside, 0o777), (outside / "libown.so", 0o646)):
        before = path.stat().st_mode & 0o7777
        path.chmod(mode)
        wait_until(lambda: world.states() == {"a": "drifted"}, "the fault to be found")
        where = "it" if path.suffix else str(inside)
        assert re.search(f"runs {inside}/libown.so, which is refused now: {inside}/libown.so can be changed by users other "
                         f"than root: {where} is writable by everybody", world.reason("a"))
        path.chmod(before)
        wait_until(lambda: world.states() == {"a": "ok"}, "it to be safe again")
    assert restarts(world, "a") == (1, 0)


def build_that_needs(inside, outside, needed):
    for library, options in ((needed, [f"-Wl,-soname,{needed.name}"]),
                             (outside / "libown.so", ["-Wl,--no-as-needed", needed, f"-Wl,-rpath,{inside}"])):
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, "-x", "c", "-", "-x", "none", *options], input="int own;", text=True,
                       check=True)


def test_library_that_needs_one_that_is_missing_is_found_when_that_is_there(world):
    """Nothing that was looked at shows it, as with one that is put back where the cache of ldconfig still names it. And once more, after
    it was missed by a reload."""
    inside, outside = world.own_folder()
    needed = outside / "libneeded.so"
    build_that_needs(inside, outside, needed)
    away = needed.rename(needed.with_suffix(".away"))
    later = with_own_clock(world)
    configure(world, inside / "libown.so", "*")
    sampling(world, 3600)
    world.start_fake("a")
    world.start()
    world.wait_ready()
    missing = "Allocator own is refused: .*needs .*libneeded.so, which is not installed"
    for times in (1, 2):
        wait_until(lambda: len(re.findall(missing, world.text())) == times, "it to be missed")
        later(66 * (3 * times - 2))
        assert world.text().count("Loaded ") == 2 * times - 1 and restarts(world, "a") == (0, 0)
        away.rename(needed)
        later(66 * (3 * times - 1))
        found = "Allocator own is refused: .*libown.so was preloaded, but"
        wait_until(lambda: world.states() and len(re.findall(found, world.text())) == times, "it to be found")
        later(66 * 3 * times)
        assert world.states() and world.text().count("Loaded ") == 2 * times
        needed.rename(away)
        world.manager("Reload")


PASSES_ON = """
#include <stdlib.h>
#include <unistd.h>
void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);
void __libc_free(void *);
void *malloc(size_t n) { return __libc_malloc(n); }
void *calloc(size_t n, size_t m) { return __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { return __libc_realloc(p, n); }
void *aligned_alloc(size_t a, size_t n) { return __libc_memalign(a, n); }
void *memalign(size_t a, size_t n) { return __libc_memalign(a, n); }
int posix_memalign(void **p, size_t a, size_t n) { *p = __libc_memalign(a, n); return 0; }
void free(void *p) { __libc_free(p); }
__attribute__((constructor)) static void fail(void)
{
    if (access("/mnt/go", F_OK) != 0)
        _exit(9);
}
"""


def test_library_with_which_a_program_failed_is_tried_again_later(world):
    """It may have been the host that was short of something, or that slow; and one with which each program hangs costs 10 s."""
    inside, outside = world.own_folder()
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", outside / "libown.so"], input=PASSES_ON, text=True, check=True)
    later = with_own_clock(world)
    configure(world, inside / "libown.so", "*")
    sampling(world, 3600)
    world.start_fake("a")
    world.start()
    world.wait_ready()
    assert world.said("Allocator own is refused: a program that runs with .*libown.so fails .exit status 9")
    (outside / "go").touch()
    later(66)
    assert world.states() == {"a": "pending"} and not world.said("can be now")
    later(2 * 66 + 600)
    wait_until(lambda: world.states() and world.said("An allocator that could not be tested before can be now"), "the second look")
    world.wait_said("Rollout 1 finished: 1 done")


def test_what_ldconfig_has_changed_is_looked_at_again(world):
    """The same name may be another library's now, of which nobody has heard."""
    inside, outside = begin_with_own_of_nobody(world)
    overwrite(world, outside / "libown.so")  # which only a new try would tell
    shutil.copy("/etc/ld.so.cache", outside / "cache")
    subprocess.run([*world.inside, "mount", "--bind", inside / "cache", "/etc/ld.so.cache"], check=True)
    world.manager("Reload")
    world.wait_said("Allocator own is refused: .*not an ELF file")


def test_library_that_changes_while_others_are_tried_is_tried_again(world):
    """What was tried is not what is on the disk when the last one has been."""
    inside, outside = world.own_folder()
    shutil.copy(installed("libjemalloc.so.2"), outside / "libown.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", outside / "libslow.so"], input=WAITS, text=True, check=True)
    configure(world, inside / "libown.so", "nobody*")
    text = world.config.read_text().replace('libown.so"; };', f'libown.so"; }}; slow = {{ library = "{inside}/libslow.so"; }};')
    world.config.write_text(text.replace("groups = (", 'groups = ({ name = "S"; allocator = "slow"; relays = [ "nobody2*" ]; }, '))
    sampling(world, 1)
    world.start_fake("a")
    world.start()

    def tried():
        probes = subprocess.run(["pgrep", "-P", str(world.daemon.pid)], capture_output=True, text=True).stdout.split()
        return any(b"libslow" in of_process(pid, "environ") for pid in probes)

    wait_until(tried, "the last to be tried")
    overwrite(world, outside / "libown.so", later=1)
    (outside / "go").touch()
    world.wait_ready()
    world.wait_said("Allocator own is refused: .*not an ELF file")


def test_setting_that_is_not_understood_is_logged_once(world):
    begin(world, "a")
    world.write_config('{ name = "A"; allocator = "own"; relays = [ "*" ]; }')
    with world.config.open("a") as f:
        f.write('allocators = { own = { environment = { GLIBC_TUNABLES = "glibc.malloc.arena_maks=1"; }; };\n'
                '               unused = { environment = { GLIBC_TUNABLES = "glibc.malloc.tirm_threshold=1"; }; }; };\n')
    world.start()
    said = 'Allocator own: GLIBC_TUNABLES: glibc [0-9.]* has no tunable "glibc.malloc.arena_maks" .did you mean'
    world.wait_said(said)
    world.wait_said("Rollout 1 finished: 1 done")
    world.manager("Reload")
    world.config.write_text(world.config.read_text() + "\n")
    world.manager("Reload")
    assert len(re.findall(said, world.text())) == 1 and not world.said("tirm_threshold")


def test_version_of_a_library_that_was_overwritten_in_place(world):
    """By cp: the relay that crashes over it comes back with what is there now, and is called so from its first proof on,
    long before the next sample looks at the libraries."""
    inside, outside = world.own_folder()
    shutil.copy(installed("libjemalloc.so.2"), outside / "libown.so")
    configure(world, inside / "libown.so", "*")
    world.start_fake("a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    old = str(relay_property(world, "a", "Version"))
    begun = len(world.text())
    with (outside / "libown.so").open("r+b") as f:
        content = installed("libmimalloc.so.*").read_bytes()
        f.write(content)
        f.truncate(len(content))
    world.do("restart-by-hand", unit="tor@a.service")
    wait_until(lambda: relay_property(world, "a", "Version") not in ("", old), "the new version", timeout=10)
    wait_until(lambda: re.search(r"a runs own \S+, group A, proved", world.text()[begun:]), "the proof")
    assert old not in world.text()[begun:] and world.states() == {"a": "ok"}


def half_saved(world, condition, what):
    """The file is being written in place, and has only its beginning, until the condition holds: what the beginning says is valid."""
    whole = world.config.read_text()
    with world.config.open("w") as f:
        f.write("groups = ();\n")

        def write_on():
            f.write("#")
            f.flush()
            return condition()

        wait_until(write_on, what)
        f.seek(0)
        f.truncate()
        f.write(whole + "\n")


def test_library_that_changes_while_the_file_is_saved(world):
    """The half of it that is there must not be read for the library: it takes all relays out of their groups."""
    outside, version = begin_own(world)
    shutil.copy(installed("libmimalloc.so.*"), outside / "libnew.so")

    def change():
        """Found twice over: with the next sample, and when a process has started."""
        if (outside / "libnew.so").exists():
            (outside / "libnew.so").rename(outside / "libown.so")
            world.do("restart-by-hand", unit="tor@a.service")
            change.samples = samples(world, "a")
        return samples(world, "a") > change.samples + 2

    half_saved(world, change, "three samples")
    wait_until(lambda: world.text().count("Loaded ") == 2, "the whole file to be read")
    wait_until(lambda: relay_property(world, "a", "Version") not in ("", version), "the new build to be known")
    assert not world.said("is invalid") and not world.said("Rollout 2") and world.states() == {"a": "ok"}
    assert restarts(world, "a") == (1, 0)


def test_library_that_changes_while_the_file_is_saved_before_a_restart(world):
    """What was written for the restart is taken back, until the file is whole and all libraries are looked at."""
    inside, outside = world.own_folder()
    shutil.copy(installed("libjemalloc.so.2"), outside / "libown.so")
    configure(world, inside / "libown.so", "*")
    world.start_fake("a")
    world.do("reload-script", steps=[{"delay": 1}])
    world.start()
    world.wait_said("a: wrote")
    (outside / "libown.so").with_suffix(".new").write_bytes(GARBAGE)
    (outside / "libown.so").with_suffix(".new").rename(outside / "libown.so")
    half_saved(world, lambda: world.said("Rollout 1 ended early"), "the rollout to end")
    world.wait_said("Allocator own is refused: .*not an ELF file")
    wait_until(lambda: world.states() == {"a": "pending"}, "the state")
    assert restarts(world, "a") == (0, 0) and world.dropin("a") is None and not world.said("is invalid|: 0 groups")


# ---- the host is short of something ----

def leave_descriptors(world, n):
    """The daemon can open n more files, until the returned function is called. What it has open for a moment only, as while it takes
    a sample, does not count."""
    pid = world.daemon.pid
    before, used, limit = resource.prlimit(pid, resource.RLIMIT_NOFILE), set(range(4096)), 0
    for _ in range(5):
        used &= set(map(int, os.listdir(f"/proc/{pid}/fd")))
        time.sleep(0.02)
    while n > 0 or limit in used:
        n -= limit not in used
        limit += 1
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    return lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def test_drop_in_that_cannot_be_read_for_lack_of_descriptors_is_still_ours(world):
    """It is neither gone nor somebody else's: the next file takes it back, and what happens to it meanwhile is seen."""
    begin(world, "a", "b")
    sampling(world, 1)
    world.start()
    world.wait_said("Rollout 1 finished: 2 done")
    give_back = leave_descriptors(world, 0)
    world.manager("Verify")
    assert relay_property(world, "a", "DropIn") and relay_property(world, "b", "DropIn")
    (world.root / "tor@b.service.d" / "zz-relayalloc.conf").unlink()
    give_back()
    world.wait_said("Rollout 2 finished: 1 done")
    assert world.dropin("b") and restarts(world, "b") == (1, 0)
    world.write_config('{ name = "B"; allocator = "jemalloc"; relays = [ "b" ]; }')
    wait_until(lambda: world.states() == {"a": "observed", "b": "ok"}, "the new file")
    wait_until(lambda: not world.dropin("a") and not world.runs("a", "libjemalloc"), "ours to be taken back from a")


def test_what_could_not_be_looked_for_is_looked_for_again(world):
    """Instances and drop-ins: with the next sample, though systemd announces nothing."""
    begin(world, "a")
    sampling(world, 1)
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    give_back = leave_descriptors(world, 0)
    world.add_instance("late")
    world.wait_said("Cannot read .*instances: Too many open files")
    world.wait_said("Cannot look for drop-ins: Too many open files")
    give_back()
    wait_until(lambda: "late" in world.states(), "the instance to be found")
    assert len(re.findall("Cannot (read|look)", world.text())) == 2 and restarts(world, "a") == (1, 0)


NO_WATCHES = """
#include <errno.h>
int inotify_add_watch(int fd, const char *path, unsigned mask)
{
    errno = ENOSPC;
    return -1;
}
"""


def test_instance_that_cannot_be_watched_for_is_looked_for(world):
    """With each sample, as long as the host has no inotify watches left: systemd announces nothing of one that is not started."""
    preload_calls(world, NO_WATCHES)
    world.write_config("")
    sampling(world, 1)
    world.start_fake("a")
    world.start()
    world.wait_ready()
    world.wait_said("Cannot watch .*instances: No space left on device")
    assert world.states() == {"a": "observed"}
    world.add_instance("late")
    wait_until(lambda: "late" in world.states(), "the instance to be found", timeout=20)
    assert len(re.findall("Cannot watch .*instances", world.text())) == 1


# Files of this name cannot be opened while the other file is there.
NO_FILE = """
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int __openat_2(int dir, const char *path, int flags)
{
    const char *slash = strrchr(path, '/');
    if (strcmp(slash ? slash + 1 : path, "%s") == 0 && access("%s", F_OK) == 0) {
        errno = %d;
        return -1;
    }
    return (int)syscall(SYS_openat, dir, path, flags);
}
int openat(int dir, const char *path, int flags, ...)
{
    return __openat_2(dir, path, flags);
}
"""


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENOMEM, errno.EACCES])
def test_why_a_process_cannot_be_read_is_said(world, error):
    """Once, and what to do about it only where that is the reason; and a reason that passes is not final."""
    cause = world.path / "cause"
    cause.touch()
    preload_calls(world, NO_FILE % ("environ", cause, error))
    begin(world, "a")
    sampling(world, 1)
    world.start()
    line = rf"(?m)^.*a: the files of process \d+ in /proc cannot be read \({os.strerror(error)}\), .*$"
    world.wait_said(line)
    assert ("CAP_SYS_PTRACE" in world.text()) == (error == errno.EACCES)
    assert world.dropin("a") is None
    cause.unlink()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    assert len(re.findall(line, world.text())) == 1 and restarts(world, "a") == (1, 0)


@pytest.mark.parametrize(("error", "words"), [(errno.EMFILE, ": Too many open files"), (errno.EACCES, "; try again as root")])
def test_why_a_process_cannot_be_read_is_said_without_the_daemon(world, error, words):
    preload_calls(world, NO_FILE % ("environ", world.path, error))
    begin(world, "a")
    done = subprocess.run([BUILD / "relayallocctl", f"--config={world.config}", "plan"], capture_output=True, text=True,
                          env={"PATH": os.environ["PATH"], "DBUS_SYSTEM_BUS_ADDRESS": world.address, **world.environment,
                               "RELAYALLOC_DROPIN_ROOT": str(world.root), "RELAYALLOC_STATE_DIR": str(world.state)})
    assert f"Cannot read what 1 relay runs{words}.\n" in done.stderr, done.stderr


# The first on that clock is the event loop's own.
NO_TIMER = """
#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int timerfd_create(int clock, int flags)
{
    static int n;
    if (clock == CLOCK_REALTIME && n++ > 0 && access("%s", F_OK) == 0) {
        errno = EMFILE;
        return -1;
    }
    return (int)syscall(SYS_timerfd_create, clock, flags);
}
"""


def watches_clock(world):
    """A timer that the kernel ends when the clock is set (timerfd_create(2), proc_pid_fdinfo(5))."""
    for info in pathlib.Path(f"/proc/{world.daemon.pid}/fdinfo").iterdir():
        try:
            if "settime flags: 03" in info.read_text():
                return True
        except FileNotFoundError:  # closed in the meantime
            pass
    return False


def test_clock_that_cannot_be_watched_is_watched_later(world):
    """Else no sample would be taken for hours after it was set back."""
    cause = world.path / "cause"
    cause.touch()
    preload_calls(world, NO_TIMER % cause)
    begin(world, "a")
    sampling(world, 1)
    world.start()
    world.wait_said("Cannot watch the clock being set: Too many open files")
    world.wait_said("Rollout 1 finished: 1 done")
    world.manager("Reload")
    before = samples(world, "a")
    wait_until(lambda: samples(world, "a") > before + 2, "three samples")
    assert len(re.findall("Cannot watch the clock", world.text())) == 1 and not watches_clock(world)
    cause.unlink()
    wait_until(lambda: watches_clock(world), "the clock to be watched", timeout=30)


TUNED = 'allocators = {{ jemalloc = {{ library = "libjemalloc.so.2"; environment = {{ MALLOC_CONF = "dirty_decay_ms:{}"; }}; }}; }};\n'


def tune(world, ms):
    text = world.config.read_text()
    world.config.write_text(re.sub("(?m)^allocators = .*\n", "", text) + TUNED.format(ms))


def test_a_library_that_cannot_be_tested_for_lack_of_descriptors_is_tested_later(world):
    begin(world, "a", "b")
    sampling(world, 1)
    world.start()
    world.wait_said("Rollout 1 finished: 2 done")
    world.script("a", {"result": "failed", "then": "failed"})
    tune(world, 1000)
    world.wait_said("Rollout 2 halted")  # which what cannot be tested does not end
    give_back = leave_descriptors(world, 5)
    tune(world, 2000)
    world.wait_said("Allocator jemalloc could not be tested yet: .*Too many open files")
    wait_until(lambda: world.states() == {"a": "pending", "b": "pending"}, "what follows")
    assert "allocator jemalloc could not be tested yet" in world.reason("a")
    give_back()
    world.wait_said("Rollout 3 finished: 2 done")
    wait_until(lambda: world.states() == {"a": "ok", "b": "ok"}, "all to be as assigned")
    assert not world.said("is missing|is refused") and len(re.findall("could not be tested yet", world.text())) == 1
    assert restarts(world, "b") == (2, 0)


def test_version_of_a_library_that_no_group_uses_is_read_again(world):
    """A relay still runs it, and what kept it from being read has passed: the version is known again."""
    outside, version = begin_own(world)
    world.manager("Pause")
    give_back = leave_descriptors(world, 5)
    os.utime(outside / "libown.so", ns=(0, 0))  # so that it has to be looked at
    text = world.config.read_text()
    world.config.write_text(re.sub("groups = .*;", "groups = ();", text))
    wait_until(lambda: relay_property(world, "a", "Version") == "", "a library of which nothing is known")
    give_back()
    wait_until(lambda: relay_property(world, "a", "Version") == version != "", "its version")
    assert restarts(world, "a") == (1, 0) and world.states() == {"a": "pending"}


def test_a_library_that_can_be_tested_during_a_rollout_is_read_once(world):
    """The file in which it can be used waits for the rollout's end: it is not read again with each sample until then."""
    begin(world, "a", "b", "c")
    world.write_config('{ name = "B"; allocator = "jemalloc"; relays = [ "b" ]; }')
    sampling(world, 1)
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    give_back = leave_descriptors(world, 5)
    world.write_config('{ name = "A"; allocator = "own"; relays = [ "a" ]; }, '
                       '{ name = "B"; allocator = "jemalloc"; relays = [ "b", "c" ]; }', "settle = 600; canary = 0;")
    world.config.write_text(TUNED.format(1000).replace("jemalloc =", "own =") + world.config.read_text())
    sampling(world, 1)
    world.wait_said("Allocator own could not be tested yet: .*Too many open files")
    wait_until(lambda: world.states().get("c") == "settling", "c to settle")
    give_back()
    world.wait_said("An allocator that could not be tested before can be now")
    begun = len(world.text())
    wait_until(lambda: len(re.findall("c: .* resident", world.text()[begun:])) >= 3, "three samples")
    assert len(re.findall("can be now", world.text()[begun:])) <= 1


def test_a_library_that_can_be_tested_beside_a_bad_file_waits_for_the_next_file(world):
    """The file in which it could be used is not read again with each sample: it says what is wrong with it once."""
    begin(world, "a")
    sampling(world, 1)
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    give_back = leave_descriptors(world, 5)
    tune(world, 2000)
    world.wait_said("Allocator jemalloc could not be tested yet: .*Too many open files")
    good = world.config.read_text()
    world.config.write_text("nonsense")
    world.wait_said("is invalid")
    give_back()
    before = samples(world, "a")
    wait_until(lambda: samples(world, "a") > before + 3, "three samples")
    assert len(re.findall("is invalid", world.text())) == 1 and not world.said("can be now")
    assert world.states() == {"a": "pending"}
    world.config.write_text(good)
    world.wait_said("Rollout 2 finished: 1 done")
    wait_until(lambda: world.states() == {"a": "ok"}, "it to be as assigned")


def test_a_preflight_that_cannot_be_started_for_lack_of_descriptors_is_started_later(world):
    begin(world, "a", "b")
    world.write_config('{ name = "A"; allocator = "jemalloc"; relays = [ "nobody*" ]; }')
    sampling(world, 1)
    world.start()
    world.wait_ready()
    world.manager("Pause")
    world.write_config('{ name = "A"; allocator = "jemalloc"; relays = [ "*" ]; }')
    sampling(world, 1)
    wait_until(lambda: world.states() == {"a": "pending", "b": "pending"}, "the plan")
    give_back = leave_descriptors(world, 2)
    try:
        world.manager("Resume")
    except dbus.DBusException as e:  # a control socket just open leaves too few for the state file: done, and saved later
        if e.get_dbus_name() != "org.relayalloc1.Error.NotSaved":
            raise
    world.wait_said("Allocator jemalloc could not be tested yet: the preflight .*Too many open files")
    wait_until(lambda: world.property("Rollout") == "idle", "its end")
    assert world.states() == {"a": "pending", "b": "pending"}
    assert "allocator jemalloc could not be tested yet: the preflight" in world.reason("a")
    give_back()
    wait_until(lambda: world.states() == {"a": "ok", "b": "ok"}, "the next try")
    assert not world.said(" is refused") and [restarts(world, r) for r in "ab"] == [(1, 0)] * 2


def test_a_relay_that_was_never_moved_is_pending_while_its_allocator_is_refused(world):
    """Drifted is only who had it: here b, which ran it until the library went."""
    folder, inside = world.own_folder()
    begin(world, "a", "b")
    shutil.copy(installed("libjemalloc.so.*"), inside / "libown.so")
    own = f'allocators = {{ own = {{ library = "{folder}/libown.so"; }}; gone = {{ library = "{folder}/libgone.so"; }}; }};'
    world.write_config('{ name = "B"; allocator = "own"; relays = [ "b" ]; }')
    world.config.write_text(own + world.config.read_text())
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    world.write_config('{ name = "A"; allocator = "gone"; relays = [ "a" ]; }, { name = "B"; allocator = "own"; relays = [ "b" ]; }')
    (inside / "libown.so").unlink()
    world.config.write_text(own + world.config.read_text())
    world.manager("Reload")
    wait_until(lambda: world.states() == {"a": "pending", "b": "drifted"}, "the states")
    assert "/libgone.so does not exist" in world.reason("a") and world.dropin("a") is None
    assert restarts(world, "a") == (0, 0)


@pytest.mark.parametrize("name", ["environ", "maps", "status"])
def test_process_that_cannot_be_read_for_a_moment_has_not_failed(world, name):
    """After its restart, and for longer than a process counts as new: it is looked at again, and neither put back nor blamed."""
    cause = world.path / "cause"
    preload_calls(world, NO_FILE % (name, cause, errno.EMFILE))
    begin(world, "a", "b")
    world.script("a", {"delay": 1})
    world.start()
    wait_until(lambda: restarts(world, "a") == (1, 0), "the restart")
    cause.touch()
    before = world.unit("a")["reads"]
    wait_until(lambda: world.unit("a")["reads"] > before + 25 or world.said("could not be moved"), "it to be looked at for 5 s")
    cause.unlink()
    world.wait_said("Rollout 1 finished: 2 done, 0 failed")
    assert restarts(world, "a") == (1, 0)


def test_relay_that_cannot_be_read_keeps_what_it_is_to_lose(world):
    """Whether it has to be restarted is not known: once the file was gone, nobody would see that it still runs with it."""
    cause = world.path / "cause"
    preload_calls(world, NO_FILE % ("environ", cause, errno.EMFILE))
    begin(world, "a", "b")
    sampling(world, 1)
    world.start()
    world.wait_said("Rollout 1 finished: 2 done")
    before = samples(world, "a")
    wait_until(lambda: samples(world, "a") > before + 3, "its process not to be new")
    cause.touch()
    world.manager("Verify")
    world.manager("Revert", ["a"])
    wait_until(lambda: "cannot be read" in world.reason("a") or world.said("Rollout 2"), "the plan")
    assert world.dropin("a")
    cause.unlink()
    wait_until(lambda: not world.dropin("a") and not world.runs("a", "libjemalloc"), "ours to be taken back from a")
    assert restarts(world, "a") == (2, 0)


def test_link_that_is_moved_in_mid_rollout(world):
    """As by an upgrade: what the next relay would load is looked at before it is restarted, and not found to be wrong after it."""
    inside, outside = world.own_folder()
    for n in (1, 2):
        shutil.copy(installed("libjemalloc.so.2"), outside / f"libown.so.{n}")
    (outside / "libown.so").symlink_to("libown.so.1")
    configure(world, inside / "libown.so", "*")
    world.config.write_text(world.config.read_text().replace("settle = 0", "settle = 1"))
    world.start_fake("a", "b")
    world.do("reload-script", steps=[{}, {"delay": 2}])
    world.start()
    world.wait_said("b: wrote")
    (outside / "new").symlink_to("libown.so.2")
    (outside / "new").rename(outside / "libown.so")
    world.wait_said("b was not touched; its drop-in is unchanged|b could not be moved")
    world.wait_said("Rollout 2 (finished|halted)")
    assert not world.said("could not be moved") and world.runs("b", "libown.so.2")
    assert restarts(world, "b") == (1, 0) == restarts(world, "a")


@pytest.mark.parametrize("change", ("another-file", "gone"))
def test_library_that_changes_on_disk_while_a_relay_settles(world, change):
    """As by an upgrade, or a removal, of its package: the process that was proved is as good as before, and is not put back."""
    inside, outside = world.own_folder()
    shutil.copy(installed("libjemalloc.so.2"), outside / "libown.so")
    configure(world, inside / "libown.so", "a")
    world.config.write_text(world.config.read_text().replace("settle = 0", "settle = 2"))
    world.start_fake("a")
    world.start()
    wait_until(lambda: world.said("Rollout 1") and world.states().get("a") == "settling", "settling")
    if change == "gone":
        (outside / "libown.so").unlink()
    else:
        shutil.copy(outside / "libown.so", outside / "new")
        (outside / "new").rename(outside / "libown.so")
    world.wait_said("Rollout 1 (finished|halted|ended early)")
    assert world.said("Rollout 1 .* 1 done, 0 failed") and restarts(world, "a") == (1, 0) and world.runs("a", "libown.so")
    wait_until(lambda: world.states() == {"a": "drifted"}, "the state to be that of any relay whose library has changed")


def test_library_that_is_replaced_before_the_first_look_at_a_relay(world):
    inside, outside = world.own_folder()
    shutil.copy(installed("libjemalloc.so.2"), outside / "libown.so")
    shutil.copy(outside / "libown.so", outside / "new")
    configure(world, inside / "libown.so", "a")
    world.start_fake("a")
    world.script("a", {"lost": True, "delay": 0.05})  # so that it is up for a moment before it is looked at
    world.start()
    wait_until(lambda: restarts(world, "a") == (1, 0) and world.runs("a", "libown.so"), "its new process")
    (outside / "new").rename(outside / "libown.so")
    world.wait_said("Rollout 1 (finished|halted|ended early)")
    assert world.said("Rollout 1 .* 1 done, 0 failed") and restarts(world, "a") == (1, 0)
