"""packaging/grafana/relayalloc.json: its form, and each of its expressions asked of a real Prometheus that holds eight hours of two
hosts. What they hold is what a real daemon wrote before, during and after a rollout; only the times are made, and the memory forecast
of one host, which would need days."""
import copy
import json
import pathlib
import re
import subprocess
import time

import conftest
import jsonschema
import pytest

HERE = pathlib.Path(__file__).parent
REPO = HERE.parent.parent
DASHBOARD = json.loads((REPO / "packaging/grafana/relayalloc.json").read_text())
PANELS = [p for p in DASHBOARD["panels"] if p["type"] != "row"]
TARGETS = [pytest.param(p, t, id=f"{p['title']} {t['refId']}") for p in PANELS for t in p["targets"]]
HOSTS = ("west:9100", "east:9100")
STEP, HOURS = 120, 8

wait_until = conftest.bus.wait_until


# ---- its form ----

def test_schema():
    jsonschema.validate(DASHBOARD, json.loads((HERE / "dashboard.schema.json").read_text()))


@pytest.mark.parametrize("type, change", [
    ("stat", lambda p: p["options"].update(graphStyle="none")), ("stat", lambda p: p["options"].update(textMode="values")),
    ("stat", lambda p: p["fieldConfig"]["defaults"].update(custom={})), ("bargauge", lambda p: p["options"].update(displayMode="bar")),
    ("timeseries", lambda p: p["options"]["legend"].pop("showLegend")), ("timeseries", lambda p: p["options"]["tooltip"].update(mode="all")),
    ("timeseries", lambda p: p["fieldConfig"]["defaults"]["custom"].update(stacking="none")),
    ("state-timeline", lambda p: p["options"].update(rowHeight=90)), ("table", lambda p: p["options"].update(frameIndex="0")),
    ("table", lambda p: p["fieldConfig"]["defaults"]["custom"].update(displayMode="auto"))])
def test_schema_finds_what_a_panel_of_that_type_does_not_have(type, change):
    panel = copy.deepcopy(next(p for p in PANELS if p["type"] == type))
    change(panel)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**DASHBOARD, "panels": [panel]}, json.loads((HERE / "dashboard.schema.json").read_text()))


def test_panels_have_a_place_of_their_own():
    ids = [p["id"] for p in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken = {}
    for p in DASHBOARD["panels"]:
        at = p["gridPos"]
        assert at["x"] + at["w"] <= 24, p["title"]
        for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            assert cell not in taken, f"{p['title']} lies on {taken[cell]}"
            taken[cell] = p["title"]


def test_variables_are_there_and_used():
    defined = {v["name"] for v in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(?!__)([a-z_]+)", json.dumps(DASHBOARD)))
    assert used == defined == {"datasource", "host", "control"}
    for p in PANELS:
        assert [t["refId"] for t in p["targets"]] == list("ABCDEFGH"[:len(p["targets"])])
        assert all(source == {"type": "prometheus", "uid": "${datasource}"}
                   for source in (p["datasource"], *(t["datasource"] for t in p["targets"])))


def test_columns_that_are_renamed_are_there():
    for p in (p for p in PANELS if p["type"] == "table"):
        renamed = next(t for t in p["transformations"] if t["id"] == "organize")["options"]["renameByName"]
        values = {name for name in renamed if name.startswith("Value")}
        assert values == ({f"Value #{t['refId']}" for t in p["targets"]} if len(p["targets"]) > 1 else set()), p["title"]
        assert {o["matcher"]["options"] for o in p["fieldConfig"]["overrides"]} <= set(renamed.values())


def test_metrics_are_documented():
    documented = set(re.findall(r"^\| `(relayalloc_\w+)` \|", (REPO / "docs/fleets.md").read_text(), re.M))
    asked = set(re.findall(r"relayalloc_[a-z_]+", json.dumps([p["targets"] for p in PANELS])))
    assert len(asked) >= 10 and asked <= documented
    assert "packaging/grafana/relayalloc.json" in (REPO / "docs/fleets.md").read_text()


# ---- its expressions ----

A = '{ name = "A"; allocator = "jemalloc"; relays = [ "a*" ]; }'
CONTROL = '{ name = "control"; allocator = "glibc"; relays = [ "b*" ]; }'
C = '{ name = "C"; allocator = "jemalloc"; relays = [ "c" ]; }'


def snapshots(world):
    """What a daemon's file says with nothing assigned, with all as assigned, and when a relay of the next step does not start."""
    prom = world.path / "m.prom"

    def text():
        return prom.read_text() if prom.exists() else ""

    def configure(groups):
        world.write_config(groups)
        temporary = world.config.with_suffix(".new")
        temporary.write_text(world.config.read_text() + f'metrics = {{ textfile = "{prom}"; }};\nsample = {{ interval = 1; }};\n')
        temporary.rename(world.config)

    def when(*lines):
        wait_until(lambda: all(line in text() for line in lines), lines)
        return text()

    configure("")
    world.start_fake("a1", "a2", "b1", "b2", "c")
    world.start()
    observed = when(*(f'relay_state{{relay="{r}",group="",state="observed"}} 1' for r in ("a1", "a2", "b1", "b2", "c")))
    configure(f"{A}, {CONTROL}")
    done = when(*(f'relay_state{{relay="{r}",group="{g}",state="ok"}} 1' for r, g in
                  (("a1", "A"), ("a2", "A"), ("b1", "control"), ("b2", "control"))), 'rollout_state{state="idle"} 1')
    world.script("c", {"result": "failed", "then": "failed"}, {"result": "failed", "then": "failed"})
    configure(f"{A}, {CONTROL}, {C}")
    halted = when('rollout_state{state="halted"} 1', 'relay_state{relay="c",group="C",state="down"} 1')
    return observed, done, halted


def with_times(name, value, at):
    if name == "relayalloc_sample_time_seconds":
        return at - 5
    if name == "relayalloc_relay_start_time_seconds":
        return at - 86400
    return value


def labels_text(labels):
    return "{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "}"


def tor_lines(relay, host, at, n):
    """As Prometheus stores a relay's MetricsPort that relayallocctl targets has told it of."""
    text = re.sub(r"^#.*\n", "", (HERE / "tor-metrics.txt").read_text(), flags=re.M)
    for line in text.splitlines():
        name, label, value = re.fullmatch(r'(\w+)\{(\w+)="(\w+)"\} 0', line).groups()
        labels = {label: value, "instance": f"127.0.0.1:{9030 + n}", "host": host.split(":")[0],
                  **{k: relay[k] for k in ("relay", "unit", "group", "allocator")}}
        number = at * 1000 if name.endswith("_bytes") else int(value in ("Fast", "Running") or (value == "Guard" and n % 2))
        yield f"{name}{labels_text(labels)} {number} {at}"


def history(texts, end):
    """An hour before anything, then a rollout that went well, then half an hour of one that halted; as OpenMetrics."""
    observed, done, halted = (conftest.Metrics(text) for text in texts)
    for at in range(end - HOURS * 3600, end + 1, STEP):
        now = observed if at < end - (HOURS - 1) * 3600 else done if at < end - 1800 else halted
        for host in HOSTS:
            for (name, pairs), value in now.items():
                labels = {**dict(sorted(pairs)), "instance": host, "job": "node"}
                yield f"{name}{labels_text(labels)} {with_times(name, value, at)} {at}"
            for n, relay in enumerate(now.labels("relayalloc_relay_info")):
                yield from tor_lines(relay, host, at, n)
        yield f'relayalloc_memory_full_in_seconds{{instance="{HOSTS[0]}",job="node"}} 864000 {at}'
    yield "# EOF"


class Prometheus(conftest.Prometheus):
    def __init__(self, tools, folder, end):
        self.end = end
        super().__init__(tools, folder, "global: {}\n", "--storage.tsdb.retention.time=10y")

    def ask(self, target, host=".*", control="glibc"):
        """What a panel is given: [({label: value}, [number])]; of a range its whole eight hours."""
        expr = target["expr"]
        for name, value in (("$host", host), ("$control", control), ("$__rate_interval", "10m"), ("$__range", "8h")):
            expr = expr.replace(name, value)
        assert "$" not in expr
        if target["instant"]:
            result = self.get("query", query=expr, time=self.end)["result"]
            return [(s["metric"], [float(s["value"][1])]) for s in result]
        result = self.get("query_range", query=expr, start=self.end - HOURS * 3600, end=self.end, step=STEP)["result"]
        return [(s["metric"], [float(v) for _, v in s["values"]]) for s in result]


@pytest.fixture(scope="module")
def prometheus(tools, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prometheus")
    world = conftest.bus.World(tmp_path_factory.mktemp("world"))
    try:
        texts = snapshots(world)
    finally:
        world.close()
    end = int(time.time()) // STEP * STEP
    (folder / "history").write_text("\n".join(history(texts, end)) + "\n")
    made = subprocess.run([tools / "promtool", "tsdb", "create-blocks-from", "openmetrics", folder / "history", folder / "data"],
                          capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    server = Prometheus(tools, folder, end)
    yield server
    server.stop()


def is_a_number(value):
    return value == value and abs(value) != float("inf")


@pytest.mark.parametrize("panel, target", TARGETS)
def test_expression_has_data(prometheus, panel, target):
    found = prometheus.ask(target)
    assert found, "no data"
    assert all(is_a_number(value) for _, values in found for value in values), found
    # each name in a legend is a label that all of them have
    for name in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
        assert all(name in labels for labels, _ in found), (name, found)


@pytest.mark.parametrize("panel, target", TARGETS)
def test_expression_keeps_to_the_hosts_that_are_chosen(prometheus, panel, target):
    """As Grafana writes one and several: west, (west|east)."""
    def of_hosts(hosts):
        return {(frozenset(labels.items()), *values) for labels, values in prometheus.ask(target, host=hosts)}

    west = prometheus.ask(target, host="west")
    assert west and all(labels.get("instance", "west").startswith("west") for labels, _ in west)
    assert ("tor_relay" in target["expr"]) == ('{host=~"$host"' in target["expr"])  # tor's have the label that targets gives them
    assert of_hosts("(west|east)") == of_hosts(".*")
    assert {value for _, values in prometheus.ask(target, host="wes") for value in values} <= {0.0}


def value(prometheus, title, **arguments):
    panel = next(p for p in PANELS if p["title"] == title)
    return [{**labels, "": values[-1]} for labels, values in prometheus.ask(panel["targets"][0], **arguments)]


def test_tiles_say_what_is(prometheus):
    """Of each of two hosts four relays are ok and one is down, and the rollout has halted."""
    assert value(prometheus, "Relays as assigned") == [{"": 8}]
    assert value(prometheus, "Relays as assigned", host="east") == [{"": 4}]
    assert value(prometheus, "Down") == [{"": 2}]
    assert value(prometheus, "Drifted or failed") == [{"": 0}]
    assert value(prometheus, "Files refused") == [{"": 0}]
    assert value(prometheus, "Rollout, hosts by state") == [{"state": "halted", "": 2}]
    assert value(prometheus, "Oldest sample") == [{"": 5}]
    assert {(row["instance"], row["relay"], row["state"]) for row in value(prometheus, "Relays that are not as they should be")} == \
        {(host, "c", "down") for host in HOSTS}


def test_memory_saved_is_against_the_control(prometheus):
    anon = prometheus.get("query", query="relayalloc_relay_anonymous_bytes", time=prometheus.end)["result"]
    by = {}
    for series in anon:
        by.setdefault(series["metric"]["allocator"], []).append(float(series["value"][1]))
    assert set(by) == {"glibc", "jemalloc"} and len(by["glibc"]) == len(by["jemalloc"]) == 4
    expected = sum(by["glibc"]) - sum(by["jemalloc"])
    assert value(prometheus, "Memory saved")[0][""] == pytest.approx(expected)
    assert value(prometheus, "Memory saved", control="jemalloc")[0][""] == pytest.approx(-expected)
    assert value(prometheus, "Saved, of the control's")[0][""] == pytest.approx(expected / sum(by["glibc"]))
    assert value(prometheus, "Memory saved", control="tcmalloc") == []  # "no control" is what the tile says then


def test_rollout_time_line(prometheus):
    """Idle, and then halted for half an hour; the mapping calls it so."""
    panel = next(p for p in PANELS if p["type"] == "state-timeline")
    words = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
    for labels, values in prometheus.ask(panel["targets"][0]):
        said = [words[f"{v:.0f}"]["text"] for v in values]
        assert said == ["idle"] * (len(said) - 16) + ["halted"] * 16, labels


def test_variables_have_values(prometheus):
    variables = {v["name"]: v for v in DASHBOARD["templating"]["list"] if v["type"] == "query"}
    found = {}
    for name, variable in variables.items():
        metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()
        assert variable["query"] == {"query": variable["definition"], "refId": name}
        found[name] = prometheus.get(f"label/{label}/values", **{"match[]": metric, "start": prometheus.end - 3600, "end": prometheus.end})
    pattern = variables["host"]["regex"].strip("/")
    assert [re.match(pattern, host)[1] for host in found["host"]] == ["east", "west"]
    assert re.match(pattern, "a.example.org")[1] == "a.example.org" and re.match(pattern, "[2001:db8::1]:9100")[1] == "[2001:db8::1]"
    assert found["control"] == ["glibc", "jemalloc"]
