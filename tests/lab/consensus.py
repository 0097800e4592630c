"""What the lab reads out of a consensus. Pure."""

import base64
import hashlib
import re


def _hex(base64_text):
    return base64.b64decode(base64_text + "=" * (-len(base64_text) % 4)).hex().upper()


def signed_hash(text):
    """By which clients name a consensus that they have: SHA3-256 of what its signatures sign (dir-spec 4.5)."""
    end = text.index("\ndirectory-signature ") + len("\ndirectory-signature ")
    return hashlib.sha3_256(text[text.index("network-status-version"):end].encode()).hexdigest().upper()


def valid_after(text):
    return re.search(r"^valid-after (.+)$", text, re.M)[1]


def fingerprints(text):
    return [_hex(found) for found in re.findall(r"^r \S+ (\S+) ", text, re.M)]


def micro_digests(text):
    """Of the consensus of microdescriptors."""
    return re.findall(r"^m ([A-Za-z0-9+/]{43})$", text, re.M)


def server_digests(text):
    """Of the consensus without a flavour."""
    return [_hex(found) for found in re.findall(r"^r \S+ \S+ (\S+) ", text, re.M)]
