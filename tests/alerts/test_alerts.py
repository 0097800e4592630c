"""Each alert by a real cause: it fires, no other does, and it clears when the cause is gone."""
import re
import time

from conftest import ADDRESS, OTHER_VERSION, VERSION, conf

BROKEN = "/usr/local/lib/relay-test/libbroken.so"
BROKEN_CONF = f'allocators = {{ broken = {{ library = "{BROKEN}"; environment = {{ BROKEN = "start"; }}; }}; }};\n'


def test_halt(monitor):
    m = monitor.machine
    m.install_library("broken-malloc.c", BROKEN)
    m.write_conf(conf(m, "broken", BROKEN_CONF).replace("parallel = 3", "parallel = 1"))
    m.wait_event("rollout-halted", timeout=90)
    victim = m.events("relay-failed")[0]["RELAYALLOC_RELAY"]
    monitor.wait("RelayallocRolloutHalted", ("RelayallocRelayFailed", victim))
    m.write_conf(conf(m))
    monitor.wait()
    m.sh("rm -r /usr/local/lib/relay-test")


def test_pause(monitor):
    m = monitor.machine
    m.sh("relayallocctl pause")
    monitor.wait("RelayallocRolloutPaused")
    m.sh("relayallocctl resume")
    monitor.wait()


def test_gate(monitor):
    m = monitor.machine
    m.write("/etc/systemd/system/my-gate.service", "[Service]\nType=oneshot\nExecStart=/usr/bin/test -e /run/gate-open\n")
    m.systemctl("daemon-reload")
    m.write_conf(conf(m, "glibc", gate="my-gate.service"))
    monitor.wait("RelayallocRolloutWaiting")
    m.sh("touch /run/gate-open; relayallocctl pause; relayallocctl resume")
    monitor.wait()
    m.sh("rm /run/gate-open /etc/systemd/system/my-gate.service; systemctl daemon-reload")


def test_window_and_abort(monitor):
    """Its window opens in two hours; then somebody aborts the rollout."""
    m = monitor.machine
    at = [time.strftime("%H:%M", time.gmtime(time.time() + hours * 3600)) for hours in (2, 3)]
    m.sh("ln -sf /usr/share/zoneinfo/UTC /etc/localtime")
    m.write_conf(conf(m, "glibc").replace("rollout = {", f'rollout = {{ window = "{at[0]}-{at[1]}";'))
    monitor.wait("RelayallocRolloutWaiting")
    m.sh("relayallocctl abort")
    monitor.wait("RelayallocRolloutPaused")
    m.sh("relayallocctl resume")
    monitor.wait("RelayallocRolloutWaiting")
    m.write_conf(conf(m))
    monitor.wait()


def test_state_that_cannot_be_saved(monitor):
    """Its file system is full."""
    m = monitor.machine
    m.systemctl("stop", "relayallocd")
    m.sh("mkdir -p /var/lib/relayalloc && mount -t tmpfs -o size=128k tmpfs /var/lib/relayalloc")
    try:
        m.start_daemon()
        m.wait_all("ok")
        m.sh("cat /dev/zero >/var/lib/relayalloc/others 2>&1; relayallocctl pause; relayallocctl resume; true")
        monitor.wait("RelayallocStateNotSaved")
        assert "No space left on device" in m.run("relayallocctl status").stdout
        m.sh("rm /var/lib/relayalloc/others")
        monitor.wait()
    finally:
        m.sh("systemctl stop relayallocd; umount /var/lib/relayalloc")


def test_memory_that_fills_the_host(monitor):
    """A relay grows so fast that what the host really has available is used up in a day, which takes 24 seconds here."""
    m = monitor.machine
    available = int(re.search(r"^MemAvailable: +(\d+) kB", m.read("/proc/meminfo"), re.M)[1]) // 1024
    day = "/etc/systemd/system/relayallocd.service.d/day.conf"
    m.write(day, "[Service]\nEnvironment=RELAYALLOC_DAY=24\n")
    m.sh("systemctl daemon-reload; systemctl restart relayallocd")
    m.install_library("broken-malloc.c", BROKEN)
    m.write_conf(conf(m, before=BROKEN_CONF.replace('"start";', f'"grow"; GROW = "{available // 24}";'))
                 .replace("groups = (", 'groups = ( { name = "G"; allocator = "broken"; relays = [ "relay1" ]; },'))
    monitor.wait("RelayallocMemoryFull")
    assert "at this growth the host is full in" in m.run("relayallocctl status").stdout
    m.write_conf(conf(m))  # and so relay1 is restarted with jemalloc
    monitor.wait()
    m.sh(f"rm -r {day} /usr/local/lib/relay-test; systemctl daemon-reload; systemctl restart relayallocd")


def test_allocator_that_grows(monitor):
    m = monitor.machine
    m.write_conf(conf(m, "mimalloc3"))
    monitor.wait("RelayallocAllocatorGrows")
    m.write_conf(conf(m))
    monitor.wait()


def test_versions_of_two_hosts(monitor, other):
    """Until the other one is upgraded."""
    monitor.hosts("127.0.0.1:9100", f"{ADDRESS}:9100")
    try:
        monitor.wait("RelayallocVersionSkew")
        other.sh(f"sed -i 's/{re.escape(OTHER_VERSION)}/{VERSION}/g' /usr/sbin/relayallocd; systemctl restart relayallocd")
        other.wait_all("ok", timeout=120)
        monitor.wait()
    finally:
        monitor.hosts("127.0.0.1:9100")


def test_drift(monitor):
    m = monitor.machine
    dropin = "/etc/systemd/system/tor@relay2.service.d/zzz.conf"
    m.write(dropin, "[Service]\nUnsetEnvironment=LD_PRELOAD\n")
    m.sh("systemctl daemon-reload; systemctl restart tor@relay2")
    monitor.wait(("RelayallocRelayDrifted", "relay2"))
    m.sh(f"rm {dropin}; systemctl daemon-reload; systemctl restart tor@relay2")
    monitor.wait()


def test_down(monitor):
    m = monitor.machine
    dropin = "/etc/systemd/system/tor@relay3.service.d/00-broken.conf"
    m.write(dropin, "[Service]\nRestart=no\nExecStartPre=/bin/false\n")
    m.sh("systemctl daemon-reload; systemctl restart tor@relay3 || true")
    monitor.wait(("RelayallocRelayDown", "relay3"))
    m.sh(f"rm {dropin}; systemctl daemon-reload; systemctl reset-failed tor@relay3; systemctl start tor@relay3")
    monitor.wait()


def test_bad_file(monitor):
    m = monitor.machine
    m.write_conf("groups = oops\n")
    monitor.wait("RelayallocConfigRefused")
    m.write_conf(conf(m))
    monitor.wait()


def test_stopped_daemon(monitor):
    m = monitor.machine
    m.systemctl("stop", "relayallocd")
    monitor.wait("RelayallocSamplesMissing")
    m.start_daemon()
    monitor.wait()


def test_daemon_that_hangs(monitor):
    m = monitor.machine
    m.sh("kill -STOP $(systemctl show -P MainPID relayallocd)")
    monitor.wait("RelayallocSamplesStopped")
    m.sh("kill -CONT $(systemctl show -P MainPID relayallocd)")
    monitor.wait()
