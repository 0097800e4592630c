"""What each relay's allocator says of itself when the load is over, and how much more it gives back when it is told to give back all
that is free. What then stays is in use, or lies between what is in use, or is where that call does not reach: mi_collect is for the
calling thread, malloc_trim and jemalloc's purge are for all of them, tcmalloc's release is for its page heap.

A debugger calls the allocator's own functions in the relay's process, at the moment at which its main thread is about to wait for events
and so holds no lock of the allocator. A relay counts for nothing any more after that."""

import os
import pathlib
import re
import subprocess
import tempfile

import samples

COLUMNS = ("relay", "group", "anon_kb", "given_back_kb", "used_kb", "held_kb")
PATIENCE = 60  # seconds: tor waits for events once a second or more
# What prints statistics to the standard error, and what gives back; by the library that is mapped. As lines for the debugger, which reads
# no further after an error, such as a command that it does not know.
CALLS = {
    "mimalloc": ("call (void)mi_stats_print((void*)0)", "call (void)mi_collect(1)"),
    "jemalloc": ("call (void)malloc_stats_print((void*)0, (void*)0, (void*)0)",  # 4096: MALLCTL_ARENAS_ALL
                 'if (int)mallctl("arena.4096.purge", (void*)0, (void*)0, (void*)0, 0L) != 0\nit-refuses\nend'),
    "tcmalloc": ("call (void)malloc_stats()", "call (void)MallocExtension_ReleaseFreeMemory()"),
    "glibc": ("call (void)malloc_stats()", "call (int)malloc_trim(0L)"),
}
# In its own words: what the program has allocated and not freed, and what it takes from the kernel for that.
WORDS = {
    "mimalloc": (None, None),  # its count of what is committed comes to GiB of 60 MiB (2.0.9), or to less than nothing (3.0.1)
    "jemalloc": (r"^Allocated: (\d+),", r"^Allocated: .*, resident: (\d+),"),
    "tcmalloc": (r"^MALLOC: +(\d+) .*in use by application$", r"^MALLOC: = +(\d+) .*Actual memory used"),
    "glibc": (r"^Total .*\n.*\nin use bytes += +(\d+)$", r"^Total .*\nsystem bytes += +(\d+)$"),
}
ENDED = "all was called"


def said(allocator, text):
    """(used, held) in bytes by its own words; None: it does not say."""
    found = [pattern and re.search(pattern, text, re.M) for pattern in WORDS[allocator]]
    return tuple(int(match[1]) if match else None for match in found)


def host_pids(leader):
    """{pid in the machine: pid here}; a debugger sees processes of another PID namespace from outside only."""
    namespace = os.readlink(f"/proc/{leader}/ns/pid")
    found = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(folder / "ns/pid") == namespace:
                found[int(re.search(r"^NSpid:.*\s(\d+)$", (folder / "status").read_text(), re.M)[1])] = int(folder.name)
        except OSError:  # it has ended
            continue
    return found


def ask(root, pid, allocator, out):
    """The text of its statistics; afterwards it has given back what it can. root: where the process' files are; out: a path there, which
    the process may write. OSError, subprocess.SubprocessError: it was not asked all of that."""
    program = f"{root}{os.readlink(f'/proc/{pid}/exe')}"
    statistics, give_back = CALLS[allocator]
    commands = ("handle all nostop noprint pass", "handle SIGTRAP SIGINT stop nopass", "tbreak epoll_wait", "continue",
                f'set $out = (int)open("{out}", {os.O_WRONLY | os.O_CREAT | os.O_TRUNC}, 0600)',
                "if $out < 0\nno-such-file\nend", "set $kept = (int)dup(2)", "call (int)dup2($out, 2)", statistics, "call (int)dup2($kept, 2)",
                "call (int)close($kept)", "call (int)close($out)", give_back, f"echo {ENDED}", "detach")
    with tempfile.NamedTemporaryFile("w") as script:
        script.write("\n".join(commands) + "\n")
        script.flush()
        done = subprocess.run(["gdb", "-q", "-nx", "-batch", "-iex", "set auto-load no", "-iex", f"set sysroot {root or '/'}", program,
                               "-p", f"{pid}", "-x", script.name],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
    if ENDED not in done.stdout:
        raise OSError(f"the debugger could not call it: {done.stderr.strip().splitlines()[-1:]}")
    return pathlib.Path(f"{root}{out}").read_text()


def _kib(value):
    return "" if value is None else round(value / 1024)


def asked(root, pid, relay, group, allocator, out, folder):
    """A row of COLUMNS; folder has the text afterwards."""
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup")
    before = rollup.read_text()
    text = ask(root, pid, allocator, out)
    (folder / f"{relay}.{group}.txt").write_text(text)
    texts = before, rollup.read_text()
    if not all(texts):
        raise OSError("its process has ended")
    before, after = (samples.parse_rollup(text)[1] for text in texts)
    return [relay, group, before, before - after, *map(_kib, said(allocator, text))]
