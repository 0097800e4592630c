"""Traffic through a private Tor network (network.py), fetched by its client: over each path a circuit of its own, to a
server on loopback. Bounded: so many bytes a path, so many seconds. Runs in the network namespace of the machine.

usage: fetch.py FOLDER_OF_THE_CLIENT RELAY,RELAY,RELAY…

The paths are chosen here and not by tor, which chooses by bandwidth: who is slow would be asked for less."""

import contextlib
import re
import signal
import socket
import socketserver
import sys
import threading
import time

SECONDS = 600
BYTES = 64 << 20
CHUNK = bytes(16384)
FIRST_PORT = 8001  # one for each path, by which its stream is known


class Serve(socketserver.StreamRequestHandler):
    """GET /N: so many bytes."""

    def handle(self):
        left = int(re.match(rb"GET /(\d+)\r\n", self.rfile.readline())[1])
        while left > 0:
            left -= self.request.send(CHUNK[:left])


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # its circuit is gone, and another one fetches the rest


class Control:
    """A connection to the client's control socket."""

    def __init__(self, folder):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(f"{folder}/control")
        self.lines = self.socket.makefile("r", newline="\r\n")
        with open(f"{folder}/control.authcookie", "rb") as cookie:
            self.say(f"AUTHENTICATE {cookie.read().hex()}", "250 OK")

    def close(self):
        self.lines.close()
        self.socket.close()

    def say(self, line, answer):
        self.socket.sendall(f"{line}\r\n".encode())
        return self.wait(answer)

    def wait(self, pattern):
        """The first line from now on that it matches."""
        for line in self.lines:
            found = re.match(pattern, line)
            if found:
                return found
            if line[0] in "45":
                raise OSError(line.strip())
        raise OSError("tor closed the control connection")


def connect(folder, path, port, s):
    """s: becomes a connection by a new circuit to the server at that port."""
    with contextlib.closing(Control(folder)) as tor:
        tor.say("SETEVENTS CIRC STREAM", "250 OK")
        circuit = tor.say(f"EXTENDCIRCUIT 0 {path}", r"250 EXTENDED (\d+)")[1]
        became = tor.wait(rf"650 CIRC {circuit} (BUILT|FAILED|CLOSED).*")
        if became[1] != "BUILT":
            raise OSError(became[0].strip())
        s.connect(f"{folder}/socks")
        s.sendall(b"\4\1" + port.to_bytes(2, "big") + bytes([127, 0, 0, 1]) + b"\0")  # SOCKS 4
        stream = tor.wait(rf"650 STREAM (\d+) NEW 0 127\.0\.0\.1:{port}\b")[1]
        tor.say(f"ATTACHSTREAM {stream} {circuit}", "250 OK")
    answer = s.recv(8, socket.MSG_WAITALL)
    if answer[1:2] != b"\x5a":
        raise OSError(f"no way to the server: {answer!r}")


def fetch(folder, path, port, size):
    """How many bytes come, as they come; it ends when they all came or the circuit broke."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        connect(folder, path, port, s)
        s.sendall(f"GET /{size}\r\n".encode())
        while got := len(s.recv(65536)):
            yield got


def load(folder, path, port):
    left = BYTES
    while left > 0:
        try:
            for got in fetch(folder, path, port, left):
                left -= got
        except OSError as error:
            print(f"{path}: {error}", file=sys.stderr, flush=True)
        time.sleep(1)


def main(folder, *paths):
    signal.alarm(SECONDS)
    loads = []
    for port, path in enumerate(paths, FIRST_PORT):
        server = Server(("127.0.0.1", port), Serve)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        loads.append(threading.Thread(target=load, args=(folder, path, port)))
    for thread in loads:
        thread.start()
    for thread in loads:
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
