#!/usr/bin/python3
"""A relay that says of itself, at a control socket, what its mode is: honestly, or whatever a hostile one could.

Usage: hostile_tor.py SOCKET MODE. The cookie is SOCKET.authcookie; SOCKET.asked is touched with each conversation.
"""
import os
import pathlib
import socket
import sys
import time

path, mode = sys.argv[1:]
FINGERPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"
ANSWERS = {
    "status/bootstrap-phase": 'NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY="Done"',
    "process/pid": str(os.getpid()), "fingerprint": FINGERPRINT, "traffic/read": "123456", "traffic/written": "654321",
}
LIES = {
    "status/bootstrap-phase": 'NOTICE BOOTSTRAP PROGRESS=100 TAG=\x1b[31m\x07_' + "a_" * 300 + ' SUMMARY="\x1b[1m"',
    "process/pid": "-1", "fingerprint": "F" * 41, "traffic/read": "9" * 40, "traffic/written": "18446744073709551615",
}


def answer(line):
    verb, _, rest = line.partition(" ")
    if verb == "AUTHENTICATE":
        return "515 Bad authentication\r\n" if mode == "refuse" else "250 OK\r\n"
    if verb == "GETINFO" and rest.startswith("ns/id/"):
        return f"250+{rest}=\r\nr x y z\r\ns Running Guard Fast\r\n.\r\n250 OK\r\n"
    if verb == "GETINFO":
        return f"250-{rest}={(LIES if mode == 'lies' else ANSWERS)[rest]}\r\n250 OK\r\n"
    return "250 closing connection\r\n"


def serve(connection):
    pathlib.Path(path + ".asked").touch()
    if mode == "garbage":
        connection.sendall(bytes(range(256)) * 20)
    elif mode == "megabyte":
        connection.sendall(b"250-" + b"x" * (1 << 20) + b"\r\n")
    elif mode == "slowly":
        for _ in range(100):
            connection.sendall(b"2")
            time.sleep(1)
    elif mode == "nothing":
        time.sleep(3600)
    elif mode in ("honest", "lies", "refuse"):
        for line in connection.makefile("r", newline="\r\n"):
            connection.sendall(answer(line.rstrip()).encode())
            if line.startswith("QUIT"):
                break


pathlib.Path(path).unlink(missing_ok=True)
pathlib.Path(path + ".authcookie").write_bytes(bytes(32))
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(8)
while True:
    with listener.accept()[0] as connection:
        try:
            serve(connection)
        except OSError:  # it has heard enough
            pass
