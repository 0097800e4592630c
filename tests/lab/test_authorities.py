import authorities
import pytest


@pytest.mark.parametrize("interval", [20, 60, 120, 3600])
def test_votes_have_all_the_time_that_tor_allows(interval):
    assert 0.18 * interval < authorities.delay(interval) < interval / 4
