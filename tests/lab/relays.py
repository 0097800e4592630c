"""The relays under test: instances of the machine's tor@ service, put on their allocators by relayallocd itself, with
torrcs that make directory caches of them."""

import http.client
import random

import authorities
import consensus
import live
from network import ask

TORRC = """\
%include {folder}/common
Nickname {name}
ORPort 127.0.0.1:{orport}
DirPort 127.0.0.1:{dirport}
ExitRelay 0
DirCache 1
FetchDirInfoEarly 1
PublishServerDescriptor 1
NumCPUs {cpus}
MaxConsensusAgeForDiffs {age} seconds
__DisablePredictedCircuits 1
"""
CONFIGURATION = """\
{allocators}
groups = (
{groups}
);
rollout = {{ parallel = {relays}; settle = 0; canary = 0; ready = "active"; }};
sample = {{ interval = {interval}; entry = "relay"; }};
"""
MOST_ASKED = 60
ENOUGH = 0.9
SAMPLED_EVERY = 5  # seconds


def shared_out(names, groups, seed):
    """{group: [names]}: as many in each as goes, who is where drawn from the seed."""
    names = list(names)
    random.Random(f"groups {seed}").shuffle(names)
    return {group: sorted(names[i::len(groups)], key=lambda n: int(n.removeprefix("relay"))) for i, group in enumerate(groups)}


def ports_of(names, seed):
    """{name: (ORPort, DirPort)}: in random order, as a port decides who is asked first."""
    numbers = list(range(1, len(names) + 1))
    random.Random(f"ports {seed}").shuffle(numbers)
    return {name: (9000 + n, 9500 + n) for name, n in zip(names, numbers)}


def configuration(members, allocators):
    """/etc/relayalloc.conf: a group of each allocator's name."""
    rows = ",\n".join('  {{ name = "{0}"; allocator = "{0}"; relays = [ {1} ]; }}'.format(
        group, ", ".join(f'"{name}"' for name in names)) for group, names in members.items())
    return CONFIGURATION.format(groups=rows, allocators=allocators, relays=sum(map(len, members.values())),
                                interval=SAMPLED_EVERY)


def some_of(things):
    """At most so many as a request may name, from all over the list."""
    return things[::-(-len(things) // MOST_ASKED) or 1]


class Relays:
    def __init__(self, machine, settings):
        self.m = machine
        self.settings = settings
        self.members = shared_out(machine.names, settings.groups, settings.seed)
        self.ports = ports_of(machine.names, settings.seed)
        self.group_of = {name: group for group, names in self.members.items() for name in names}

    def move(self):
        """Each onto the allocator of its group, by the daemon, which proves it."""
        own = self.settings.allocators
        self.m.write_conf(configuration(self.members, live.with_definition(own) if live.GROUP in self.members else own))
        self.m.sh("relayallocctl check /etc/relayalloc.conf")
        self.m.start_daemon()
        self.wait_proved()

    def wait_proved(self):
        """Until the daemon has proved of each what it runs, as after each start; a busy machine takes a while."""
        self.m.wait_all("ok", timeout=300 + 10 * len(self.m.names))

    def join_network(self):
        """All start anew at the same time, with the torrcs of the trial."""
        for name, (orport, dirport) in self.ports.items():
            self.m.write(f"/etc/tor/instances/{name}/torrc", TORRC.format(
                folder=authorities.FOLDER, name=name, orport=orport, dirport=dirport, cpus=self.settings.cpus,
                age=self.settings.ramp))
        self.m.sh("systemctl restart " + " ".join(self.m.unit(n) for n in self.m.names), timeout=300)

    def has_directory(self, name):
        """By its own word, from the consensus to the microdescriptors. "Bootstrapped 100 %" needs circuits, too, which
        relays that only serve do not build: the synthetic ones listen nowhere."""
        return ask(self.m, name, "status/enough-dir-info") == "1" and self._serves(self.ports[name][1])

    def _serves(self, dirport):
        """Nearly all of what the load is going to ask for: who is late would have less to do than the others."""
        try:
            _, _, text = authorities.fetch(authorities.dirport(1), "/tor/status-vote/current/consensus-microdesc")
            text = text.decode()
            status, _, _ = authorities.fetch(dirport, "/tor/status-vote/current/consensus")
            micro = some_of(consensus.micro_digests(text))
            servers = some_of(consensus.fingerprints(text))
            _, _, had_micro = authorities.fetch(dirport, "/tor/micro/d/" + "-".join(micro))
            _, _, had_servers = authorities.fetch(dirport, "/tor/server/fp/" + "+".join(servers))
        except (OSError, http.client.HTTPException):
            return False
        return (status == 200 and had_micro.count(b"onion-key\n") >= ENOUGH * len(micro) > 0
                and had_servers.count(b"router-signature\n") >= ENOUGH * len(servers) > 0)

    def processes(self):
        """[(name, group, pid)]"""
        return [(name, self.group_of[name], self.m.pid(name)) for name in self.m.names]

    def proof(self):
        """[(relay, group, what the daemon proved, its state, what the kernel says)]"""
        listing = self.m.listing()
        return [(name, self.group_of[name], listing[name].get("running"), listing[name].get("state"),
                 self.m.allocator_in_maps(name)) for name in self.m.names]

    def dirports(self):
        return {name: dirport for name, (_, dirport) in self.ports.items()}
