"""The keys of the synthetic relays, made once and kept: a line of JSON each in a file that only grows, so that making
them can be broken off and goes on where it was."""

import fcntl
import json
import os

import descriptors
import workers


def _make(_):
    return descriptors.make_keys(os.urandom)


def _whole_lines(file):
    """Those that are there; half a line, of one that was broken off, is cut away."""
    file.seek(0)
    data = file.read()
    file.truncate(data.rfind("\n") + 1)
    return data[:data.rfind("\n") + 1].splitlines()


def load(path, wanted, progress=lambda done, of: None):
    """The first `wanted` keys of the file; missing ones are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        lines = _whole_lines(file)
        if len(lines) < wanted:
            file.seek(0, os.SEEK_END)
            with workers.pool() as pool:
                for made in pool.imap_unordered(_make, range(wanted - len(lines)), chunksize=8):
                    lines.append(json.dumps(made))
                    file.write(lines[-1] + "\n")
                    file.flush()
                    progress(len(lines), wanted)
        return [json.loads(line) for line in lines[:wanted]]
