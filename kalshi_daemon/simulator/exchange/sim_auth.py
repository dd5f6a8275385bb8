"""The venue's check of a signed request, written apart from the client's signing on purpose.

Source: docs/reference/venue.md 1.

Signed text = timestamp in ms + METHOD + path with /trade-api prefix and without the query. RSA-PSS (SHA-256, MGF1
SHA-256, salt of 32 bytes) or plain Ed25519, by the key registered under KALSHI-ACCESS-KEY.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from kalshi_daemon.ground.units import MILLISECOND, Nanos
from kalshi_daemon.simulator.exchange.order_terms import Refusal

_STAMP_DIGITS_MAX: Final = 18


def _unauthorized(details: str) -> Refusal:
    return Refusal(401, "authentication_error", "authentication failed", details)


@dataclass(frozen=True, slots=True)
class StampClock:
    """A clock that a request's timestamp may be of, and how far off it: an ordinary client knows the machine's only."""

    now_ns: Callable[[], Nanos]
    tolerance_ms: int

    def accepts(self, stamp_ms: int) -> bool:
        """Whether a request stamped so is recent enough."""
        return abs(stamp_ms - self.now_ns() // MILLISECOND) <= self.tolerance_ms


class KeyRing:
    """Public keys by key id, and whose account each one opens."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[RSAPublicKey | Ed25519PublicKey, str]] = {}

    def register(self, key_id: str, public_pem: bytes, account_name: str) -> None:
        """Raises TypeError for a key that is neither RSA nor Ed25519."""
        key = load_pem_public_key(public_pem)
        if not isinstance(key, (RSAPublicKey, Ed25519PublicKey)):
            raise TypeError("API keys are RSA or Ed25519")
        self._keys[key_id] = (key, account_name)

    def revoke(self, key_id: str) -> None:
        """Let this key sign no more."""
        self._keys.pop(key_id, None)

    def check(self, headers: Mapping[str, str], method: str, path: str, clocks: Sequence[StampClock]) -> str | Refusal:
        """The account's name, or a 401. `path` is as on the wire, percent-encoding included; one clock suffices."""
        key_id = headers.get("KALSHI-ACCESS-KEY")
        stamp = headers.get("KALSHI-ACCESS-TIMESTAMP")
        signature = headers.get("KALSHI-ACCESS-SIGNATURE")
        if not key_id or not stamp or not signature:
            return _unauthorized("missing authentication headers")
        known = self._keys.get(key_id)
        if known is None:
            return _unauthorized("API key not found")
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= _STAMP_DIGITS_MAX):
            return _unauthorized("timestamp must be in milliseconds")
        if not any(clock.accepts(int(stamp)) for clock in clocks):
            return _unauthorized("timestamp is too far from the server's time")
        key, account_name = known
        if not _verifies(key, signature, f"{stamp}{method.upper()}{path}".encode()):
            return _unauthorized("incorrect API key signature")
        return account_name


def _verifies(key: RSAPublicKey | Ed25519PublicKey, signature: str, text: bytes) -> bool:
    try:
        raw = base64.b64decode(signature, validate=True)
    except binascii.Error:
        return False
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(raw, text)
        else:
            key.verify(raw, text, PSS(mgf=MGF1(SHA256()), salt_length=SHA256.digest_size), SHA256())
    except InvalidSignature:
        return False
    return True
