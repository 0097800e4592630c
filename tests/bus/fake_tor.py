#!/usr/bin/python3
"""A relay that listens on a control socket: fake_tor.py FOLDER FILE. FOLDER/FILE has how far it is ("100"), or "nothing": then
who asks gets no answer. FOLDER/asked has as many bytes as there were questions."""
import os
import pathlib
import socket
import sys
import threading


def answer(connection, says):
    with connection:
        connection.recv(4096)
        if says == "nothing":
            threading.Event().wait()
        values = (f'status/bootstrap-phase=PROGRESS={says} TAG=x SUMMARY="x"', f"process/pid={os.getpid()}", "fingerprint=x",
                  "traffic/read=1", "traffic/written=1")
        connection.sendall(("250 OK\r\n" + "".join(f"250-{v}\r\n250 OK\r\n" for v in values)).encode())


folder = pathlib.Path(sys.argv[1])
(folder / "control").unlink(missing_ok=True)
(folder / "control.authcookie").write_bytes(bytes(32))
listener = socket.socket(socket.AF_UNIX)
listener.bind(str(folder / "control"))
listener.listen()
while True:
    accepted = listener.accept()[0]
    with (folder / "asked").open("a") as asked:
        asked.write(".")
    threading.Thread(target=answer, args=(accepted, (folder / sys.argv[2]).read_text()), daemon=True).start()
