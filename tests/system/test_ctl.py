"""relayallocctl against the real daemon, real relays and the real journal: what it prints agrees with D-Bus, systemd and
/proc; what it does not without the daemon, as an ordinary user, on another machine. What needs states that are hard to
provoke is in tests/ctl."""

import json
import os
import pathlib
import re
import shlex
import subprocess
import uuid

import pytest

from machine import Machine

GROUPS = [("A", "jemalloc", 'relays = [ "relay1", "relay2" ]'), ("B", "tcmalloc", 'relays = [ "relay3" ]')]


def ctl(m, *arguments, user=None, env=""):
    command = env + " " + shlex.join(["relayallocctl", *arguments])
    return m.run(f"su -s /bin/sh {user} -c {shlex.quote(command)}" if user else command)


def as_json(m, *arguments, status=0, **options):
    done = ctl(m, *arguments, "--json=short", **options)
    assert done.returncode == status, f"{arguments}: {done}"
    return json.loads(done.stdout)


@pytest.fixture
def moved(machine):
    """relay1 to relay3 on allocators, relay4 in no group, the daemon running. For tests that change nothing: they share
    it, since a rollout takes its time."""
    m = machine
    if not getattr(m, "is_moved", False):
        m.reset()
        m.write_conf(m.settings(GROUPS, parallel=2))
        m.start_daemon()
        m.wait_all("ok", ["relay1", "relay2", "relay3"])
        m.is_moved = True
    yield m
    assert not m.sanitizer_reports() and not m.crashes()


@pytest.fixture
def changed(moved):
    """The same for tests that change something."""
    moved.is_moved = False
    return moved


@pytest.fixture
def blank(fresh):
    """Installed, the daemon not started."""
    fresh.is_moved = False
    return fresh


def memory(m, relay):
    status = m.proc(relay, "status")
    return {name: int(re.search(rf"^{name}:\s*(\d+) kB", status, re.M).group(1)) * 1024 for name in ("VmRSS", "VmHWM")}


# ---- with the daemon ----


def test_list_agrees_with_the_bus_and_with_proc(moved):
    m = moved
    rows = as_json(m, "list")
    call = json.loads(m.sh("busctl --json=short call org.relayalloc1 /org/relayalloc1 org.relayalloc1.Manager ListRelays"))
    bus = {row[0]: row for row in call["data"][0]}
    assert [row["relay"] for row in rows] == sorted(bus) and set(m.names) <= set(bus)
    for row in rows:
        if row["relay"] not in m.names:
            continue
        _, group, assigned, running, version, state, rss, peak, since, _ = bus[row["relay"]]
        assert (row["group"] or "", row["assigned"] or "", row["running"], row["version"], row["state"], row["since"]) \
            == (group, assigned, running, version, state, since)
        proc = memory(m, row["relay"])
        assert abs(row["rss"] - proc["VmRSS"]) < 4 << 20 and abs(row["peak"] - proc["VmHWM"]) < 4 << 20
        assert m.allocator_in_maps(row["relay"]) == row["running"]
        started = float(m.sh(f"stat -c %Y /proc/{m.pid(row['relay'])}"))
        assert abs(row["since"] / 1e6 - started) < 5
    text = ctl(m, "list").stdout
    assert re.search(r"^relay1 +A +jemalloc +jemalloc +[\d.]+ +ok +[\d.]+ MiB +[\d.]+ MiB +.* ago$", text, re.M), text
    assert re.search(r"relays? listed: 3 ok, ", text)


def test_status_agrees_with_systemd_and_tells_the_events(moved):
    m = moved
    (row,) = as_json(m, "status", "relay1")
    assert row["pid"] == m.pid("relay1") and row["unit"] == "tor@relay1.service" and row["reason"] is None
    assert row["dropins"] == m.prop(m.unit("relay1"), "DropInPaths").split()
    assert row["dropin"] in row["dropins"] and "libjemalloc" in row["library"]
    events = [event["event"] for event in row["events"]]
    assert "relay-restarting" in events and "relay-moved" in events and not [e for e in events if e.startswith("sample")]
    assert row["events"] == sorted(row["events"], key=lambda event: event["time"])
    text = ctl(m, "status", "relay1", "relay4").stdout
    assert "● relay1 - tor@relay1.service" in text and "Group: none (observed only)" in text and "relay-moved" not in text
    assert re.search(r"^20\d\d-.* relay1.*jemalloc", text, re.M), text
    # Nobody but root can put events into a relay's status.
    m.sh("su -s /bin/sh nobody -c \"printf 'MESSAGE=forged\\nMESSAGE_ID=%s\\nRELAYALLOC_RELAY=relay1\\n' | logger --journald\"; "
         "journalctl --sync" % m.MESSAGES["relay-moved"])
    assert m.sh("journalctl -q MESSAGE=forged").strip()
    assert "forged" not in ctl(m, "status", "relay1").stdout


def test_groups_and_allocators(moved):
    m = moved
    groups = {row["group"]: row for row in as_json(m, "groups")}
    assert (groups["A"]["allocator"], groups["A"]["relays"], groups["A"]["ok"]) == ("jemalloc", 2, 2)
    assert abs(groups["A"]["rss"] - sum(memory(m, r)["VmRSS"] for r in ("relay1", "relay2"))) < 8 << 20
    rows = {row["allocator"]: row for row in as_json(m, "allocators")}
    assert rows["jemalloc"]["running"] == 2 and rows["glibc"]["running"] == 1 and rows["jemalloc"]["version"]
    package = m.sh(f"dpkg -S $(basename {rows['jemalloc']['library']})").split(":")[0]
    assert package == rows["jemalloc"]["package"]


VERBS = [["list"], ["status"], ["status", "relay1"], ["groups"], ["allocators"], ["verify"], ["plan"], ["check"], ["doctor"],
         ["history", "relay1"], ["events"], ["report"]]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_that_shows_something(moved, verb):
    """As text and as JSON, by pipe and on a terminal of 40 columns, and cut off by a reader that has enough."""
    m = moved
    m.wait_event("sample-relay", relay="relay1", count=2)
    fine = (0, 1) if verb in (["doctor"], ["report"]) else (0,)
    text, pretty = ctl(m, *verb), ctl(m, *verb, "--json=pretty")
    assert text.returncode in fine and pretty.returncode == text.returncode, (text, pretty)
    assert "\033" not in text.stdout and not any(c in pretty.stdout for c in "\033\0")
    value = json.loads(pretty.stdout)
    assert isinstance(value, dict if verb == ["status"] else (list, dict))
    if verb not in (["plan"], ["check"], ["doctor"], ["report"]):
        assert value and len(pretty.stdout.splitlines()) > 1
    on_terminal = m.run("export LANG=C.UTF-8 TERM=xterm COLUMNS=40 SYSTEMD_PAGER=; "
                        f"script -qec {shlex.quote(shlex.join(['relayallocctl', *verb]))} /dev/null </dev/null")
    assert on_terminal.returncode == text.returncode, on_terminal
    cut = m.run(["bash", "-c", f"set -o pipefail; relayallocctl {shlex.join(verb)} | head -n1 >/dev/null"])
    assert cut.returncode in (*fine, 128 + 13), cut


def test_top_shows_the_last_hour_of_the_journal(moved):
    m = moved
    m.wait_event("sample-relay", relay="relay1", count=2)
    socket = f"relayalloc-{uuid.uuid4().hex[:8]}"
    command = f"nsenter -t {m.leader} -a -- env -i PATH=/usr/bin:/bin LANG=C.UTF-8 TERM=screen relayallocctl top"
    tmux = ["tmux", "-u", "-L", socket]
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    subprocess.run([*tmux, "-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "20", command], check=True,
                   env=environment)
    try:
        def screen():
            return subprocess.run([*tmux, "capture-pane", "-p"], check=True, capture_output=True, text=True,
                                  env=environment).stdout
        m.wait_until(lambda: re.search(r"^relay1 +A +jemalloc +\S+ +ok +[\d.]+ MiB .*[▁▂▃▄▅▆▇█]", screen(), re.M),
                     what="relay1 on the screen", explain=screen)
        assert re.search(r"^\d+ relays: 3 ok", screen())
    finally:
        subprocess.run([*tmux, "kill-server"], env=environment, check=False)


def test_status_of_the_daemon_and_of_its_rollout(changed):
    m = changed
    facts = as_json(m, "status")
    assert facts["config"] == "/etc/relayalloc.conf" and facts["refused"] is None and facts["relays"]["ok"] == 3
    assert facts["rollout"]["state"] == "idle" and facts["rollout"]["result"] == "done" and facts["rollout"]["done"] == 3
    m.write_conf("groups = 3;\n")
    assert ctl(m, "reload").returncode == 2
    done = ctl(m, "status")
    assert done.returncode == 0 and "Refused: " in done.stdout and "/etc/relayalloc.conf:1: groups: " in done.stdout


def wait_read(m, relay):
    """Its new process is up and read, and not what it is assigned."""
    def stands():
        row = m.listing()[relay]
        return row["running"] == "glibc" and row["state"] == "drifted"
    m.wait_until(stands, what=f"the new process of {relay} to be read")


def test_drift_is_exit_status_3(changed):
    m = changed
    assert ctl(m, "verify").returncode == 0 and ctl(m, "list").returncode == 0
    m.write("/etc/systemd/system/tor@relay1.service.d/zzz.conf", "[Service]\nEnvironment=LD_PRELOAD=\n")
    m.systemctl("daemon-reload")
    m.systemctl("restart", "tor@relay1")
    wait_read(m, "relay1")
    done = ctl(m, "verify")
    assert done.returncode == 3 and re.search(r"^relay1 +drifted +.*zzz\.conf", done.stdout, re.M), done
    assert ctl(m, "list").returncode == 3 and ctl(m, "list", "relay2").returncode == 0
    assert ctl(m, "status", "relay1").returncode == 3 and "zzz.conf" in ctl(m, "status", "relay1").stdout


def test_reload_follows_a_real_rollout_and_revert_takes_it_back(blank):
    m = blank
    m.start_daemon()
    m.wait_all("observed")
    m.write_conf(m.settings(GROUPS, parallel=1))
    done = ctl(m, "reload", "--wait")
    assert done.returncode == 0 and "3 of 3 relays moved" in done.stdout.splitlines()[-1], done
    assert {m.allocator_in_maps(r) for r in ("relay1", "relay2")} == {"jemalloc"}
    assert ctl(m, "reload", "--wait").stdout == "Nothing to do: no drop-in to write, no relay to restart.\n"
    before = m.invocation("relay3")
    done = ctl(m, "revert", "relay1", "relay2", "--wait")
    assert done.returncode == 0, done
    assert {m.allocator_in_maps(r) for r in ("relay1", "relay2")} == {"glibc"} and m.drop_in("relay1") is None
    assert m.invocation("relay3") == before and m.allocator_in_maps("relay3") == "tcmalloc"
    assert ctl(m, "revert", "nobody").returncode == 4


def test_pause_resume_abort(blank):
    m = blank
    m.write_conf(m.settings(GROUPS, settle=5))
    for verb in ("pause", "resume", "abort"):
        assert ctl(m, verb).returncode == 1  # no daemon
    m.start_daemon()
    m.wait_event("relay-restarting")
    assert ctl(m, "pause").returncode == 0
    m.wait_until(lambda: as_json(m, "status", status=3)["rollout"]["state"] == "paused", what="the pause")
    assert ctl(m, "resume").returncode == 0
    m.wait_until(lambda: as_json(m, "status", status=3)["rollout"]["state"] == "running", what="to go on")
    assert ctl(m, "abort").returncode == 0
    m.wait_until(lambda: as_json(m, "status", status=3)["rollout"]["state"] == "aborted", what="the end", timeout=40)
    assert "aborted" in ctl(m, "status").stdout


def test_edit_is_followed_by_the_daemon(changed):
    m = changed
    before = m.invocation("relay4")
    done = ctl(m, "edit", "--yes", env="SYSTEMD_EDITOR='sed -i s/relay3/relay4/'")
    assert done.returncode == 0 and "2 relays to be restarted" in done.stdout, done
    done = ctl(m, "reload", "--wait")
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "Done: 2 of 2 relays moved, 0 failed.", done
    assert (m.allocator_in_maps("relay3"), m.allocator_in_maps("relay4")) == ("glibc", "tcmalloc")
    assert m.invocation("relay4") != before
    assert m.sh("find /etc -maxdepth 1 -name '.relayalloc*'; ls /tmp | grep relayallocctl || true") == ""


# ---- without the daemon ----


def facts(rows):
    return [{key: row[key] for key in ("relay", "group", "assigned", "running", "version", "state", "since")} for row in rows]


def test_without_the_daemon_list_and_plan_say_the_same(changed):
    m = changed
    m.systemctl("stop", "tor@relay2")
    m.wait_all("stopped", ["relay2"])
    m.write("/etc/systemd/system/tor@relay3.service.d/zzz.conf", "[Service]\nEnvironment=LD_PRELOAD=\n")
    m.systemctl("daemon-reload")
    m.systemctl("restart", "tor@relay3")
    wait_read(m, "relay3")
    online, status = as_json(m, "list", status=3), as_json(m, "status", "relay3", status=3)[0]
    plan = as_json(m, "plan")
    m.systemctl("stop", "relayallocd")
    done = ctl(m, "list", "--json=short")
    assert done.returncode == 3 and done.stderr.startswith("relayallocd is not running; ")
    assert facts(json.loads(done.stdout)) == facts(online)
    assert as_json(m, "plan") == plan
    offline = as_json(m, "status", "relay3", status=3)[0]
    for key in ("unit", "state", "reason", "library", "pid", "dropin", "dropins", "running"):
        assert offline[key] == status[key], key
    assert ctl(m, "status").returncode == 1


def test_the_plan_of_a_file_is_what_then_happens(blank):
    m = blank
    m.write("/root/new.conf", m.settings(GROUPS, parallel=2, canary=1))
    before = m.invocations()
    plan = as_json(m, "plan", "/root/new.conf")
    assert {(row["relay"], row["action"]) for row in plan} == {(r, "restart") for r in ("relay1", "relay2", "relay3")}
    assert all("runs glibc" in row["reason"] for row in plan)
    assert m.invocations() == before and m.drop_in_times() == {}
    m.write_conf(m.read("/root/new.conf"))
    m.start_daemon()
    m.wait_all("ok", ["relay1", "relay2", "relay3"])
    waves = {}
    for event in m.events("relay-restarting"):
        waves[event["RELAYALLOC_RELAY"]] = int(event["RELAYALLOC_WAVE"])
    assert waves == {row["relay"]: row["wave"] for row in plan}


def test_the_plan_of_another_file_is_what_the_daemon_then_does(changed):
    """Of a release's own: which allocator there is a package of differs."""
    m = changed
    absent = {"mimalloc": "mimalloc3", "mimalloc3": "mimalloc"}[m.mimalloc]
    m.write("/root/new.conf", m.settings([("renamed", "jemalloc", 'relays = [ "relay1" ]'),
                                          ("refused", absent, 'relays = [ "relay2" ]'),
                                          ("joins", m.mimalloc, 'relays = [ "relay4" ]')], parallel=2, canary=1))
    before, files = m.invocations(), m.drop_in_times()
    plan = {row["relay"]: row for row in as_json(m, "plan", "/root/new.conf")}
    assert {r: row["action"] for r, row in plan.items()} == {"relay1": "write", "relay2": "refused", "relay3": "restart",
                                                             "relay4": "restart"}
    assert "1 relay goes back to glibc: relay3" in re.sub(r"\s+", " ", ctl(m, "plan", "/root/new.conf").stdout)
    assert m.invocations() == before and m.drop_in_times() == files
    m.mark()
    m.write_conf(m.read("/root/new.conf"))
    m.wait_event("rollout-finished")
    after = m.invocations()
    assert {r for r in m.names if after[r] != before[r]} == {"relay3", "relay4"}
    assert {e["RELAYALLOC_RELAY"]: int(e["RELAYALLOC_WAVE"]) for e in m.events("relay-restarting")} \
        == {r: plan[r]["wave"] for r in ("relay3", "relay4")}
    assert "group renamed" in m.drop_in("relay1") and "group A" in m.drop_in("relay2") and m.drop_in("relay3") is None
    assert [m.allocator_in_maps(r) for r in m.names] == ["jemalloc", "jemalloc", "glibc", "mimalloc"]


def test_names_of_all_kinds(blank):
    m = blank
    names = ["x" * 64, "a-b_c.d", "1.2.3.4_9000"]
    try:
        for name in names:
            m.sh(f"mkdir -p /etc/tor/instances/{name} && touch /etc/tor/instances/{name}/torrc")
        m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "a-*", "x*" ]')]))
        for running in (False, True):
            if running:
                m.start_daemon()
                m.wait_until(lambda: set(names) <= set(m.listing()), what="the daemon to see them")
                m.wait_all("stopped", names)
                assert m.drop_in("a-b_c.d") is None  # no relay of this host has settled with it
            rows = {row["relay"]: row for row in as_json(m, "list", *names)}
            assert set(rows) == set(names) and rows["x" * 64]["group"] == "A" and rows["1.2.3.4_9000"]["group"] is None
            assert {row["state"] for row in rows.values()} == {"stopped"}
            for name in names:
                assert as_json(m, "status", name)[0]["unit"] == f"tor@{name}.service"
    finally:
        m.systemctl("stop", "relayallocd")


# ---- as an ordinary user ----


@pytest.mark.parametrize("running", [True, False])
def test_an_ordinary_user_reads_and_changes_nothing(changed, running):
    m = changed
    if not running:
        m.systemctl("stop", "relayallocd")
    before, text = m.invocations(), m.read("/etc/relayalloc.conf")
    rows = {row["relay"]: row for row in as_json(m, "list", user="nobody")}
    assert rows["relay1"]["assigned"] == "jemalloc" and rows["relay1"]["rss"] > 0
    assert rows["relay1"]["state"] == ("ok" if running else None)  # without the daemon nothing proves it
    for verb in ("status", "groups", "allocators", "plan", "check"):
        done = ctl(m, verb, user="nobody")
        assert done.returncode == (1 if verb == "status" and not running else 0), done
    assert ctl(m, "status", "relay1", user="nobody").returncode == 0
    for verb in ("pause", "resume", "abort", "reload", "revert", "verify"):
        done = ctl(m, verb, user="nobody")
        if verb != "verify":
            assert done.returncode == 1 and ("as root" in done.stderr or "not running" in done.stderr), done
    done = ctl(m, "edit", "--yes", user="nobody", env="EDITOR='sed -i s/relay/x/'")
    assert done.returncode == 1 and "as root" in done.stderr
    assert m.invocations() == before and m.read("/etc/relayalloc.conf") == text
    assert m.is_active("relayallocd") == running


# ---- from elsewhere ----


def host_program():
    """relayallocctl as it runs on this host, whatever release the machine has."""
    return pathlib.Path(Machine._tool("build").strip().splitlines()[-1]) / "relayallocctl"


def test_from_the_host_with_machine(changed):
    m = changed
    # Where machined would have written what sd-bus reads about a container.
    name = f"relayalloc-test-{uuid.uuid4().hex[:8]}"
    entry = pathlib.Path("/run/systemd/machines") / name
    entry.parent.mkdir(parents=True, exist_ok=True)
    entry.write_text(f"LEADER={m.leader}\nCLASS=container\n")
    try:
        def run(*arguments):
            return subprocess.run([host_program(), "-M", name, *arguments], capture_output=True, text=True, timeout=60)

        assert facts(json.loads(run("list", "--json=short").stdout)) == facts(as_json(m, "list"))
        assert run("status", "relay1").returncode == 0 and run("verify").returncode == 0
        assert "relays=2" in str({f"relays={row['relays']}" for row in json.loads(run("groups", "--json=short").stdout)})
        done = run("revert", "relay1", "--wait")
        assert done.returncode == 0, done
        assert m.allocator_in_maps("relay1") == "glibc"
        m.systemctl("stop", "relayallocd")
        done = run("list")
        assert done.returncode == 1 and f"is not running on {name}" in done.stderr
    finally:
        entry.unlink()
