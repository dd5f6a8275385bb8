"""Throw-away keys and request signing for tests, written with `cryptography` alone."""

import base64
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

type Private = Ed25519PrivateKey | RSAPrivateKey


@cache
def ed25519_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@cache
def rsa_key() -> RSAPrivateKey:
    return generate_private_key(65_537, 2_048)


def pair(key: Private) -> tuple[bytes, bytes]:
    """(private PEM, public PEM)."""
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def ed25519_pair() -> tuple[bytes, bytes]:
    return pair(ed25519_key())


def rsa_pair() -> tuple[bytes, bytes]:
    return pair(rsa_key())


def signed(key: Private, key_id: str, method: str, path: str, ts_ms: int) -> dict[str, str]:
    """The three headers; `path` without query."""
    text = f"{ts_ms}{method}{path}".encode()
    if isinstance(key, Ed25519PrivateKey):
        signature = key.sign(text)
    else:
        signature = key.sign(text, PSS(mgf=MGF1(SHA256()), salt_length=32), SHA256())
    return {
        "KALSHI-ACCESS-KEY": key_id,
        "KALSHI-ACCESS-TIMESTAMP": str(ts_ms),
        "KALSHI-ACCESS-SIGNATURE": base64.b64encode(signature).decode(),
    }
