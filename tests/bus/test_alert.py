"""relayalloc-alert@EVENT-RELAY.service, where its operator has made that template."""
from conftest import wait_until
from test_jobs import begin
from test_tor import begin_with_proc, grow

TEMPLATE = "relayalloc-alert@.service"


def started(world):
    return [unit for unit, mode in world.do("look")["started"] if mode == "fail"]


def wait_started(world, *units):
    wait_until(lambda: started(world) == [f"relayalloc-alert@{unit}.service" for unit in units], f"{units}, not {started(world)}")


def samples(world):
    world.config.write_text(world.config.read_text() + "sample = { interval = 1; };\n")


def test_halt_and_the_next_one(world):
    begin(world, "a", "b")
    world.do("service", name=TEMPLATE)
    world.script("a", *[{"then": "failed", "result": "failed"}, {}] * 2)
    world.start()
    world.wait_said("Rollout 1 halted")
    wait_started(world, "halted-a")
    world.manager("Resume")
    world.wait_said("Rollout 2 halted")
    assert len(started(world)) == 1  # the same relay, moments later


def test_lost_with_its_own_name(world):
    begin(world, "my-relay")
    world.do("service", name=TEMPLATE)
    world.script("my-relay", {"then": "failed", "result": "failed"}, {"then": "failed", "result": "failed"})
    world.start()
    world.wait_said("my-relay COULD NOT BE PUT BACK")
    wait_started(world, r"lost-my\x2drelay", r"halted-my\x2drelay")


def test_down_once_however_often_it_flaps(world):
    world.write_config("")
    samples(world)
    world.start_fake("a", "b")
    world.do("service", name=TEMPLATE, steps=[{"stuck": True}])  # never waited for
    world.start()
    wait_until(lambda: world.states() == {"a": "observed", "b": "observed"}, "the relays")
    for times in (1, 2):
        world.do("set", unit="tor@a.service", values={"active": "failed", "sub": "failed", "result": "signal"})
        wait_until(lambda: world.text().count("a is down") == times, "it to be told")
        wait_started(world, "down-a")
        world.do("restart-by-hand", unit="tor@a.service")
        wait_until(lambda: world.text().count("a is up again") == times, "it to be up")
    world.do("set", unit="tor@b.service", values={"active": "failed", "sub": "failed", "result": "signal"})
    wait_started(world, "down-a", "down-b")


def test_who_stops_a_relay_knows_it(world):
    world.write_config("")
    samples(world)
    world.start_fake("a", "b")
    world.do("service", name=TEMPLATE)
    world.start()
    wait_until(lambda: world.states() == {"a": "observed", "b": "observed"}, "the relays")
    world.do("set", unit="tor@a.service", values={"active": "inactive", "sub": "dead", "result": "success"})
    world.wait_said("a is down")
    world.do("set", unit="tor@b.service", values={"active": "failed", "sub": "failed", "result": "signal"})
    wait_started(world, "down-b")
    world.do("set", unit="tor@a.service", values={"active": "failed", "sub": "failed", "result": "timeout"})
    wait_started(world, "down-b", "down-a")  # it did not stop in time
    assert world.text().count("a is down") == 1


def test_no_template_no_word(world):
    begin(world, "a")
    world.script("a", {"then": "failed", "result": "failed"})
    world.start()
    world.wait_said("Rollout 1 halted")
    wait_started(world, "halted-a")
    world.do("service", name=TEMPLATE)
    world.script("a", {"then": "failed", "result": "failed"})
    world.manager("Resume")  # there is one now: the next is told, however soon
    wait_started(world, "halted-a", "halted-a")
    assert not world.said("relayalloc-alert")


def test_failure_to_start_is_logged_once(world):
    world.write_config("")
    samples(world)
    world.start_fake("a", "b")
    world.do("service", name=TEMPLATE, steps=[{"error": "org.freedesktop.systemd1.BadUnitSetting", "message": "no good"}])
    world.start()
    wait_until(lambda: world.states() == {"a": "observed", "b": "observed"}, "the relays")
    for relay in "ab":
        world.do("set", unit=f"tor@{relay}.service", values={"active": "failed", "sub": "failed", "result": "signal"})
        wait_until(lambda: f"relayalloc-alert@down-{relay}.service" in started(world), "it")
    world.wait_said("b is down")
    wait_until(lambda: world.text().count("Cannot start relayalloc-alert@") == 1, "the one line")
    assert world.said(r"Cannot start relayalloc-alert@down-a.service: no good\.")


def test_memory(world):
    """What test_tor.py has the words of."""
    begin_with_proc(world, "a", "b", watch='rss = "64M"; full_in = 0;')
    world.do("service", name=TEMPLATE)
    grow(world, "a", 100)
    grow(world, "b", 100)
    world.start()
    world.wait_said("a has 100 MiB resident, more than")
    wait_started(world, "large-a", "large-b")
