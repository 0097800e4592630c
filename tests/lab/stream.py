"""The requests that each relay under test is asked, the same ones for all: drawn from a seed, in waves, as clients and
other directory caches ask. Pure; the network is in load.py."""

import dataclasses
import random

# kind: share of the requests. A client asks for a diff and takes a whole consensus instead (the header); the form with
# the hash in the path gets a diff or nothing, which proves that there are some.
KINDS = {"micro": 0.50, "diff-or-full": 0.10, "diff": 0.12, "consensus": 0.11, "server": 0.12, "fp": 0.02, "all": 0.005,
         "keys": 0.025}
ENCODINGS = {"x-zstd": 0.45, "x-tor-lzma": 0.2, "deflate": 0.2, "identity": 0.15}
# What relays compress as they send it they never send as lzma.
ACCEPTED = {"x-tor-lzma": "x-tor-lzma, x-zstd"}
MOST_DIGESTS = {"micro": 92, "server": 96, "fp": 96}
FLAVOURS = ("consensus-microdesc", "consensus-microdesc", "consensus-microdesc", "consensus")
SLOWEST, FASTEST = 16_000, 500_000  # bytes a second that a client reads
PATIENCE = 60  # seconds until a client goes away


@dataclasses.dataclass(frozen=True)
class Request:
    at: float  # seconds since the load began
    kind: str
    encoding: str
    rate: float  # bytes a second
    flavour: str
    picks: tuple  # 0 … 1 each: which of the present digests, or of the older consensuses


@dataclasses.dataclass(frozen=True)
class Shape:
    clients: int  # a wave
    seconds: float  # from one wave to the next
    arrive: float = 0.3  # the part of that in which they come
    kept: int = 12  # consensuses that clients may have, of each flavour


def wave(seed, number, shape):
    """The requests of one wave, in the order of time; any wave can be drawn without those before it."""
    draw = random.Random(f"load {seed} {number}")
    requests = []
    for _ in range(shape.clients):
        kind = draw.choices(list(KINDS), KINDS.values())[0]
        requests.append(Request(
            at=(number + draw.random() * shape.arrive) * shape.seconds, kind=kind,
            encoding=draw.choices(list(ENCODINGS), ENCODINGS.values())[0],
            rate=SLOWEST * (FASTEST / SLOWEST) ** draw.random(), flavour=draw.choice(FLAVOURS),
            picks=tuple(draw.random() for _ in range(draw.randint(1, MOST_DIGESTS.get(kind, 1))))))
    return sorted(requests, key=lambda r: r.at)


@dataclasses.dataclass
class Catalogue:
    """What there is to be asked for: the digests of the present consensus, and the hashes of those before it."""
    micro: list  # base64
    server: list  # hex
    fingerprints: list  # hex
    older: dict  # flavour: [hex], oldest first, without the present one


def _picked(picks, things):
    """Each once: a request names nothing twice."""
    return list(dict.fromkeys(things[int(p * len(things))] for p in picks))


def spelled(request, catalogue):
    """(path, header) of the request; None: there is nothing of the kind yet."""
    header = {"Accept-Encoding": ACCEPTED.get(request.encoding, request.encoding)}
    older = catalogue.older.get(request.flavour, [])
    if request.kind in ("diff", "diff-or-full"):
        if not older:
            return None
        path, from_hash = f"/tor/status-vote/current/{request.flavour}", _picked(request.picks, older)[0]
        if request.kind == "diff":
            return f"{path}/diff/{from_hash}", header
        return path, {**header, "X-Or-Diff-From-Consensus": from_hash}
    if request.kind == "consensus":
        return f"/tor/status-vote/current/{request.flavour}", header
    if request.kind in ("all", "keys"):
        return {"all": "/tor/server/all", "keys": "/tor/keys/all"}[request.kind], header
    things, path, between = {"micro": (catalogue.micro, "/tor/micro/d/", "-"), "server": (catalogue.server, "/tor/server/d/", "+"),
                             "fp": (catalogue.fingerprints, "/tor/server/fp/", "+")}[request.kind]
    return (path + between.join(_picked(request.picks, things)), header) if things else None
