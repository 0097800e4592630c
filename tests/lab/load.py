"""Asks the relays under test for what clients ask for: bounded, slow to read, to each the same at the same time. Runs in a
process of its own, in the machine's network namespace; what was served is written to a table as it goes."""

import asyncio
import collections
import csv
import http.client
import math
import os
import pathlib
import re
import socket
import time

import authorities
import consensus
import stream
import workers

CHUNK = 16384
RECEIVE_BUFFER = 16384
OTHER_FILES = 100
COUNTED = ("requests", "bytes", "refused", "broken")
COLUMNS = ("relay", "kind", "encoding", *COUNTED)
NOTED_EVERY = 30  # seconds
NOTED = ("seconds", "relay", *COUNTED)
CONSENSUSES = ("seconds", "valid_after", "relays")


def table_rows(counts):
    """counts: {(relay, kind, encoding): Counter}"""
    return [[*key, *(c[name] for name in COUNTED)] for key, c in sorted(counts.items())]


def add_to_csv(path, rows):
    with path.open("a", newline="") as file:
        csv.writer(file).writerows(rows)


def noted_rows(seconds, relays, counts):
    """What each relay has served until then, of all kinds."""
    total = {name: collections.Counter() for name in relays}
    for (name, _, _), count in counts.items():
        total[name].update(count)
    return [[round(seconds, 1), name, *(count[column] for column in COUNTED)] for name, count in total.items()]


class Keeper:
    """Follows the network: asks an authority for each new consensus."""

    def __init__(self, port, kept):
        self.port = port
        self.kept = kept
        self.catalogue = stream.Catalogue([], [], [], {})
        self.present = {}  # flavour: (valid-after, hash)

    def look(self):
        texts = {}
        for flavour in ("consensus", "consensus-microdesc"):
            status, _, body = authorities.fetch(self.port, f"/tor/status-vote/current/{flavour}")
            if status != 200:
                return
            texts[flavour] = body.decode()
        older = {}
        for flavour, text in texts.items():
            present = consensus.valid_after(text), consensus.signed_hash(text)
            before = self.present.get(flavour)
            older[flavour] = list(self.catalogue.older.get(flavour, []))
            if before and before != present:
                older[flavour] = (older[flavour] + [before[1]])[-self.kept:]
            self.present[flavour] = present
        # whole or not at all: requests are spelled while this runs
        self.catalogue = stream.Catalogue(
            consensus.micro_digests(texts["consensus-microdesc"]), consensus.server_digests(texts["consensus"]),
            consensus.fingerprints(texts["consensus"]), older)


class Load:
    def __init__(self, relays, seed, shape, table):
        """relays: {name: dirport}; table: where the counts go; beside it served.csv has them over time, and consensuses.csv which
        consensuses there were: one that was missed is missing there."""
        self.relays = relays
        self.seed = seed
        self.shape = shape
        self.table = table
        self.served = table.with_name("served.csv")
        self.consensuses = table.with_name("consensuses.csv")
        self.counts = collections.defaultdict(collections.Counter)
        self.keeper = Keeper(authorities.dirport(1), shape.kept)

    async def run(self, seconds, interval):
        self.began = time.monotonic()
        add_to_csv(self.served, [NOTED])
        add_to_csv(self.consensuses, [CONSENSUSES])
        following = asyncio.create_task(self._follow(interval))
        writing = asyncio.create_task(self._write_table())
        noting = asyncio.create_task(self._note_served())
        asked, number = set(), 0
        while number * self.shape.seconds < seconds:
            for request in stream.wave(self.seed, number, self.shape):
                await self._until(request.at)
                spelled = stream.spelled(request, self.keeper.catalogue)
                if spelled is None:
                    continue
                for name, port in self.relays.items():
                    task = asyncio.create_task(self._ask(name, port, request, *spelled))
                    asked.add(task)
                    task.add_done_callback(asked.discard)
            number += 1
        await self._until(seconds)
        for task in (following, writing, noting, *asked):
            task.cancel()
        await asyncio.gather(following, writing, noting, *asked, return_exceptions=True)
        self.write()
        self.note()

    async def _until(self, at):
        await asyncio.sleep(max(0, self.began + at - time.monotonic()))

    async def _follow(self, interval):
        noted = None
        while True:
            try:
                await asyncio.to_thread(self.keeper.look)
            except (OSError, http.client.HTTPException):
                pass  # a busy authority: what was there a moment ago is asked for until it answers again
            present = self.keeper.present.get("consensus-microdesc")
            if present != noted:
                noted = present
                add_to_csv(self.consensuses, [[round(time.monotonic() - self.began, 1), present[0], len(self.keeper.catalogue.fingerprints)]])
            await asyncio.sleep(interval / 4)

    async def _write_table(self):
        while True:
            await asyncio.sleep(2)
            self.write()

    async def _note_served(self):
        while True:
            await asyncio.sleep(NOTED_EVERY)
            self.note()

    def note(self):
        add_to_csv(self.served, noted_rows(time.monotonic() - self.began, self.relays, self.counts))

    def write(self):
        new = self.table.with_suffix(".new")
        with new.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(COLUMNS)
            rows.writerows(table_rows(self.counts))
        os.rename(new, self.table)

    async def _ask(self, name, port, request, path, header):
        answer = Answer()
        try:
            await asyncio.wait_for(self._converse(answer, port, request, path, header), stream.PATIENCE)
        except (OSError, asyncio.TimeoutError):
            answer.broken = True
        finally:  # also when the load ends and cuts it
            count = self.counts[name, request.kind, answer.encoding or request.encoding]
            count["bytes"] += answer.bytes
            count["requests"] += answer.status == 200
            count["refused"] += answer.status not in (0, 200)
            count["broken"] += answer.broken or answer.status == 0

    async def _converse(self, answer, port, request, path, header):
        loop = asyncio.get_running_loop()
        with socket.socket() as s:
            s.setblocking(False)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            await loop.sock_connect(s, ("127.0.0.1", port))
            lines = [f"GET {path} HTTP/1.0", *(f"{k}: {v}" for k, v in header.items()), "", ""]
            await loop.sock_sendall(s, "\r\n".join(lines).encode())
            while data := await loop.sock_recv(s, CHUNK):
                answer.take(data)
                await asyncio.sleep(len(data) / request.rate)
        answer.end()


class Answer:
    """What has come of one so far."""

    def __init__(self):
        self.status = 0
        self.encoding = ""
        self.bytes = 0  # of the body
        self.broken = False
        self._head = b""
        self._length = None

    def take(self, data):
        if self.status:
            self.bytes += len(data)
            return
        self._head += data
        head, found, body = self._head.partition(b"\r\n\r\n")
        if found:
            text = head.decode("latin-1")
            status = re.match(r"HTTP/1\.\d (\d{3})", text)
            self.status = int(status[1]) if status else 599
            encoding = re.search(r"^Content-Encoding: (\S+)", text, re.M | re.I)
            length = re.search(r"^Content-Length: (\d+)", text, re.M | re.I)
            self.encoding = encoding[1] if encoding else "identity"
            self._length = int(length[1]) if length else None
            self.bytes = len(body)

    def end(self):
        """The other side has closed."""
        self.broken = not self.status or (self._length is not None and self.bytes < self._length)


def most_open(relays, shape):
    """Connections at the same time: a wave comes while clients of those before it still have patience."""
    return len(relays) * shape.clients * math.ceil(stream.PATIENCE / shape.seconds + shape.arrive)


def run(relays, seed, shape, seconds, interval, table):
    workers.allow_files(most_open(relays, shape) + OTHER_FILES)
    os.setsid()  # or all of the terminal would be preferred
    workers.prefer(pathlib.Path("/proc/self"))
    asyncio.run(Load(relays, seed, shape, table).run(seconds, interval))
