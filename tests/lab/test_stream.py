import collections

import pytest

import stream

SHAPE = stream.Shape(clients=400, seconds=35)
CATALOGUE = stream.Catalogue([f"micro/{n:037}" for n in range(50)], [f"{n:040X}" for n in range(50)],
                             [f"{n:040X}" for n in range(50, 90)], {"consensus": ["AA", "BB"], "consensus-microdesc": ["CC"]})


def request(kind, picks=(0.0, 0.5, 0.99, 0.5), flavour="consensus", encoding="x-zstd"):
    return stream.Request(0.0, kind, encoding, 1000.0, flavour, picks)


def test_a_wave_is_the_same_for_all_and_any_can_be_drawn_alone():
    assert stream.wave("s", 3, SHAPE) == stream.wave("s", 3, SHAPE)
    assert stream.wave("s", 3, SHAPE) != stream.wave("s", 4, SHAPE) and stream.wave("s", 3, SHAPE) != stream.wave("t", 3, SHAPE)


def test_a_wave_comes_in_its_time_and_is_bounded():
    requests = stream.wave("s", 2, SHAPE)
    assert len(requests) == 400
    assert 70 <= requests[0].at <= requests[-1].at <= 70 + 0.3 * 35
    assert all(stream.SLOWEST <= r.rate <= stream.FASTEST for r in requests)


def test_kinds_and_encodings_have_their_shares():
    requests = [r for n in range(20) for r in stream.wave("s", n, SHAPE)]
    for shares, of in ((stream.KINDS, [r.kind for r in requests]), (stream.ENCODINGS, [r.encoding for r in requests])):
        assert sum(shares.values()) == pytest.approx(1)
        counts = collections.Counter(of)
        assert all(abs(counts[k] / len(of) - share) < 0.02 for k, share in shares.items())


def test_how_requests_are_spelled():
    def spelled(*arguments, **options):
        return stream.spelled(request(*arguments, **options), CATALOGUE)
    zstd = {"Accept-Encoding": "x-zstd"}
    m = CATALOGUE.micro
    assert spelled("micro") == (f"/tor/micro/d/{m[0]}-{m[25]}-{m[49]}", zstd)
    assert spelled("server") == ("/tor/server/d/" + "+".join(CATALOGUE.server[n] for n in (0, 25, 49)), zstd)
    assert spelled("fp", (0.0,)) == ("/tor/server/fp/" + CATALOGUE.fingerprints[0], zstd)
    assert spelled("all") == ("/tor/server/all", zstd) and spelled("keys") == ("/tor/keys/all", zstd)
    assert spelled("consensus", flavour="consensus-microdesc") == ("/tor/status-vote/current/consensus-microdesc", zstd)
    assert spelled("diff", (0.6,)) == ("/tor/status-vote/current/consensus/diff/BB", zstd)
    assert spelled("keys", encoding="x-tor-lzma") == ("/tor/keys/all", {"Accept-Encoding": "x-tor-lzma, x-zstd"})
    assert spelled("diff-or-full", (0.1,), encoding="deflate") == (
        "/tor/status-vote/current/consensus", {"Accept-Encoding": "deflate", "X-Or-Diff-From-Consensus": "AA"})


def test_what_is_not_there_yet_is_not_asked_for():
    nothing = stream.Catalogue([], [], [], {})
    assert [kind for kind in stream.KINDS if stream.spelled(request(kind), nothing)] == ["consensus", "all", "keys"]
