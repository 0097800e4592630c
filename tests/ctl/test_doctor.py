"""doctor: each finding provoked in a prepared tree, and silence on a clean one."""

import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile

import pytest

from conftest import CTL, REPO

LIB = "/usr/lib/x86_64-linux-gnu"
TEMPLATE = """[Unit]
Description=tor %i
[Service]
ProtectHome=yes
PrivateTmp=yes
ProtectSystem=full
"""


class Host:
    """A tree that looks like a host on which all is well: two relays, on jemalloc."""

    def __init__(self, root):
        self.root = root
        self.write("/usr/lib/systemd/system/tor@.service", TEMPLATE)
        self.write("/usr/lib/systemd/system/tor@default.service",
                   TEMPLATE + "AppArmorProfile=-system_tor\n")
        self.write(f"{LIB}/libjemalloc.so.2", "ELF")
        self.write(f"{LIB}/libmimalloc.so.2.0", "ELF")
        (root / f"{LIB[1:]}/libmimalloc.so.2").symlink_to("libmimalloc.so.2.0")
        self.relay("relay1")
        self.relay("relay2")
        self.groups(allocator="jemalloc")
        self.write("/proc/meminfo", "MemTotal:       16777216 kB\n")
        self.write("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n")
        self.write("/sys/module/apparmor/parameters/enabled", "Y\n")
        self.write("/etc/apparmor.d/system_tor", "profile system_tor {}\n")
        self.write("/etc/systemd/journald.conf", "[Journal]\n#SystemMaxUse=\nSystemMaxUse=1G\n")
        self.write("/var/log/journal/.keep", "")
        self.write("/etc/os-release", 'ID=debian\nVERSION_ID="12"\n')

    def write(self, path, text):
        full = self.root / path.lstrip("/")
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(text)
        return full

    def relay(self, name, torrc="MaxMemInQueues 2 GB\n"):
        self.write(f"/etc/tor/instances/{name}/torrc", f"ORPort 9001\n{torrc}")

    def groups(self, allocator, relays='"*"', more=""):
        self.write("/etc/relayalloc.conf",
                   f'groups = ( {{ name = "all"; allocator = "{allocator}"; relays = [ {relays} ]; }} );\n{more}')


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path / "host")


@pytest.fixture
def doctor(no_bus, host):
    """Its findings by name; the plain text is looked at on the way."""

    def run(*ids):
        plain = no_bus("doctor", f"--root={host.root}")
        done = no_bus("doctor", f"--root={host.root}", "--json=short")
        found = done.json
        assert [f["finding"] for f in found] == list(ids), done
        warnings = [f for f in found if f["severity"] == "warning"]
        assert done.status == plain.status == (1 if warnings else 0)
        assert done.err == plain.err == ""
        assert str(host.root) not in done.out
        for f in found:
            assert re.search(f"^{f['severity']}: {re.escape(f['what'])}", plain.out, re.M)
        if not ids:
            assert plain.out == ""
        return found[0] if len(found) == 1 else found

    return run


@pytest.mark.parametrize("root", ["/nonexistent", "/etc/passwd", ""])
def test_a_root_that_is_none_is_not_a_healthy_host(no_bus, root):
    done = no_bus("doctor", f"--root={root}")
    assert done.status == 2 and done.err.startswith(f"relayallocctl: --root={root}: must be the root directory"), done


def test_silent_on_a_clean_host(doctor):
    doctor()


def test_settings_for_every_service(doctor, host):
    """DefaultEnvironment= is a list that grows with each line, and an empty one throws away what was before."""
    host.write("/etc/systemd/system.conf", "[Manager]\nDefaultEnvironment=LANG=C MALLOC_CONF=narenas:1\n")
    finding = doctor("host-environment")
    assert finding["what"] == "systemd gives MALLOC_CONF=narenas:1 to every service"
    assert "DefaultEnvironment=" in finding["advice"] and "\n  systemctl unset-environment MALLOC_CONF\n" in finding["advice"]
    host.write("/run/systemd/system.conf.d/x.conf", '[Manager]\nDefaultEnvironment="LD_PRELOAD=/l/x.so" MALLOC_CONF=a:b\n')
    assert [f["what"].split()[2] for f in doctor("host-environment", "host-environment")] == \
        ["MALLOC_CONF=a:b", "LD_PRELOAD=/l/x.so"]
    host.write("/etc/systemd/system.conf.d/y.conf", "[Manager]\nDefaultEnvironment=\nDefaultEnvironment=TZ=UTC\n")
    doctor()


def test_silent_without_a_configuration_and_without_relays(doctor, host):
    (host.root / "etc/relayalloc.conf").unlink()
    doctor()
    for torrc in host.root.glob("etc/tor/instances/*/torrc"):
        torrc.unlink()
        torrc.parent.rmdir()
    doctor()


def test_bare_name_and_link_are_found(doctor, host):
    host.groups("mimalloc")
    doctor()


def test_library_missing(doctor, host):
    host.groups("tcmalloc")
    finding = doctor("library-refused")
    assert "libtcmalloc.so.4 is not installed" in finding["what"]
    host.groups("pinned", more='allocators = { pinned = { library = "/opt/x.so"; }; };')
    assert "/opt/x.so is not installed" in doctor("library-refused")["what"]


def pin(host, library, relays='"*"'):
    host.write(library, "ELF")
    host.groups("pinned", relays, more=f'allocators = {{ pinned = {{ library = "{library}"; }}; }};')


def test_sandbox_hides_the_library(doctor, host):
    pin(host, "/home/tor/lib/libx.so")
    finding = doctor("library-hidden")
    assert finding["what"] == ("ProtectHome=yes in /usr/lib/systemd/system/tor@.service keeps the relay from "
                               "/home/tor/lib/libx.so")
    assert finding["relays"] == ["relay1", "relay2"]
    # A drop-in of one relay, of all of them, and one that hides another folder's.
    host.write("/etc/systemd/system/tor@relay1.service.d/home.conf", "[Service]\nProtectHome=read-only\n")
    assert doctor("library-hidden")["relays"] == ["relay2"]
    host.write("/etc/systemd/system/tor@.service.d/x.conf", "[Service]\nProtectHome=no\n")
    doctor()
    host.write("/run/systemd/system/tor@.service.d/y.conf", "[Service]\nInaccessiblePaths=/home/tor/lib\n")
    assert "/run/systemd/system/tor@.service.d/y.conf" in doctor("library-hidden")["what"]
    host.write("/etc/systemd/system/tor@.service.d/y.conf", "")  # hides the one in /run
    doctor()


def test_sandbox_hides_what_the_name_leads_to(doctor, host):
    host.write("/home/tor/libx.so", "ELF")
    (host.root / "opt").mkdir()
    (host.root / "opt/libx.so").symlink_to("../home/tor/libx.so")
    host.groups("pinned", more='allocators = { pinned = { library = "/opt/libx.so"; }; };')
    assert "/home/tor/libx.so" in doctor("library-hidden")["what"]


def test_masked_unit(doctor, host):
    pin(host, "/home/tor/libx.so", '"relay1"')
    (host.root / "etc/systemd/system").mkdir(parents=True)
    (host.root / "etc/systemd/system/tor@relay1.service").symlink_to("/dev/null")
    doctor()


def test_apparmor(doctor, host):
    host.write("/etc/tor/torrc", "ORPort 9001\nMaxMemInQueues 2 GB\n")
    pin(host, "/usr/local/lib/mimalloc/libmimalloc-2.0.9.so")
    finding = doctor("library-denied")
    assert finding["relays"] == ["default"]
    rule = "  /usr/local/lib/mimalloc/libmimalloc-2.0.9.so mr,"
    assert f"/etc/apparmor.d/local/system_tor\n{rule}\n" in finding["advice"]
    # What it says helps.
    host.write("/etc/apparmor.d/local/system_tor", rule + "\n")
    doctor()


@pytest.mark.parametrize("path, text", [
    ("/sys/module/apparmor/parameters/enabled", "N\n"),
    ("/sys/kernel/security/apparmor/profiles", "system_tor (complain)\n"),
    ("/etc/apparmor.d/disable/system_tor", ""),
])
def test_apparmor_that_does_not_enforce(doctor, host, path, text):
    host.write("/etc/tor/torrc", "ORPort 9001\nMaxMemInQueues 2 GB\n")
    pin(host, "/opt/libx.so")
    host.write(path, text)
    doctor()


def test_apparmor_by_the_kernels_list(doctor, host):
    host.write("/etc/tor/torrc", "ORPort 9001\nMaxMemInQueues 2 GB\n")
    pin(host, "/opt/libx.so")
    host.write("/sys/kernel/security/apparmor/profiles", "other (complain)\nsystem_tor (enforce)\n")
    doctor("library-denied")


def test_default_that_is_no_relay(doctor, host):
    host.write("/etc/tor/torrc", "SocksPort 9050\n")
    pin(host, "/opt/libx.so")
    doctor()
    pin(host, "/opt/libx.so", '"default"')
    doctor("library-denied")


def test_tor_sandbox(doctor, host):
    host.relay("relay2", "MaxMemInQueues 2 GB\nSandbox 1\n")
    finding = doctor("tor-sandbox")
    assert finding["severity"] == "note" and finding["relays"] == ["relay2"]
    host.groups("glibc")
    doctor()


def test_environment_file_overrides(doctor, host):
    host.write("/etc/systemd/system/tor@.service.d/env.conf", "[Service]\nEnvironmentFile=-/etc/default/tor-%i\n")
    host.write("/etc/default/tor-relay2", "LD_PRELOAD=/usr/lib/other.so\nOTHER=1\n")
    host.write("/usr/lib/other.so", "ELF")
    finding = doctor("overridden")
    assert finding["what"] == "/etc/default/tor-relay2 sets LD_PRELOAD" and finding["relays"] == ["relay2"]
    host.write("/etc/systemd/system/tor@.service.d/zzz.conf", "[Service]\nEnvironmentFile=\n")
    doctor()


def test_dropin_of_another(doctor, host):
    path = "/etc/systemd/system/tor@relay1.service.d/override.conf"
    host.write(path, "[Service]\nEnvironment=LD_PRELOAD=/x.so\n")
    finding = doctor("also-set")
    assert finding["severity"] == "note" and finding["what"] == f"{path} sets LD_PRELOAD"
    host.write("/etc/systemd/system/tor@relay1.service.d/zzz.conf", "[Service]\nEnvironment=LD_PRELOAD=\n")
    findings = doctor("also-set", "overridden")
    assert findings[1]["what"].endswith("zzz.conf sets LD_PRELOAD")


def test_preload_that_is_not_there(doctor, host):
    path = "/etc/systemd/system/tor@relay1.service.d/override.conf"
    host.write(path, "[Service]\nEnvironment=LD_PRELOAD==/usr/lib/x.so\n")
    doctor("also-set")  # our drop-in wins
    host.groups("jemalloc", '"relay2"')
    finding = doctor("preload-missing")
    assert finding["what"] == f"LD_PRELOAD in {path} names =/usr/lib/x.so, which is not an absolute path"
    assert finding["severity"] == "warning" and finding["relays"] == ["relay1"]
    # The second of two is there; by name, by path, by a path that ld.so has to expand, by a configured directory
    host.write(path, '[Service]\nEnvironment="LD_PRELOAD=libjemalloc.so.1 libjemalloc.so.2"\n')
    finding = doctor("preload-missing")
    assert finding["severity"] == "note" and "names libjemalloc.so.1, which does not exist" in finding["what"]
    for value in (f"{LIB}/libjemalloc.so.2:libjemalloc.so.2", "/usr/$LIB/x.so", ""):
        host.write(path, f'[Service]\nEnvironment="LD_PRELOAD={value}"\n')
        doctor()
    host.write(path, "[Service]\nEnvironment=LD_PRELOAD=libodd.so\n")
    doctor("preload-missing")
    host.write("/opt/odd/libodd.so", "ELF")
    host.write("/etc/ld.so.conf.d/odd.conf", "# odd\n/opt/odd\n")
    doctor()
    # What comes later decides.
    host.write(path, "[Service]\nEnvironment=LD_PRELOAD=/gone.so\n")
    host.write("/etc/systemd/system/tor@relay1.service.d/reset.conf", "[Service]\nEnvironment=\n")
    doctor()
    host.write("/etc/systemd/system/tor@.service.d/env.conf", "[Service]\nEnvironmentFile=/etc/default/tor-%i\n")
    host.write("/etc/default/tor-relay1", "LD_PRELOAD=/gone.so\n")
    assert "/etc/default/tor-relay1 names /gone.so" in doctor("preload-missing")["what"]


def set_capabilities(path, permitted=1 << 10, inheritable=0):
    """As setcap(8): cap_net_bind_service=+ep; capabilities(7)."""
    try:
        os.setxattr(path, "security.capability",
                    struct.pack("<5I", 0x02000000 | (permitted != 0), permitted, inheritable, 0, 0))
    except PermissionError:
        pytest.skip("only root can give capabilities to a file")


def test_secure_execution(doctor, host):
    tor = host.write("/usr/bin/tor", "ELF")
    host.write("/usr/lib/systemd/system/tor@.service", TEMPLATE + "ExecStart=-/usr/bin/tor -f x\n")
    dropin = "/etc/systemd/system/tor@relay1.service.d/override.conf"
    host.write(dropin, "[Service]\nUser=_tor-relay1\n")
    doctor()
    set_capabilities(tor)
    finding = doctor("secure-execution")
    assert finding["what"] == "/usr/bin/tor has file capabilities, and is started as user _tor-relay1"
    assert finding["relays"] == ["relay1"]
    host.write(dropin, "[Service]\nUser=root\n")
    doctor()
    host.write(dropin, "[Service]\nDynamicUser=yes\n")
    doctor("secure-execution")
    host.groups("glibc")  # which needs no LD_PRELOAD
    doctor()
    host.groups("glibc-tuned")
    doctor("secure-execution")
    set_capabilities(tor, permitted=0, inheritable=1 << 10)
    doctor()


def test_allocator_for_every_process(doctor, host):
    host.write("/etc/ld.so.preload", "# nothing\n/usr/lib/libnice_malloc.so /usr/lib/gone.so\n")
    host.write("/usr/lib/libnice_malloc.so", "no ELF file")
    doctor()
    shutil.copy(REPO / "tests/fuzz/seeds/fuzz-elf/gnu64", host.root / "usr/lib/libheap.so")
    host.write("/etc/ld.so.preload", "/usr/lib/libnice_malloc.so\nlibheap.so # for all\n")
    assert doctor("system-preload")["what"] == "/etc/ld.so.preload loads libheap.so, an allocator, into every process"


def test_unset(doctor, host):
    host.write("/etc/systemd/system/tor@.service.d/a.conf", "[Service]\nUnsetEnvironment=LD_PRELOAD\n")
    assert doctor("overridden")["what"].endswith("a.conf unsets LD_PRELOAD")


def test_own_dropin_is_no_finding(doctor, host):
    host.write("/etc/systemd/system/tor@relay1.service.d/zz-relayalloc.conf",
               "# relayalloc: written from /etc/relayalloc.conf\n[Service]\nEnvironment=LD_PRELOAD=/x\n")
    doctor()


@pytest.mark.parametrize("has", ["relay1", "relay2"])
def test_group_that_holds(doctor, host, has):
    """Who is in it says the drop-in that it has, and not the draw alone: here as in the daemon."""
    host.write("/etc/relayalloc.conf", 'groups = ( { name = "A"; allocator = "jemalloc"; size = 1; hold = true; } );\n')
    host.write(f"/etc/systemd/system/tor@{has}.service.d/zz-relayalloc.conf",
               "# relayalloc: written from /etc/relayalloc.conf, group A, allocator jemalloc; changes made here are lost\n"
               f'[Service]\nEnvironment="LD_PRELOAD={LIB}/libjemalloc.so.2"\n')
    host.write("/etc/systemd/system/tor@.service.d/zzz.conf", "[Service]\nUnsetEnvironment=LD_PRELOAD\n")
    assert doctor("overridden")["relays"] == [has]


def test_mimalloc3(doctor, host):
    host.write(f"{LIB}/libmimalloc.so.3.0", "ELF")
    (host.root / f"{LIB[1:]}/libmimalloc.so.3").symlink_to("libmimalloc.so.3.0")
    doctor()  # nobody uses it
    host.groups("mimalloc3")
    assert "a relay held 10.4 GB after ten days" in doctor("mimalloc3-grows")["what"]


def test_former_name(doctor, host):
    """An upgrade makes no name an error: it is a note, and the same allocator."""
    host.write(f"{LIB}/libmimalloc.so.3", "ELF")
    host.groups("mimalloc3-tuned")
    found = {f["finding"]: f for f in doctor("allocator-renamed", "mimalloc3-grows")}
    assert found["allocator-renamed"]["severity"] == "note" and '"mimalloc3-purge"' in found["allocator-renamed"]["what"]


def process(host, pid, unit, mappings):
    """A process as /proc shows it."""
    host.write(f"/proc/{pid}/stat", f"{pid} (tor) S 1 42 42 0 -1 4194560 942 0 2 0 2 0 0 0 20 0 4 0 1 55545856\n")
    host.write(f"/proc/{pid}/status", "Name:\ttor\nVmHWM:\t 8 kB\nVmRSS:\t 4 kB\n")
    host.write(f"/proc/{pid}/cgroup", f"1:name=systemd:/system.slice/system-tor.slice/{unit}\n0::/\n")
    host.write(f"/proc/{pid}/maps", "7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \n" * mappings)


def test_mappings_near_their_limit(doctor, host):
    host.write("/proc/sys/vm/max_map_count", "1000\n")
    process(host, 100, "tor@relay1.service", 799)
    process(host, 101, "tor@relay1.service", 3)
    process(host, 102, "cron.service", 900)
    doctor()
    process(host, 101, "tor@relay1.service", 800)  # any process of the relay counts, not only the first
    process(host, 103, "tor@relay2.service", 1200)  # the limit was lowered
    findings = doctor("mappings-near-limit", "mappings-near-limit")
    assert [(f["severity"], f["relays"]) for f in findings] == [("warning", ["relay1"]), ("warning", ["relay2"])]
    assert "has 800 memory mappings, and the kernel allows a process 1000 " in findings[0]["what"]
    assert "has 1200 memory mappings" in findings[1]["what"] and "sysctl -w vm.max_map_count=" in findings[1]["advice"]
    process(host, 100, "tor@relay1.service", 99000)  # more than a file that is read whole may have
    host.write("/proc/sys/vm/max_map_count", "100000\n")
    assert "has 99000 " in doctor("mappings-near-limit")["what"]


def test_huge_pages(doctor, host):
    host.write("/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n")
    assert "madvise" in doctor("huge-pages")["advice"]


def test_queues(doctor, host):
    host.relay("relay3", "")  # tor's default: 0.4 of 16 GiB
    doctor()
    for i in range(4, 9):
        host.relay(f"relay{i}", "")
    finding = doctor("queues-too-big")
    assert "8 relays is 42.4 GiB" in finding["what"] and "16.0 GiB" in finding["what"]
    assert "6 of them leave it to tor" in finding["why"]
    limit = re.search(r"\n  (MaxMemInQueues \d+ MB)\n", finding["advice"])[1]
    for i in range(1, 9):
        host.relay(f"relay{i}", limit + "\n")
    doctor()


def test_journal_too_small(doctor, host):
    host.write("/etc/systemd/journald.conf.d/small.conf", "[Journal]\nSystemMaxUse=20M\n")
    finding = doctor("journal-too-small")
    assert "keeps 10 days" in finding["what"]
    size = re.search(r"\n  \[Journal\]\n  (SystemMaxUse=\d+M)\n", finding["advice"])[1]
    host.write("/etc/systemd/journald.conf.d/zz.conf", f"[Journal]\n{size}\n")
    doctor()
    host.write("/etc/systemd/journald.conf.d/zz.conf", "[Journal]\nSystemMaxUse=1G\nMaxRetentionSec=1week\n")
    assert "keeps 7 days" in doctor("journal-too-small")["what"]


def test_journal_that_may_take_a_share_of_its_file_system(no_bus):
    """As journald does by itself: a tenth of it, and 4 GiB at the most."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        host = Host(pathlib.Path(folder))
        host.write("/etc/systemd/journald.conf", "[Journal]\n")
        host.write("/etc/relayalloc.conf", "sample = { interval = 10; };\n")
        for i in range(100):
            host.relay(f"relay{i}", "MaxMemInQueues 1 MB\n")
        (finding,) = no_bus("doctor", f"--root={folder}", "--json=short").json
        file_system = os.statvfs(folder)
    space, unit = re.search(r"journald may use ([\d.]+) (MiB|GiB) for everything", finding["why"]).groups()
    tenth = file_system.f_blocks * file_system.f_frsize / 10
    assert float(space) * {"MiB": 1 << 20, "GiB": 1 << 30}[unit] == pytest.approx(min(tenth, 4 << 30), rel=0.01)


def test_journal_in_memory(doctor, host):
    host.write("/run/systemd/journald.conf.d/v.conf", "[Journal]\nStorage=volatile\n")
    doctor("journal-in-memory")
    (host.root / "run/systemd/journald.conf.d/v.conf").unlink()
    (host.root / "var/log/journal/.keep").unlink()
    (host.root / "var/log/journal").rmdir()
    doctor("journal-in-memory")
    host.write("/etc/systemd/journald.conf", "[Journal]\nStorage=persistent\n")
    doctor()


def test_needrestart(doctor, host):
    host.write("/etc/needrestart/needrestart.conf", "#$nrconf{restart} = 'i';\n$nrconf{restart} = 'a';\n")
    doctor()  # not installed
    host.write("/usr/sbin/needrestart", "")
    finding = doctor("needrestart")
    rule = re.search(r"(/etc/needrestart/conf\.d/\S+)\n  (.*);", finding["advice"])
    host.write(rule[1], rule[2] + ";\n")
    doctor()


def test_needrestart_of_ubuntu(doctor, host):
    host.write("/usr/sbin/needrestart", "")
    doctor()
    host.write("/etc/os-release", 'ID=ubuntu\nVERSION_ID="24.04"\n')
    doctor("needrestart")
    host.write("/etc/needrestart/conf.d/mine.conf", "$nrconf{restart} = 'l';\n")
    doctor()


def test_unattended_upgrades(doctor, host):
    host.write("/etc/apt/apt.conf.d/20auto-upgrades", 'APT::Periodic::Unattended-Upgrade "1";\n')
    doctor()  # not installed
    host.write("/usr/bin/unattended-upgrade", "")
    finding = doctor("unattended-upgrades")
    assert finding["severity"] == "note"
    rule = re.search(r"(/etc/apt/apt\.conf\.d/\S+)\n  (.*)\n", finding["advice"])
    host.write(rule[1], rule[2] + "\n")
    doctor()
    host.write(rule[1] + ".dpkg-old", "")  # apt reads no such file
    host.write(rule[1], "")
    host.write("/etc/apt/apt.conf.d/99off", 'APT::Periodic::Unattended-Upgrade "0";\n')
    doctor()


def test_read_only_unit_files(host, no_bus):
    """In a mount namespace of its own, where the directory is read-only."""
    host.write("/etc/systemd/system/.keep", "")
    directory = f"{host.root}/etc/systemd/system"
    command = [str(CTL), "doctor", f"--root={host.root}", "--json=short"]
    script = f"mount --bind {directory} {directory} && mount -o remount,bind,ro {directory} && exec \"$@\""
    done = subprocess.run(["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--mount", "sh", "-c", script, "sh", *command],
                          capture_output=True, text=True, env=no_bus.environment)
    assert done.returncode == 1 and done.stderr == "", done
    (finding,) = json.loads(done.stdout)
    assert (finding["severity"], finding["finding"]) == ("warning", "unit-files-read-only")
    assert "/etc/systemd/system is on a read-only file system" in finding["what"] and "remount,rw" in finding["advice"]


def test_gate_without_a_time_limit(host, doctor):
    host.groups("jemalloc", more='rollout = { gate = "my-gate.service"; };\n')
    doctor()  # there is none: check says so
    unit = "/etc/systemd/system/my-gate.service"
    host.write(unit, "[Service]\nType=oneshot\nExecStart=/bin/true\n")
    finding = doctor("gate-endless")
    assert finding["severity"] == "warning" and "my-gate.service, the gate of rollouts" in finding["what"]
    assert "systemctl edit my-gate.service" in finding["advice"] and "TimeoutStartSec=1min" in finding["advice"]
    host.write(unit + ".d/override.conf", "[Service]\nTimeoutStartSec=1min\n")
    doctor()
    host.write(unit + ".d/z.conf", "[Service]\nTimeoutSec=infinity\n")
    doctor("gate-endless")
    # the one that is shipped has a limit
    host.write(unit, (REPO / "packaging/alert/relayalloc-gate.service").read_text())
    for name in ("override.conf", "z.conf"):
        (host.root / f"{unit[1:]}.d/{name}").unlink()
    doctor()


OURS = "# relayalloc: written from /etc/relayalloc.conf, group all, allocator jemalloc; changes made here are lost\n[Service]\n"


def test_what_another_unit_left(host, doctor):
    host.write("/etc/systemd/system/tor@relay1.service.d/zz-relayalloc.conf", OURS)
    doctor()
    for unit in ("onion@a2.service", "onion@a10.service"):
        host.write(f"/etc/systemd/system/{unit}.d/zz-relayalloc.conf", OURS)
    host.write("/etc/systemd/system/other@a.service.d/zz-relayalloc.conf", "[Service]\n")
    finding = doctor("left-over")
    assert finding["severity"] == "warning" and finding["relays"] == ["onion@a2.service", "onion@a10.service"]
    assert "relayallocctl revert --unit=onion@.service" in finding["advice"] and "units of tor@.service" in finding["why"]


def test_all_findings_are_provoked_here():
    """Who adds a finding adds its test and names it in the manual."""
    ids = re.search(r"finding_ids\[\] = \{(.*?)NULL", (REPO / "daemon/doctor/doctor.c").read_text(), re.S)[1]
    ids = re.findall(r'"([a-z0-9-]+)"', ids)
    assert len(ids) == 24
    mine = pathlib.Path(__file__).read_text()
    manual = (REPO / "docs/man/relayallocctl.1.scd").read_text()
    for each in ids:
        assert f'doctor("{each}"' in mine or f', "{each}"' in mine, each
        assert f"*{each}*" in manual, each


def test_as_text(no_bus, host):
    host.write("/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n")
    for i in range(1, 41):
        host.relay(f"relay{i}", "MaxMemInQueues 100 MB\nSandbox 1\n")
    done = no_bus("doctor", f"--root={host.root}")
    lines = done.out.splitlines()
    assert lines[0].startswith('note: tor\'s own sandbox (Sandbox 1 in torrc) is on, with allocator "jemalloc" '
                               "(relay1, relay2, relay3 and 37 more)")
    for i in range(5, 41):
        host.relay(f"relay{i}", "MaxMemInQueues 100 MB\n")
    assert "(relay1, relay2, relay3 and relay4)" in no_bus("doctor", f"--root={host.root}").out.splitlines()[0]
    assert "" in lines and "warning: transparent huge pages are set to \"always\"" in lines
    assert "      echo madvise >/sys/kernel/mm/transparent_hugepage/enabled" in lines
    assert max(map(len, lines)) <= 130 and "\033" not in done.out
    narrow = no_bus.on_terminal("doctor", f"--root={host.root}", columns=60)
    assert "\033[1;33mwarning:" in narrow.out
    assert all(len(line) <= 60 for line in re.sub(r"\033\[[0-9;]*m", "", narrow.out).splitlines() if line[:6] != " " * 6)
    # Nothing is lost by that.
    assert narrow.out.split() == no_bus("doctor", f"--root={host.root}", SYSTEMD_COLORS="1").out.split()


def test_usage(no_bus, host):
    assert no_bus("doctor", "x").status == 2
    assert no_bus("doctor", "--nonsense").status == 2
    assert no_bus("doctor", "--root").status == 2
    assert no_bus("-M", "other", "doctor").status == 2
    host.write("/etc/relayalloc.conf", "groups = 1;")
    done = no_bus("doctor", f"--root={host.root}")
    assert done.status == 2 and "/etc/relayalloc.conf:1: groups: " in done.err


def test_this_host(no_bus):
    """Whatever it finds here, it ends well, as an ordinary user too."""
    assert no_bus("doctor", "--json=short").status in (0, 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="nothing of ours is root's")
def test_configuration_that_others_can_change(no_bus, tmp_path):
    conf = tmp_path / "relayalloc.conf"
    conf.write_text("groups = ();\n")
    for mode, expected in ((0o644, None), (0o666, "configuration-refused")):
        conf.chmod(mode)
        findings = no_bus("doctor", f"--config={conf}", "--json=short").json
        finding = next((f for f in findings if f["finding"] == "configuration-refused"), None)
        assert (finding and finding["finding"]) == expected
    assert finding["severity"] == "warning" and f"(chmod o-w {conf})" in finding["what"]


def test_setting_that_is_not_understood(no_bus, tmp_path):
    conf = tmp_path / "relayalloc.conf"
    conf.write_text('allocators = { own = { environment = { GLIBC_TUNABLES = "glibc.malloc.arena_maks=1"; }; }; };\n'
                    'groups = ( { name = "A"; allocator = "own"; relays = [ "*" ]; } );\n')
    found = [(f["severity"], f["finding"], f["what"]) for f in no_bus("doctor", f"--config={conf}", "--json=short").json]
    (what,) = [what for *kind, what in found if kind == ["warning", "setting-unknown"]]
    assert what.startswith('allocator "own": GLIBC_TUNABLES: ') and '(did you mean "glibc.malloc.arena_max"?)' in what


def test_self_test(no_bus, tmp_path):
    """Every allocator of the file is tried here, and what served malloc is told."""
    conf = tmp_path / "relayalloc.conf"
    conf.write_text('allocators = { mine = { library = "/nowhere/libmine.so"; }; };\n')
    done = no_bus(f"--config={conf}", "doctor", "--self-test", "--json=short")
    rows = {row["allocator"]: row for row in done.json}
    assert done.status == 0 and {"glibc", "jemalloc", "tcmalloc", "mine"} <= set(rows)
    assert rows["jemalloc"]["result"] == "works" and re.match(r"5\.", rows["jemalloc"]["version"])
    assert rows["mine"]["result"] == "refused" and "/nowhere/libmine.so" in rows["mine"]["reason"]
    text = no_bus(f"--config={conf}", "doctor", "--self-test").out
    works = sum(row["result"] == "works" for row in rows.values())
    assert f"{works} of {len(rows)} allocators work here. The relays' sandboxes were not tested: " in text
    assert "Nothing was changed, and no relay was restarted.\n" in text and f"\nThe plan for {conf}:\nNothing to do" in text
    chosen = no_bus(f"--config={conf}", "doctor", "--self-test", "-o", "allocator,result")  # which the plan has not
    assert chosen.status == 0 and "no column" not in chosen.err and "\nNothing to do" in chosen.out, chosen
    refused = no_bus("doctor", "--self-test", f"--root={tmp_path}")
    assert refused.status == 2 and "--root" in refused.err
