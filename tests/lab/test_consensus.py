import base64
import hashlib

import consensus

SIGNED = """network-status-version 3 microdesc
valid-after 2026-11-29 00:36:20
r one {0} 2038-01-01 00:00:00 127.1.0.1 9001 0
m DxguGmSWz6+c6Iv0thtv4DXE/ARBRM9836vShyw+rzs
r two {1} 2038-01-01 00:00:00 127.1.0.2 9001 0
m BJBYeMFEPh0Mmah5at/qbY4TSqITJnFGdGLcR39ClUw
directory-footer
directory-signature """.format(*(base64.b64encode(bytes([n] * 20)).decode().rstrip("=") for n in (1, 2)))
TEXT = SIGNED + "sha256 AA BB\n-----BEGIN SIGNATURE-----\nxx\n-----END SIGNATURE-----\ndirectory-signature CC\n"


def test_the_hash_is_of_what_is_signed():
    assert consensus.signed_hash(TEXT) == hashlib.sha3_256(SIGNED.encode()).hexdigest().upper()


def test_who_is_in_it():
    assert consensus.fingerprints(TEXT) == ["01" * 20, "02" * 20]
    assert consensus.micro_digests(TEXT) == ["DxguGmSWz6+c6Iv0thtv4DXE/ARBRM9836vShyw+rzs", "BJBYeMFEPh0Mmah5at/qbY4TSqITJnFGdGLcR39ClUw"]
    assert consensus.valid_after(TEXT) == "2026-11-29 00:36:20"


def test_the_one_without_flavour_has_digests_of_descriptors():
    digest = base64.b64encode(bytes([7] * 20)).decode().rstrip("=")
    assert consensus.server_digests(f"r one AAAA {digest} 2026-11-29 00:00:00 127.1.0.1 9001 0\n") == ["07" * 20]
