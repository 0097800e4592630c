"""What another user of the host could use to get into the relays, or to hold the daemon up."""

import subprocess

import pytest

from machine import REPO

OWN = "/usr/local/lib/own/libown.so"
PLACE = "/opt/build/lib"

# What the other user puts where our library looks for libm: it runs in every process that loads it, as root in the
# commands before tor's start.
PLANTED = """#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void run(void)
{
    if (getuid() == 0)
        close(open("/run/planted-code-ran", O_WRONLY | O_CREAT, 0644));
}
double floor(double x) { return x; }
"""


def compile_library(target, source, *flags):
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-fno-builtin", "-D_GNU_SOURCE", "-o", target, source, *flags], check=True)
    return target.read_bytes()


@pytest.fixture
def own(fresh):
    """A library of root's own that looks into another user's directory, and that user's library."""
    built = REPO / "build/tests"
    library = compile_library(built / "libown.so", REPO / "tests/system/broken-malloc.c", f"-Wl,-rpath,{PLACE}",
                              "-Wl,--no-as-needed", "-lm")
    (built / "planted.c").write_text(PLANTED)
    planted = compile_library(built / "planted-libm.so.6", built / "planted.c", "-Wl,-soname,libm.so.6")
    fresh.sh(f"mkdir -p /usr/local/lib/own {PLACE} && chown -R nobody /opt/build")
    fresh.path(OWN).write_bytes(library)
    yield fresh, planted
    fresh.sh("rm -rf /usr/local/lib/own /opt/build /run/planted-code-ran")


def test_library_that_looks_where_others_can_write(own):
    m, planted = own
    before = m.invocations()
    m.write_conf(f'allocators = {{ own = {{ library = "{OWN}"; }}; }};\n' + m.settings([("A", "own", 'relays = [ "relay1" ]')]))
    words = f"{OWN} looks for libraries in {PLACE} (RUNPATH), which can be changed by users other than root: "
    check = m.run("relayallocctl check")
    assert check.returncode == 0 and words in check.stderr, check
    m.start_daemon()
    (said,) = m.wait_event("library-refused")
    assert words in said["MESSAGE"] and f"patchelf --remove-rpath {OWN}" in said["MESSAGE"]
    m.wait_all("pending", ["relay1"])
    assert m.run("relayallocctl verify").returncode == 3

    # Root takes the directory over: accepted. Then it becomes another's again, who puts his library there.
    m.sh("chown -R root /opt/build")
    m.wait_all("ok", ["relay1"])
    assert m.starts("relay1") == 1
    m.sh(f"chown -R nobody /opt/build")
    m.path(f"{PLACE}/libm.so.6").write_bytes(planted)
    m.wait_all("drifted", ["relay1"])
    verify = m.run("relayallocctl verify")
    assert verify.returncode == 3 and "can be changed by users other than root" in m.sh("relayallocctl status relay1 || true")
    assert m.starts("relay1") == 1 and not m.exists("/run/planted-code-ran")
    after = m.invocations()
    assert all(after[r] == before[r] for r in m.names if r != "relay1")

    # The test is worth something only if the attack works: the relay's next start runs the code.
    m.systemctl("restart", "tor@relay1")
    assert m.exists("/run/planted-code-ran")


def test_settings_that_glibc_does_not_know(fresh):
    """Its dynamic linker is asked, under the sandbox of our unit."""
    m = fresh
    m.write_conf('allocators = { own = { environment = { GLIBC_TUNABLES = "glibc.malloc.arena_max=-1"; }; }; };\n'
                 + m.settings([("A", "own", 'relays = [ "nobody*" ]')]))
    m.start_daemon()
    m.wait_until(lambda: "Allocator own: GLIBC_TUNABLES: glibc.malloc.arena_max=-1 is out of range (1 or more)." in m.journal_text(),
                 15, "the warning")
