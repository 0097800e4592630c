"""The role without a host: its playbooks' syntax, its argument specification, and what its template makes of variables, judged by
relayallocctl."""

import os
import re
import shutil
import subprocess

import pytest
import yaml

from playbooks import ANSIBLE, playbook
from conftest import BUILD, REPO

ROLE = ANSIBLE / "roles/relayalloc"


def test_syntax_of_the_playbooks(tmp_path):
    (tmp_path / "roles/nusenu.relayor/tasks").mkdir(parents=True)
    (tmp_path / "roles/nusenu.relayor/tasks/main.yml").write_text("[]\n")
    for book in ("site.yml", "examples/with-relayor.yml"):
        run = playbook(tmp_path, "-i", ANSIBLE / "examples/inventory.yml", ANSIBLE / book, "--syntax-check")
        assert run.status == 0, run.text


def test_roles_of_others_are_found_where_ansible_galaxy_puts_them(tmp_path):
    """In packaging/ansible, whose ansible.cfg is read there: this role, and relayor's in the home of who runs it."""
    (tmp_path / ".ansible/roles/nusenu.relayor/tasks").mkdir(parents=True)
    (tmp_path / ".ansible/roles/nusenu.relayor/tasks/main.yml").write_text("[]\n")
    done = subprocess.run(["ansible-playbook", "-i", "examples/inventory.yml", "examples/with-relayor.yml", "--syntax-check"], cwd=ANSIBLE,
                          env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_variable_is_specified_and_described():
    options = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    used = set()
    for file in (*ROLE.glob("tasks/*.yml"), *ROLE.glob("handlers/*.yml"), *ROLE.glob("templates/*"), *ROLE.glob("vars/*.yml")):
        used |= set(re.findall(r"\brelayalloc_\w+", re.sub(r"(register|tags): .*", "", file.read_text())))
    registered = {name for file in ROLE.glob("tasks/*.yml") for name in re.findall(r"register: (\w+)", file.read_text())}
    sections = {"relayalloc_" + name for name in ("rollout", "sample", "metrics", "tor", "watch")}
    made = set(yaml.safe_load((ROLE / "vars/main.yml").read_text())) | {"relayalloc_"}
    assert used - registered - made == set(options) - sections
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    for name, value in defaults.items():
        assert options[name].get("default", type(value)()) == value, name
    assert all(option["description"] for option in options.values())
    for name in yaml.safe_load((ANSIBLE / "examples/group_vars/relays.yml").read_text()):
        assert name in options or name.startswith("tor_"), name


def test_gate_is_between_the_hosts():
    for book in ("site.yml", "examples/with-relayor.yml"):
        plays = yaml.safe_load((ANSIBLE / book).read_text())
        play = next(p for p in plays if {"role": "relayalloc"} in p["roles"])
        assert play["serial"] == 1 and play["max_fail_percentage"] == 0 and play["become"] is True
    commands = [t["ansible.builtin.command"] for t in yaml.safe_load((ROLE / "tasks/gate.yml").read_text())
                if "ansible.builtin.command" in t]
    assert commands == ["relayallocctl reload --wait", "relayallocctl verify"]


def test_file_is_validated_before_it_is_in_place():
    """By Ansible itself, too, which copies nothing that its validation refuses."""
    tasks = yaml.safe_load((ROLE / "tasks/config.yml").read_text())
    template, = (t["ansible.builtin.template"] for t in tasks if "ansible.builtin.template" in t)
    assert template["dest"] == "/etc/relayalloc.conf" and template["validate"] == "relayallocctl check %s"
    judged = next(n for n, t in enumerate(tasks) if t.get("ansible.builtin.command", {}) == {"cmd": "relayallocctl check -",
                                                                                        "stdin": "{{ relayalloc_text }}"})
    assert judged < next(n for n, t in enumerate(tasks) if "ansible.builtin.template" in t)


def test_tags(tmp_path):
    """Each part can be run alone, and all of them by one tag."""
    (tmp_path / "play.yml").write_text("- hosts: localhost\n  roles: [relayalloc]\n")
    listed = playbook(tmp_path, tmp_path / "play.yml", "--list-tags")
    assert listed.status == 0, listed.text
    tags = set(re.search(r"TASK TAGS: \[(.*)\]", listed.text)[1].split(", "))
    assert {"relayalloc", *(f"relayalloc_{part}" for part in ("package", "config", "facts", "service", "gate"))} <= tags


def test_nothing_restarts_a_relay():
    """No task knows of tor's units, and none restarts anything."""
    for file in (*ROLE.glob("tasks/*.yml"), *ROLE.glob("handlers/*.yml")):
        assert not re.search(r"tor@|state: (restarted|reloaded)|daemon_reload|try-restart|state: stopped|relayallocctl restart",
                             file.read_text()), file


CASES = {
    "nothing": {},
    "groups": {"relayalloc_groups": [
        {"name": "A", "allocator": "jemalloc", "relays": ["22gz", "192.0.2.7_*"], "except": ["22"]},
        {"name": "B", "allocator": "pinned", "size": 2, "seed": "a \"quoted\\ seed", "hold": True},
        {"name": "C", "allocator": "glibc", "share": 10}],
        "relayalloc_allocators": {"pinned": {"library": "libjemalloc.so.2", "environment": {"MALLOC_CONF": "narenas:1", "N": 1}},
                                  "plain": {}}},
    "sections": {"relayalloc_rollout": {"parallel": 2, "settle": 60, "window": "02:00-06:00", "on_failure": "rollback"},
                 "relayalloc_sample": {"interval": 30, "entry": "fleet", "tor": False},
                 "relayalloc_metrics": {"textfile": "/var/lib/prometheus/node-exporter/relayalloc.prom"},
                 "relayalloc_tor": {"control": "/run/tor/%i"}, "relayalloc_unit": "tor@.service",
                 "relayalloc_instances_dir": "/etc/tor/instances"},
}
BAD = {
    "allocator": ({"relayalloc_groups": [{"name": "A", "allocator": "jemaloc", "relays": ["*"]}]}, "did you mean"),
    "setting": ({"relayalloc_rollout": {"paralel": 2}}, "paralel"),
    "injection": ({"relayalloc_groups": [{"name": 'A"; x = "', "allocator": "glibc", "relays": ["*"]}]}, "name"),
}


def render(tmp_path, variables):
    """What the template makes of the variables, and relayallocctl's judgement of it."""
    (tmp_path / "render.yml").write_text(f"""
- hosts: localhost
  connection: local
  gather_facts: false
  vars_files: ["{ROLE}/defaults/main.yml"]
  tasks:
    - ansible.builtin.template: {{ src: "{ROLE}/templates/relayalloc.conf.j2", dest: "{tmp_path}/relayalloc.conf" }}
    - ansible.builtin.copy:
        content: "{{{{ lookup('ansible.builtin.template', '{ROLE}/templates/relayalloc.conf.j2') }}}}"
        dest: "{tmp_path}/judged"
""")
    run = playbook(tmp_path, tmp_path / "render.yml", variables=variables)
    assert run.status == 0, run.text
    judged = subprocess.run([BUILD / "relayallocctl", "check", tmp_path / "relayalloc.conf"], capture_output=True, text=True)
    # what the role has judged before is the very text
    assert (tmp_path / "judged").read_text() == (tmp_path / "relayalloc.conf").read_text()
    return (tmp_path / "relayalloc.conf").read_text(), judged.returncode, judged.stdout + judged.stderr


@pytest.mark.parametrize("case", CASES)
def test_template_makes_a_valid_file(tmp_path, case):
    text, status, said = render(tmp_path, CASES[case])
    assert status == 0, text + said
    if case == "groups":
        assert 'relays = [ "22gz", "192.0.2.7_*" ];' in text and 'seed = "a \\"quoted\\\\ seed";' in text and "hold = true;" in text
        assert '    library = "libjemalloc.so.2";\n' in text and 'N = "1";' in text and "size = 2;" in text
    if case == "sections":
        assert 'rollout = { parallel = 2; settle = 60; window = "02:00-06:00"; on_failure = "rollback"; };' in text
        assert 'tor = false;' in text and 'unit = "tor@.service";' in text


@pytest.mark.parametrize("case", BAD)
def test_bad_value_is_refused(tmp_path, case):
    variables, words = BAD[case]
    text, status, said = render(tmp_path, variables)
    assert status == 2 and words in said, text + said


def test_examples_variables_make_a_valid_file(tmp_path):
    text, status, said = render(tmp_path, yaml.safe_load((ANSIBLE / "examples/group_vars/relays.yml").read_text()))
    assert status == 0 and 'name = "control"; allocator = "glibc"; share = 10;' in text, text + said


def test_argument_of_a_wrong_type_is_refused(tmp_path):
    (tmp_path / "play.yml").write_text("""
- hosts: localhost
  connection: local
  gather_facts: false
  roles: [relayalloc]
""")
    run = playbook(tmp_path, tmp_path / "play.yml", "--check", "--tags", "always", variables={"relayalloc_groups": [{"allocator": "glibc"}]})
    assert run.status != 0 and "missing required arguments: name found in relayalloc_groups" in run.text, run.text


@pytest.mark.parametrize("status, words", [(0, '{"a":1}'), (3, '{"a":3}'), (1, None), (127, None)])
def test_facts(tmp_path, status, words):
    """An answer with exit status 3 is one; none at all is an error in words, and never a script that fails."""
    tool = tmp_path / "relayallocctl"
    if status != 127:
        tool.write_text(f"#!/bin/sh\n[ \"$*\" = '--json=short status' ] || exit 9\n{f'echo {chr(39)}{words}{chr(39)}' if words else 'echo no >&2'}\nexit {status}\n")
        tool.chmod(0o755)
    shutil.copy(ROLE / "files/relayalloc.fact", tmp_path)
    done = subprocess.run([tmp_path / "relayalloc.fact"], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.strip() == words if words else '"error": "relayallocctl status does not answer' in done.stdout


def test_readme_names_what_is_there():
    readme = (ANSIBLE / "README.md").read_text()
    tasks = (ROLE / "tasks/main.yml").read_text()
    assert set(re.findall(r"relayalloc_(?:package|config|facts|service|gate)", tasks)) <= set(re.findall(r"relayalloc_\w+", readme))
    assert "packaging/ansible/README.md" in (REPO / "docs/fleets.md").read_text()
