"""Three directory authorities in the lab's machine: their torrcs, their start, what is posted to them and what they
publish. The HTTP is to be done in the machine's network namespace."""

import collections
import http.client
import time

import workers
from network import make_authority

FOLDER = "/var/lib/lab"
COUNT = 3
# From which authorities make diffs, as relays that follow have the one before. By default it is all that there were, each time.
CONSENSUSES = 2

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
ConfluxEnabled 0
__DisablePredictedCircuits 1
AuthDirTestReachability 0
AuthDirMaxServersPerAddr 0
AuthDirSharedRandomness 0
TestingDirAuthVoteExit *
TestingDirAuthVoteHSDir *
TestingDirAuthVoteGuard *
TestingMinExitFlagThreshold 0
V3BandwidthsFile {folder}/bandwidth
MaxConsensusAgeForDiffs {age} seconds
V3AuthVotingInterval {interval}
V3AuthVoteDelay {delay}
V3AuthDistDelay {delay}
TestingV3AuthInitialVotingInterval {interval}
TestingV3AuthInitialVoteDelay {delay}
TestingV3AuthInitialDistDelay {delay}
Log notice file {folder}/a{n}/log
"""
MOST_A_POST = 50
ATTEMPTS = 4
PATIENCE = 120  # seconds


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
                folder=FOLDER, n=n, orport=5000 + n, dirport=dirport(n), interval=self.interval, delay=delay(self.interval),
                age=CONSENSUSES * self.interval))
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


def _post_while_answered(port, waiting, told):
    """Posts what waits for that authority, in its order. Why it did not answer one, and that and the rest go on waiting; None: all
    are answered. Of those that it refuses a sentence each is added to `told`."""
    while waiting:
        try:
            status, reason = post(port, waiting[0])
        except (OSError, http.client.HTTPException) as error:
            return str(error) or type(error).__name__
        del waiting[0]
        if status != 200:
            told.append(f"port {port}: refused with {status} {reason}")
    return None


def _pause(unanswered):
    """Seconds before one that has not answered is asked again."""
    return 2 ** (unanswered - 1)


def _given_up(port, waiting, attempts, seconds, why):
    posts, times = (f"{n} {word}{'s' if n != 1 else ''}" for n, word in ((len(waiting), "post"), (attempts, "attempt")))
    return f"port {port}: {posts} given up after {times} without an answer, in {seconds:.0f} s: {why}"


def post_all(texts, ports=tuple(dirport(n) for n in range(1, COUNT + 1)), sleep=time.sleep, clock=time.monotonic):
    """Each descriptor to each authority, some a request. Sentences on what was refused or given up: a busy authority may not answer,
    and is then asked again, ATTEMPTS times in succession, the last time within PATIENCE; the others need not wait for it. One that it
    took without an answer does no harm a second time: tor says 200 to a descriptor that it has."""
    bodies = ["".join(texts[first:first + MOST_A_POST]) for first in range(0, len(texts), MOST_A_POST)]
    began, told, waiting, unanswered = clock(), [], {port: list(bodies) for port in ports}, collections.Counter()
    while waiting:
        for port, mine in list(waiting.items()):
            before = len(mine)
            why = _post_while_answered(port, mine, told)
            unanswered[port] = 1 if len(mine) < before else unanswered[port] + 1
            passed = clock() - began
            if why is None:
                del waiting[port]
            elif unanswered[port] == ATTEMPTS or passed + _pause(unanswered[port]) > PATIENCE:
                told.append(_given_up(port, mine, unanswered[port], passed, why))
                del waiting[port]
        if waiting:
            sleep(min(_pause(unanswered[port]) for port in waiting))
    return told
