import os
import subprocess
import sys

import live

MAPS = f"""7f00a0000000-7f00a0001000 r--p 00000000 00:1f 12 /usr/lib/libc.so.6
7f00b0000000-7f00b0001000 r--p 00000000 00:1f 13                         {live.LIBRARY}
7f00b0001000-7f00b0002000 r-xp 00001000 00:1f 13                         {live.LIBRARY}
"""
# What the process itself reads from its counter, round each thing that it does.
PROGRAM = """
import ctypes, sys
libc, counter = ctypes.CDLL(None), ctypes.c_int64.in_dll(ctypes.CDLL(None), "lab_live_bytes")
for f in (libc.malloc, libc.calloc, libc.realloc, libc.aligned_alloc):
    f.restype = ctypes.c_void_p
size = ctypes.c_size_t
p = ctypes.c_void_p()
start = counter.value
a = libc.malloc(size(5 << 20)); one = counter.value - start
b = libc.calloc(size(5), size(1 << 20)); two = counter.value - start
a = libc.realloc(ctypes.c_void_p(a), size(8 << 20)); three = counter.value - start
c = libc.aligned_alloc(size(4096), size(2 << 20)); four = counter.value - start
assert libc.posix_memalign(ctypes.byref(p), size(3), size(100)) == 22
assert libc.posix_memalign(ctypes.byref(p), size(64), size(1 << 20)) == 0; five = counter.value - start
for x in (a, b, c): libc.free(ctypes.c_void_p(x))
libc.free(p); libc.free(None)
print(*(round(n / (1 << 20), 1) for n in (one, two, three, four, five, counter.value - start)))
"""


def test_it_counts_what_is_taken_and_not_given_back(tmp_path):
    library = tmp_path / "liblive-bytes.so"
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-fno-builtin", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", library,
                    live.SOURCE], check=True)
    said = subprocess.run([sys.executable, "-c", PROGRAM], env={**os.environ, "LD_PRELOAD": str(library)}, check=True,
                          capture_output=True, text=True).stdout.split()
    assert said == ["5.0", "10.0", "13.0", "15.0", "16.0", "0.0"]
    symbols = subprocess.run(["nm", "-D", library], check=True, capture_output=True, text=True).stdout
    assert live.offset_in(symbols) > 0


def test_where_the_counter_is():
    assert live.base_in(MAPS) == 0x7F00B0000000 and live.base_in(MAPS.splitlines()[0]) is None
    assert live.offset_in("0000000000001139 T malloc\n0000000000004018 B lab_live_bytes\n") == 0x4018


def test_it_stands_beside_the_users_own_allocators():
    assert live.with_definition("") == f"\nallocators = {{ {live.DEFINITION} }};"
    own = "# mine\nallocators = {\n  mine = { };\n};\n"
    assert live.with_definition(own) == f"# mine\nallocators = {{ {live.DEFINITION}\n  mine = {{ }};\n}};\n"
