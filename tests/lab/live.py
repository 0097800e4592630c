"""Live bytes: what a relay has allocated and not freed, counted in a relay of its own under live-bytes.c. The counter is
read from its memory."""

import pathlib
import re
import struct
import subprocess

GROUP = "live"
LIBRARY = "/usr/local/lib/relayalloc-lab/liblive-bytes.so"
SOURCE = pathlib.Path(__file__).resolve().parent / "live-bytes.c"
DEFINITION = f'{GROUP} = {{ library = "{LIBRARY}"; }};'
COUNTER = "lab_live_bytes"


def with_definition(allocators):
    """The text of a configuration's allocators with this one among them."""
    if not re.search(r"^\s*allocators\s*[=:]\s*\{", allocators, re.M):
        return f"{allocators}\nallocators = {{ {DEFINITION} }};"
    return re.sub(r"^(\s*allocators\s*[=:]\s*\{)", rf"\1 {DEFINITION}", allocators, count=1, flags=re.M)


def offset_in(symbols):
    """Of the counter, by the output of nm -D."""
    return int(re.search(rf"^([0-9a-f]+) [BD] {COUNTER}$", symbols, re.M)[1], 16)


def base_in(maps):
    """Where the library begins in a process, by its /proc/PID/maps."""
    found = re.search(rf"^([0-9a-f]+)-\S+ \S+ 0+ .*{re.escape(LIBRARY)}$", maps, re.M)
    return int(found[1], 16) if found else None


class Counter:
    def __init__(self, machine):
        self.m = machine
        symbols = subprocess.run(["nm", "-D", machine.path(LIBRARY)], check=True, capture_output=True, text=True).stdout
        self.offset = offset_in(symbols)

    def read(self, pid):
        """Bytes; None: that process does not count."""
        base = base_in(self.m.read(f"/proc/{pid}/maps"))
        if base is None:
            return None
        with self.m.path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            memory.seek(base + self.offset)
            return struct.unpack("q", memory.read(8))[0]
