"""What hosts in the field have: allocators of every kind, and other tools that harden or reload all relays in mid-rollout."""

import json
import re
import subprocess

import pytest

from test_proof import SOURCE

RELAYS = 8
pytestmark = pytest.mark.not_sanitized  # what is odd here is around the daemon
FOLDER = "/usr/local/lib/alloc"
FUTURE = "void brand_new(void);\n" + SOURCE.replace("void free(void *p) {", "void free(void *p) { brand_new();")


def build(tmp_path, name, source, *options):
    subprocess.run(["gcc", "-O2", "-fno-builtin", "-shared", "-fPIC", "-x", "c", "-o", tmp_path / name, "-", "-x", "none", *options],
                   input=source, text=True, check=True)
    return tmp_path / name


@pytest.fixture
def zoo(fresh, tmp_path):
    """{name: library}: what the release ships besides the usual ones, copies under names of their own, one that nobody
    knows, and one of a release to come, which asks for a glibc that is not here."""
    m = fresh
    script = tmp_path / "versions"
    script.write_text("GLIBC_9.99 { brand_new; };\n")
    glibc = build(tmp_path, "libc.so.6", "void brand_new(void) {}\n", "-nostdlib", "-Wl,-soname,libc.so.6", f"-Wl,--version-script={script}")
    m.sh(f"mkdir -p -m 755 {FOLDER}; cp /usr/lib/*/libjemalloc.so.2 {FOLDER}/libjemalloc-own.so; cp /usr/lib/*/libmimalloc.so.[23] {FOLDER}/libmimalloc-own.so")
    for library in (build(tmp_path, "librpmalloc.so", SOURCE), build(tmp_path, "libfuture.so", FUTURE, glibc)):
        m.path(f"{FOLDER}/{library.name}").write_bytes(library.read_bytes())
    m.sh(f"chmod 644 {FOLDER}/*")
    yield {"tcmin": "libtcmalloc_minimal.so.4", "tcmindebug": "libtcmalloc_minimal_debug.so.4", "tcdebug": "libtcmalloc_debug.so.4",
           "tcprof": "libtcmalloc_and_profiler.so.4", "je-own": f"{FOLDER}/libjemalloc-own.so", "mi-own": f"{FOLDER}/libmimalloc-own.so",
           "rp": f"{FOLDER}/librpmalloc.so", "future": f"{FOLDER}/libfuture.so"}
    m.write_conf("# no groups\n")
    m.sh("systemctl stop relayallocd; rm -f /etc/systemd/system/tor@*.d/zz-relayalloc.conf; systemctl daemon-reload;"
         f" systemctl restart 'tor@relay*'; rm -rf {FOLDER}")


def test_a_zoo_of_allocators(zoo, fresh):
    """What check, plan, list, verify, allocators and doctor say of each: those that work run, proved and with their
    versions; the one that cannot is refused with the reason before anybody is restarted."""
    m = fresh
    groups = [(name, name, f'relays = [ "relay{i}" ]') for i, name in enumerate(zoo, 1)]
    text = "allocators = {\n" + "".join(f'  {name} = {{ library = "{library}"; }};\n' for name, library in zoo.items()) + "};\n"
    text += m.settings(groups, parallel=4)
    m.write("/root/zoo.conf", text)
    why = rf"{zoo['future']} is built for a newer release: it needs GLIBC_9\.99, and the C library of this host is glibc 2\.\d+"
    check, plan = m.run("relayallocctl check /root/zoo.conf"), m.run("relayallocctl plan /root/zoo.conf")
    for done in (check, plan):
        assert done.returncode == 0 and re.search(f"allocators.future: warning: {why}$", done.stderr, re.M), done.stderr
    assert re.search(f"relay8 refused +future +future +allocator future is refused: {why}", plan.stdout)
    assert "7 relays to be restarted, in 2 waves; 1 refused" in plan.stdout, plan.stdout

    before = m.invocations()
    m.write_conf(text)
    m.start_daemon()
    m.wait_all("ok", m.names[:7])
    rows = m.listing()
    shipped = {row["allocator"]: row for row in json.loads(m.sh("relayallocctl allocators -v --json=short"))}
    version = {name: shipped["tcmalloc"]["version"] for name in zoo if name.startswith("tc")}
    version |= {"je-own": shipped["jemalloc"]["version"], "mi-own": shipped[m.mimalloc]["version"], "rp": None}
    assert all(version[name] for name in version if name != "rp"), version
    for relay, name in zip(m.names, version):
        row = rows[relay]
        assert (row["assigned"], row["running"], row["version"], row["state"]) == (name, name, version[name], "ok"), row
        assert zoo[name].split("/")[-1].split(".so")[0] in m.proc(relay, "maps"), relay
        assert (shipped[name]["version"], shipped[name]["running"]) == (version[name], 1), shipped[name]
    last = rows["relay8"]
    assert (last["assigned"], last["running"], last["state"]) == ("future", "glibc", "pending"), last
    assert m.invocation("relay8") == before["relay8"] and m.drop_in("relay8") is None
    assert not m.events("relay-failed", "relay-lost", "rollout-halted"), m.journal_text()
    verified = m.run("relayallocctl verify")
    assert re.search(f"^relay8 +pending +allocator future is refused: {why}$", verified.stdout, re.M), verified.stdout
    doctor = " ".join(m.run("relayallocctl doctor").stdout.split())
    assert re.search(f'the library of allocator "future" is refused: {why}', doctor), doctor
    assert re.match(why, shipped["future"]["warning"])

    # What is known of a version is said of a copy, and of the built-in that is tuned, as of the allocator itself.
    known = [name for name in ("mimalloc", "mimalloc-tuned", "mimalloc3", "mimalloc3-purge", "mi-own")
             if "grows without bound under tor" in (shipped[name]["warning"] or "")]
    assert known == (["mimalloc3", "mimalloc3-purge", "mi-own"] if m.mimalloc == "mimalloc3" else []), known
    m.write("/root/tuned.conf", m.settings([("t", m.mimalloc + "-tuned", 'relays = [ "relay1" ]')]))
    for verb in ("check", "plan"):
        said = m.run(f"relayallocctl {verb} /root/tuned.conf").stderr
        assert (f"allocators.{m.mimalloc}-tuned: warning: mimalloc 3.0.1 grows without bound" in said) == bool(known), said


HARDENING = """# another tool's
[Service]
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
RestrictNamespaces=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_SYS_RESOURCE
ReadWritePaths=/var/lib/tor-instances /run/tor-instances
"""


def test_another_tool_hardens_all_relays_in_mid_rollout(fresh):
    """It writes a drop-in for each relay, reloads, and restarts one after the other; then it takes that back, and restarts
    all at once. Whatever the rollout does at that moment: each relay is restarted once by us at most, all are moved."""
    m = fresh
    where = "/etc/systemd/system/tor@{}.service.d/99-hardening.conf"
    one_by_one = "; ".join(f"systemctl restart tor@{r}" for r in m.names)
    m.write_conf(m.settings([("je", "jemalloc", 'relays = [ "relay*" ]')], parallel=2, settle=1))
    m.start_daemon()
    m.wait_event("relay-restarting", count=2)
    for relay in m.names:
        m.write(where.format(relay), HARDENING)
    m.sh(f"systemctl daemon-reload; {one_by_one}")
    for relay in m.names:
        m.path(where.format(relay)).unlink()
    m.sh("systemctl daemon-reload; systemctl restart " + " ".join(map(m.unit, m.names)))
    m.wait_all("ok", timeout=180)
    assert not m.events("relay-failed", "relay-lost", "relay-put-back", "rollout-halted"), m.journal_text()
    assert {m.allocator_in_maps(r) for r in m.names} == {"jemalloc"} and all(m.drop_in(r) for r in m.names)
    ours = [e["RELAYALLOC_RELAY"] for e in m.events("relay-restarting")]
    assert len(ours) == len(set(ours)), "nobody is restarted twice by us"
    assert all(n <= 2 + ours.count(r) for r, n in m.asked_starts().items()), (m.asked_starts(), ours)
    assert m.run("relayallocctl verify").returncode == 0


def test_a_storm_of_reloads_in_mid_rollout(fresh):
    """As of a deployment that tells every relay of a new file, over and over: nobody fails, and each is restarted once."""
    m = fresh
    m.write_conf(m.settings([("je", "jemalloc", 'relays = [ "relay*" ]')], parallel=4, settle=1))
    storm = m.start("for k in $(seq 400); do systemctl reload 'tor@relay*'; sleep 0.2; done")
    try:
        m.start_daemon()
        m.wait_all("ok", timeout=120)
        assert storm.poll() is None, "it went on all the time"
    finally:
        storm.kill()
        storm.wait()
    assert not m.events("relay-failed", "relay-lost", "relay-put-back", "rollout-halted"), m.journal_text()
    assert {m.allocator_in_maps(r) for r in m.names} == {"jemalloc"}
    assert m.asked_starts() == dict.fromkeys(m.names, 1)
    reloaded = {e.get("UNIT") for e in m.journal("_PID=1") if "Reloaded" in e["MESSAGE"] or "Reloading" in e["MESSAGE"]}
    assert {m.unit(r) for r in m.names} <= reloaded, reloaded
