"""The alert rules: valid, each one fires and clears with made series, and leads to what the guide says of it."""
import pathlib
import re
import subprocess

REPO = pathlib.Path(__file__).parent.parent.parent
RULES, TESTS = REPO / "packaging/prometheus/relayalloc.rules.yml", pathlib.Path(__file__).parent / "relayalloc.rules.test.yml"
GUIDE = "file:///usr/share/doc/relayalloc/"


def alerts():
    return re.findall(r"^ *- alert: (\w+)$", RULES.read_text(), re.M)


def promtool(tools, *arguments):
    done = subprocess.run([tools / "promtool", *arguments], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_valid(tools):
    status, text = promtool(tools, "check", "rules", RULES)
    assert status == 0 and f"{len(alerts())} rules found" in text, text


def test_each_fires_and_clears(tools):
    status, text = promtool(tools, "test", "rules", TESTS)
    assert status == 0, text
    cases = TESTS.read_text().split("  - name: ")[1:]
    for alert in alerts():
        case, = (c for c in cases if c.startswith(f"{alert}\n"))
        told = re.findall(rf"alertname: {alert}\n *exp_alerts:( \[\])?$", case, re.M)
        assert told == [" []", "", " []"], "not yet, then, and no more"


def test_a_rule_that_does_not_fire_is_found(tools, tmp_path):
    rules, tests = tmp_path / "rules.yml", tmp_path / "test.yml"
    rules.write_text(RULES.read_text().replace('state="halted"', 'state="idle"'))
    tests.write_text(TESTS.read_text().replace("../../packaging/prometheus/relayalloc.rules.yml", str(rules)))
    status, text = promtool(tools, "test", "rules", tests)
    assert status != 0 and "RelayallocRolloutHalted" in text


def anchors(document):
    """As GitHub and pandoc make them of headings."""
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in re.findall(r"^#+ (.*)$", document.read_text(), re.M)}


def test_each_leads_to_what_the_guide_says_of_it():
    urls = re.findall(r'runbook_url: "(.*)"', RULES.read_text())
    assert len(urls) == len(alerts())
    for url in urls:
        assert url.startswith(GUIDE)
        document, anchor = url.removeprefix(GUIDE).split("#")
        assert anchor in anchors(REPO / "docs" / document), url
    listed = re.findall(r"^\| `(Relayalloc\w+)` \|", (REPO / "docs/fleets.md").read_text(), re.M)
    assert listed == alerts()


def test_severity_and_words_of_each():
    for rule in RULES.read_text().split("      - alert: ")[1:]:
        assert re.search(r"^          severity: (critical|warning|info)$", rule, re.M), rule
        assert all(re.search(rf'^          {word}: "[^"]+"$', rule, re.M) for word in ("summary", "description")), rule
        assert re.search(r"^        for: \d+[mhd]$", rule, re.M), rule


def test_only_metrics_that_there_are():
    served = set(re.findall(r'"(relayalloc_[a-z_]+)"', (REPO / "daemon/core/metrics.c").read_text()))
    for expr in re.findall(r"^        expr: (.*)$", RULES.read_text(), re.M):
        assert set(re.findall(r"relayalloc_[a-z_]+", expr)) <= served, expr
