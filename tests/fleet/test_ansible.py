"""The Ansible role and its playbook against two booted hosts: check mode, a first run, a second one that changes nothing, what --check
--diff shows, a bad value, and a host whose rollout halts. The tests build on each other in this order."""

import json

import pytest

from conftest import deb
from playbooks import ANSIBLE, playbook

GROUPS = [{"name": "control", "allocator": "glibc", "relays": ["relay2"]}, {"name": "A", "allocator": "jemalloc", "relays": ["*"]}]
ROLLOUT = {"settle": 1, "canary_settle": 1}
HOSTS = ("west", "east")


@pytest.fixture(scope="module")
def site(hosts, ssh_config, tmp_path_factory):
    """site("--check", relayalloc_groups=…): site.yml on both hosts."""
    folder = tmp_path_factory.mktemp("ansible")
    (folder / "inventory").write_text("[relays]\nwest\neast\n")

    def run(*arguments, **variables):
        return playbook(folder, "-i", folder / "inventory", ANSIBLE / "site.yml", *arguments, ssh_config=ssh_config,
                        variables={"relayalloc_deb": str(deb(hosts["west"].release)), "relayalloc_groups": GROUPS, "relayalloc_rollout": ROLLOUT,
                                   "relayalloc_poll": 1, "ansible_become": False, **variables})  # root logs in

    return run


def starts(hosts):
    return {name: m.asked_starts() for name, m in hosts.items()}


def mark(hosts):
    for m in hosts.values():
        m.mark()


def conf(hosts):
    return {name: m.read("/etc/relayalloc.conf") for name, m in hosts.items()}


def test_check_mode_on_new_hosts_changes_nothing(hosts, site):
    mark(hosts)
    run = site("--check", "--diff")
    assert run.status == 0 and all(run.changed()[name] > 0 for name in HOSTS), run.text
    assert '+  { name = "A"; allocator = "jemalloc"; relays = [ "*" ]; }' in run.text
    for m in hosts.values():
        assert not any(m.exists(path) for path in ("/etc/relayalloc.conf", "/usr/sbin/relayallocd", "/etc/ansible/facts.d",
                                                   "/var/cache/relayalloc-ansible"))
    assert set(starts(hosts)["west"].values()) == {0}


def test_first_run_moves_the_relays_one_host_after_the_other(hosts, site):
    mark(hosts)
    run = site()
    assert run.status == 0 and set(run.recap) == set(HOSTS), run.text
    for m in hosts.values():
        assert m.states() == {"relay1": "ok", "relay2": "ok"}
        assert (m.allocator_in_maps("relay1"), m.allocator_in_maps("relay2")) == ("jemalloc", "glibc")
        assert m.is_active("relayallocd")
    # the daemon has moved those that had to be; nobody else has started one
    assert starts(hosts) == {name: {"relay1": 1, "relay2": 0} for name in HOSTS}
    moved = {name: m.events("relay-moved")[0] for name, m in hosts.items()}
    assert int(moved["west"]["__REALTIME_TIMESTAMP"]) < int(hosts["east"].events("daemon-started")[0]["__REALTIME_TIMESTAMP"])


def test_second_run_changes_nothing(hosts, site):
    mark(hosts)
    run = site("--diff")
    assert run.status == 0 and run.changed() == {"west": 0, "east": 0}, run.text
    assert "+++" not in run.text
    assert site("--check", "--diff").changed() == {"west": 0, "east": 0}
    assert starts(hosts) == {name: {"relay1": 0, "relay2": 0} for name in HOSTS}


def test_facts_are_what_status_says(hosts, ssh_config, site, tmp_path):
    (tmp_path / "inventory").write_text("[relays]\nwest\neast\n")
    (tmp_path / "facts.yml").write_text("""
- hosts: relays
  tasks:
    - ansible.builtin.copy:
        content: "{{ ansible_local.relayalloc | to_json }}"
        dest: "{{ playbook_dir }}/{{ inventory_hostname }}.json"
      delegate_to: localhost
      vars: { ansible_connection: local }
""")
    run = playbook(tmp_path, "-i", tmp_path / "inventory", tmp_path / "facts.yml", ssh_config=ssh_config)
    assert run.status == 0, run.text
    for name, m in hosts.items():
        facts = json.loads((tmp_path / f"{name}.json").read_text())
        status = json.loads(m.sh("relayallocctl --json=short status"))
        assert facts["relays"] == status["relays"] and facts["version"] == status["version"] and facts["relays"]["ok"] == 2, facts


def test_check_and_diff_show_the_file_and_the_plan(hosts, site):
    """And nothing is done."""
    mark(hosts)
    before = conf(hosts)
    changed = [{**GROUPS[0], "allocator": "tcmalloc"}, GROUPS[1]]
    run = site("--check", "--diff", relayalloc_groups=changed)
    assert run.status == 0 and run.changed() == {"west": 1, "east": 1}, run.text
    assert '-  { name = "control"; allocator = "glibc"; relays = [ "relay2" ]; },' in run.text
    assert '+  { name = "control"; allocator = "tcmalloc"; relays = [ "relay2" ]; },' in run.text
    assert run.text.count("WAVE") == 2 and "relay2" in run.text.split("TASK [relayalloc : The plan]")[1]
    assert conf(hosts) == before
    assert starts(hosts) == {name: {"relay1": 0, "relay2": 0} for name in HOSTS}


@pytest.mark.parametrize("mode", [[], ["--check"], ["--skip-tags", "relayalloc_judge"]], ids=["run", "check mode", "by validate alone"])
def test_bad_value_stops_before_the_file_is_in_place(hosts, site, mode):
    before = conf(hosts)
    run = site(*mode, relayalloc_groups=[{**GROUPS[0], "allocator": "jemaloc"}])
    assert run.status != 0 and 'no allocator named \\"jemaloc\\" (did you mean \\"jemalloc\\"?)' in run.text, run.text
    assert run.recap["west"]["failed"] == 1 and "east" not in run.recap  # the next host was not begun
    assert conf(hosts) == before
    assert not hosts["west"].journal("-u", "relayallocd", f"MESSAGE_ID={hosts['west'].MESSAGES['config-refused']}")


def test_host_that_halts_stops_the_next(hosts, site):
    west, east = hosts["west"], hosts["east"]
    # On west tor does not start with jemalloc's tuned settings.
    west.write("/run/systemd/system/tor@relay1.service.d/50-broken.conf",
               "[Service]\nExecStartPre=/bin/sh -c 'case \"$MALLOC_CONF\" in *background*) exit 1 ;; esac'\n")
    west.systemctl("daemon-reload")
    mark(hosts)
    before = conf(hosts)["east"]
    groups = [GROUPS[0], {**GROUPS[1], "allocator": "jemalloc-tuned"}]
    for _ in range(2):  # nor does a second run, which changes nothing on west, go on
        run = site(relayalloc_groups=groups)
        assert run.status != 0 and run.recap["west"]["failed"] == 1 and "east" not in run.recap, run.text
        assert "halted" in run.text
        assert conf(hosts)["east"] == before and set(east.asked_starts().values()) == {0}
    assert run.changed() == {"west": 0}
    # it was put back, by the daemon
    assert west.allocator_in_maps("relay1") == "jemalloc" and west.is_active("tor@relay1.service")
    west.sh("rm -r /run/systemd/system/tor@relay1.service.d && systemctl daemon-reload && relayallocctl resume")
    run = site(relayalloc_groups=groups)
    assert run.status == 0 and run.recap["east"]["failed"] == 0, run.text
    for m in hosts.values():
        assert m.states() == {"relay1": "ok", "relay2": "ok"}
        assert "background_thread:true" in m.drop_in("relay1")
