"""The synthetic relays of the network and how they change from one interval to the next, drawn from a seed: who they are,
what they carry, who publishes anew. Pure; who signs and posts is elsewhere."""

import dataclasses
import random

# A network whose parts have the sizes of the real one's: about half of its relays name a family.
PLATFORM_PORTS = (443, 9001, 9001, 9001, 8443)
POLICIES = (["reject *:*"], ["reject *:*"], ["reject *:*"],
            ["reject 0.0.0.0/8:*", "reject 169.254.0.0/16:*", "reject *:25", "accept *:*"])
MOST_BANDWIDTH = 1_400_000  # kB/s: tor reads bytes a second, and half as many again for the burst, into 31 bits


@dataclasses.dataclass
class Relay:
    number: int
    nickname: str
    address: str
    port: int
    ntor_seed: str
    bandwidth: int  # as the authorities measure it, kB/s
    tor: str  # its version
    family: str = ""
    contact: str = ""
    policy: list = dataclasses.field(default_factory=lambda: ["reject *:*"])
    uptime: int = 0


@dataclasses.dataclass(frozen=True)
class Churn:
    """Shares of the relays, in an interval."""
    republish: float = 0.055
    new_key: float = 0.015  # of ntor: a new microdescriptor
    new_bandwidth: float = 0.30
    join: float = 0.003


class Population:
    """Relays 0 … present-1 take part; the others are still to join."""

    def __init__(self, seed, fingerprints, present, tor, churn=Churn()):
        """tor: the version that all say they run. Authorities refuse old ones, so that it best is their own."""
        self.random = random.Random(f"population {seed}")
        self.churn = churn
        self.tor = tor
        self.relays = [self._relay(n) for n in range(len(fingerprints))]
        self.fingerprints = fingerprints
        self.present = present
        self._found_families()

    def _relay(self, n):
        # 127.1.0.1 … : an address each, none of those that real ones here listen on
        address = f"127.{1 + n // 62500}.{n // 250 % 250}.{1 + n % 250}"
        return Relay(n, f"synth{n}", address, self.random.choice(PLATFORM_PORTS), self._seed(),
                     self._bandwidth(), self.tor, contact=f"operator{n // 7}@example.org", policy=self.random.choice(POLICIES))

    def _seed(self):
        return self.random.randbytes(32).hex()

    def _bandwidth(self):
        return min(int(self.random.lognormvariate(8, 1.5)) + 1, MOST_BANDWIDTH)

    def _found_families(self):
        n = 0
        while n < len(self.relays):
            size = self.random.choice((1, 1, 1, 2, 4, 8, 16, 32))
            members = range(n, min(n + size, len(self.relays)))
            for member in members if size > 1 else ():
                self.relays[member].family = " ".join(f"${self.fingerprints[other]}" for other in members if other != member)
            n += size

    def step(self):
        """The next interval: the numbers of those that publish a descriptor in it."""
        before = self.present
        self.present = min(len(self.relays), before + self._some(self.churn.join * before))
        there = range(self.present)
        changed = set(self.random.sample(there, self._some(self.churn.republish * self.present)))
        for n in self.random.sample(there, self._some(self.churn.new_key * self.present)):
            self.relays[n].ntor_seed = self._seed()
            changed.add(n)
        for n in self.random.sample(there, self._some(self.churn.new_bandwidth * self.present)):
            self.relays[n].bandwidth = self._bandwidth()
        for n in changed:
            # Authorities drop one that differs in nothing of weight.
            self.relays[n].bandwidth = self._bandwidth()
            self.relays[n].uptime += 18 * 3600
        return sorted(changed | set(range(before, self.present)))

    def _some(self, mean):
        """A whole number with that mean."""
        return int(mean) + (self.random.random() < mean - int(mean))

    def bandwidth_file(self, now):
        """As a bandwidth authority writes it, of all that take part."""
        rows = [f"node_id=${self.fingerprints[n]} bw={self.relays[n].bandwidth}" for n in range(self.present)]
        return "\n".join([str(int(now)), *rows]) + "\n"
