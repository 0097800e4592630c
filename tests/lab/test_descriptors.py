"""Descriptors are signed as tor checks them; that real authorities take them is shown by `make lab-smoke`."""

import base64
import hashlib
import json
import re

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519

import descriptors
import keys
import population

NOW = 1_800_000_000


@pytest.fixture(scope="module")
def made():
    return [descriptors.make_keys(lambda n: bytes(range(n))), descriptors.make_keys(lambda n: bytes(reversed(range(n))))]


@pytest.fixture(scope="module")
def relay(made):
    return population.Population("s", [descriptors.fingerprint(k) for k in made], 2, "0.4.9.11").relays[0]


@pytest.fixture(scope="module")
def text(made, relay):
    return descriptors.Signer(made[0], NOW).descriptor(relay, NOW)


def blocks(text, kind):
    return [base64.b64decode(found) for found in re.findall(f"-----BEGIN {kind}-----\n(.*?)-----END", text, re.S)]


def opened(key, signature):
    """What an RSA signature says, freed of its padding."""
    raw = pow(int.from_bytes(signature, "big"), 65537, key["n"]).to_bytes(128, "big")
    assert raw[:2] == b"\0\1"
    filling, _, said = raw[2:].partition(b"\0")
    assert set(filling) == {0xFF} and len(filling) >= 8
    return said


def verify(public, signature, message):
    ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signature, message)


def test_the_rsa_signature_is_over_all_before_it(made, text):
    signed = text[:text.index("router-signature\n") + len("router-signature\n")]
    assert opened(made[0]["identity"], blocks(text, "SIGNATURE")[0]) == hashlib.sha1(signed.encode()).digest()


def test_the_ed25519_signature_is_by_the_signing_key_that_the_master_certifies(made, text):
    certificate = blocks(text, "ED25519 CERT")[0]
    master = base64.b64decode(re.search(r"^master-key-ed25519 (\S+)", text, re.M)[1] + "=")
    verify(master, certificate[-64:], certificate[:-64])
    assert certificate[1] == 4 and certificate[40:44] == b"\0\x20\x04\0" and certificate[44:76] == master
    head, _, tail = text.partition("\nrouter-sig-ed25519 ")
    signed = head + "\nrouter-sig-ed25519 "
    message = hashlib.sha256(b"Tor router descriptor signature v1" + signed.encode()).digest()
    verify(certificate[7:39], base64.b64decode(tail.splitlines()[0] + "=="), message)
    with pytest.raises(InvalidSignature):
        verify(certificate[7:39], base64.b64decode(tail.splitlines()[0] + "=="), message[::-1])


def test_the_onion_keys_vouch_for_the_identity(made, text, relay):
    master = descriptors.ed_public(made[0]["master"])
    said = opened(made[0]["onion"], blocks(text, "CROSSCERT")[0])
    assert said == bytes.fromhex(descriptors.fingerprint(made[0])) + master
    certificate = blocks(text, "ED25519 CERT")[1]
    assert certificate[1] == 0x0A and certificate[7:39] == master and certificate[39] == 0
    # the key that is derived from the curve25519 one and the sign bit: u = (1 + y) / (1 - y)
    p = 2**255 - 19
    u = int.from_bytes(base64.b64decode(re.search(r"^ntor-onion-key (\S+)", text, re.M)[1]), "little")
    sign = int(re.search(r"^ntor-onion-key-crosscert (\d)", text, re.M)[1])
    y = (u - 1) * pow(u + 1, -1, p) % p
    verify((y | sign << 255).to_bytes(32, "little"), certificate[-64:], certificate[:-64])


def test_the_onion_key_is_that_of_its_secret():
    seed = "ab" * 32
    scalar = hashlib.sha512(bytes.fromhex(seed)).digest()[:32]
    other = x25519.X25519PrivateKey.generate()
    shared = other.exchange(x25519.X25519PublicKey.from_public_bytes(descriptors.ntor_public(seed)))
    assert shared == x25519.X25519PrivateKey.from_private_bytes(scalar).exchange(other.public_key())


def test_certificates_outlive_the_trial(text):
    hours = [int.from_bytes(c[2:6], "big") for c in blocks(text, "ED25519 CERT")]
    assert all(NOW < h * 3600 < NOW + 60 * 24 * 3600 for h in hours)


def test_keys_are_made_once_and_half_a_line_is_made_anew(tmp_path):
    path = tmp_path / "keys.jsonl"
    first = keys.load(path, 2)
    assert keys.load(path, 2) == first and path.stat().st_mode & 0o777 == 0o600
    path.write_text(json.dumps(first[0]) + "\n" + json.dumps(first[1])[:100])
    again = keys.load(path, 3)
    assert again[0] == first[0] and again[1] != first[1] and len({descriptors.fingerprint(k) for k in again}) == 3
    assert keys.load(path, 3) == again
