"""A private Tor network inside a machine: three authorities on its loopback, which has no way out, and the machine's
relays, which bootstrap from them within a minute. What the relays say over their control sockets is asked here
directly, independent of the daemon."""

import binascii
import contextlib
import pathlib
import re
import socket
import subprocess
import sys

FETCH = pathlib.Path(__file__).with_name("fetch.py")
LAB = "/var/lib/tor-network"
COMMON = """\
TestingTorNetwork 1
AssumeReachable 1
Address 127.0.0.1
SocksPort 0
ContactInfo nobody
ShutdownWaitLength 0
PathsNeededToBuildCircuits 0.25
TestingDirAuthVoteExit *
TestingDirAuthVoteHSDir *
TestingDirAuthVoteGuard *
TestingMinExitFlagThreshold 0
V3AuthNIntervalsValid 2
"""
AUTHORITY = """\
%include {lab}/common
DataDirectory {lab}/a{n}
Nickname a{n}
ORPort 127.0.0.1:{orport}
DirPort 127.0.0.1:{dirport}
AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
ExitRelay 0
V3AuthVotingInterval 20
V3AuthVoteDelay 4
V3AuthDistDelay 4
TestingV3AuthInitialVotingInterval 20
TestingV3AuthInitialVoteDelay 4
TestingV3AuthInitialDistDelay 4
Log notice file {lab}/a{n}/log
"""
RELAY = """\
%include {common}
Nickname {name}
ORPort 127.0.0.1:{port}
ExitRelay 1
ExitPolicy accept 127.0.0.0/8:*
ExitPolicyRejectPrivate 0
"""
# It makes no circuit and attaches no stream of itself.
CLIENT = """\
%include {lab}/common
DataDirectory {lab}/client
ControlSocket {lab}/client/control
CookieAuthentication 1
CookieAuthFile {lab}/client/control.authcookie
LearnCircuitBuildTimeout 0
__DisablePredictedCircuits 1
__LeaveStreamsUnattached 1
Log notice file {lab}/client/log
"""


def ask(m, name, question):
    """The answer of a relay to a GETINFO; None: it does not answer (yet)."""
    return ask_at(m.path("/run/tor/control" if name == "default" else f"/run/tor-instances/{name}/control"), question)


def ask_at(control, question):
    try:
        cookie = binascii.hexlify(control.with_name("control.authcookie").read_bytes()).decode()
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(str(control))
            s.sendall(f"AUTHENTICATE {cookie}\r\nGETINFO {question}\r\nQUIT\r\n".encode())
            said = b"".join(iter(lambda: s.recv(65536), b"")).decode()
    except OSError:
        return None
    found = re.search(re.escape(question) + r"=(.*?)\r\n250", said, re.S)
    return found[1] if found else None


def make_authority(m, d, n):
    """Makes the keys of authority n in the folder d; the line by which the others know it."""
    m.sh(f"mkdir -p {d}/keys; chmod -R 700 {d}; echo pw | tor-gencert --create-identity-key -m 12 "
         f"-a 127.0.0.1:{7000 + n} -i {d}/keys/authority_identity_key -s {d}/keys/authority_signing_key "
         f"-c {d}/keys/authority_certificate --passphrase-fd 0 2>&1")
    said = m.sh(f"tor --list-fingerprint --quiet --DataDirectory {d} --ORPort {5000 + n} --Nickname a{n} "
                "--DirAuthority 'x orport=5000 no-v2 127.0.0.1:1 " + "0" * 40 + "'")
    fingerprint = said.split(" ", 1)[1].replace(" ", "").strip()
    identity = re.search(r"^fingerprint (\w+)", m.read(f"{d}/keys/authority_certificate"), re.M)[1]
    return f"DirAuthority a{n} orport={5000 + n} no-v2 v3ident={identity} 127.0.0.1:{7000 + n} {fingerprint}\n"


def progress(m, name):
    """How far a relay is bootstrapped, in percent; None: it does not answer (yet)."""
    said = ask(m, name, "status/bootstrap-phase")
    return int(re.search(r"PROGRESS=(\d+)", said)[1]) if said else None


@contextlib.contextmanager
def day_of(m, seconds):
    """The daemon sums up traffic by such days, from its next start on."""
    dropin = "/etc/systemd/system/relayallocd.service.d/50-day.conf"
    m.write(dropin, f"[Service]\nEnvironment=RELAYALLOC_DAY={seconds}\n")
    m.systemctl("daemon-reload")
    try:
        yield
    finally:
        m.path(dropin).unlink()
        m.systemctl("daemon-reload")


class Network:
    def __init__(self, machine):
        self.m = machine
        authorities = [make_authority(machine, f"{LAB}/a{n}", n) for n in (1, 2, 3)]
        machine.write(f"{LAB}/common", COMMON + "".join(authorities))
        # An authority that nobody listens for, and whose word nobody has: a consensus that the relay kept or gets from
        # others counts for nothing.
        machine.write(f"{LAB}/nowhere", COMMON + f"DirAuthority a1 orport=1 no-v2 v3ident={'F' * 40} 127.0.0.1:1 {'F' * 40}\n")
        machine.sh(f"chmod 755 {LAB}; chmod 644 {LAB}/common {LAB}/nowhere")
        for n in (1, 2, 3):
            machine.write(f"{LAB}/a{n}/torrc", AUTHORITY.format(lab=LAB, n=n, orport=5000 + n, dirport=7000 + n))
            machine.sh(f"systemd-run -q --unit=tor-network-a{n} tor -f {LAB}/a{n}/torrc")
        for name in machine.names:
            self.configure(name)
        machine.sh("systemctl restart " + " ".join(machine.unit(r) for r in machine.names))

    def configure(self, name, *lines, nowhere=False):
        """Its torrc; nowhere: one with which it never finds the network. Takes effect with its next start."""
        port = 9000 + [*self.m.names, "default"].index(name) + 1
        common = f"{LAB}/nowhere" if nowhere else f"{LAB}/common"
        text = RELAY.format(common=common, name=name, port=port) + "".join(f"{line}\n" for line in lines)
        self.m.write("/etc/tor/torrc" if name == "default" else f"/etc/tor/instances/{name}/torrc", text)

    def ask(self, name, question):
        return ask(self.m, name, question)

    def progress(self, name):
        return progress(self.m, name)

    def wait_bootstrapped(self, *names):
        names = names or self.m.names
        self.m.wait_until(lambda: {self.progress(n) for n in names} == {100}, 120, "all to be bootstrapped",
                          lambda: {n: self.progress(n) for n in names})

    def bootstrapped_at(self, name):
        """When its present process logged that it was: seconds since 1970; None: it did not."""
        for e in self.m.journal(f"_PID={self.m.pid(name)}", f"_SYSTEMD_UNIT={self.m.unit(name)}"):
            if "Bootstrapped 100%" in e.get("MESSAGE", ""):
                return int(e["__REALTIME_TIMESTAMP"]) / 1e6
        return None

    @contextlib.contextmanager
    def cut(self):
        """Nobody reaches anybody."""
        def link(state):
            subprocess.run(["nsenter", "-t", str(self.m.leader), "-n", "ip", "link", "set", "lo", state], check=True)
        link("down")
        try:
            yield
        finally:
            link("up")

    @contextlib.contextmanager
    def traffic(self, *paths):
        """Each path ("relay1,relay2,relay3") carries what a client fetches from a server on the machine's loopback, as
        fast as it comes, for ten minutes at most."""
        # A client that takes a consensus without one of them keeps it for long.
        self.m.wait_until(lambda: all(self.listed(n) >= set(self.m.names) for n in self.m.names), 110,
                          "each relay to know all", lambda: {n: self.listed(n) for n in self.m.names})
        folder = f"{LAB}/client"
        self.m.sh(f"rm -rf {folder}; mkdir -m 700 {folder}")
        self.m.write(f"{folder}/torrc", CLIENT.format(lab=LAB))
        self.m.sh(f"systemd-run -q --collect --unit=tor-network-client tor -f {folder}/torrc SocksPort unix:{folder}/socks")
        with open(self.m.path(f"{folder}/fetch.log"), "w") as log:
            fetching = subprocess.Popen(["nsenter", "-t", str(self.m.leader), "-n", sys.executable, "-B", FETCH,
                                         self.m.path(folder), *paths], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.m.wait_until(lambda: self.carrying() == sorted(paths), 110, "all circuits to carry traffic",
                              lambda: f"{self.carrying()}\n{self.m.sh(f'tail -n 20 {folder}/log {folder}/fetch.log')}")
            yield
            assert fetching.poll() is None, self.m.read(f"{folder}/fetch.log")
        finally:
            fetching.kill()
            fetching.wait()
            self.m.systemctl("stop", "tor-network-client")

    def listed(self, name):
        """Who is in the consensus that the relay has."""
        return set(re.findall(r"^r (\S+)", self.ask(name, "ns/all") or "", re.M))

    def carrying(self):
        """The paths of the circuits over which the client has a stream now, by its own word."""
        control = self.m.path(f"{LAB}/client/control")
        circuits = dict(re.findall(r"^(\d+) BUILT (\S+)", ask_at(control, "circuit-status") or "", re.M))
        streams = re.findall(r"^\d+ SUCCEEDED (\d+)", ask_at(control, "stream-status") or "", re.M)
        return sorted(",".join(re.findall(r"[~=](\w+)", circuits.get(c, ""))) for c in streams)
