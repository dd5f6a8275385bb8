"""The exchange's side of `Signer`, for stubs of it and for tests of what is signed."""

import base64
import binascii
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.kalshi.auth import KEY_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, signed_text

_STAMP_DIGITS_MAX: Final = 16
_HASH: Final = hashes.SHA256()
_PSS: Final = padding.PSS(mgf=padding.MGF1(_HASH), salt_length=_HASH.digest_size)


class AuthProblem(StrEnum):
    """Why a request's headers were not accepted."""

    MISSING_HEADER = "missing_header"
    UNKNOWN_KEY = "unknown_key"
    BAD_TIMESTAMP = "bad_timestamp"
    CLOCK_SKEW = "clock_skew"
    BAD_SIGNATURE = "bad_signature"


class Verifier:
    """Checks headers against one public key."""

    __slots__ = ("_public_key", "key_id", "tolerance_ms")

    def __init__(self, public_pem: bytes, key_id: str, tolerance_ms: int) -> None:
        key = load_pem_public_key(public_pem)
        if not isinstance(key, (RSAPublicKey, Ed25519PublicKey)):
            raise ConfigurationError("public key", "is neither RSA nor Ed25519")
        self._public_key = key
        self.key_id = key_id
        self.tolerance_ms = tolerance_ms

    def problem(self, headers: Mapping[str, str], method: str, path: str, now_ms: int) -> AuthProblem | None:
        """None when the headers sign this method and path within the tolerance; header names in any case."""
        lower = {name.lower(): value for name, value in headers.items()}
        key_id, stamp, signature = (
            lower.get(name.lower()) for name in (KEY_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER)
        )
        if key_id is None or stamp is None or signature is None:
            return AuthProblem.MISSING_HEADER
        if key_id != self.key_id:
            return AuthProblem.UNKNOWN_KEY
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= _STAMP_DIGITS_MAX):
            return AuthProblem.BAD_TIMESTAMP
        if abs(now_ms - int(stamp)) > self.tolerance_ms:
            return AuthProblem.CLOCK_SKEW
        try:
            self._verify(base64.b64decode(signature, validate=True), signed_text(method, path, int(stamp)))
        except (InvalidSignature, binascii.Error):
            return AuthProblem.BAD_SIGNATURE
        return None

    def _verify(self, signature: bytes, message: bytes) -> None:
        if isinstance(self._public_key, RSAPublicKey):
            self._public_key.verify(signature, message, _PSS, _HASH)
        else:
            self._public_key.verify(signature, message)
