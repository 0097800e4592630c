"""Each alert by a real cause: it fires, no other does, and it clears when the cause is gone."""
from conftest import conf

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
