"""A power cut in the middle of a rollout: no sync, no goodbye."""

import json

RELAYS = 4


def test_power_cut_in_mid_rollout(vm):
    names = [f"relay{i}" for i in range(1, RELAYS + 1)]
    vm.sh(f"/usr/lib/relayalloc-tests/add-relays {RELAYS} && systemctl enable relayallocd tor.service && sync")
    vm.write("/etc/relayalloc.conf", 'groups = ( { name = "A"; allocator = "jemalloc"; relays = [ "relay*" ]; } );\n'
             "rollout = { settle = 0; canary = 0; };\n")
    vm.sh("sync && systemctl start --no-block relayallocd")
    vm.wait_said("restarting for jemalloc")
    vm.kill()

    vm.boot()
    vm.wait_said("relayallocd 0")
    vm.sh("until relayallocctl list --json=short >/tmp/list; do sleep 0.5; done")  # 0: all is as assigned
    states = {r["relay"]: (r["state"], r["running"]) for r in json.loads(vm.sh("cat /tmp/list"))}
    assert {n: states[n] for n in names} == {n: ("ok", "jemalloc") for n in names}
    # whole files, and no others
    assert vm.sh("ls /etc/systemd/system/tor@*.service.d").count("zz-relayalloc.conf") == RELAYS
    assert vm.sh("ls -A /etc/systemd/system/tor@*.service.d | grep -v -e : -e '^$' | sort -u") == "zz-relayalloc.conf"
    for path in vm.sh("ls -d /etc/systemd/system/tor@*.service.d/*").split():
        assert vm.sh(f"tail -n1 {path}").startswith("Environment="), path
    assert "relayallocd" not in vm.run("systemctl --failed")[1]
