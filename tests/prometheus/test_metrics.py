"""The metrics of a real daemon, by promtool, and how many series they are."""
import pathlib
import re
import subprocess

import conftest

REPO = pathlib.Path(__file__).parent.parent.parent
FLEETS, METRICS = REPO / "docs/fleets.md", REPO / "daemon/core/metrics.c"

wait_until = conftest.bus.wait_until
RELAYS = 200


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
    judged = subprocess.run([tools / "promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert (judged.returncode, judged.stdout, judged.stderr) == (0, "", "")
    metrics = conftest.Metrics(text)
    assert len(metrics) < 2000
    assert len(metrics.labels("relayalloc_relay_info")) == RELAYS
    assert metrics.of("relayalloc_config_last_reload_successful") == 1
    assert len(metrics) - 7 * RELAYS < 30  # what does not grow with the relays
    documented = set(re.findall(r"^\| `(relayalloc_\w+)` \|", FLEETS.read_text(), re.M))
    assert {name for name, _ in metrics} <= documented
    # some are there only when there is something to tell
    assert documented == set(re.findall(r'"(relayalloc_[a-z_]+)"', METRICS.read_text()))
