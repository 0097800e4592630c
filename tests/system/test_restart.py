"""restart: relays are restarted as they are, as a rollout does it; the guide's answer to an upgraded library."""
from test_faults import library

MINE = "/usr/local/lib/libmine.so"


def test_restart_of_those_whose_library_was_replaced(fresh):
    m = fresh
    m.sh(f"install -m 0644 {library(m, 'libjemalloc.so.2')} {MINE}")
    m.write_conf(f'allocators = {{ mine = {{ library = "{MINE}"; }}; }};\n'
                 + m.settings([("A", "mine", 'relays = [ "relay1", "relay2" ]'), ("B", "jemalloc", 'relays = [ "relay3" ]')]))
    m.start_daemon()
    m.wait_all("ok", ["relay1", "relay2", "relay3"])
    before = m.invocations()
    assert m.run("relayallocctl restart --replaced").stdout == "No relay runs a library that was replaced on disk.\n"
    m.sh(f"cp {MINE} {MINE}.new && mv {MINE}.new {MINE}")
    done = m.run("relayallocctl restart --replaced --wait -q")
    assert done.returncode == 0, done
    assert m.states("relay1", "relay2", "relay3") == {"relay1": "ok", "relay2": "ok", "relay3": "ok"}
    after = m.invocations()
    assert {r for r in before if before[r] != after[r]} == {"relay1", "relay2"}, "nobody else"
    assert "(deleted)" not in m.proc("relay1", "maps") + m.proc("relay2", "maps")
    # A relay of no group, by name, and a group.
    assert m.run("relayallocctl restart relay4 --wait -q").returncode == 0
    assert m.run("relayallocctl restart --group=B --wait -q").returncode == 0
    last = m.invocations()
    assert {r for r in last if last[r] != after[r]} == {"relay3", "relay4"}
    assert m.states("relay4") == {"relay4": "observed"}
    m.sh(f"rm {MINE}")
