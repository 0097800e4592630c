"""How long a rollout takes: at each tenth of it, the estimate of then against what it took from there. Real times, on a
scripted systemd, so not a part of `make check-bus`: BUILD=$PWD/build pytest tests/bus/bench_forecast.py on a host with
nothing else to do; tests/bench/bench-forecast is the same with real relays."""
import time

import pytest

from test_jobs import begin


@pytest.mark.slow
@pytest.mark.parametrize("relays,parallel,canary", [(12, 2, 0), (12, 2, 1), (40, 8, 0), (40, 8, 2)])
def test_time_left_lies_within_a_third(world, relays, parallel, canary):
    names = [f"r{i:02}" for i in range(relays)]
    begin(world, *names, rollout=f"settle = 2; canary = {canary}; canary_settle = 4; parallel = {parallel};")
    for relay in names:
        world.do("set", unit=f"tor@{relay}.service", values={"took": [0.6, 0.4]})
        world.script(relay, {"delay": 1.0})
    world.start()
    world.wait_said("Rollout 1:")
    seen = []
    while not world.said("Rollout 1 finished"):
        ends = int(world.property("RolloutEnds")) / 1e6
        if ends:
            seen.append((time.time(), ends))
        time.sleep(0.1)
    end, began = time.time(), seen[0][0]
    for tenth in range(10):
        now, ends = next((s for s in seen if s[0] >= began + (end - began) * tenth / 10), seen[-1])
        assert 2 / 3 < (ends - now) / (end - now) < 4 / 3, f"after {tenth} tenths of {end - began:.1f} s"
