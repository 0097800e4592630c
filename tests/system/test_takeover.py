"""Relays that have an allocator of their operator's own before a group takes them: taken over, and given back."""

from test_faults import SETTINGS_DIR, all_in, library

RELAYS = 3


def begin(m, files, restart):
    """Files of others that set jemalloc, and relays that run by them."""
    for path in files:
        m.write(path, f"[Service]\nEnvironment=\"LD_PRELOAD={library(m, 'libjemalloc.so.2')}\"\n")
    m.systemctl("daemon-reload")
    m.systemctl("restart", *(m.unit(r) for r in restart))
    assert {m.allocator_in_maps(r) for r in restart} == {"jemalloc"}
    m.mark()


def test_revert_of_relays_that_were_taken_over(fresh):
    """What their own settings say once our drop-in is gone is what is wanted: nobody is restarted, nothing halts."""
    m = fresh
    own = SETTINGS_DIR.format("relay3", "override.conf")
    begin(m, [SETTINGS_DIR.format("", "override.conf"), own], m.names)
    m.write_conf(all_in(m, "jemalloc"))
    m.start_daemon()
    m.wait_all("ok")
    assert m.drop_in("relay1") and m.drop_in("relay3") and m.starts("relay1") == 0
    m.sh("relayallocctl revert relay3")
    m.wait_until(lambda: m.drop_in("relay3") is None, 60, "its drop-in to go", m.journal_text)
    m.wait_all("reverted", ["relay3"])
    m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "relay2" ]')]))
    m.wait_all("observed", ["relay1", "relay3"])
    m.wait_all("ok", ["relay2"])
    assert m.drop_in("relay1") is None and m.drop_in("relay3") is None
    assert [m.starts(r) for r in m.names] == [0, 0, 0] and m.events("rollout-halted") == []
    row = m.listing()["relay1"]
    assert (row["running"], row["assigned"]) == ("jemalloc", None)
    m.sh("relayallocctl revert --yes")
    m.wait_until(lambda: m.drop_in_times() == {}, 60, "all drop-ins to go", m.journal_text)
    m.wait_all("reverted", ["relay2"])
    assert m.starts("relay2") == 0 and m.drop_in_times() == {} and m.read(own).startswith("[Service]")


def test_revert_to_an_allocator_of_its_own_settings(fresh):
    """Our drop-in kept it off what its own settings ask for: it goes back to that, by one restart."""
    m = fresh
    begin(m, [SETTINGS_DIR.format("", "override.conf")], ["relay1"])
    m.write_conf(m.settings([("control", "glibc", 'relays = [ "relay1" ]')]))
    m.start_daemon()
    m.wait_all("ok", ["relay1"])
    assert m.allocator_in_maps("relay1") == "glibc" and m.starts("relay1") == 1
    m.sh("relayallocctl revert relay1")
    m.wait_until(lambda: m.starts("relay1") == 2, 60, "its restart", m.journal_text)
    m.wait_all("reverted", ["relay1"])
    assert m.allocator_in_maps("relay1") == "jemalloc" and m.starts("relay1") == 2
    assert m.drop_in("relay1") is None and m.events("rollout-halted") == []
