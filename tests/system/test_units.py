"""The units around the daemon: saving reloads, the bus and its policy, the sandbox, what an ordinary user may do."""

import json
import random
import re

RELAYS = 2
NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups "
CALL = "busctl call --timeout=60 org.relayalloc1 /org/relayalloc1 org.relayalloc1.Manager "


def numbered(n):
    """A valid file with n groups that take nobody; how many there were is what the daemon says of the file."""
    return "groups = (" + ", ".join(f'{{ name = "g{i}"; allocator = "glibc"; relays = [ "nobody" ]; }}'
                                    for i in range(n)) + ");\n"


def groups_loaded(m):
    return int(m.events("config-loaded")[-1]["MESSAGE"].split(": ")[1].split()[0])


def test_of_many_saves_the_last_always_counts(fresh):
    """Also when it comes while an earlier one is being taken up, which is where a save gets lost most easily."""
    m = fresh
    m.start_daemon()
    chance = random.Random(4)
    for turn in range(1, 13):
        # In place, by rename, and as editors that keep a backup do; 30 ms to 130 ms apart.
        steps = ["printf '%s' \"$0\" >/etc/relayalloc.conf",
                 "printf '%s' \"$0\" >/etc/.new && mv /etc/.new /etc/relayalloc.conf",
                 "mv /etc/relayalloc.conf /etc/relayalloc.conf~ && printf '%s' \"$0\" >/etc/relayalloc.conf"]
        script = "; ".join(f"{chance.choice(steps)}; sleep 0.{chance.randint(3, 13):02}"
                           for _ in range(chance.randint(1, 7)))
        # Then one at a time around the end of the reload.
        m.run(["sh", "-c", f"{script}; sleep 0.{chance.randint(15, 45)}", numbered(200)])
        m.run(["sh", "-c", chance.choice(steps), numbered(turn)])
        m.wait_until(lambda turn=turn: groups_loaded(m) == turn, 30, f"save {turn} to be loaded")
    assert m.prop("relayallocd", "NRestarts") == "0"


def test_no_save_is_missed_while_systemd_reloads(fresh):
    """Which makes it forget what its path units watch; one save in each of many reloads, and re-executions."""
    m = fresh
    m.start_daemon()
    m.wait_event("config-loaded")
    m.sh("(while [ ! -e /run/enough ]; do systemctl daemon-reload; done) >/dev/null 2>&1 &")
    try:
        for turn in range(1, 13):
            m.write_conf(numbered(turn))
            if turn % 6 == 0:
                m.systemctl("daemon-reexec")
            m.wait_until(lambda turn=turn: groups_loaded(m) == turn, 15, f"save {turn} to be loaded")
    finally:
        m.sh("touch /run/enough; sleep 1; rm /run/enough")
    assert m.prop("relayallocd", "NRestarts") == "0"
    assert '"unread":false' in m.run("relayallocctl status --json=short").stdout.replace(" ", "")


def test_many_saves_at_once_are_few_reloads(fresh):
    m = fresh
    m.start_daemon()
    m.wait_event("config-loaded")
    m.mark()
    m.run(["sh", "-c", "for i in $(seq 60); do printf '%s' \"$0\" >/etc/relayalloc.conf; done", numbered(200)])
    m.write_conf(numbered(3))
    m.wait_until(lambda: groups_loaded(m) == 3, 30, "the last save to be loaded")
    assert len(m.events("config-loaded")) < 30


def test_a_stopped_daemon_stays_stopped(fresh):
    m = fresh
    m.start_daemon()
    m.systemctl("stop", "relayallocd")
    m.write_conf(numbered(3))
    assert "is not running" in m.run("relayallocctl list").stderr
    assert m.run("relayallocctl pause").returncode == 1
    assert m.run(CALL + "ListRelays").returncode != 0
    assert m.prop("relayallocd", "ActiveState") == "inactive"
    m.start_daemon()
    m.wait_until(lambda: groups_loaded(m) == 3, 30, "the file to be loaded")


def test_a_call_on_the_bus_does_not_start_a_stopped_daemon(fresh):
    """Or any user could continue a rollout that root has stopped. Root continues it by starting the daemon."""
    m = fresh
    m.systemctl("enable", "relayallocd")
    try:
        m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "*" ]')], settle=5))
        m.start_daemon()
        m.wait_event("relay-restarting")
        m.systemctl("stop", "relayallocd")
        m.mark()
        before = m.invocations()
        start = "busctl call org.freedesktop.DBus / org.freedesktop.DBus StartServiceByName su org.relayalloc1 0"
        for call in (CALL + "ListRelays", CALL + "Resume", start):
            assert m.run(NOBODY + call).returncode != 0
        assert m.run(CALL + "ListRelays").returncode != 0  # nor does that of a root who only looks
        listed, paused = m.run(NOBODY + "relayallocctl list"), m.run("relayallocctl pause")
        assert "is not running" in listed.stderr and paused.returncode == 1
        assert "systemctl start relayallocd" in paused.stderr
        assert m.prop("relayallocd", "ActiveState") == "inactive" and m.invocations() == before
        assert not m.events("daemon-started")
        m.start_daemon()
        m.wait_all("ok")
        assert {m.allocator_in_maps(relay) for relay in m.names} == {"jemalloc"}
    finally:
        m.systemctl("disable", "relayallocd")


def test_a_daemon_that_is_killed_comes_back_and_saving_still_works(fresh):
    m = fresh
    m.start_daemon()
    before = m.invocations()
    m.systemctl("kill", "--signal=KILL", "relayallocd")
    m.write_conf(numbered(4))  # while it is away
    m.wait_until(lambda: m.is_active("relayallocd") and groups_loaded(m) == 4, 30, "the daemon to be back")
    m.write_conf(numbered(5))
    m.wait_until(lambda: groups_loaded(m) == 5, 30, "the save to be loaded")
    assert m.invocations() == before


def test_a_wrong_file_is_no_reason_to_start_again(fresh):
    m = fresh
    m.write_conf("groups = 1;\n")
    assert m.run("systemctl start relayallocd").returncode != 0
    assert m.prop("relayallocd", "ActiveState") == "failed"
    assert m.prop("relayallocd", "NRestarts") == "0"


# ---- who may do what ----

def test_an_ordinary_user_reads_and_cannot_change(fresh):
    m = fresh
    m.start_daemon()
    listed = m.run(NOBODY + "relayallocctl list --json=short")
    assert listed.returncode == 0 and len(json.loads(listed.stdout)) >= RELAYS
    assert m.run(NOBODY + CALL + "ListRelays").returncode == 0
    introspected = m.sh(NOBODY + "busctl introspect org.relayalloc1 /org/relayalloc1")
    assert "ListRelays" in introspected and "RolloutWave" in introspected
    for method in ("Pause", "Resume", "Abort", "Reload", "Revert as 0"):
        done = m.run(NOBODY + CALL + method)
        assert done.returncode != 0 and re.search("denied|authoriz", done.stderr, re.I), (method, done.stderr)
    set_level = m.run(NOBODY + "busctl set-property org.relayalloc1 /org/freedesktop/LogControl1 "
                      "org.freedesktop.LogControl1 LogLevel s debug")
    assert set_level.returncode != 0


def test_only_root_can_be_the_daemon(fresh):
    m = fresh
    own = "busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus RequestName su org.relayalloc1 0"
    denied = m.run(NOBODY + own)
    assert denied.returncode != 0 and "denied" in denied.stderr.lower()
    assert m.run(own).returncode == 0


def test_log_level_as_systemctl_does_it(fresh):
    m = fresh
    m.start_daemon()
    assert m.sh("systemctl service-log-level relayallocd").strip() == "info"
    m.systemctl("service-log-level", "relayallocd", "debug")
    assert m.sh("systemctl service-log-level relayallocd").strip() == "debug"


# ---- the sandbox ----

def test_the_daemon_cannot_reach_what_is_not_its_business(fresh):
    m = fresh
    if m.sanitize:
        m.start_daemon()  # with fewer walls; that it starts is all there is to see
        return
    m.start_daemon()
    pid = m.prop("relayallocd", "MainPID")
    inside = f"nsenter -t {pid} -m -n sh -c "
    keys = m.path("/var/lib/tor-instances/relay1/keys")
    assert keys.exists()
    assert m.run([*inside.split(), "ls /var/lib/tor-instances/relay1"]).returncode != 0
    assert m.exists("/etc/shadow") and m.sh([*inside.split(), "cat /etc/shadow"]) == ""
    assert m.run([*inside.split(), "cp /bin/true /tmp/x && /tmp/x"]).returncode == 126
    for path in ("/etc/passwd.d", "/usr/x", "/var/lib/x", "/root/x", "/run/x", "/etc/tor/x"):
        assert m.run([*inside.split(), f"touch {path}"]).returncode != 0, path
    assert m.run([*inside.split(), "touch /etc/systemd/system/.x && rm /etc/systemd/system/.x"]).returncode == 0
    assert m.sh([*inside.split(), "ls /sys/class/net"]).split() in ([], ["lo"])
    status = m.read(f"/proc/{pid}/status")
    bounds = next(line.split()[1] for line in status.splitlines() if line.startswith("CapBnd"))
    # SETGID 6, SETUID 7, SYS_PTRACE 19
    assert int(bounds, 16) == 1 << 6 | 1 << 7 | 1 << 19
    assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status


METRICS = "/var/lib/prometheus/node-exporter"


def metrics_conf(directory=METRICS):
    return f'metrics = {{ textfile = "{directory}/relayalloc.prom"; }};\nsample = {{ interval = 1; }};\n'


def test_the_daemon_sees_how_much_memory_the_host_has_left(fresh):
    """Without it nothing tells that the host's memory runs out, and nothing tells that nothing can."""
    fresh.start_daemon()
    pid = fresh.prop("relayallocd", "MainPID")
    assert "MemAvailable:" in fresh.sh(["nsenter", "-m", "-t", pid, "cat", "/proc/meminfo"])


def test_the_usual_metrics_directory_may_be_written(fresh):
    """It belongs to the exporter's user, on Debian, who puts whatever he likes into it, and into its place."""
    m = fresh
    as_owner = "setpriv --reuid 65534 --regid 65534 --clear-groups sh -ec "
    m.sh(f"mkdir -p {METRICS} && chown -R 65534 /var/lib/prometheus")
    m.write_conf(metrics_conf())
    m.start_daemon()
    m.wait_until(lambda: m.exists(f"{METRICS}/relayalloc.prom"), 15, "the metrics")
    m.sh(as_owner + f"'cd {METRICS} && rm relayalloc.prom && mkfifo relayalloc.prom relayalloc.prom.new'")
    m.wait_until(lambda: m.run(f"test -f {METRICS}/relayalloc.prom").returncode == 0, 15, "a file in the FIFO's place")
    m.systemctl("stop", "relayallocd")
    assert m.sh(f"ls -A {METRICS}").split() == ["relayalloc.prom.new"]
    # a link to where root alone may write
    m.sh(as_owner + "'cd /var/lib/prometheus && mv node-exporter old && ln -s /etc/systemd/system node-exporter'")
    m.systemctl("start", "relayallocd")
    m.wait_until(lambda: "its path has a link that users other than root could change" in m.journal_text(), 15, "the refusal")
    assert not m.exists("/etc/systemd/system/relayalloc.prom")
    m.systemctl("stop", "relayallocd")
    m.sh("rm -r /var/lib/prometheus")


def test_a_metrics_directory_that_comes_later(fresh):
    m = fresh
    m.write_conf(metrics_conf())
    m.start_daemon()
    m.wait_until(lambda: f"there is no directory {METRICS}; create it" in m.journal_text(), 15, "what is missing")
    m.sh(f"mkdir -p {METRICS}")
    m.wait_until(lambda: f'{METRICS} was created after relayallocd started' in m.journal_text(), 15, "what to type")
    m.systemctl("restart", "relayallocd")
    m.wait_until(lambda: m.exists(f"{METRICS}/relayalloc.prom"), 15, "the metrics")
    m.sh("mkdir /srv/metrics")
    m.write("/root/draft.conf", metrics_conf("/srv/metrics"))
    told = m.run("relayallocctl check /root/draft.conf").stderr  # before it is saved
    assert "metrics.textfile: warning: cannot write" in told and '"ReadWritePaths=/srv/metrics"' in told, told
    m.write("/root/draft.conf", metrics_conf())
    assert "metrics.textfile" not in m.run("relayallocctl check /root/draft.conf").stderr
    m.write_conf(metrics_conf("/srv/metrics"))
    m.systemctl("reload", "relayallocd")
    m.wait_until(lambda: '"ReadWritePaths=/srv/metrics"' in m.journal_text(), 15, "what to type")
    assert not m.exists(f"{METRICS}/relayalloc.prom")
    m.systemctl("stop", "relayallocd")
    m.sh("rm -r /var/lib/prometheus /srv/metrics")


# ---- the verbs that read the journal ----

def test_history_and_events_of_a_real_journal(fresh):
    m = fresh
    m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "relay1" ]')]))
    m.start_daemon()
    m.wait_all("ok", ["relay1"])
    m.wait_until(lambda: [e["RELAYALLOC_ALLOCATOR"] for e in m.events("sample-relay", relay="relay1")][-1:] == ["jemalloc"],
                 20, "a sample after the move")
    # From the first entry to the last one that there is now, both included: samples go on coming.
    entries = [(int(e["__REALTIME_TIMESTAMP"]), int(e["RELAYALLOC_RSS"]))
               for e in m.events("sample-relay", relay="relay1")]
    first, last = (f"@{when // 10**6}.{when % 10**6:06}" for when in (entries[0][0], entries[-1][0]))
    rows = json.loads(m.sh(f"relayallocctl history relay1 --json=short --since={first} --until={last}"))
    assert [(row["time"], row["rss"]) for row in rows] == entries
    assert rows[-1]["allocator"] == "jemalloc"
    events = json.loads(m.sh(f"relayallocctl events relay1 --json=short --since=@{m.since:.6f}"))
    assert "relay-moved" in [event["event"] for event in events]
    assert {event["relay"] for event in events} == {"relay1"}
    denied = m.run(NOBODY + "relayallocctl events")
    assert denied.returncode == 1 and "systemd-journal" in denied.stderr


def test_doctor_on_a_real_host(fresh):
    m = fresh
    m.write("/etc/systemd/system/tor@.service.d/hide.conf", "[Service]\nInaccessiblePaths=/opt\n")
    m.sh("mkdir -p /opt && cp /usr/lib/*/libjemalloc.so.2 /opt/libmine.so")
    m.write_conf('allocators = { mine = { library = "/opt/libmine.so"; }; };\n'
                 'groups = ( { name = "A"; allocator = "mine"; relays = [ "relay1" ]; } );\n')
    done = m.run("relayallocctl doctor --json=short")
    findings = {f["finding"]: f for f in json.loads(done.stdout)}
    assert done.returncode == 1
    assert findings["library-hidden"]["relays"] == ["relay1"]
    assert "InaccessiblePaths=/opt" in findings["library-hidden"]["what"]
    assert "mappings-near-limit" not in findings
    m.sh("rm -r /opt/libmine.so /etc/systemd/system/tor@.service.d")


def test_doctor_counts_the_mappings_of_real_relays(fresh):
    """The kernel's limit is the whole host's, so another one is put over its file, for doctor alone."""
    m = fresh
    m.write("/run/limit", "100\n")
    done = m.run("unshare --mount sh -c 'mount --bind /run/limit /proc/sys/vm/max_map_count && relayallocctl doctor --json=short'")
    found = [f for f in json.loads(done.stdout) if f["finding"] == "mappings-near-limit"]
    assert sorted(name for f in found for name in f["relays"]) == sorted(m.names), done
    for f in found:
        has, limit = map(int, re.search(r"has (\d+) memory mappings, and the kernel allows a process (\d+) ", f["what"]).groups())
        assert limit == 100 and 80 <= has < 5000
