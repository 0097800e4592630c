"""The journal of a booted machine, read from outside: tests look at it many times a second, and there four programs a look
cost more than everything else they do.

As a program (see Journal.sync): python3 journal.py SOCKET, in the machine's PID namespace; a line says how many seconds
journald has to answer."""

import pathlib
import socket
import subprocess
import sys

SYNCHRONIZE = b'{"method":"io.systemd.Journal.Synchronize","parameters":{}}\0'  # what `journalctl --sync` says
SYNCHRONIZED = b'{"parameters":{}}\0'
SD_JOURNAL_OS_ROOT = 1 << 4  # <systemd/sd-journal.h>; python3-systemd has no name for it


class Journal:
    def __init__(self, leader):
        """leader: the machine's PID 1, as this host numbers it."""
        self.leader = leader
        self.root = pathlib.Path(f"/proc/{leader}/root")
        self.helper = None

    def sync(self, timeout):
        """Returns when journald has written what it was sent; OSError: not within timeout seconds."""
        if self.helper is None or self.helper.poll() is not None:
            # journald refuses a caller whose PID it cannot name, so somebody in its PID namespace has to call.
            self.helper = subprocess.Popen(
                ["nsenter", "-t", str(self.leader), "-p", "--", sys.executable, "-B", __file__,
                 self.root / "run/systemd/journal/io.systemd.journal"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.helper.stdin.write(f"{timeout}\n")
        self.helper.stdin.flush()
        answer = self.helper.stdout.readline().strip()
        if answer != "done":
            raise OSError(f"the journal is not synchronized: {answer or 'no answer'}")

    def entries(self, since, matches):
        """[{field: text}, …] from since (seconds of the epoch) on, oldest first, as `journalctl -o json --all MATCH…`."""
        from systemd.journal import Reader  # not of interest to the helper

        with Reader(flags=SD_JOURNAL_OS_ROOT, path=str(self.root)) as reader:
            reader.data_threshold = 0
            reader.converters = {"__REALTIME_TIMESTAMP": str, "__CURSOR": str, "__MONOTONIC_TIMESTAMP": lambda both: str(both[0])}
            for match in matches:
                reader.add_match(match)
            reader.seek_realtime(since)
            return list(reader)

    def close(self):
        """After the machine has stopped, and the helper with it."""
        if self.helper is not None:
            self.helper.kill()
            self.helper.wait()


def main():
    for timeout in sys.stdin:
        try:
            with socket.socket(socket.AF_UNIX) as journald:
                journald.settimeout(float(timeout))
                journald.connect(sys.argv[1])
                journald.sendall(SYNCHRONIZE)
                answer = journald.recv(4096)
            print("done" if answer == SYNCHRONIZED else answer, flush=True)
        except OSError as error:
            print(error, flush=True)


if __name__ == "__main__":
    main()
