"""Request signing: key files and the three headers (docs/reference/venue.md 1).

Signed text = milliseconds + METHOD + path, the path with /trade-api/v2 and without the query; host and body are not
signed. RSA keys sign with PSS (SHA-256, MGF1 SHA-256, salt of 32 bytes), Ed25519 keys plainly. Nothing here shows a
secret in `repr`, `str` or an error.
"""

import base64
import stat
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.ground.named_files import read_named

KEY_HEADER: Final = "KALSHI-ACCESS-KEY"
TIMESTAMP_HEADER: Final = "KALSHI-ACCESS-TIMESTAMP"
SIGNATURE_HEADER: Final = "KALSHI-ACCESS-SIGNATURE"

_PEM_BYTES_MAX: Final = 65_536
_RSA_BITS_MIN: Final = 2_048
_OWNER_ONLY: Final = stat.S_IRUSR | stat.S_IWUSR
_HASH: Final = hashes.SHA256()
_PSS: Final = padding.PSS(mgf=padding.MGF1(_HASH), salt_length=_HASH.digest_size)

type PrivateKey = RSAPrivateKey | Ed25519PrivateKey


class Signer:
    """Signs requests with one key. Build it with `load_signer` or `signer_from_pem`."""

    __slots__ = ("_private_key", "algorithm", "fingerprint", "key_id", "public_pem")

    def __init__(self, private_key: PrivateKey, key_id: str) -> None:
        self._private_key = private_key
        self.key_id = key_id
        self.algorithm = "rsa-pss" if isinstance(private_key, RSAPrivateKey) else "ed25519"
        public = private_key.public_key()
        self.fingerprint = sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
        """SHA-256 of the public key (DER, SubjectPublicKeyInfo), hex: safe to log."""
        self.public_pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def __repr__(self) -> str:
        return f"Signer({self.algorithm}, fingerprint={self.fingerprint[:16]})"

    def headers(self, method: str, path: str, ts_ms: int) -> dict[str, str]:
        """The three headers of one request. `path` is the path on the wire; a query is cut off before signing."""
        signature = base64.b64encode(self._sign(signed_text(method, path, ts_ms))).decode("ascii")
        return {KEY_HEADER: self.key_id, TIMESTAMP_HEADER: str(ts_ms), SIGNATURE_HEADER: signature}

    def _sign(self, message: bytes) -> bytes:
        if isinstance(self._private_key, RSAPrivateKey):
            return self._private_key.sign(message, _PSS, _HASH)
        return self._private_key.sign(message)


def signed_text(method: str, path: str, ts_ms: int) -> bytes:
    """What is signed: milliseconds, upper-case method, path without its query."""
    return f"{ts_ms}{method.upper()}{path.partition('?')[0]}".encode()


def load_signer(path: Path, key_id: str, *, group_may_read: bool = False) -> Signer:
    """Read a private key file once. Raises ConfigurationError naming the path.

    The file may be readable by its owner only (0600 or 0400). `group_may_read` accepts 0440 too: that is how files of
    systemd's credentials directory look when access is granted by an ACL.
    """
    where = str(path)
    if not key_id:
        raise ConfigurationError("kalshi.key_id", "is empty", "set the id that Kalshi shows for the key")
    allowed = _OWNER_ONLY | (stat.S_IRGRP if group_may_read else 0)
    pem, mode = read_named(path, _PEM_BYTES_MAX, where, "not a key file")
    if mode & ~allowed:
        raise ConfigurationError(where, f"file mode is {mode:04o}, others could read the key", "chmod 0600")
    return signer_from_pem(pem, key_id, where)


def signer_from_pem(pem: bytes, key_id: str, where: str = "private key") -> Signer:
    """Make a signer from PEM bytes. Raises ConfigurationError; the bytes never appear in it."""
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise ConfigurationError(where, "the key is encrypted", "store it without a passphrase, mode 0600") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigurationError(where, "is not a PEM private key") from None
    if isinstance(key, RSAPrivateKey):
        if key.key_size < _RSA_BITS_MIN:
            raise ConfigurationError(where, f"RSA key has {key.key_size} bits, {_RSA_BITS_MIN} are the least")
        return Signer(key, key_id)
    if isinstance(key, Ed25519PrivateKey):
        return Signer(key, key_id)
    raise ConfigurationError(where, "is neither an RSA nor an Ed25519 key", "Kalshi takes these two kinds")


def generate_ed25519_pem() -> bytes:
    """A fresh Ed25519 private key, PKCS#8 PEM, for tests and the simulator."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def generate_rsa_pem(bits: int = _RSA_BITS_MIN) -> bytes:
    """A fresh RSA private key, PKCS#8 PEM, for tests and the simulator. `bits`: length of its modulus."""
    key = generate_private_key(public_exponent=65_537, key_size=bits)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
