import pathlib
import signal
import subprocess

import pytest

import inside

JEMALLOC = "Version: \"5.3.0\"\nAllocated: 1982240, active: 2142208, metadata: 2750192 (n_thp 0), resident: 4812800, mapped: 8441856, retained: 2568192\n"
GLIBC = """Arena 0:
system bytes     =     671744
in use bytes     =     492032
Total (incl. mmap):
system bytes     =    1073152
in use bytes     =     893440
max mmap regions =          2
"""
TCMALLOC = """------------------------------------------------
MALLOC:         951120 (    0.9 MiB) Bytes in use by application
MALLOC: +       598016 (    0.6 MiB) Bytes in page heap freelist
MALLOC: =      4587520 (    4.4 MiB) Actual memory used (physical + swap)
MALLOC: =      4587521 (    4.4 MiB) Virtual address space used
"""
MIMALLOC = """heap stats:     peak       total       freed     current        unit       count
 committed:   730.1 MiB     3.2 GiB     2.5 GiB   700.5 MiB
"""
# An event loop as tor's, with 64 MiB that have been freed
PROGRAM = """
import ctypes, select
ctypes.CDLL(None).prctl(0x59616d61, ctypes.c_ulong(-1 % 2**64), 0, 0, 0)  # PR_SET_PTRACER: who is no parent may look, too
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
blocks = [libc.malloc(20000) for _ in range(3200)]
for block in blocks:
    ctypes.memset(block, 1, 20000)
for block in blocks[:-1]:
    libc.free(block)
print("ready", flush=True)
poll = select.epoll()
while True:
    poll.poll(0.05)
"""


def waiting(library=""):
    it = subprocess.Popen(["/usr/bin/python3", "-c", PROGRAM], stdout=subprocess.PIPE, text=True,
                          env={"LD_PRELOAD": library, "GLIBC_TUNABLES": "glibc.malloc.trim_threshold=1000000000"})
    assert it.stdout.readline() == "ready\n"
    return it


@pytest.mark.parametrize("allocator, text, used, held", [
    ("jemalloc", JEMALLOC, 1982240, 4812800), ("glibc", GLIBC, 893440, 1073152), ("tcmalloc", TCMALLOC, 951120, 4587520),
    ("mimalloc", MIMALLOC, None, None), ("jemalloc", "nothing", None, None)])
def test_what_each_says_of_itself(allocator, text, used, held):
    assert inside.said(allocator, text) == (used, held)


@pytest.mark.parametrize("allocator, libraries", [
    ("glibc", [""]), ("jemalloc", ["libjemalloc.so.2"]), ("tcmalloc", ["libtcmalloc.so.4"]), ("mimalloc", ["libmimalloc.so.2", "libmimalloc.so.3"])])
def test_a_real_process_says_so_gives_back_and_goes_on(allocator, libraries, tmp_path):
    """mimalloc: that of this host's release. It gives back within a moment by itself."""
    library = next(name for name in libraries if not name or any(pathlib.Path("/usr/lib").glob(f"*/{name}")))
    it = waiting(library)
    try:
        relay, group, anon, given_back, used, held = inside.asked("", it.pid, "relay1", "mine", allocator, f"{tmp_path}/said", tmp_path)
        assert (relay, group) == ("relay1", "mine") and (used == held == "" if allocator == "mimalloc" else 0 < used <= held)
        assert allocator == "mimalloc" or given_back > 50 * 1024, f"it had 62 MiB of free memory among {anon} KiB"
        assert it.poll() is None and (tmp_path / "relay1.mine.txt").stat().st_size > 100
        it.send_signal(signal.SIGTERM)
        assert it.wait(10) == -signal.SIGTERM, "nobody holds it"
    finally:
        it.kill()
        it.communicate()


def test_what_cannot_be_asked_is_an_error_and_not_an_empty_answer(tmp_path, monkeypatch):
    monkeypatch.setattr(inside, "PATIENCE", 2)
    with pytest.raises(OSError):
        inside.ask("", 2**22 + 1, "glibc", f"{tmp_path}/said")
    for allocator, out in (("jemalloc", f"{tmp_path}/said"), ("glibc", f"{tmp_path}/none/said")):  # it has no such function; no such folder
        it = waiting()
        try:
            with pytest.raises(OSError, match="could not call it"):
                inside.ask("", it.pid, allocator, out)
            assert it.poll() is None
        finally:
            it.kill()
            it.communicate()
    other = subprocess.Popen(["sleep", "60"])  # it waits for no events
    try:
        with pytest.raises((OSError, subprocess.SubprocessError)):
            inside.ask("", other.pid, "glibc", f"{tmp_path}/said")
    finally:
        other.kill()
        other.wait()
