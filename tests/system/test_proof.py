"""Who serves malloc in a relay, when it is not what its drop-in says: other preloads, and a tor that takes none."""

import json
import os
import re
import struct
import subprocess

import pytest

from machine import REPO

RELAYS = 4
pytestmark = pytest.mark.release("every")
HEAP = "/usr/local/lib/relay-test/libheap.so"
OVERRIDE = "/etc/systemd/system/tor@{}.service.d/override.conf"
# An allocator under a name that tells nothing: it hands all on to glibc's.
SOURCE = """
#include <stddef.h>
void *__libc_malloc(size_t); void *__libc_calloc(size_t, size_t); void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t); void __libc_free(void *);
void *malloc(size_t n) { return __libc_malloc(n); }
void *calloc(size_t n, size_t m) { return __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { return __libc_realloc(p, n); }
void *memalign(size_t a, size_t n) { return __libc_memalign(a, n); }
void *aligned_alloc(size_t a, size_t n) { return __libc_memalign(a, n); }
int posix_memalign(void **p, size_t a, size_t n) { return (*p = __libc_memalign(a, n)) ? 0 : 12; }
void free(void *p) { __libc_free(p); }
"""


@pytest.fixture(scope="module")
def heap_library():
    built = REPO / "build/tests/libheap.so"
    built.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["gcc", "-O2", "-fno-builtin", "-shared", "-fPIC", "-x", "c", "-o", built, "-"], input=SOURCE, text=True,
                   check=True)
    return built.read_bytes()


@pytest.fixture
def system_preload(fresh, heap_library):
    """Call it to have the dynamic linker preload the library into every process, or with "" to have it stop."""
    where = fresh.path(HEAP)
    where.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    where.write_bytes(heap_library)
    where.chmod(0o644)
    yield lambda text=f"# for all\n{HEAP}\n": fresh.write("/etc/ld.so.preload", text)
    fresh.path("/etc/ld.so.preload").unlink(missing_ok=True)
    fresh.sh("rm -rf /usr/local/lib/relay-test")
    fresh.sh("systemctl restart " + " ".join(fresh.unit(r) for r in fresh.names))


def settled(m, **expected):
    """Waits until the listing has this of each: relay="state running"."""
    def now():
        m.run("relayallocctl verify -q")
        rows = m.listing()
        return {r: f"{rows[r]['state']} {rows[r]['running']}" for r in expected}
    m.wait_until(lambda: now() == expected, 30, str(expected), lambda: json.dumps(m.listing(), indent=1))


def status(m, relay):
    done = m.run(f"relayallocctl status --json=short {relay}")
    assert done.returncode in (0, 3), done
    return json.loads(done.stdout)[0]


def findings(m):
    done = m.run("relayallocctl doctor --json=short")
    return {f["finding"]: f for f in json.loads(done.stdout)}


@pytest.mark.not_sanitized  # every process gets another malloc, and a program with ASan runs with ASan's alone
def test_allocator_for_every_process(fresh, system_preload):
    m = fresh
    m.write_conf(m.settings([("control", "glibc", 'relays = [ "relay1", "relay4" ]'), ("je", "jemalloc", 'relays = [ "relay2" ]')]))
    m.start_daemon()
    settled(m, relay1="ok glibc", relay2="ok jemalloc", relay3="observed glibc", relay4="ok glibc")
    assert "system-preload" not in findings(m)
    system_preload()
    m.sh("systemctl restart tor@relay1 tor@relay2 tor@relay3")
    before = m.invocations()
    assert HEAP in m.proc("relay1", "maps") and HEAP in m.proc("relay2", "maps")
    # LD_PRELOAD comes first; who was not restarted has not got it
    settled(m, relay1="drifted libheap.so", relay2="ok jemalloc", relay3="observed libheap.so", relay4="ok glibc")
    because = f"/etc/ld.so.preload loads {HEAP} into every process"
    assert status(m, "relay1")["reason"] == f"runs {HEAP}, not glibc: {because}"
    assert m.run("relayallocctl verify").returncode == 3
    assert findings(m)["system-preload"]["what"] == f"/etc/ld.so.preload loads {HEAP}, an allocator, into every process"
    m.mark()
    m.wait_event("sample-relay", relay="relay3")
    assert {e["RELAYALLOC_ALLOCATOR"] for e in m.events("sample-relay", relay="relay1")} <= {"libheap.so"}

    # Who would go to glibc would not get there: nobody is restarted for it.
    m.write_conf(m.settings([("control", "glibc", 'relays = [ "*" ]')]))
    m.wait_event("config-loaded")
    settled(m, relay1="drifted libheap.so", relay2="drifted jemalloc", relay3="drifted libheap.so", relay4="ok glibc")
    assert status(m, "relay2")["reason"] == f"runs jemalloc, not glibc: {because}"
    assert m.invocations() == before and m.drop_in("relay3") is None

    # The file is empty again: relay2 can go; of the others, only what runs is known.
    system_preload("")
    settled(m, relay2="ok glibc", relay4="ok glibc", relay1="drifted libheap.so")
    assert "nothing preloads it now" in status(m, "relay1")["reason"]
    m.sh("systemctl restart tor@relay1")
    settled(m, relay1="ok glibc")
    assert m.invocation("relay4") == before["relay4"]


@pytest.mark.not_sanitized
def test_without_the_daemon(fresh, system_preload):
    """The command line reads processes by the same code."""
    m = fresh
    m.write_conf(m.settings([("control", "glibc", 'relays = [ "relay1" ]')]))
    system_preload()
    m.sh("systemctl restart tor@relay1")
    row = m.listing()["relay1"]
    assert (row["running"], row["state"]) == ("libheap.so", "drifted")


def test_two_bare_names_the_first_missing(fresh):
    m = fresh
    m.write(OVERRIDE.format("relay1"), '[Service]\nEnvironment="LD_PRELOAD=libjemalloc.so.1 libjemalloc.so.2"\n')
    m.sh("systemctl daemon-reload; systemctl restart tor@relay1")
    before = m.invocations()
    m.start_daemon()
    settled(m, relay1="observed jemalloc", relay2="observed glibc")
    assert status(m, "relay1")["notes"] == ["its LD_PRELOAD names libjemalloc.so.1, which it has not loaded"]
    finding = findings(m)["preload-missing"]
    assert finding["severity"] == "note" and finding["relays"] == ["relay1"]
    m.write_conf(m.settings([("je", "jemalloc", 'relays = [ "relay1" ]')]))
    settled(m, relay1="ok jemalloc")
    assert m.drop_in("relay1") and m.invocations() == before


def test_preload_that_is_no_path(fresh):
    m = fresh
    m.write(OVERRIDE.format("relay1"), "[Service]\nEnvironment=LD_PRELOAD==/usr/lib/x86_64-linux-gnu/libjemalloc.so.2\n")
    m.sh("systemctl daemon-reload; systemctl restart tor@relay1")
    m.start_daemon()
    settled(m, relay1="observed glibc")
    names = "names =/usr/lib/x86_64-linux-gnu/libjemalloc.so.2, which"
    assert f"Note: its LD_PRELOAD {names} it has not loaded" in m.run("relayallocctl status relay1").stdout
    finding = findings(m)["preload-missing"]
    assert f"{names} is not an absolute path" in finding["what"] and finding["severity"] == "warning"


def test_library_that_was_replaced(fresh, heap_library):
    """By /proc/PID/map_files it is still read, where the machine leaves the daemon the right to."""
    m = fresh
    name = "/usr/local/lib/relay-test/libodd.so"
    m.path(name).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    m.path(name).write_bytes(heap_library)
    m.write_conf(f'allocators = {{ odd = {{ library = "{name}"; }}; }};\n' + m.settings([("A", "odd", 'relays = [ "relay1" ]')]))
    m.start_daemon()
    settled(m, relay1="ok odd", relay2="observed glibc")
    m.path(name + ".new").write_bytes(heap_library)
    m.path(name + ".new").rename(m.path(name))
    bounds = re.search(r"^CapEff:\s*(\w+)", m.read(f"/proc/{m.prop('relayallocd', 'MainPID')}/status"), re.M)[1]
    may = int(bounds, 16) >> 40 & 1  # CAP_CHECKPOINT_RESTORE
    settled(m, relay1="drifted odd")
    assert "has been replaced on disk" in status(m, "relay1")["reason"]
    assert status(m, "relay1")["notes"] == ([] if may else [f"what it runs is known by file names only: {name} cannot be read"])
    m.sh("rm -r /usr/local/lib/relay-test")


@pytest.fixture
def capabilities(fresh):
    """Call it to give tor's file cap_net_bind_service=+ep, or with False to take it away (setcap(8))."""
    tor = fresh.path("/usr/bin/tor")

    def give(there=True):
        if there:
            os.setxattr(tor, "security.capability", struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0))
        elif "security.capability" in os.listxattr(tor):
            os.removexattr(tor, "security.capability")
    yield give
    give(False)


def test_file_capabilities(fresh, capabilities):
    """tor in secure-execution mode takes no preload: nobody is restarted to find that out."""
    m = fresh
    m.write(OVERRIDE.format("relay1"),
            "[Service]\nUser=_tor-relay1\nGroup=_tor-relay1\nNoNewPrivileges=no\nExecStart=\n"
            "ExecStart=/usr/bin/tor -f /etc/tor/instances/relay1/torrc --DataDirectory /var/lib/tor-instances/relay1\n")
    capabilities()
    m.sh("systemctl daemon-reload; systemctl restart tor@relay1")
    before = m.invocations()
    m.write_conf(m.settings([("je", "jemalloc", 'relays = [ "relay1", "relay2" ]'), ("control", "glibc", 'relays = [ "relay3" ]')]))
    reason = ("tor starts in secure-execution mode (file capabilities on /usr/bin/tor): the dynamic linker ignores "
              "LD_PRELOAD")
    assert reason in re.sub(r"\s+", " ", m.run("relayallocctl plan").stdout)
    m.start_daemon()
    settled(m, relay1="drifted glibc", relay2="ok jemalloc", relay3="ok glibc")
    assert status(m, "relay1")["reason"] == reason
    finding = findings(m)["secure-execution"]
    assert finding["what"] == "/usr/bin/tor has file capabilities, and is started as user _tor-relay1"
    assert finding["relays"] == ["relay1"]
    assert m.invocation("relay1") == before["relay1"] and m.drop_in("relay1") is None
    assert m.events("relay-failed") == [] and m.events("rollout-halted") == []

    # Without them its next start takes it; the running process has nothing to do with that any more.
    capabilities(False)
    settled(m, relay1="ok jemalloc")
    assert "libjemalloc" in m.proc("relay1", "maps") and "secure-execution" not in findings(m)


def test_file_capabilities_that_come_later(fresh, capabilities):
    """The process that is there cannot tell; the one that comes does, and the relay is put back with the true reason."""
    m = fresh
    m.write(OVERRIDE.format("relay1"),
            "[Service]\nUser=_tor-relay1\nGroup=_tor-relay1\nNoNewPrivileges=no\nExecStart=\n"
            "ExecStart=/usr/bin/tor -f /etc/tor/instances/relay1/torrc --DataDirectory /var/lib/tor-instances/relay1\n")
    m.sh("systemctl daemon-reload; systemctl restart tor@relay1")
    capabilities()
    m.write_conf(m.settings([("je", "jemalloc", 'relays = [ "relay1" ]')]))
    m.start_daemon()
    m.wait_event("relay-put-back", relay="relay1")
    failed = m.events("relay-failed", relay="relay1")
    assert "secure-execution mode (file capabilities on /usr/bin/tor)" in failed[0]["RELAYALLOC_REASON"]
    assert m.drop_in("relay1") is None and m.is_active("tor@relay1")
