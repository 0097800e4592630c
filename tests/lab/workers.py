"""Processes beside this one; they end when it ends, however that is."""

import contextlib
import ctypes
import multiprocessing
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1


def _settle(parent):
    """The terminal sends SIGINT to all: these are ended by their parent, who tidies up."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for other in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(other) is not signal.SIG_IGN:
            signal.signal(other, signal.SIG_DFL)
    if os.getppid() != parent:
        os._exit(1)


def exit_at(number, status):
    """At that signal; but who started this to go on without a terminal, as nohup does, has it ignored."""
    if signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, lambda *_: sys.exit(status))


def prefer(process):
    """That process, by its folder in /proc, and what is of its session come before the relays under test, which take all
    processors. Where the kernel makes a group of each session (sched(7), autogroup), a nice value counts only within that."""
    with contextlib.suppress(OSError):
        (process / "autogroup").write_text("-15")


def allow_files(wanted):
    """So many may be open in this process; shells are often given 1,024, and what is more would look like relays that do not answer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))


def child(function, *arguments):
    """The Process that runs function(*arguments)."""
    parent = os.getpid()

    def body():
        _settle(parent)
        function(*arguments)

    process = multiprocessing.get_context("fork").Process(target=body, daemon=True)
    process.start()
    return process


def pool():
    """One process for each processor."""
    return multiprocessing.get_context("fork").Pool(initializer=_settle, initargs=(os.getpid(),))
