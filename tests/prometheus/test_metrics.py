"""The metrics of a real daemon, by promtool, and how many series they are."""
import pathlib
import re
import subprocess

import conftest

REPO = pathlib.Path(__file__).parent.parent.parent
FLEETS, METRICS = REPO / "docs/fleets.md", REPO / "daemon/core/metrics.c"

wait_until = conftest.bus.wait_until
RELAYS = 200
HOSTILE = REPO / "tests/bus/hostile_tor.py"


def judge(tools, text):
    judged = subprocess.run([tools / "promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert (judged.returncode, judged.stdout, judged.stderr) == (0, "", "")
    return conftest.Metrics(text)


def test_two_hundred_relays(world, tools):
    names = [f"relay{n}" for n in range(RELAYS)]
    world.write_config("")
    prom = world.path / "m.prom"
    world.config.write_text(world.config.read_text() +
                            f'metrics = {{ textfile = "{prom}"; }};\nsample = {{ interval = 1; }};\n')
    world.start_fake(*names)
    world.start()
    wait_until(lambda: prom.exists() and prom.read_text().count("relayalloc_relay_resident_bytes{") == RELAYS, "all of them", 120)
    text = prom.read_text()
    metrics = judge(tools, text)
    assert len(metrics) + 2 * RELAYS < 2000  # each has two more when it answers, as below
    assert len(metrics.labels("relayalloc_relay_info")) == RELAYS
    assert metrics.of("relayalloc_config_last_reload_successful") == 1
    assert len(metrics) - 7 * RELAYS < 30  # what does not grow with the relays
    documented = set(re.findall(r"^\| `(relayalloc_\w+)` \|", FLEETS.read_text(), re.M))
    assert {name for name, _ in metrics} <= documented
    # some are there only when there is something to tell
    assert documented == set(re.findall(r'"(relayalloc_[a-z_]+)"', METRICS.read_text()))


def test_relays_that_say_what_they_are(world, tools):
    """One does, the other one's socket says nothing: two series more, and no more."""
    run, prom = world.path / "run", world.path / "m.prom"
    run.mkdir()
    world.start_fake("a", "b")
    for relay, mode in (("a", "honest"), ("b", "nothing")):
        world.do("restart-by-hand", unit=f"tor@{relay}.service", stays=True,
                 program=["/usr/bin/python3", str(HOSTILE), str(run / relay), mode])
    wait_until(lambda: (run / "a").exists() and (run / "b").exists(), "the sockets", 60)
    world.write_config("")
    world.config.write_text(world.config.read_text() + f'metrics = {{ textfile = "{prom}"; }};\nsample = {{ interval = 1; }};\n'
                            f'tor = {{ control = "{run}/%i"; }};\n')
    world.start()
    wait_until(lambda: prom.exists() and "relayalloc_relay_flags_info{" in prom.read_text(), "its flags", 120)
    text = prom.read_text()
    metrics = judge(tools, text)
    series = {relay: len([name for name, labels in metrics if ("relay", relay) in labels]) for relay in "ab"}
    assert series == {"a": 9, "b": 7}
    assert metrics.of("relayalloc_relay_bootstrap_ratio", relay="a") == 1
    assert metrics.of("relayalloc_relay_flags_info", relay="a", flags="Fast,Guard,Running") == 1
