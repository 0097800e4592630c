"""What the kernel says of the relays' processes, by the lab itself: beside what the daemon logs also what it does not, such
as LazyFree (given back with MADV_FREE, and still counted as resident), huge pages and CPU seconds."""

import os
import re
import struct

COLUMNS = ("seconds", "relay", "group", "pid", "rss_kb", "anon_kb", "lazyfree_kb", "cpu_s", "threads", "live_kb", "huge_kb")
TICKS = os.sysconf("SC_CLK_TCK")


def parse_rollup(text):
    """(Rss, Anonymous, LazyFree, AnonHugePages) in KiB, of /proc/PID/smaps_rollup."""
    return tuple(int(re.search(rf"^{name}:\s+(\d+) kB$", text, re.M)[1]) for name in ("Rss", "Anonymous", "LazyFree", "AnonHugePages"))


def parse_stat(text):
    """(CPU seconds, threads) of /proc/PID/stat; a name may have spaces and parentheses."""
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS, int(fields[17])


def sample(machine, relays, seconds, counter):
    """A row for each that runs. relays: [(name, group, pid)]; counter(pid): its live bytes, None where nobody counts."""
    rows = []
    for name, group, pid in relays:
        try:
            *memory, huge = parse_rollup(machine.read(f"/proc/{pid}/smaps_rollup"))
            cpu, threads = parse_stat(machine.read(f"/proc/{pid}/stat"))
            live = counter(pid)
        except (OSError, TypeError, struct.error):  # it has ended: an empty rollup, or none, or no memory
            continue
        rows.append([round(seconds, 1), name, group, pid, *memory, round(cpu, 2), threads,
                     "" if live is None else live // 1024, huge])
    return rows
