"""Keys of a synthetic relay, and its server descriptor, signed as tor signs one (dir-spec 2.1, cert-spec). Pure: keys
and facts in, text out; nothing is kept here."""

import base64
import hashlib
import struct
import time

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa, x25519

RAW = serialization.Encoding.Raw, serialization.PublicFormat.Raw
SIGNING_KEY, NTOR_CROSSCERT = 0x04, 0x0A  # types of certificates
LIFETIME = 30 * 24  # hours


# --- RSA: what tor signs is the bare digest in PKCS#1 padding of type 1, which no library offers ---

def make_rsa():
    """{n, p, q, d: numbers}; public: the PKCS#1 encoding of its public half."""
    key = rsa.generate_private_key(65537, 1024)
    numbers = key.private_numbers()
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    return {"n": numbers.public_numbers.n, "p": numbers.p, "q": numbers.q, "d": numbers.d, "public": der.hex()}


def rsa_sign(key, payload):
    """By the Chinese remainder theorem: four times as fast as a power modulo n."""
    size = (key["n"].bit_length() + 7) // 8
    padded = b"\0\1" + b"\xff" * (size - 3 - len(payload)) + b"\0" + payload
    m, p, q = int.from_bytes(padded, "big"), key["p"], key["q"]
    a, b = pow(m % p, key["d"] % (p - 1), p), pow(m % q, key["d"] % (q - 1), q)
    return (b + q * ((a - b) * pow(q, -1, p) % p)).to_bytes(size, "big")


def pem(kind, raw):
    text = base64.b64encode(raw).decode()
    lines = [text[i:i + 64] for i in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----"])


def unpadded(raw):
    return base64.b64encode(raw).decode().rstrip("=")


# --- ed25519 ---

def ed_key(seed_hex):
    return ed25519.Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed_hex))


def ed_public(seed_hex):
    return ed_key(seed_hex).public_key().public_bytes(*RAW)


def ntor_public(seed_hex):
    """The curve25519 key whose secret scalar is that of the ed25519 key of this seed: tor's cross-certificate wants the
    one derived from the other, and this way round both are ordinary keys."""
    scalar = hashlib.sha512(bytes.fromhex(seed_hex)).digest()[:32]
    return x25519.X25519PrivateKey.from_private_bytes(scalar).public_key().public_bytes(*RAW)


def certificate(kind, subject, signer_seed, hours, tell_signer):
    """Of the ed25519 key `subject`, until `hours` since 1970."""
    body = struct.pack(">BBIB", 1, kind, hours, 1) + subject + bytes([tell_signer])
    if tell_signer:
        body += struct.pack(">HBB", 32, 4, 0) + ed_public(signer_seed)
    return body + ed_key(signer_seed).sign(body)


# --- a relay ---

def make_keys(random_bytes):
    """All that is kept of a relay: JSON can hold it. random_bytes(n) gives the seeds."""
    return {"identity": make_rsa(), "onion": make_rsa(), "master": random_bytes(32).hex(),
            "signing": random_bytes(32).hex()}


def fingerprint(keys):
    return hashlib.sha1(bytes.fromhex(keys["identity"]["public"])).hexdigest().upper()


class Signer:
    """Makes the descriptors of one relay; what does not change from one to the next is reckoned once."""

    def __init__(self, keys, now):
        self.keys = keys
        self.fingerprint = fingerprint(keys)
        self.hours = int(now) // 3600 + LIFETIME
        master = ed_public(keys["master"])
        self.master = master
        onion_says = hashlib.sha1(bytes.fromhex(keys["identity"]["public"])).digest() + master
        self.head = "\n".join([
            "identity-ed25519",
            pem("ED25519 CERT", certificate(SIGNING_KEY, ed_public(keys["signing"]), keys["master"], self.hours, True)),
            "master-key-ed25519 " + unpadded(master)])
        self.onion = "\n".join([
            "onion-key", pem("RSA PUBLIC KEY", bytes.fromhex(keys["onion"]["public"])),
            "signing-key", pem("RSA PUBLIC KEY", bytes.fromhex(keys["identity"]["public"])),
            "onion-key-crosscert", pem("CROSSCERT", rsa_sign(keys["onion"], onion_says))])

    def descriptor(self, relay, published):
        """relay: what population.Relay has; published: seconds since 1970."""
        ntor_sign = ed_public(relay.ntor_seed)[31] >> 7
        crosscert = certificate(NTOR_CROSSCERT, self.master, relay.ntor_seed, self.hours, False)
        spaced = " ".join(self.fingerprint[i:i + 4] for i in range(0, 40, 4))
        lines = [
            f"router {relay.nickname} {relay.address} {relay.port} 0 0", self.head,
            f"platform Tor {relay.tor} on Linux",
            "proto Conflux=1 Cons=1-2 Desc=1-2 DirCache=2 FlowCtrl=1-2 HSDir=2 HSIntro=4-5 HSRend=1-2 Link=1-5 "
            "LinkAuth=1,3 Microdesc=1-2 Padding=2 Relay=1-4",
            "published " + time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(published)),
            "fingerprint " + spaced, f"uptime {relay.uptime}",
            f"bandwidth {relay.bandwidth * 1000} {relay.bandwidth * 1500} {relay.bandwidth * 900}",
            self.onion, *([f"family {relay.family}"] if relay.family else []), "hidden-service-dir",
            f"contact {relay.contact}", f"ntor-onion-key-crosscert {ntor_sign}", pem("ED25519 CERT", crosscert),
            "ntor-onion-key " + base64.b64encode(ntor_public(relay.ntor_seed)).decode(),
            *relay.policy, "tunnelled-dir-server", "router-sig-ed25519 "]
        signed = "\n".join(lines)
        digest = hashlib.sha256(b"Tor router descriptor signature v1" + signed.encode()).digest()
        signed += unpadded(ed_key(self.keys["signing"]).sign(digest)) + "\nrouter-signature\n"
        return signed + pem("SIGNATURE", rsa_sign(self.keys["identity"], hashlib.sha1(signed.encode()).digest())) + "\n"
