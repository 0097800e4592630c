"""Memory samples and the journal: when they come, what they say, and that readers find them."""

import json
import re
import time

from network import day_of

RELAYS = 4
SLACK = 1024 * 1024  # a relay is idle, but not dead: its numbers move a little between two readings


def kib(status, name):
    return int(re.search(rf"^{name}:\s+(\d+) kB", status, re.M).group(1)) * 1024


def start(m, **options):
    m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "relay1", "relay2" ]')], parallel=4, **options))
    m.start_daemon()
    m.wait_all("ok", ["relay1", "relay2"])
    m.wait_event("rollout-finished")
    m.mark()


def test_samples_come_each_interval_on_the_beat(fresh):
    m = fresh
    start(m, interval=2)
    m.wait_until(lambda: len(m.events("sample-relay", relay="relay1")) >= 5, 30, "five samples of relay1")
    for relay in m.names:
        times = [int(e["_SOURCE_REALTIME_TIMESTAMP"]) / 1e6 for e in m.events("sample-relay", relay=relay)]
        assert len(times) >= 4
        # Whole multiples of the interval since the epoch, so that hosts and days line up. A busy machine may be
        # late for one, but not for all.
        assert min(t % 2 for t in times) < 0.5, [t % 2 for t in times]
        beats = [int(t // 2) for t in times]
        assert beats == list(range(beats[0], beats[0] + len(beats))), "no beat missed, none doubled"


def test_samples_agree_with_proc(fresh):
    m = fresh
    start(m)
    for relay in m.names:
        before = m.proc(relay, "status")
        seen = len(m.events("sample-relay", relay=relay))
        sample = m.wait_event("sample-relay", relay=relay, count=seen + 2)[seen + 1]
        after = m.proc(relay, "status")
        for field, name in (("RSS", "VmRSS"), ("ANON", "RssAnon"), ("SWAP", "VmSwap"), ("HWM", "VmHWM")):
            value = int(sample[f"RELAYALLOC_{field}"])
            low, high = sorted((kib(before, name), kib(after, name)))
            assert low - SLACK <= value <= high + SLACK, f"{relay} {field}: {value}, /proc says {low} to {high}"
        assert int(sample["RELAYALLOC_RSS"]) > int(sample["RELAYALLOC_ANON"]) > 0


def test_samples_say_what_really_ran(fresh):
    m = fresh
    start(m)
    m.wait_until(lambda: {e["RELAYALLOC_RELAY"] for e in m.events("sample-relay")} == set(m.names), 20,
                 "a sample of every relay")
    version = m.listing()["relay1"]["version"]
    assert re.match(r"\d+\.\d+", version), version
    for relay in ("relay1", "relay2"):
        sample = m.events("sample-relay", relay=relay)[-1]
        assert sample["RELAYALLOC_UNIT"] == m.unit(relay)
        assert sample["RELAYALLOC_GROUP"] == "A"
        assert sample["RELAYALLOC_ALLOCATOR"] == "jemalloc"
        assert sample["RELAYALLOC_VERSION"] == version
        assert re.match(rf"{relay}: [\d.]+ [KMG]iB resident, jemalloc {re.escape(version)}, group A$",
                        sample["MESSAGE"]), sample["MESSAGE"]
    observed = m.events("sample-relay", relay="relay3")[-1]
    assert observed["RELAYALLOC_ALLOCATOR"] == "glibc"
    assert observed.get("RELAYALLOC_GROUP", "") == ""


def amount(text, rss=0):
    """Of a row: bytes, or KiB with a "k"; with a sign so much more or less than what is resident."""
    count = int(text.rstrip("k")) * (1024 if text.endswith("k") else 1)
    return rss + count if text[0] in "+-" else count


def test_fleet_entry_holds_all_relays(fresh):
    m = fresh
    start(m, entry="fleet")
    m.wait_event("sample-fleet", count=2)
    assert m.events("sample-relay") == []
    entry = m.events("sample-fleet")[-1]
    rows = {row[0]: row for row in (line.split("\t") for line in entry["RELAYALLOC_FLEET"].splitlines())}
    assert set(rows) == set(m.names)
    for relay in m.names:
        name, group, allocator, version, since, rss, anon, swap, hwm = rows[relay][:9]
        rss = amount(rss)
        anon, swap, hwm = amount(anon, rss), amount(swap), amount(hwm, rss)
        status = m.proc(relay, "status")
        assert abs(int(rss) - kib(status, "VmRSS")) <= SLACK
        assert abs(int(anon) - kib(status, "RssAnon")) <= SLACK
        assert abs(int(hwm) - kib(status, "VmHWM")) <= SLACK
        assert int(swap) == kib(status, "VmSwap")
        grouped = relay in ("relay1", "relay2")
        assert (group, allocator) == (("A", "jemalloc") if grouped else ("-", "glibc"))
        assert 0 < int(since) / 1e6 < time.time()
    assert "4 relays" in entry["MESSAGE"]


def test_relay_events_show_under_the_relays_unit(fresh):
    m = fresh
    m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "relay1" ]')]))
    m.start_daemon()
    m.wait_event("relay-moved", relay="relay1")
    mine = m.journal("-u", "tor@relay1", f"MESSAGE_ID={m.MESSAGES['relay-moved']}")
    assert [e["RELAYALLOC_RELAY"] for e in mine] == ["relay1"]
    assert m.journal("-u", "tor@relay2", f"MESSAGE_ID={m.MESSAGES['relay-moved']}") == []


def test_every_entry_of_the_daemon_has_a_known_id_and_a_sentence(fresh):
    m = fresh
    start(m)
    m.systemctl("restart", "relayallocd")
    m.wait_event("sample-relay", count=4)
    known = set(m.MESSAGES.values())
    entries = m.journal("-u", "relayallocd", "_COMM=relayallocd")
    assert len(entries) > 4
    for entry in entries:
        assert entry.get("MESSAGE_ID") in known, entry["MESSAGE"]
        assert len(entry["MESSAGE"]) > 10 and "\n" not in entry["MESSAGE"]


def test_catalog_explains_every_id(fresh):
    m = fresh
    listed = m.sh("journalctl --list-catalog --no-pager")
    missing = [name for name, ident in m.MESSAGES.items() if ident not in listed]
    assert missing == []
    m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "relay1" ]')]))
    m.start_daemon()
    m.wait_event("relay-moved")
    shown = m.sh(["journalctl", "-x", *m.journal_options(), f"MESSAGE_ID={m.MESSAGES['relay-moved']}"])
    explained = [line for line in shown.splitlines() if line.startswith("░░") or line.startswith("--")]
    assert len(explained) >= 3, shown


def test_nothing_finer_than_a_day_of_traffic_is_told(fresh):
    """Not in the journal, on the bus, in the metrics or in the state, whatever is done with daemon and relays."""
    m = fresh
    m.sh("mkdir -p /var/lib/prometheus/node-exporter")
    metrics = "/var/lib/prometheus/node-exporter/relayalloc.prom"
    m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "relay1" ]')]) + f'metrics = {{ textfile = "{metrics}"; }};\n')
    with day_of(m, 3600):
        m.start_daemon()
        m.wait_all("ok", ["relay1"])
        m.wait_event("sample-relay", relay="relay2", count=6)
        m.systemctl("restart", "relayallocd")
        m.wait_event("sample-relay", relay="relay2", count=12)
        text = m.read(metrics)
        objects = [m.sh(["busctl", "introspect", "org.relayalloc1", "/org/relayalloc1" + path])
                   for path in ("", "/relay/relay1", "/relay/relay2")]
        state = m.read("/var/lib/relayalloc/state")
        shown = m.sh("relayallocctl list --json=short -o relay,traffic/day")
    told = m.events("relay-traffic")
    assert len(told) <= 1 and {e["RELAYALLOC_RELAY"] for e in told} <= {"relay1"}, "one at the end of a process"
    known = {"RELAY", "UNIT", "GROUP", "ALLOCATOR", "VERSION", "LIBRARY", "RSS", "ANON", "SWAP", "HWM", "SINCE", "BOOTSTRAP",
             "FLAGS", "FINGERPRINT"}
    for e in m.events("sample-relay"):
        assert {k.removeprefix("RELAYALLOC_") for k in e if k.startswith("RELAYALLOC_")} <= known
        assert re.fullmatch(r"relay\d: [\d.]+ [KMG]iB resident, \S+ \S+(, group A)?", e["MESSAGE"])
    for e in m.journal("-u", "relayallocd"):
        assert e.get("MESSAGE_ID") == m.MESSAGES["relay-traffic"] or not {"RELAYALLOC_READ", "RELAYALLOC_WRITTEN"} & set(e)
    for where in (text, *objects):
        assert not re.search(r"(?i)traffic|written|bandwidth|receive", where), where
    assert not re.search(r"(?i)traffic|bytes", state), state
    assert {row["traffic/day"] for row in json.loads(shown)} == {None}


def test_relays_are_not_asked(fresh):
    m = fresh
    with day_of(m, 3):
        m.write_conf(m.settings([]).replace("sample = {", "sample = { tor = false;"))
        m.start_daemon()
        m.mark()
        m.wait_event("sample-relay", relay="relay1", count=6)
        bus = m.sh(["busctl", "get-property", "org.relayalloc1", "/org/relayalloc1/relay/relay1", "org.relayalloc1.Relay",
                    "Fingerprint", "Bootstrap", "Flags"])
    assert m.events("relay-traffic") == []
    assert not any({"RELAYALLOC_BOOTSTRAP", "RELAYALLOC_FLAGS", "RELAYALLOC_FINGERPRINT"} & set(e)
                   for e in m.events("sample-relay"))
    assert set(bus.split("\n")) == {'s ""', ""}
