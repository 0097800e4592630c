"""The life of the package on a host with eight relays on four allocators: how often each step restarts a relay."""

import json

RELAYS = 8
OURS = "/etc/systemd/system/tor@{}.service.d/zz-relayalloc.conf"
METRICS = "/var/lib/prometheus/node-exporter"


class Steps:
    """Counts what each step restarts; the table is printed at the end of the run."""

    def __init__(self, machine, figures):
        self.m = machine
        self.figures = figures
        self.restarts = {}
        figures(f"restarts on {machine.release}, by step ({RELAYS} relays):")

    def count(self, name, action, *expected):
        """action(), and then how many relays were started since before; expected: those that had to be, once each."""
        self.m.mark()
        said = action()
        starts = self.m.asked_starts()
        self.figures(f"  {name:<52} {sum(starts.values())}")
        assert starts == {relay: int(relay in expected) for relay in self.m.names}, f"{name}: {starts}\n{said}"
        return said


def test_life(packages, boot, figures):
    m = boot(packages.release, RELAYS)
    steps = Steps(m, figures)
    before, later = packages.as_version("0.0.9-1"), packages.as_version("9.0-1", conf="# another default\n")
    even_later = packages.as_version("9.1-1", conf="# yet another default\n")
    four_groups = m.settings([("A", "glibc", 'relays = [ "relay1", "relay2" ]'),
                              ("B", "jemalloc", 'relays = [ "relay3", "relay4" ]'),
                              ("C", m.mimalloc, 'relays = [ "relay5", "relay6" ]'),
                              ("D", "tcmalloc", 'relays = [ "relay7", "relay8" ]')], settle=2) + \
        f'metrics = {{ textfile = "{METRICS}/relayalloc.prom"; }};\n'
    moved = m.names[2:]
    m.sh(f"mkdir -p {METRICS}")

    # -- comes
    steps.count("install (the version before)", lambda: m.install_deb(before))
    m.wait_all("observed")
    assert m.is_active("relayallocd") and m.sh("systemctl is-enabled relayallocd").strip() == "enabled"
    assert m.prop("relayallocd", "NRestarts") == "0", "it did not come up at once"
    steps.count("upgrade from the version before", lambda: m.install_deb(packages.deb))
    m.wait_all("observed")

    # -- a rollout, and an upgrade in the middle of it
    def roll_out():
        m.write_conf(four_groups)
        m.wait_event("relay-moved", count=2, timeout=60)
        said = m.install_deb(later)
        status = json.loads(m.run("relayallocctl status --json=short").stdout)
        m.wait_all("ok", timeout=120)
        return f"{said}\n{status}"

    steps.count("four groups; upgrade in the middle of their rollout", roll_out, *moved)
    # some are moved before the upgrade and some after it
    assert 2 <= len(m.events("relay-moved")) and m.events("daemon-started")
    runs = {relay: m.allocator_in_maps(relay) for relay in m.names}
    assert runs == dict(zip(m.names, sum(([a, a] for a in ("glibc", "jemalloc", "mimalloc", "tcmalloc")), [])))
    processes = {relay: m.pid(relay) for relay in m.names}
    assert m.read("/etc/relayalloc.conf") == four_groups

    def self_test():
        tried = {row["allocator"]: row for row in json.loads(m.sh("relayallocctl --json=short doctor --self-test"))}
        assert all(tried[a]["sandbox"] == "works" for a in ("jemalloc", m.mimalloc, "tcmalloc")), tried
        said = m.sh("relayallocctl doctor --self-test")
        assert "In the relays' sandboxes (1) 0 refused." in said and "Nothing to do" in said
        return said

    steps.count("doctor --self-test", self_test)

    # -- goes on
    steps.count("reinstall", lambda: m.install_deb(later, "--reinstall"))
    steps.count("upgrade, with another default of the configuration", lambda: m.install_deb(even_later))
    assert m.read("/etc/relayalloc.conf") == four_groups
    steps.count("downgrade", lambda: m.install_deb(packages.deb, "--allow-downgrades"))
    m.wait_all("ok")
    assert m.read("/etc/relayalloc.conf") == four_groups and m.is_active("relayallocd")

    m.write_conf("groups = ( broken\n")
    said = steps.count("upgrade with a broken configuration", lambda: m.install_deb(later))
    assert not m.is_active("relayallocd") and "journalctl -u relayallocd says why" in said
    m.write_conf(four_groups)
    steps.count("start after it is mended", lambda: m.systemctl("start", "relayallocd"))
    m.wait_all("ok")

    m.systemctl("stop", "relayallocd")
    steps.count("upgrade while an operator has stopped the daemon", lambda: m.install_deb(even_later))
    assert m.prop("relayallocd", "ActiveState") == "inactive"
    m.systemctl("start", "relayallocd")
    m.wait_all("ok")

    # -- goes, and comes again
    said = steps.count("remove", lambda: m.apt("remove", "relayalloc"))
    assert all(OURS.format(relay) in said for relay in moved) and "no relay was changed" in said
    assert not m.exists("/usr/sbin/relayallocd") and m.exists("/var/lib/relayalloc") and m.exists(OURS.format("relay3"))
    assert m.prop("relayallocd", "ActiveState") == "inactive"
    steps.count("install after the removal", lambda: m.install_deb(packages.deb))
    m.wait_all("ok")
    m.sh(f"cp /etc/relayalloc.conf /root/mine && systemctl kill -sKILL relayallocd; touch {METRICS}/relayalloc.prom"
         f" {METRICS}/.relayalloc-0123456789abcdef.new")
    said = steps.count("purge", lambda: m.apt("purge", "relayalloc"))
    assert all(OURS.format(relay) in said for relay in moved)
    assert "To take them back: delete the files" in said
    for path in ("/var/lib/relayalloc", "/etc/relayalloc.conf", f"{METRICS}/relayalloc.prom"):
        assert not m.exists(path), path
    left = m.sh("find / -xdev -name '*relayalloc*' -not -path '/root/*' -not -path '/proc/*' -not -path '/usr/lib/relayalloc-tests*'"
                " -not -path '*/zz-relayalloc.conf' -not -path '/var/log/*' -not -path '/var/cache/*'").split()
    assert left == [], left
    steps.count("install after the purge", lambda: m.install_deb(packages.deb))
    listing = m.wait_until(lambda: m.listing() if all(r in m.listing() for r in m.names) else None, 30, "all to be listed")
    assert {listing[relay]["state"] for relay in m.names} <= {"observed", "drifted"}, listing
    steps.count("the configuration of before", lambda: (m.write_conf(four_groups), m.wait_all("ok")))
    assert {relay: m.pid(relay) for relay in m.names} == processes


def test_one_line(packages, boot):
    """As the README has it: the package, one line, all relays ok."""
    m = boot(packages.release, 4)
    m.install_deb(packages.deb)
    m.wait_all("observed")
    m.mark()
    m.write_conf(f'groups = ( {{ name = "all"; allocator = "{m.mimalloc}"; relays = [ "*" ]; }} );\n'
                 'rollout = { settle = 1; canary_settle = 1; };\n')
    m.wait_all("ok", timeout=120)
    assert {m.allocator_in_maps(relay) for relay in m.names} == {"mimalloc"}
    assert set(m.asked_starts().values()) == {1}
    # Its explanations are there, and nobody had to reload anything.
    assert m.sh("journalctl -xq -u relayallocd --no-pager -n 200").count("\n░░ ") > 10
    warnings = m.sh("journalctl -u relayallocd -p warning -q --no-pager -o cat").splitlines()
    assert [w for w in warnings if not w.startswith("Allocator mimalloc3: mimalloc 3.0.1 grows without bound")] == []
