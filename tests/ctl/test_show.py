"""list, status, groups, allocators: what they print, and their exit statuses."""

import os
import re
import signal
import subprocess
import time

import pytest

from conftest import HOUR, NOW, REPO, relay

COLUMNS = "RELAY GROUP ASSIGNED RUNNING VERSION STATE RSS PEAK SINCE".split()
KEYS = [c.lower() for c in COLUMNS]


def test_list_as_text(ctl, fleet):
    done = ctl("list")
    lines = done.out.splitlines()
    assert lines[0].split() == COLUMNS
    assert lines[1].split() == ["done", "A", "mimalloc", "mimalloc", "2.0.9", "ok", "100", "MiB", "120", "MiB", "2h",
                                "ago"]
    assert lines[5].split() == ["starter", "A", "mimalloc", "-", "-", "restarting", "-", "-", "-"]
    assert lines[-2:] == ["", "8 relays listed: 1 ok, 1 pending, 1 restarting, 1 settling, 1 failed, 1 drifted, "
                          "1 stopped, 1 observed"]
    assert done.err == "" and "\033" not in done.out


def test_no_verb_lists(ctl, fleet):
    assert ctl().out == ctl("list").out


@pytest.mark.parametrize("mode", ["short", "pretty"])
def test_list_as_json(ctl, fleet, mode):
    done = ctl("list", f"--json={mode}")
    assert [row["relay"] for row in done.json] == ["done", "drifter", "fails", "settler", "starter", "stands", "waits",
                                                  "watched"]
    assert list(done.json[0]) == KEYS
    assert done.json[0] == {"relay": "done", "group": "A", "assigned": "mimalloc", "running": "mimalloc",
                            "version": "2.0.9", "state": "ok", "rss": 100 << 20, "peak": 120 << 20,
                            "since": pytest.approx(time.time() * 1e6 - 2 * HOUR, abs=60e6)}
    assert done.json[4]["running"] is None and done.json[4]["rss"] is None and done.json[4]["since"] is None
    assert done.json[7]["group"] is None and done.json[7]["assigned"] is None
    assert (len(done.out.splitlines()) == 1) == (mode == "short")


@pytest.mark.parametrize("state, status", [("ok", 0), ("stopped", 0), ("observed", 0), ("pending", 3),
                                           ("restarting", 3), ("settling", 0), ("failed", 3), ("drifted", 3),
                                           ("of-a-later-version", 0)])
def test_exit_status_is_3_when_something_is_not_as_assigned(ctl, daemon, state, status):
    daemon.says([relay("a"), relay("b", state)])
    assert ctl("list").status == status
    assert ctl("status").status == status
    assert ctl("status", "b").status == status
    assert ctl("list", "a").status == 0
    assert ctl("verify").status == status


@pytest.mark.parametrize("document", ["docs/man/relayallocctl.1.scd", "docs/operators.md"])
def test_documents_name_the_states_that_are_fine(ctl, daemon, document):
    text = " ".join((REPO / document).read_text().split())
    named = set(re.findall("[a-z]+", re.search("in any state other than ([^.]*)", text)[1])) - {"and"}
    states = re.search("The states are: (.*)", ctl("list", "--state=?").err)[1].split(", ")
    fine = set()
    for state in states:
        daemon.says([relay("a", state)])
        fine |= {state} if ctl("list").status == 0 else set()
    assert named == fine


def test_patterns(ctl, fleet):
    assert [row["relay"] for row in ctl("list", "st*", "done", "--json=short").json] == ["done", "starter", "stands"]
    nothing = ctl("list", "x*")
    assert nothing.status == 0 and nothing.out == "0 relays listed\n"
    unknown = ctl("list", "done", "unknown")
    assert unknown.status == 4 and 'no relay is named "unknown"' in unknown.err and "done" in unknown.out
    assert ctl("status", "unknown").status == 4


@pytest.mark.parametrize("typed", ["relay1", "relay1.service", "tor@relay1", "tor@relay1.service", "relay[1]", "tor@*y1",
                                   "r*1.service"])
def test_names_as_people_type_them(ctl, daemon, typed):
    daemon.says([relay("relay1", "reverted"), relay("relay2", "reverted"), relay("other", "reverted")])
    assert [row["relay"] for row in ctl("list", typed, "--json=short").json] == ["relay1"]
    assert [row["relay"] for row in ctl("status", typed, "--json=short").json] == ["relay1"]
    for verb, method in (("revert", "Revert"), ("restart", "Restart"), ("resume", "ResumeRelays")):
        assert ctl(verb, typed).status == 0 and daemon.calls[-1] == f"{method} relay1", verb


def test_a_name_that_is_a_relays_own_means_no_other(ctl, daemon):
    """tor@relay1.service.service is a unit as well."""
    daemon.says([relay("relay1"), relay("relay1.service"), relay("[ab]"), relay("a")])
    shown = lambda *names: [row["relay"] for row in ctl("list", *names, "--json=short").json]
    assert shown("relay1.service") == ["relay1.service"] and shown("tor@relay1.service") == ["relay1"]
    assert shown("[ab]") == ["[ab]"] and shown("relay1*") == ["relay1", "relay1.service"]


@pytest.mark.parametrize("typed, near", [("realy1", "relay1"), ("tor@rely2.service", "relay2"), ("Relay1", "relay1"),
                                         ("xyzzy", None), ("tor@default.service", None)])
def test_a_name_that_no_relay_has(ctl, daemon, typed, near):
    daemon.says([relay("relay1"), relay("relay2")])
    for verb in ("list", "status", "revert", "restart", "resume"):
        done = ctl(verb, typed)
        assert done.status == 4 and f'no relay is named "{typed}"' in done.err, done
        assert (f'(did you mean "{near}"?)' in done.err) if near else ("did you mean" not in done.err), done
    assert daemon.calls == []


def test_states_can_be_chosen(ctl, fleet):
    shown = lambda states: [row["state"] for row in ctl("list", f"--state={states}", "--json=short").json]
    assert shown("drifted") == ["drifted"] and shown("failed,ok") == ["ok", "failed"] and shown("down") == []
    one = ctl("list", "--state", "drifted", "d*")
    assert one.status == 3 and one.out.splitlines()[-1] == "1 relay listed: 1 drifted"
    assert ctl("list", "--state=ok,stopped").status == 0
    none = ctl("list", "--state=down")
    assert none.status == 0 and none.out == "0 relays listed\n"
    for states, near in (("drift", "drifted"), ("ok,xyzzy", None), ("", None), ("ok,", None)):
        wrong = ctl("list", f"--state={states}")
        assert wrong.status == 2 and wrong.out == "" and " is no state" in wrong.err, wrong
        assert (f'did you mean "{near}"?' in wrong.err) == (near is not None)
        assert "The states are: ok, pending, restarting, settling, failed, drifted, down, stopped, observed, reverted" in wrong.err


def test_what_another_unit_left(ctl, daemon):
    """Its rows go by the whole name of their unit, and no pattern for relays means them."""
    old = [relay(f"tor@r{i}.service", "observed", group="", assigned="") for i in range(10)]
    daemon.says([relay("r1")] + old, fields=[(row[0], "Unit", "s", row[0]) for row in old] + [("r1", "Unit", "s", "onion@r1.service")],
                untold=["Unit"])
    status = ctl("status").out
    assert re.search(r"Left over: 10 drop-ins of tor@\.service \(tor@r0\.service, .*tor@r7\.service, …\): "
                     r'"relayallocctl revert --unit=tor@\.service" removes them\n', status), status
    shown = lambda *names: [row["relay"] for row in ctl("list", *names, "--json=short").json]
    assert "Fleet: 1 relay: 1 ok; 10 left over of another unit\n" in status
    assert ctl("list").out.splitlines()[-1] == "1 relay listed: 1 ok; 10 left over of another unit"
    assert len(shown()) == 11 and shown("*") == shown("r*") == shown("r1") == shown("onion@r1.service") == ["r1"]
    assert shown("tor@r1.service") == ["tor@r1.service"] and len(shown("tor@*")) == 10
    assert ctl("restart", "*").status == 0 and daemon.calls[-1] == "Restart r1"
    for typed in ("tor@.service", "tor@"):
        assert ctl("revert", f"--unit={typed}").status == 0 and daemon.calls[-1].split() == ["Revert"] + [row[0] for row in old]
    assert ctl("revert", "--unit=tor@", "tor@r3.service").status == 0 and daemon.calls[-1] == "Revert tor@r3.service"
    before = len(daemon.calls)
    for arguments, code, words in ((["--unit=other@"], 4, "no unit of other@.service is a relay or has a drop-in of ours"),
                                   (["--unit=tor"], 2, 'such as "tor@.service"'), (["--unit=/@.service"], 2, "such as"),
                                   (["--unit=tor@r3.service"], 2, "such as"), (["--unit=tor@.timer"], 2, "such as"),
                                   (["--unit=tor@", "r1"], 4, "no unit of tor@.service")):
        done = ctl("revert", *arguments)
        assert done.status == code and words in done.err, done
    assert len(daemon.calls) == before


@pytest.mark.parametrize("n", [0, 1, 40, 200])
def test_fleets_of_any_size(ctl, daemon, n):
    daemon.says([relay(f"relay{i:03}") for i in range(n)], Relays=n, RelaysOk=n)
    rows = ctl("list", "--json=short")
    assert rows.status == 0 and len(rows.json) == n
    text = ctl("list")
    assert text.out.splitlines()[-1] == f"{n} relay{'' if n == 1 else 's'} listed" + (f": {n} ok" if n else "")
    assert len(text.out.splitlines()) == (n + 3 if n else 1)
    groups = ctl("groups", "--json=short").json
    assert [g["relays"] for g in groups] == ([n] if n else [])


NAMES = ["x" * 64, "a-b_c.d", "1.2.3.4_9000", "münchen", "a b", "日本"]


def test_names_of_all_kinds_are_whole_in_pipes(ctl, daemon):
    daemon.says([relay(name) for name in sorted(NAMES)])
    out = ctl("list", "-o", "relay,state").out
    for name in NAMES:
        assert re.search(rf"^{re.escape(name)} +ok$", out, re.M), out
    # Aligned by what is seen, not by bytes.
    assert re.search(r"^münchen {58}ok$", out, re.M) and re.search(r"^日本 {61}ok$", out, re.M), out
    assert {row["relay"] for row in ctl("list", "--json=short").json} == set(NAMES)
    for name in NAMES:
        assert ctl("status", name, "--json=short").json[0]["relay"] == name


def test_columns_can_be_chosen(ctl, fleet):
    assert ctl("list", "-o", "state,RELAY", "done").out.splitlines()[:2] == ["STATE RELAY", "ok    done"]
    assert list(ctl("list", "--columns=Rss", "--json=short").json[0]) == ["rss"]
    assert ctl("-orelay", "--no-legend").out.splitlines()[0] == "done"
    wrong = ctl("list", "-o", "relay,stat")
    assert wrong.status == 2 and "did you mean STATE?" in wrong.err and "SINCE" in wrong.err and wrong.out == ""


def test_columns_on_request(ctl, daemon, tmp_path):
    daemon.says([relay("a"), relay("b")], fields=[("a", "NRestarts", "u", 3), ("a", "Fingerprint", "s", "AB" * 20),
                                                  ("b", "NRestarts", "u", 0), ("b", "Fingerprint", "s", "")])
    here = os.uname().nodename
    assert ctl("list", "-o", "relay,unit,fingerprint,host,nrestarts", "--json=short").json == [
        {"relay": "a", "unit": "tor@a.service", "fingerprint": "AB" * 20, "host": here, "nrestarts": 3},
        {"relay": "b", "unit": "tor@b.service", "fingerprint": None, "host": here, "nrestarts": 0}]
    (tmp_path / "ssh").write_text(f"#!/bin/sh\nexec systemd-stdio-bridge -p {ctl.environment['DBUS_SYSTEM_BUS_ADDRESS']}\n")
    (tmp_path / "ssh").chmod(0o755)
    there = ctl("-H", "root@there", "list", "-o", "+host", "--json=short", PATH=f"{tmp_path}:/usr/bin:/bin").json
    assert [row["host"] for row in there] == ["there", "there"]


def test_legend_and_quiet(ctl, fleet):
    assert ctl("list", "--no-legend").out.splitlines()[0].startswith("done")
    assert len(ctl("list", "--no-legend").out.splitlines()) == 8
    quiet = ctl("list", "-q").out.splitlines()
    assert quiet[0].split() == COLUMNS and len(quiet) == 9


# ---- on a terminal ----


def plain(text):
    return re.sub(r"\033\[[0-9;]*m", "", text)


def test_colours_only_on_a_terminal(ctl, fleet):
    on = ctl.on_terminal("list", columns=140)
    assert "\033[32mok" in on.out and "\033[1;31mfailed" in on.out
    assert "\033" not in ctl.on_terminal("list", columns=140, NO_COLOR="1").out
    assert "\033" not in ctl.on_terminal("list", columns=140, TERM="dumb").out
    assert "\033" not in ctl.on_terminal("list", columns=140, SYSTEMD_COLORS="0").out
    assert "\033[32mok" in ctl("list", SYSTEMD_COLORS="1").out
    assert "\033" in ctl.on_terminal("list", columns=140, NO_COLOR="1", SYSTEMD_COLORS="yes").out
    assert plain(on.out) == ctl("list").out


@pytest.mark.parametrize("columns", [20, 40, 60, 79])
def test_narrow_terminals(ctl, daemon, columns):
    daemon.says([relay("x" * 64), relay("short", "drifted"), relay("ünï" * 10)])
    out = plain(ctl.on_terminal("list", columns=columns).out)
    rows = out.splitlines()[:4]
    assert all(len(row) <= columns for row in rows), out
    assert "…" in rows[1] and rows[0].startswith("RELAY") and "STATE" in rows[0]
    assert "drifted" in rows[2] or columns == 20


def test_room_that_a_left_out_column_leaves_is_used(ctl, daemon):
    daemon.says([relay("relay1", assigned="mimalloc3-tuned", running="jemalloc-tuned", since=NOW - 76 * HOUR)])
    head, row = plain(ctl.on_terminal("list", columns=80).out).splitlines()[:2]
    assert head.split() == ["RELAY", "GROUP", "ASSIGNED", "RUNNING", "VERSION", "STATE", "RSS", "PEAK"]
    assert row.split()[2:4] == ["mimalloc3-tuned", "jemalloc-tuned"]


@pytest.mark.parametrize("columns", [100, 60, 40])
def test_prose_is_wrapped_on_a_terminal(ctl, daemon, columns):
    reason = "runs glibc, not mimalloc: its drop-in is not written yet, and there is more to say about it"
    daemon.says([relay("relay1", "drifted", reason=reason), relay("relay2"), relay("relay3", "drifted", reason="x" * 150)],
                [(1, "relay1", "restart", "A", "mimalloc", reason), (2, "relay2", "restart", "A", "mimalloc", reason)])
    for verb, titles in (("verify", "RELAY  STATE "), ("plan", "RELAY  ACTION")):
        done = ctl.on_terminal(verb, columns=columns, NO_COLOR="1")
        head, *rows = done.out.splitlines()
        assert max(map(len, [head, *rows])) <= columns and titles in head, done
        at = head.index("REASON")
        first = [i for i, row in enumerate(rows) if "relay1" in row or "relay2" in row]
        told = " ".join(row[at:].strip() for row in rows[first[0]:first[1]])
        assert told == reason and all(row[:at].strip() == "" for row in rows[first[0] + 1:first[1]])
    assert "x" * 150 in plain(ctl.on_terminal("verify", columns=columns).out).replace("\n", "").replace(" ", "")
    # Each on its line for programs.
    assert re.search(rf"^relay1 +drifted +{re.escape(reason)}$", ctl("verify").out, re.M)


def test_chosen_columns_are_not_left_out_on_a_narrow_terminal(ctl, daemon):
    daemon.says([relay("x" * 64)])
    out = plain(ctl.on_terminal("list", "-o", "relay,group,state,since", columns=26).out)
    assert max(map(len, out.splitlines()[:2])) <= 26
    assert out.splitlines()[0].split() == ["RELAY", "GROUP", "STATE", "SINCE"]


def test_pager(ctl, daemon, tmp_path):
    daemon.says([relay(f"relay{i:03}") for i in range(60)])
    pager = f"sed s/^/PAGED:/; env >{tmp_path}/environment"
    long = ctl.on_terminal("list", rows=20, columns=120, SYSTEMD_PAGER=pager)
    assert long.status == 0 and long.out.splitlines()[0].startswith("PAGED:RELAY") and "relay059" in long.out
    environment = (tmp_path / "environment").read_text().splitlines()
    assert "LESS=FRSXMK" in environment
    assert ("LESSSECURE=1" in environment) == (os.geteuid() == 0)
    assert "PAGED" in ctl.on_terminal("list", rows=20, columns=120, PAGER=pager).out
    for without in (ctl.on_terminal("list", rows=100, columns=120, SYSTEMD_PAGER=pager),
                    ctl.on_terminal("list", "--no-pager", rows=20, columns=120, SYSTEMD_PAGER=pager),
                    ctl.on_terminal("list", rows=20, columns=120, SYSTEMD_PAGER="", PAGER=pager),
                    ctl.on_terminal("list", rows=20, columns=120, SYSTEMD_PAGER="cat"),
                    ctl("list", SYSTEMD_PAGER=pager)):
        assert "PAGED" not in without.out and "relay059" in without.out
    # One that is not there falls back to the usual ones, which may be missing as well; nothing is lost.
    assert "relay059" in ctl.on_terminal("list", rows=20, columns=120, SYSTEMD_PAGER="no-such-pager", LESS="FX",
                                         SYSTEMD_LESS="FX", keys=" " * 10 + "q").out
    # One that is left early is no failure, however much there is to come.
    daemon.says([relay(f"relay{i:05}") for i in range(5000)])
    assert ctl.on_terminal("list", rows=20, columns=120, SYSTEMD_PAGER="head -n1").status == 0


# ---- a daemon that is not to be trusted, or not well ----

EVIL = "x\033]0;title\007\033[2J\u009b31m\rend"


def test_what_others_wrote_cannot_steer_the_terminal(ctl, daemon):
    daemon.says([relay("a", "drifted", group=EVIL, version=EVIL, running=EVIL, reason=EVIL), relay(EVIL)],
                [(1, EVIL, "restart", EVIL, EVIL, EVIL)],
                [("Pause", "org.relayalloc1.Error.NoRollout", EVIL), ("Reload", "org.relayalloc1.Error.InvalidFile", EVIL)],
                ConfigPath=EVIL, ConfigError=EVIL, Version=EVIL, Rollout="halted", RolloutID=1, RolloutReason=EVIL)
    for verb in (["list"], ["status"], ["status", "a"], ["status", "x*"], ["groups"], ["plan"], ["verify"], ["pause"],
                 ["reload"], ["reload", "--wait"], ["list", "n\033]0;\007end"], ["allocators", "--config=/dev/null"]):
        done = ctl(*verb)
        assert "end" in done.out + done.err, done
        assert not set("\033\007\r\u009b") & set(done.out + done.err), done
    for verb in (["list"], ["status"], ["status", "a"], ["plan"], ["verify"], ["groups"]):
        raw = ctl(*verb, "--json=short").out
        assert not set("\033\007\r") & set(raw), raw


FINGERPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"


def own_words(name, ready, bootstrap, flags, fingerprint=""):
    return [(name, "Ready", "b", ready), (name, "Bootstrap", "s", bootstrap), (name, "Flags", "s", flags),
            (name, "Fingerprint", "s", fingerprint)]


def test_what_relays_say_of_themselves(ctl, daemon):
    """On request in the list, and in full in status; a dash or nothing where one does not say it."""
    daemon.says([relay("a"), relay("b"), relay("c")], fields=[
        *own_words("a", 1, "100 % (done)", "Fast,Guard,Running", FINGERPRINT),
        *own_words("b", 0, "45 % (loading descriptors)", "none"), *own_words("c", 0, "", "")])
    rows = ctl("list", "-o", "relay,ready,flags,fingerprint,traffic/day", "--json=short").json
    assert rows == [
        {"relay": "a", "ready": "yes", "flags": "Fast,Guard,Running", "fingerprint": FINGERPRINT, "traffic/day": None},
        {"relay": "b", "ready": "45 % (loading descriptors)", "flags": "none", "fingerprint": None, "traffic/day": None},
        {"relay": "c", "ready": None, "flags": None, "fingerprint": None, "traffic/day": None}]
    said = {name: ctl("status", name).out for name in "abc"}
    assert re.search(r"^ *Ready: yes, it is bootstrapped\n *Flags: Fast,Guard,Running\n"
                     rf" *Fingerprint: {FINGERPRINT}$", said["a"], re.M), said["a"]
    assert re.search(r"^ *Ready: bootstrapping 45 % \(loading descriptors\)\n *Flags: none: it is in no consensus$",
                     said["b"], re.M), said["b"]
    assert not re.search("Ready|Flags|Fingerprint|Traffic", said["c"])
    one = ctl("status", "a", "--json=short").json[0]
    assert (one["ready"], one["flags"], one["fingerprint"], one["traffic/day"]) == (True, "Fast,Guard,Running", FINGERPRINT, None)


def test_a_daemon_of_a_later_version_tells_more(ctl, daemon):
    daemon.says([relay("a"), relay("b", "failed", reason="no")], fields=[
        ("a", "NRestarts", "u", 3), ("a", "Later", "a{sas}", "x"), ("a", "LaterText", "s", "y"), ("b", "LaterFlag", "b", 1)])
    rows = ctl("list", "-o", "relay,unit,state,nrestarts", "--json=short").json
    assert rows == [{"relay": "a", "unit": "tor@a.service", "state": "ok", "nrestarts": 3},
                    {"relay": "b", "unit": "tor@b.service", "state": "failed", "nrestarts": None}]
    table = ctl("list", "-o", "relay,nrestarts").out.splitlines()
    assert [line.split() for line in table[:3]] == [["RELAY", "NRESTARTS"], ["a", "3"], ["b", "-"]]


def test_a_daemon_of_an_earlier_version_tells_less(ctl, daemon):
    daemon.says([relay("a"), relay("b")], untold=["Name", "Version", "State", "RSS", "Since", "Unit", "Reason"])
    rows = ctl("list", "-o", "+unit", "--json=short")
    assert rows.status == 0 and rows.err == ""
    assert rows.json[1] == {"relay": "b", "group": "A", "assigned": "mimalloc", "running": "mimalloc", "version": None,
                            "state": None, "rss": None, "peak": 120 << 20, "since": None, "unit": None}
    assert "2 relays" in ctl("status").out and ctl("groups").status == 0


def test_a_property_of_another_type_is_unknown(ctl, daemon):
    daemon.says([relay("a")], untold=["RSS", "Version"], fields=[("a", "RSS", "s", "much"), ("a", "Version", "t", 7)])
    row = ctl("list", "--json=short").json[0]
    assert (row["rss"], row["version"], row["relay"]) == (None, None, "a")


@pytest.mark.parametrize("verb, garbled", [
    (["list"], "GetRelays"), (["groups"], "GetRelays"), (["allocators"], "GetRelays"), (["status"], "GetAll"),
    (["status", "a"], "GetAll"), (["plan"], "Plan"), (["verify"], "Verify"), (["reload", "--wait"], "GetAll"),
    (["revert", "a"], "GetRelays"),
])
def test_a_daemon_that_answers_with_garbage(ctl, daemon, verb, garbled):
    daemon.says([relay("a")], garbled=[garbled])
    done = ctl(*verb)
    assert done.status == 1 and done.out == "" and f"the answer of relayallocd to {garbled}" in done.err, done
    assert "versions of both programs" in done.err and "not running" not in done.err


@pytest.mark.parametrize("verb", ["list", "status", "plan", "verify", "groups", "pause", "reload", "revert"])
def test_a_daemon_that_hangs(ctl, daemon, verb):
    daemon.says([relay("a")])
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        done = ctl(verb, SYSTEMD_BUS_TIMEOUT="0.5s")
        assert done.status == 1 and done.out == "" and "relayallocd does not answer" in done.err, done
    finally:
        daemon.process.send_signal(signal.SIGCONT)


def test_a_reader_that_has_seen_enough(ctl, daemon):
    """As with any program in a pipe: no message, and the signal as the status."""
    daemon.says([relay(f"relay{i:05}") for i in range(5000)])
    for verb in (["list"], ["list", "--json=pretty"]):
        process = ctl.start(*verb)
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=20) == -signal.SIGPIPE and process.stderr.read() == ""
        process.stderr.close()


def test_numbers_have_points_in_every_locale(ctl, daemon, tmp_path):
    daemon.says([relay("done", rss=1234567, peak=12345678)])
    subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", tmp_path / "de_DE.UTF-8"], check=True)
    german = {"LOCPATH": str(tmp_path), "LC_ALL": "de_DE.UTF-8"}
    assert "1,5" in subprocess.run(["printf", "%.1f", "1,5"], env={**ctl.environment, **german}, capture_output=True,
                                   text=True, check=True).stdout  # the locale is there
    for verb in (["list"], ["status", "done"], ["groups"]):
        assert ctl(*verb, **german).out == ctl(*verb).out and "1.18 MiB" in ctl(*verb).out
        assert ctl(*verb, "--json=short", **german).out == ctl(*verb, "--json=short").out


# ---- status, groups, allocators ----


def test_status_of_the_daemon(ctl, daemon):
    daemon.says([relay("a"), relay("b", "pending")], Relays=2, RelaysOk=1, RelaysPending=1, Rollout="running",
                RolloutID=7, RolloutWave=2, RolloutWaves=5, RolloutTotal=20, RolloutDone=6, RolloutFailed=1,
                RolloutStarted=NOW - HOUR, RolloutEnds=NOW + 10 * HOUR)
    done = ctl("status")
    assert done.status == 3
    assert "● relayallocd 0.1.0" in done.out and "Config: /etc/relayalloc.conf" in done.out
    assert "Fleet: 2 relays: 1 ok, 1 pending" in done.out
    assert "Rollout: running (7): wave 2 of 5, 6 of 20 relays moved, 1 failed" in done.out
    assert re.search(r"Left: about 9h \d+min", done.out), done
    json = ctl("status", "--json=pretty").json
    assert json["rollout"] == {"state": "running", "paused": False, "id": 7, "reason": None, "result": "none", "wave": 2, "waves": 5,
                               "total": 20, "done": 6, "failed": 1, "started": NOW - HOUR, "ends": NOW + 10 * HOUR,
                               "plan_ends": None, "window": None, "gate": None, "window_opens": None}
    assert json["relays"]["pending"] == 1 and json["loaded"] == NOW - HOUR and json["refused"] is None


def test_status_names_who_is_under_way_and_who_needs_a_look(ctl, daemon):
    daemon.says([relay("a"), relay("b", "settling"), relay("c", "restarting"), relay("d", "failed", reason="it crashed"),
                 *(relay(f"e{i}", "drifted", reason=f"overridden by /etc/{i}.conf") for i in range(8))],
                Rollout="halted", RolloutID=3, RolloutReason="d: it crashed", RolloutResult="halted")
    out = ctl("status").out
    assert "\n In progress: b (settling), c (restarting)\n" in out
    assert "\n      Failed: d: it crashed\n" in out
    assert "\n     Drifted: e0: overridden by /etc/0.conf\n              e1: overridden by /etc/1.conf\n" in out
    assert "e4: " in out and "e5: " not in out and "and 3 more reasons;" in out
    assert '\n      Resume: "relayallocctl resume", or a file that gives what failed another allocator\n' in out
    # Equal ones are named together.
    daemon.says([relay("a", "settling")] + [relay(f"r{i}", "restarting", reason="not loaded yet") for i in range(10)]
                + [relay("z", "restarting")], Rollout="running", RolloutID=4, RolloutTotal=12)
    assert ("\n In progress: a (settling), r0, r1, r2, r3, r4, r5, r6, r7 and 2 more (restarting: not loaded yet), z (restarting)\n"
            in ctl("status").out)
    daemon.says([relay("a")], Rollout="idle", RolloutID=3, RolloutResult="done")
    out = ctl("status").out
    assert not [word for word in ("In progress", "Failed:", "Drifted:", "Resume") if word in out]
    daemon.says([relay("a")], Rollout="idle", RolloutID=3, RolloutResult="none")  # how that one went is not known any more
    assert "\n     Rollout: none since the daemon started; the last was 3\n" in ctl("status").out
    daemon.says([relay("a")], Rollout="halted", RolloutID=3, RolloutResult="none")
    assert "\n     Rollout: halted (3)\n" in ctl("status").out


def test_status_tells_who_is_down_and_what_to_type(ctl, daemon):
    """A line of its own, with systemd's result and the way up; list, status and verify exit with 3; gone when it is up."""
    why = 'systemd could not start it (result "exit-code")'
    daemon.says([relay("a", "down", running="", version="", rss=0, reason=why), relay("b")], RelaysDown=1)
    done = ctl("status")
    assert done.status == 3 and f"\n        Down: a: {why}\n" in done.out, done
    assert '"systemctl reset-failed UNIT; systemctl start UNIT"' in " ".join(done.out.split()), done
    listed, verified = ctl("list"), ctl("verify")
    assert listed.status == verified.status == 3 and "1 ok, 1 down" in listed.out and why in verified.out
    daemon.says([relay("a"), relay("b")])
    done = ctl("status")
    assert done.status == ctl("list").status == ctl("verify").status == 0 and "Down" not in done.out and "reset-failed" not in done.out


def test_status_groups_equal_reasons(ctl, daemon):
    """Also those that differ in nothing but the relay's own unit; who waits for a turn needs no reason."""
    refused = "allocator mimalloc is refused: libmimalloc.so.2 is not installed"
    override = "overridden by /etc/systemd/system/tor@{}.service.d/zzz.conf"
    daemon.says([relay("a", "drifted", reason=override.format("a")), relay("b", "drifted", reason=override.format("b")),
                 relay("c", "drifted", reason="something else"), *(relay(f"p{i}", "pending", reason=refused) for i in range(12))])
    out = ctl("status").out
    assert ("\n     Drifted: 2 relays: overridden by /etc/systemd/system/tor@*.service.d/zzz.conf (a, b)\n"
            "              c: something else\n") in out, out
    assert f"\n     Pending: 12 relays: {refused} (p0, p1, p2, p3, p4, p5, p6, p7 and 4 more)\n" in out, out
    daemon.says([relay("p", "pending", reason="not restarted since")], Rollout="running", RolloutID=1)
    assert "Pending" not in ctl("status").out


def test_status_in_json_names_the_relays_that_the_text_names(ctl, fleet):
    json = ctl("status", "--json=short").json
    assert {row["relay"]: (row["state"], row["reason"]) for row in json["differ"]} == {
        "drifter": ("drifted", "overridden by /etc/x.conf"), "fails": ("failed", "it crashed"), "settler": ("settling", None),
        "starter": ("restarting", None), "waits": ("pending", None)}
    assert json["left_over"] is None


def test_status_tells_a_refused_file_and_why_a_rollout_halted(ctl, daemon):
    daemon.says([relay("a")], ConfigError="/etc/relayalloc.conf:1: x: y\n/etc/relayalloc.conf:2: z", Rollout="halted",
                RolloutID=1, RolloutReason="a: it crashed", RolloutResult="halted")
    out = ctl("status").out
    assert "Refused: the file has changed, but the new version is not in force:\n" in out
    assert "              /etc/relayalloc.conf:1: x: y\n              /etc/relayalloc.conf:2: z\n" in out
    assert "halted (1)" in out and "Reason: a: it crashed" in out
    json = ctl("status", "--json=short").json
    assert json["refused"] == "/etc/relayalloc.conf:1: x: y\n/etc/relayalloc.conf:2: z"
    assert json["rollout"]["started"] is None and json["rollout"]["reason"] == "a: it crashed"


def test_status_tells_that_a_halted_rollout_is_paused_as_well(ctl, daemon):
    daemon.says([relay("a")], Rollout="halted", RolloutPaused=1, RolloutID=3, RolloutResult="halted")
    assert '\n      Paused: by an operator, until "relayallocctl resume"\n' in ctl("status").out
    assert ctl("status", "--json=short").json["rollout"]["paused"] is True
    daemon.says([relay("a")], Rollout="paused", RolloutPaused=1, RolloutID=3)
    assert "Paused:" not in ctl("status").out  # it is what "Rollout" says already


def test_status_tells_a_state_that_cannot_be_saved(ctl, daemon):
    daemon.says([relay("a")], StateError="/var/lib/relayalloc/state: No space left on device")
    assert "\n   Not saved: /var/lib/relayalloc/state: No space left on device; tried again " in ctl("status").out
    assert ctl("status", "--json=short").json["unsaved"] == "/var/lib/relayalloc/state: No space left on device"
    daemon.says([relay("a")])
    assert "Not saved" not in ctl("status").out


def test_status_names_relays_that_could_not_be_put_back(ctl, daemon):
    daemon.says([relay("a")], NotPutBack="a")
    assert "\n    Not back: a: still to be put back as it was before; tried again with each sample\n" in ctl("status").out
    assert ctl("status", "--json=short").json["not_put_back"] == ["a"]
    daemon.says([relay("a")])
    assert "Not back" not in ctl("status").out and ctl("status", "--json=short").json["not_put_back"] == []


def test_status_tells_a_file_that_was_not_read_yet(ctl, daemon):
    daemon.says([relay("a")], ConfigChanged=1)
    assert "\n     Changed: on disk since, not read yet\n" in ctl("status").out
    assert ctl("status", "--json=short").json["unread"] is True
    daemon.says([relay("a")], ConfigWaits=1, Rollout="ending", RolloutID=3)
    assert "\n     Changed: read since, in force when rollout 3 has ended\n" in ctl("status").out
    assert ctl("status", "--json=short").json["waits"] is True
    daemon.says([relay("a")])
    assert "Changed:" not in ctl("status").out
    assert ctl("status", "--json=short").json["unread"] is False


def test_status_names_what_the_host_sets(ctl, daemon):
    daemon.says([relay("a")], HostSettings="MALLOC_CONF=narenas:1")
    assert '\n   Host sets: MALLOC_CONF=narenas:1 for every service ("relayallocctl doctor" says more)\n' in ctl("status").out
    daemon.says([relay("a")])
    assert "Host sets" not in ctl("status").out and ctl("status", "--json=short").json["host_settings"] == []


def test_status_of_a_relay(ctl, fleet):
    done = ctl("status", "drifter")
    assert done.status == 3
    assert "● drifter - tor@drifter.service\n       State: drifted: overridden by /etc/x.conf\n" in done.out
    assert "Running: glibc 2.36\n" in done.out and "Assigned: mimalloc\n" in done.out
    assert "Drop-Ins: /etc/systemd/system/tor@drifter.service.d/zz-relayalloc.conf (ours)\n" in done.out
    assert "Memory: 100 MiB (peak: 120 MiB, " in done.out
    several = ctl("status", "done", "stands")
    assert several.status == 0 and several.out.count(" - tor@") == 2 and "Main PID" in several.out.split("\n\n")[0]
    assert "Main PID" not in several.out.split("\n\n")[1]
    row = ctl("status", "drifter", "--json=short").json[0]
    assert row["reason"] == "overridden by /etc/x.conf" and row["rss"] == 100 << 20 and row["events"] == []
    assert row["dropins"] == [row["dropin"]]
    assert row["notes"] == ["its LD_PRELOAD names x.so, which it has not loaded"]
    assert "        Note: its LD_PRELOAD names x.so, which it has not loaded\n" in done.out and "Note:" not in several.out


def test_groups(ctl, fleet):
    rows = {row["group"]: row for row in ctl("groups", "--json=short").json}
    assert list(rows) == ["A", "B", None]
    assert rows["A"] == {"group": "A", "allocator": "mimalloc", "relays": 6, "ok": 2, "stopped": 1, "differ": 3,
                         "rss": 4 * (100 << 20), "average": 100 << 20}
    assert rows[None]["relays"] == 1 and rows[None]["ok"] == 1


def test_groups_do_not_call_a_reverted_relay_ok(ctl, daemon):
    daemon.says([relay("a"), relay("b", "reverted", assigned="", running="glibc")])
    row = ctl("groups", "--json=short").json[0]
    assert (row["group"], row["relays"], row["ok"], row["differ"]) == ("A", 2, 1, 1)


def test_groups_that_take_nobody_are_told(ctl, daemon, tmp_path):
    conf = tmp_path / "c.conf"
    conf.write_text('groups = ( { name = "Z"; allocator = "glibc"; relays = [ "typo*" ]; },\n'
                    '           { name = "A"; allocator = "mimalloc"; relays = [ "*" ]; } );\n')
    os.utime(conf, ns=((NOW - 3 * HOUR) * 1000,) * 2)
    daemon.says([relay("a")])
    rows = ctl(f"--config={conf}", "groups", "--json=short").json
    assert [(row["group"], row["relays"]) for row in rows] == [("Z", 0), ("A", 1)]
    # A file that is newer than what the daemon has loaded says nothing about the daemon's groups.
    os.utime(conf)
    assert [row["group"] for row in ctl(f"--config={conf}", "groups", "--json=short").json] == ["A"]


def test_allocators(ctl, fleet, tmp_path):
    conf = tmp_path / "c.conf"
    conf.write_text('allocators = { gone = { library = "/usr/lib/no-such-library.so"; }; };\n')
    done = ctl(f"--config={conf}", "allocators", "--json=short")
    rows = {row["allocator"]: row for row in done.json}
    assert done.status == 0 and rows["glibc"]["library"] is None and rows["glibc"]["version"]
    assert rows["glibc"]["running"] == 4 and rows["mimalloc"]["assigned"] == 6
    assert "does not exist" in rows["gone"]["warning"]
    # What speaks against them stands below the table, where there is room for it, unless it is asked for.
    text = ctl(f"--config={conf}", "allocators").out
    assert "WARNING" not in text and re.search(r"^gone: /usr/lib/no-such-library.so does not exist", text, re.M), text
    for more in (["--no-legend"], ["-q"], ["-o", "allocator,warning"]):
        text = ctl(f"--config={conf}", "allocators", *more).out
        assert re.search(r"^gone .*/usr/lib/no-such-library.so does not exist", text, re.M) and "gone:" not in text, text


def test_a_plain_locale_gets_plain_characters(ctl, daemon):
    daemon.says([relay("münchen"), relay("x" * 64)])
    for verb in (["list"], ["status"], ["status", "x*"], ["groups"]):
        done = ctl.on_terminal(*verb, columns=60, LANG="C", LC_ALL="C")
        assert done.out.isascii(), done
    assert "xxxx.. " in ctl.on_terminal("list", columns=60, LC_ALL="C").out
    assert ctl("list", "--json=short", LC_ALL="C").json[0]["relay"] == "münchen"


@pytest.mark.parametrize("verb", ["list", "status", "groups"])
def test_no_daemon_and_an_invalid_file(no_bus, tmp_path, verb):
    """What is, and what to do: the daemon does not start with such a file."""
    config = tmp_path / "relayalloc.conf"
    config.write_text('groups = ( { name = "A"; allocator = "jemaloc"; relays = [ "*" ]; } );\n')
    done = no_bus(f"--config={config}", verb)
    assert done.status == 2 and done.out == "", done
    assert 'did you mean "jemalloc"' in done.err and "does not start; the relays run on as they are" in done.err
    assert '"relayallocctl edit"' in done.err and '"systemctl start relayallocd"' in done.err
