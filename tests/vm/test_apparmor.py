"""tor@default under its AppArmor profile, enforced by a real kernel."""

import json
import re

OWN = "/usr/local/lib/own/libjemalloc.so.2"
CONFIG = """
allocators = {{ own = {{ library = "{own}"; }}; }};
groups = ( {{ name = "A"; allocator = "{allocator}"; relays = [ "default" ]; }} );
rollout = {{ settle = 1; }};
"""


def relay(vm):
    status, text = vm.run("relayallocctl list --json=short")
    assert status in (0, 3), text
    return next(r for r in json.loads(text) if r["relay"] == "default")


def pid(vm):
    return vm.sh("systemctl show -P MainPID tor@default")


def choose(vm, allocator):
    vm.write("/etc/relayalloc.conf", CONFIG.format(own=OWN, allocator=allocator))


def test_confined_relay(vm):
    vm.write("/etc/tor/torrc", "SocksPort 0\nDisableNetwork 1\nShutdownWaitLength 0\n")
    vm.sh("systemctl daemon-reload && systemctl start tor@default")
    assert vm.sh(f"cat /proc/{pid(vm)}/attr/current") == "system_tor (enforce)"
    vm.sh(f"install -D /usr/lib/*-linux-gnu/libjemalloc.so.2 {OWN}")

    # What the profile denies is refused before the relay is restarted, and doctor has the rule that allows it.
    choose(vm, "own")
    status, advice = vm.run("relayallocctl doctor")
    assert status != 0 and f"does not allow {OWN} (default)" in advice
    rule = re.search(rf"^ +({re.escape(OWN)} \w+,)$", advice, re.M).group(1)
    command = re.search(r"^ +(apparmor_parser .*)$", advice, re.M).group(1)
    before = pid(vm)
    vm.sh("systemctl start relayallocd")
    said = vm.wait_said("Allocator own is refused before any relay is restarted")
    assert "AppArmor profile system_tor of tor@default.service does not let it load" in said
    vm.wait_said("Rollout 1 finished: 0 done, 1 failed")
    assert pid(vm) == before and (relay(vm)["state"], relay(vm)["running"]) == ("pending", "glibc")
    vm.sh("! ls /etc/systemd/system/tor@default.service.d/zz-relayalloc.conf")

    # With that rule, word for word, it goes.
    vm.sh(f"echo '{rule}' >>/etc/apparmor.d/local/system_tor && {command}")
    assert "does not allow" not in vm.run("relayallocctl doctor")[1]
    vm.sh("systemctl reload relayallocd")
    vm.wait_said("default runs own 5.3.0, proved and settled")
    assert relay(vm)["state"] == "ok" and OWN in vm.sh(f"cat /proc/{pid(vm)}/maps")

    # A relay that starts when the rule is gone runs on glibc, silently; we say who denies it.
    vm.sh(f": >/etc/apparmor.d/local/system_tor && {command} && systemctl restart tor@default")
    said = vm.wait_said("default drifted from own")
    assert "AppArmor" in said and "system_tor" in said
    assert (relay(vm)["state"], relay(vm)["running"]) == ("drifted", "glibc")

    # A library of the distribution needs no rule.
    choose(vm, "jemalloc")
    vm.wait_said("default runs jemalloc 5.3.0, proved and settled")
    assert relay(vm)["state"] == "ok"
