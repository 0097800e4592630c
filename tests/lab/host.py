"""How the machine under a trial fares: whether something else took its processors, and whether memory and room last. Who reads the
figures of a trial has to see that."""

import contextlib
import fcntl
import os
import pathlib
import re

COLUMNS = ("seconds", "busy", "stolen", "load_1m", "available_mib", "room_mib")
NOTED_EVERY = 30  # seconds
LITTLE_MIB = 1024
MIB = 1024 * 1024
HUGE_PAGES = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")


def parse_ticks(text):
    """(busy, stolen, all) of /proc/stat, of all processors since boot."""
    user, nice, system, idle, waiting, irq, soft, steal = map(int, text.split()[1:9])
    busy = user + nice + system + irq + soft
    return busy, steal, busy + steal + idle + waiting


def parse_available(text):
    """MiB, of /proc/meminfo."""
    return int(re.search(r"^MemAvailable:\s+(\d+) kB$", text, re.M)[1]) // 1024


def huge_pages(path=HUGE_PAGES):
    """What the kernel does by itself; "none": it has none."""
    try:
        return re.search(r"\[(\w+)\]", path.read_text())[1]
    except (OSError, TypeError):
        return "none"


class Taken(Exception):
    """Another trial relies on what the kernel does with huge pages; a sentence that says so."""


@contextlib.contextmanager
def with_huge_pages(wanted, path=HUGE_PAGES):
    """The kernel of the whole machine does that meanwhile, and afterwards what it did. wanted: "": as it is.
    Trials that want what is there share it; of one that has to change it, and puts it back, there is one at a time."""
    if not wanted:
        yield
        return
    with path.open() as held:
        sharing = huge_pages(path) == wanted
        try:
            fcntl.flock(held, (fcntl.LOCK_SH if sharing else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Taken("another trial with LAB_HUGE_PAGES runs, and one of the two would end with what the other wants; "
                        "wait for its end") from None
        before = huge_pages(path)
        if sharing:
            yield
            return
        path.write_text(wanted)
        try:
            yield
        finally:
            path.write_text(before)


def facts():
    """What every trial is to tell of its machine: allocators make as many arenas as it has processors, and may get huge pages."""
    return {"processors": os.cpu_count(), "huge_pages": huge_pages()}


class Host:
    def __init__(self, where, proc=pathlib.Path("/proc")):
        """where: a folder in the machine, whose files take memory of this host."""
        self.where = where
        self.proc = proc
        self.ticks = self._ticks()
        self.noted = None

    def _ticks(self):
        return parse_ticks((self.proc / "stat").read_text())

    def row(self, seconds):
        """What is busy and stolen are shares since the last row; None: it is too early for another one."""
        if self.noted is not None and seconds - self.noted < NOTED_EVERY:
            return None
        self.noted, before, self.ticks = seconds, self.ticks, self._ticks()
        busy, stolen, every = (now - then for now, then in zip(self.ticks, before))
        room = os.statvfs(self.where)
        return [round(seconds, 1), *(round(of / every, 3) if every else "" for of in (busy, stolen)),
                float((self.proc / "loadavg").read_text().split()[0]), parse_available((self.proc / "meminfo").read_text()),
                room.f_bavail * room.f_frsize // MIB]


def lacks(row):
    """A sentence; None: there is enough."""
    for column, what in (("available_mib", "memory"), ("room_mib", "room for files in the machine")):
        left = row[COLUMNS.index(column)]
        if left < LITTLE_MIB:
            return f"only {left} MiB of {what} are left"
    return None
