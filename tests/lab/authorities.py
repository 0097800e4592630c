"""Three directory authorities in the lab's machine: their torrcs, their start, what is posted to them and what they
publish. The HTTP is to be done in the machine's network namespace."""

import http.client
import pathlib

import workers
from network import make_authority

FOLDER = "/var/lib/lab"
COUNT = 3

COMMON = """\
TestingTorNetwork 1
AssumeReachable 1
DirAllowPrivateAddresses 1
Address 127.0.0.1
SocksPort 0
ContactInfo nobody
ShutdownWaitLength 0
PathsNeededToBuildCircuits 0.25
BandwidthRate 1 GBytes
BandwidthBurst 2 GBytes
V3AuthNIntervalsValid 5
"""
AUTHORITY = """\
%include {folder}/common
DataDirectory {folder}/a{n}
Nickname a{n}
ORPort 127.0.0.1:{orport}
DirPort 127.0.0.1:{dirport}
AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
ExitRelay 0
AuthDirTestReachability 0
AuthDirMaxServersPerAddr 0
AuthDirSharedRandomness 0
TestingDirAuthVoteExit *
TestingDirAuthVoteHSDir *
TestingDirAuthVoteGuard *
TestingMinExitFlagThreshold 0
V3BandwidthsFile {folder}/bandwidth
V3AuthVotingInterval {interval}
V3AuthVoteDelay {delay}
V3AuthDistDelay {delay}
TestingV3AuthInitialVotingInterval {interval}
TestingV3AuthInitialVoteDelay {delay}
TestingV3AuthInitialDistDelay {delay}
Log notice file {folder}/a{n}/log
"""
MOST_A_POST = 50


def dirport(n):
    return 7000 + n


def delay(interval):
    """How long votes and signatures may take, each: tor wants both to be less than half of the interval, and votes of 8,000
    relays take 15 seconds where the processors are busy."""
    return max(4, interval * 5 // 24)


class Authorities:
    def __init__(self, machine, interval):
        self.m = machine
        self.interval = interval
        machine.sh(f"mkdir -p {FOLDER}; chmod 755 {FOLDER}")
        lines = "".join(make_authority(machine, f"{FOLDER}/a{n}", n) for n in range(1, COUNT + 1))
        machine.write(f"{FOLDER}/common", COMMON + lines)

    def start(self, bandwidth):
        self.write_bandwidth(bandwidth)
        for n in range(1, COUNT + 1):
            self.m.write(f"{FOLDER}/a{n}/torrc", AUTHORITY.format(
                folder=FOLDER, n=n, orport=5000 + n, dirport=dirport(n), interval=self.interval, delay=delay(self.interval)))
            self.m.sh(f"systemd-run -q --unit=lab-a{n} -p Nice=-10 tor -f {FOLDER}/a{n}/torrc")
            # A vote that is late is missed.
            workers.prefer(self.m.path(f"/proc/{self.m.prop(f'lab-a{n}', 'MainPID')}"))

    def write_bandwidth(self, text):
        self.m.write(f"{FOLDER}/bandwidth", text)


def fetch(port, path, headers=None, timeout=60):
    """(status, header, body) of a GET, asked for as it is unless headers say otherwise."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Accept-Encoding": "identity", **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def answers(port):
    try:
        fetch(port, "/tor/keys/all", timeout=5)
        return True
    except (OSError, http.client.HTTPException):
        return False


def post(port, body, timeout=60):
    """What the authority says to descriptors: its status and its reason."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("POST", "/tor/", body=body.encode())
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.reason
    finally:
        connection.close()


def post_all(texts, ports=tuple(dirport(n) for n in range(1, COUNT + 1))):
    """Each descriptor to each authority, some a request. [(port, status, reason)] of the requests that were refused; status 0:
    no answer, as of a busy authority, which is nothing that the others should miss."""
    refused = []
    for first in range(0, len(texts), MOST_A_POST):
        body = "".join(texts[first:first + MOST_A_POST])
        for port in ports:
            try:
                status, reason = post(port, body)
            except (OSError, http.client.HTTPException) as error:
                status, reason = 0, error
            if status != 200:
                refused.append((port, status, reason))
    return refused


def log_of(machine, n):
    return pathlib.Path(machine.path(f"{FOLDER}/a{n}/log")).read_text(errors="replace")
