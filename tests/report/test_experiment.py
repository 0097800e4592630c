"""experiment plan, experiment and recommend."""

import re
import subprocess

import pytest
from conftest import CTL, DAY, HOUR, KIB, RELAY_FAILED, REPO, START, Fleet, Relay

import random


def mixed_fleet(n=43, days=3):
    generator = random.Random(3)
    return Fleet([Relay(f"relay{i}", None, "glibc", int(100000 * generator.lognormvariate(0, 0.6)),
                        started=START - generator.randrange(40) * DAY) for i in range(n)], days, step=HOUR)


def plan(ctl, path, *more, **environment):
    return ctl("experiment", "plan", f"--file={path}", "--groups=A:jemalloc,B:mimalloc,C:tcmalloc,Z:glibc", "--size=10", *more,
               **environment)


def test_plan(ctl, table, tmp_path):
    path = table(mixed_fleet().csv())
    done = plan(ctl, path, "--seed=9")
    assert done.status == 0 and done.err == "", done
    assert "--seed=9" in done.out and "40 of 43 relays" in done.out
    groups = {}
    for name, allocator, relays in re.findall(r'\{ name = "(\w+)"; allocator = "(\w+)"; relays = \[([^]]*)\]; \}', done.out):
        groups[name] = (allocator, re.findall(r'"([^"]+)"', relays))
    assert {n: a for n, (a, _) in groups.items()} == {"A": "jemalloc", "B": "mimalloc", "C": "tcmalloc", "Z": "glibc"}
    members = [r for _, relays in groups.values() for r in relays]
    assert all(len(relays) == 10 for _, relays in groups.values()) and len(set(members)) == 40
    assert done.out == plan(ctl, path, "--seed=9").out != plan(ctl, path, "--seed=10").out
    # Alike in memory: groups without care differ by more than a third of the average.
    last = {relay.name: kib for _, relay, kib in mixed_fleet().samples}
    averages = [sum(last[r] for r in relays) / 10 for _, relays in groups.values()]
    assert max(averages) < 1.1 * min(averages)


def test_plan_is_a_configuration(ctl, table, tmp_path):
    """What is printed is what the daemon takes."""
    relays = [Relay(name, None, "glibc", 1000 + i) for i, name in
              enumerate(["plain", "1.2.3.4_9000", "back\\slash", "st*r", "que?tion", "br[a]cket", 'quo"te', "bl ank"])]
    done = ctl("experiment", "plan", f"--file={table(Fleet(relays, 1, step=HOUR).csv().replace('quo' + chr(34) + 'te', chr(34) + 'quo' + chr(34) * 2 + 'te' + chr(34)))}",
               "--groups=A:jemalloc,Z:glibc", "--size=4", "--seed=1")
    assert done.status == 0, done
    config = tmp_path / "planned.conf"
    config.write_text(done.out)
    check = ctl("check", config)
    assert check.status == 0, check
    # And each name is a pattern for itself alone: all eight are in the groups that the plan put them in.
    text = "timestamp,nickname,rss_kb\n"
    for name in [r.name for r in relays] + ["star", "question", "bracket", "backslash"]:
        quoted = '"' + name.replace('"', '""') + '"'
        for hour in range(3):
            text += f"2026-01-01T0{hour}:00:00,{quoted},1000\n"
    report = ctl("report", f"--file={table(text, 'names.csv')}", f"--config={config}", "--by=group", "--warmup=0", "--json=short").json
    found = {row["group"]: {m["relay"] for m in row["members"]} for row in report["rows"]}
    assert found["A"] | found["Z"] == {r.name for r in relays} and not found["A"] & found["Z"]


def test_plan_in_the_first_minute(ctl, table):
    """One sample of each, and not all in the same second."""
    text = "timestamp,nickname,rss_kb\n" + "".join(f"2026-01-01T00:00:{10 + i},relay{i},{1000 + i}\n" for i in range(6))
    done = ctl("experiment", "plan", f"--file={table(text)}", "--groups=A:jemalloc,Z:glibc", "--size=3")
    assert done.status == 0 and "6 of 6 relays" in done.out, done


def test_plan_json_and_random_seed(ctl, table):
    path = table(mixed_fleet().csv())
    one, two = plan(ctl, path, "--json=short").json, plan(ctl, path, "--json=short").json
    assert one["seed"] != two["seed"] and one["groups"] != two["groups"]
    again = plan(ctl, path, "--json=short", f"--seed={one['seed']}").json
    assert again == one
    assert one["memory_distance"] < 0.2 and [len(g["relays"]) for g in one["groups"]] == [10] * 4


def test_plan_without_size(ctl, table):
    done = ctl("experiment", "plan", f"--file={table(mixed_fleet().csv())}", "--groups=A:jemalloc,B:mimalloc,Z:glibc", "--json=short")
    assert [len(g["relays"]) for g in done.json["groups"]] == [14] * 3  # of 43


def test_plan_of_a_journal(ctl, journal):
    journal.fleet(mixed_fleet())
    journal.write()
    done = ctl("experiment", "plan", "-D", journal.directory, "--since=2026-01-01", "--groups=A:jemalloc,Z:glibc", "--size=20")
    assert done.status == 0 and "40 of 43 relays" in done.out
    assert "up for " in done.out and "in age" in done.out.replace("\n# ", " ")


@pytest.mark.parametrize("arguments, status, words", [
    (["--write"], 2, "requires --groups"),
    (["--size=10", "--write"], 2, '"experiment plan" without --groups proposes some'),
    (["--groups=A", "--size=1"], 2, "NAME:ALLOCATOR"),
    (["--groups=A:jemalloc,A:glibc", "--size=1"], 2, 'two groups are named "A"'),
    (["--groups=A:jemaloc", "--size=1"], 2, 'did you mean "jemalloc"?'),
    (["--groups=A:jemalloc", "--size=0"], 2, "not a number of relays"),
    (["--groups=A:jemalloc", "--size=44"], 1, "more relays than there are: 43"),
    (["--groups=A:jemalloc", "--size=1", "--seed=x"], 2, "not a whole number"),
    (["--groups=A:jemalloc", "--size=1", "operand"], 2, "no operand"),
])
def test_plan_wrong_usage(ctl, table, arguments, status, words):
    done = ctl("experiment", "plan", f"--file={table(mixed_fleet().csv())}", *arguments)
    assert done.status == status and words in done.err and done.out == "", done


@pytest.mark.parametrize("arguments, words", [
    (["plna"], 'experiment knows plan, start and adopt, not "plna" (did you mean "plan"?)'),
    (["stop"], 'experiment knows plan, start and adopt, not "stop"'),
    (["--file=x.csv", "start", "--groups=A:glibc"], 'write "start" right behind "experiment"'),
])
def test_steps_wrong_usage(ctl, arguments, words):
    done = ctl("experiment", *arguments)
    assert done.status == 2 and words in done.err and done.out == "", done


def test_plan_without_a_control_says_so(ctl, table):
    """However it is asked for: plan --write is the same as start, and what is only printed is pasted."""
    path = table(mixed_fleet().csv())
    words = "None of these groups runs glibc"
    assert words in ctl("experiment", "plan", f"--file={path}", "--groups=A:jemalloc", "--size=1").err
    assert words in ctl("experiment", "plan", f"--file={path}", "--groups=A:jemalloc", "--size=1", "--write").err
    assert words not in ctl("experiment", "plan", f"--file={path}", "--groups=A:jemalloc,Z:glibc", "--size=1").err
    assert words not in ctl("experiment", "plan", f"--file={path}", "--groups=A:jemalloc", "--size=1", "-q").err


def test_plan_is_written_into_the_configuration(ctl, table, tmp_path):
    """With all that stands in it besides, after the plan and a question; as edit does it."""
    path, conf = table(mixed_fleet().csv()), tmp_path / "relayalloc.conf"
    before = '# mine\nrollout = { parallel = 4; };\ngroups = ( );\nsample = { interval = 30; };\n'
    conf.write_text(before)
    environment = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/no-bus", "TMPDIR": str(tmp_path)}
    done = plan(ctl, path, "--seed=9", "--write", f"--config={conf}", **environment)
    assert done.status == 1 and "[y/N]" in done.err and conf.read_text() == before, done
    (draft,) = tmp_path.glob("relayallocctl-*/relayalloc.conf")
    assert f"your draft is kept in {draft}" in done.err
    done = plan(ctl, path, "--seed=9", "--write", f"--config={conf}", "--yes", **environment)
    assert done.status == 0 and f"{conf}: saved" in done.out, done
    text = conf.read_text()
    assert text == draft.read_text() == before.replace("groups = ( );\n", plan(ctl, path, "--seed=9").out)
    assert ctl("check", conf, **environment).status == 0


def test_start(ctl, table, tmp_path):
    """The groups that plan would propose, saved after the plan and a question."""
    path, conf = table(mixed_fleet().csv()), tmp_path / "relayalloc.conf"
    conf.write_text("# mine\ngroups = ( );\n")
    environment = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/no-bus", "TMPDIR": str(tmp_path)}
    start = lambda *more, groups="A:jemalloc,Z:glibc": ctl("experiment", "start", f"--file={path}", f"--groups={groups}", "--size=10",
                                                           "--seed=9", f"--config={conf}", *more, **environment)
    done = start()
    assert done.status == 1 and "[y/N]" in done.err and conf.read_text() == "# mine\ngroups = ( );\n", done
    done = start("--yes")
    assert done.status == 0 and f"{conf}: saved" in done.out and done.err.count("control") == 0, done
    planned = ctl("experiment", "plan", f"--file={path}", "--groups=A:jemalloc,Z:glibc", "--size=10", "--seed=9").out
    assert conf.read_text() == "# mine\n" + planned
    assert "None of these groups runs glibc" in start("--yes", groups="A:jemalloc,B:mimalloc").err
    assert "experiment start requires --groups=" in ctl("experiment", "start").err
    assert start("-H", "elsewhere").status == 2


def test_adopt(ctl, journal, fleet, tmp_path):
    """What recommend is sure of, for all relays, after the plan and a question."""
    journal.fleet(fleet)
    journal.write()
    conf = tmp_path / "relayalloc.conf"
    before = '# mine\ngroups = ( { name = "A"; allocator = "jemalloc"; relays = [ "a*" ]; } );\nrollout = { parallel = 4; };\n'
    conf.write_text(before)
    environment = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/no-bus", "TMPDIR": str(tmp_path)}
    adopt = lambda *more: ctl("experiment", "adopt", "-D", journal.directory, f"--config={conf}", *more, **environment)
    done = adopt()
    recommended = ctl("recommend", "-D", journal.directory).out
    assert done.status == 1 and done.out.startswith(recommended) and "[y/N]" in done.err and conf.read_text() == before, done
    done = adopt("--yes")
    assert done.status == 0 and f"{conf}: saved" in done.out, done
    assert conf.read_text() == ('# mine\ngroups = ( { name = "all"; allocator = "mimalloc"; relays = [ "*" ]; } );\n'
                                'rollout = { parallel = 4; };\n')
    assert "unchanged" in adopt("--yes").out


def test_adopt_refuses(ctl, journal, tmp_path):
    """As recommend does, and with its reason; nothing is asked."""
    relays = [Relay(f"z{i}", None, "glibc", 1000 + i) for i in range(4)]
    relays += [Relay(f"i{i}", None, "mimalloc3", 100 + i, per_day=30) for i in range(4)]
    journal.fleet(Fleet(relays, 4, step=HOUR))
    journal.write()
    conf = tmp_path / "relayalloc.conf"
    conf.write_text("groups = ( );\n")
    done = ctl("experiment", "adopt", "-D", journal.directory, f"--config={conf}", "--yes")
    assert done.status == 1 and "nothing is adopted: no allocator that was measured long enough" in done.err, done
    assert "mimalloc3 1.0, growing" in done.out and conf.read_text() == "groups = ( );\n"


def test_adopt_what_the_configuration_does_not_have(ctl, journal, tmp_path):
    relays = [Relay(f"{a[0]}{i}", None, a, level + i) for a, level in (("glibc", 1000), ("pinned", 300)) for i in range(4)]
    journal.fleet(Fleet(relays, 5, step=HOUR))
    journal.write()
    conf = tmp_path / "relayalloc.conf"
    conf.write_text("groups = ( );\n")
    done = ctl("experiment", "adopt", "-D", journal.directory, f"--config={conf}", "--yes")
    assert done.status == 1 and 'has no allocator named "pinned"' in done.err and conf.read_text() == "groups = ( );\n", done


def test_output_into_the_file_that_is_read_is_refused(ctl, table, tmp_path):
    """The shell has emptied it: what is read of it then is not what it said."""
    path, conf = table(mixed_fleet().csv()), tmp_path / "relayalloc.conf"
    for arguments in (["experiment", "plan", f"--file={path}", "--groups=A:jemalloc", f"--config={conf}"], ["check", conf], ["plan", conf],
                      ["report", f"--file={conf}"], ["list", f"--config={conf}"]):
        conf.write_text("groups = ( );\n")
        done = subprocess.run(["/bin/sh", "-c", f'exec "$@" >{conf}', "sh", CTL, *map(str, arguments)], capture_output=True,
                              text=True, env=ctl.environment, timeout=60)
        assert done.returncode == 2 and f"{conf}, which is also the input" in done.stderr, (arguments, done)


def started(levels_before, size=4, days=5):
    """Relays that run glibc for two days and are moved then; `levels_before` by group."""
    move = START + 2 * DAY
    relays = []
    for group, allocator, after in (("A", "jemalloc", 300), ("Z", "glibc", 1000)):
        for i in range(size):
            name = f"{group.lower()}{i}"
            relays.append(Relay(name, None, "glibc", levels_before[group] + 10 * i, end=move))
            relays.append(Relay(name, group, allocator, after + 10 * i, begin=move, started=move - 1))
    return Fleet(relays, days, step=HOUR)


def test_experiment(ctl, journal):
    journal.fleet(started({"A": 1000, "Z": 1002}))
    journal.write()
    done = ctl("experiment", "-D", journal.directory)
    assert done.status == 0 and done.err == "", done
    assert "(8 of 8 relays)" in done.out and "comparable" in done.out and "A and Z can be told apart." in done.out
    state = ctl("experiment", "-D", journal.directory, "--json=short").json
    a = next(g for g in state["groups"] if g["group"] == "A")
    assert a["before"] == 1015 * KIB and a["relays"] == 4 and a["since"] == (START + 2 * DAY) * 10 ** 6
    assert a["outlook"]["state"] == "told apart" and state["baseline"] == "Z"
    assert state["elapsed"] == (3 * DAY - HOUR) * 10 ** 6 and state["remaining"] == 0
    assert "It has run for 2 days 23h and can tell: " in done.out and "experiment adopt" in done.out


def test_experiment_of_several_hosts(ctl, tmp_path, another_journal):
    """Of the journals of two hosts with relays of the same names: all of them, or those of the host that was named, as on that host alone."""
    alone = {}
    for host, machine, levels in (("alpha", "a" * 32, {"A": 1000, "Z": 1002}), ("beta", "b" * 32, {"A": 2000, "Z": 2004})):
        for folder in ("remote", host):
            journal = another_journal(folder, host=host, machine=machine)
            journal.fleet(started(levels))
            journal.write(f"remote-{host}.journal")
        alone[host] = ctl("experiment", "-D", journal.directory, "--json=short").json
    both = ctl("experiment", "-D", tmp_path / "remote", "--json=short").json
    assert {g["group"]: g["relays"] for g in both["groups"]} == {"A": 8, "Z": 8}
    assert next(g for g in both["groups"] if g["group"] == "A")["before"] == 1515 * KIB
    for host in alone:
        one = ctl("experiment", "-D", tmp_path / "remote", f"--host={host}")
        assert one.status == 0 and "(8 of 8 relays)" in one.out, one
        assert ctl("experiment", "-D", tmp_path / "remote", f"--host={host}", "--json=short").json == alone[host]
    none = ctl("experiment", "-D", tmp_path / "remote", "--host=gamma")
    assert none.status == 1 and 'there are no samples of a host named "gamma"' in none.err


def test_experiment_on_its_way(ctl, journal):
    """It says how far it is, and when it can tell."""
    journal.fleet(started({"A": 1000, "Z": 1002}, days=4.5))
    journal.write()
    done = ctl("experiment", "-D", journal.directory)
    state = ctl("experiment", "-D", journal.directory, "--json=short").json
    hours = lambda key: state[key] / 3600 / 10 ** 6
    assert hours("elapsed") == 59 and 0 < hours("remaining") <= 24, done
    assert f"It has run for 2 days 11h, {int(100 * 59 / (59 + hours('remaining')))} % of the way: it can tell in about " in done.out, done


def test_experiment_of_unlike_groups(ctl, journal):
    journal.fleet(started({"A": 500, "Z": 1000}))
    journal.write()
    done = ctl("experiment", "-D", journal.directory)
    assert "not similar, so part of the difference may have existed before" in done.out


def test_experiment_that_needs_more(ctl, journal):
    generator = random.Random(1)
    relays = [Relay(f"{g.lower()}{i}", g, a, level * generator.uniform(0.5, 1.5)) for g, a, level in
              (("A", "jemalloc", 960), ("Z", "glibc", 1000)) for i in range(4)]
    journal.fleet(Fleet(relays, 4, step=HOUR))
    journal.write()
    done = ctl("experiment", "-D", journal.directory)
    assert "it is not known when it can tell" in done.out
    assert ctl("experiment", "-D", journal.directory, "--json=short").json["remaining"] is None
    assert "more time will not tell them apart" in done.out and "relays per group would" in done.out


def test_no_experiment(ctl, journal):
    journal.fleet(Fleet([Relay("a", None, "glibc", 1000)], 3, step=HOUR))
    journal.write()
    done = ctl("experiment", "-D", journal.directory)
    assert done.status == 0 and "there is no experiment" in done.out


def test_recommend(ctl, journal, fleet):
    journal.fleet(fleet)
    journal.add(START + DAY, {"MESSAGE_ID": RELAY_FAILED, "MESSAGE": "b1 failed.", "RELAYALLOC_RELAY": "b1",
                              "RELAYALLOC_ALLOCATOR": "mimalloc"})
    journal.add(START + DAY, {"MESSAGE_ID": RELAY_FAILED, "MESSAGE": "forged", "RELAYALLOC_RELAY": "b1",
                              "RELAYALLOC_ALLOCATOR": "mimalloc"}, uid="1000")
    journal.write()
    done = ctl("recommend", "-D", journal.directory)
    text = " ".join(done.out.split())
    assert done.status == 0 and text.startswith("Use mimalloc 1.0: "), done
    assert "1 move to it failed" in text and "mimalloc3 1.0, growing" in text
    assert all(len(line) < 80 for line in done.out.splitlines())
    answer = ctl("recommend", "-D", journal.directory, "--json=short").json
    assert answer["allocator"] == "mimalloc" and answer["failures"] == 1
    assert answer["saving_interval"][0] < answer["saving"] < answer["saving_interval"][1]
    assert ctl("recommend", "-q", "-D", journal.directory).out == "mimalloc\n"
    with open("/dev/full", "w") as full:  # status 1 alone says that there is none
        done = subprocess.run([CTL, "recommend", "-q", "-D", journal.directory], stdout=full, stderr=subprocess.PIPE, text=True,
                              env=ctl.environment)
    assert done.returncode == 1 and "cannot write" in done.stderr, done


def test_recommend_nothing(ctl, journal):
    relays = [Relay(f"z{i}", None, "glibc", 1000 + i) for i in range(4)]
    relays += [Relay(f"i{i}", None, "mimalloc3", 100 + i, per_day=30) for i in range(4)]
    journal.fleet(Fleet(relays, 4, step=HOUR))
    journal.write()
    done = ctl("recommend", "-D", journal.directory)
    assert done.status == 1 and done.out.startswith("No recommendation: ") and "mimalloc3 1.0, growing" in done.out
    assert "the lab" not in done.out  # this fleet's own evidence stands
    assert ctl("recommend", "-D", journal.directory, "-q").out == ""
    assert ctl("recommend", "-D", journal.directory, "--json=short").json["allocator"] is None


EVIDENCE = (REPO / "daemon/core/evidence.inc").read_text()


def in_the_lab(allocator):
    """Versions of it that nothing speaks against and that rest on three relays at least."""
    found = re.findall(rf'^{{ \.allocator = "{allocator}", \.version = "([^"]+)", .* \.relays = (\d+), .* \.against = NULL,', EVIDENCE, re.M)
    return [version for version, relays in found if int(relays) >= 3]


def test_recommend_without_data_says_what_the_lab_would_try(ctl, journal, fleet):
    """Beside the reason why there is no recommendation, and as no evidence of this fleet; never where this fleet has its own."""
    relays = [Relay(f"z{i}", None, "glibc", 1000 + i) for i in range(4)] + [Relay("j0", None, "jemalloc", 300)]
    journal.fleet(Fleet(relays, 1, step=HOUR))
    journal.write()
    done = ctl("recommend", "-D", journal.directory, "--warmup=0")
    text = " ".join(done.out.split())
    assert done.status == 1 and text.startswith("No recommendation: there is too little data."), done
    name = re.search(r'the lab would try "([a-z0-9-]+)" first', text)[1]
    assert in_the_lab(name) and "it is no evidence of this fleet" in text
    assert f'"relayallocctl experiment start --groups=A:{name},Z:glibc"' in text
    assert all(len(line) < 80 for line in done.out.splitlines())
    answer = ctl("recommend", "-D", journal.directory, "--warmup=0", "--json=short").json
    assert answer["allocator"] is None and answer["lab"]["allocator"] == name, answer
    assert answer["lab"]["version"] in in_the_lab(name) and 0 < answer["lab"]["reduction"] < 1 and answer["lab"]["trials"] >= 1
    assert "no evidence of this fleet" in answer["lab"]["text"]
    assert ctl("recommend", "-D", journal.directory, "--warmup=0", "-q").out == ""


def test_recommend_of_an_empty_journal(ctl, tmp_path):
    done = ctl("recommend", "-D", tmp_path)
    assert done.status == 1 and "there are no samples" in done.err and "the lab would try" in done.out, done
    answer = ctl("recommend", "-D", tmp_path, "--json=short").json
    assert answer["reason"] == "there are no samples" and in_the_lab(answer["lab"]["allocator"])
    assert ctl("recommend", "-D", tmp_path / "missing").out == ""


def test_the_lab_is_silent_where_the_fleet_has_spoken(ctl, journal, fleet):
    journal.fleet(fleet)
    journal.write()
    for arguments in ((), ("--json=short",)):
        assert "lab" not in ctl("recommend", "-D", journal.directory, *arguments).out


def test_plan_without_groups(ctl, table):
    """What the lab would try, beside a control; who starts it has to name it."""
    done = ctl("experiment", "plan", f"--file={table(mixed_fleet().csv())}", "--seed=9")
    assert done.status == 0 and "it is no evidence of this fleet" in " ".join(done.err.split()), done
    named = re.search(r"--groups=(\S+)", done.out)[1]
    planned = dict(word.split(":") for word in named.split(","))
    assert planned.pop("Z") == "glibc" and list(planned) == ["A", "B"][:len(planned)] != [] and all(map(in_the_lab, planned.values()))
    again = ctl("experiment", "plan", f"--file={table(mixed_fleet().csv())}", "--seed=9", f"--groups={named}")
    assert again.out == done.out and again.err == ""
    quiet = ctl("experiment", "plan", f"--file={table(mixed_fleet().csv())}", "--seed=9", "-q")
    assert quiet.err == ""
    groups = ctl("experiment", "plan", f"--file={table(mixed_fleet().csv())}", "--json=short").json["groups"]
    assert [group["allocator"] for group in groups] == [*planned.values(), "glibc"]


def test_recommend_wrong_usage(ctl, table):
    assert ctl("recommend", "--at=now").status == 2
    assert ctl("recommend", "operand").status == 2
    assert ctl("experiment", "plane").status == 2
