"""Signing and checking of requests, key files and what they refuse."""

import base64
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_daemon.ground.errors import ConfigurationError
from kalshi_daemon.kalshi.auth import (
    Signer,
    generate_ed25519_pem,
    generate_rsa_pem,
    load_signer,
    signed_text,
    signer_from_pem,
)
from tests.kalshi.verifier import AuthProblem, Verifier

RSA_PEM = generate_rsa_pem()
ED_PEM = generate_ed25519_pem()
NOW_MS = 1_763_908_200_000
PATH = "/trade-api/v2/portfolio/orders"


def key_file(folder: Path, pem: bytes, mode: int = 0o600) -> Path:
    path = folder / "key.pem"
    path.write_bytes(pem)
    path.chmod(mode)
    return path


def test_the_signed_text_is_time_method_and_path_without_the_query():
    assert signed_text("get", PATH + "?limit=5&cursor=x", NOW_MS) == b"1763908200000GET" + PATH.encode()


def test_rsa_signs_with_pss_sha256_and_a_salt_of_32_bytes():
    headers = signer_from_pem(RSA_PEM, "id").headers("POST", PATH, NOW_MS)
    public = load_pem_private_key(RSA_PEM, None).public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    signature = base64.b64decode(headers["KALSHI-ACCESS-SIGNATURE"])
    text = b"1763908200000POST" + PATH.encode()
    exact = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    public.verify(signature, text, exact, hashes.SHA256())
    other = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=20)
    with pytest.raises(InvalidSignature):
        public.verify(signature, text, other, hashes.SHA256())


def test_ed25519_signs_the_same_text_plainly():
    signer = signer_from_pem(ED_PEM, "id")
    headers = signer.headers("DELETE", PATH + "?subaccount=0", NOW_MS)
    public = load_pem_public_key(signer.public_pem)
    public.verify(base64.b64decode(headers["KALSHI-ACCESS-SIGNATURE"]), b"1763908200000DELETE" + PATH.encode())  # type: ignore[union-attr, call-arg]  # an Ed25519 key: verify takes no padding
    assert headers["KALSHI-ACCESS-KEY"] == "id"
    assert headers["KALSHI-ACCESS-TIMESTAMP"] == "1763908200000"


@pytest.mark.parametrize("pem", [RSA_PEM, ED_PEM], ids=["rsa", "ed25519"])
def test_the_verifier_accepts_what_the_signer_made_and_nothing_else(pem):
    signer = signer_from_pem(pem, "id")
    verifier = Verifier(signer.public_pem, "id", tolerance_ms=5_000)
    headers = signer.headers("GET", PATH, NOW_MS)
    assert verifier.problem(headers, "GET", PATH, NOW_MS) is None
    assert verifier.problem({k.lower(): v for k, v in headers.items()}, "get", PATH + "?a=1", NOW_MS + 5_000) is None
    assert verifier.problem(headers, "POST", PATH, NOW_MS) is AuthProblem.BAD_SIGNATURE
    assert verifier.problem(headers, "GET", PATH + "x", NOW_MS) is AuthProblem.BAD_SIGNATURE
    assert verifier.problem(headers, "GET", PATH, NOW_MS + 5_001) is AuthProblem.CLOCK_SKEW
    assert verifier.problem(headers, "GET", PATH, NOW_MS - 5_001) is AuthProblem.CLOCK_SKEW
    assert Verifier(signer.public_pem, "other", 5_000).problem(headers, "GET", PATH, NOW_MS) is AuthProblem.UNKNOWN_KEY


@pytest.mark.parametrize("name", ["KALSHI-ACCESS-KEY", "KALSHI-ACCESS-TIMESTAMP", "KALSHI-ACCESS-SIGNATURE"])
def test_each_header_is_needed(name):
    signer = signer_from_pem(ED_PEM, "id")
    headers = signer.headers("GET", PATH, NOW_MS)
    del headers[name]
    problem = Verifier(signer.public_pem, "id", 5_000).problem(headers, "GET", PATH, NOW_MS)
    assert problem is AuthProblem.MISSING_HEADER


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("KALSHI-ACCESS-TIMESTAMP", "soon", AuthProblem.BAD_TIMESTAMP),
        ("KALSHI-ACCESS-TIMESTAMP", "-1", AuthProblem.BAD_TIMESTAMP),
        ("KALSHI-ACCESS-TIMESTAMP", "9" * 5_000, AuthProblem.BAD_TIMESTAMP),
        ("KALSHI-ACCESS-SIGNATURE", "not base64!", AuthProblem.BAD_SIGNATURE),
        ("KALSHI-ACCESS-SIGNATURE", "", AuthProblem.BAD_SIGNATURE),
    ],
)
def test_spoiled_headers_are_refused_not_crashed_on(name, value, problem):
    signer = signer_from_pem(ED_PEM, "id")
    headers = signer.headers("GET", PATH, NOW_MS) | {name: value}
    assert Verifier(signer.public_pem, "id", 5_000).problem(headers, "GET", PATH, NOW_MS) is problem


@settings(deadline=None, max_examples=40)
@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT"]),
    path=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#"), max_size=60),
    ts_ms=st.integers(0, 10**15),
)
def test_any_request_round_trips(method, path, ts_ms):
    signer = signer_from_pem(ED_PEM, "id")
    assert (
        Verifier(signer.public_pem, "id", 0).problem(signer.headers(method, path, ts_ms), method, path, ts_ms) is None
    )


@pytest.mark.parametrize("mode", [0o600, 0o400])
@pytest.mark.parametrize(("pem", "algorithm"), [(RSA_PEM, "rsa-pss"), (ED_PEM, "ed25519")])
def test_both_kinds_of_key_are_recognised_from_the_file(tmp_path, pem, algorithm, mode):
    signer = load_signer(key_file(tmp_path, pem, mode), "id")
    assert signer.algorithm == algorithm
    assert len(bytes.fromhex(signer.fingerprint)) == 32


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o700, 0o440])
def test_a_key_others_could_read_is_refused_by_name(tmp_path, mode):
    path = key_file(tmp_path, ED_PEM, mode)
    with pytest.raises(ConfigurationError, match=f"{mode:04o}") as caught:
        load_signer(path, "id")
    assert caught.value.where == str(path)


def test_a_file_of_the_credentials_directory_may_be_readable_by_its_group(tmp_path):
    assert isinstance(load_signer(key_file(tmp_path, ED_PEM, 0o440), "id", group_may_read=True), Signer)
    with pytest.raises(ConfigurationError):
        load_signer(key_file(tmp_path, ED_PEM, 0o444), "id", group_may_read=True)


def _encrypted() -> bytes:
    key = load_pem_private_key(ED_PEM, None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))


def _curve() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("pem", "says"),
    [
        (b"", "not a PEM"),
        (b"hello", "not a PEM"),
        (RSA_PEM[:200], "not a PEM"),
        (signer_from_pem(ED_PEM, "id").public_pem, "not a PEM"),
        (b"x" * 70_000, "larger than"),
        (_encrypted(), "encrypted"),
        (_curve(), "neither an RSA"),
        (generate_rsa_pem(1_024), "1024 bits"),
    ],
    ids=["empty", "words", "cut", "public", "huge", "encrypted", "curve", "short"],
)
def test_what_is_no_usable_key_is_refused_naming_the_file_and_no_secret(tmp_path, pem, says):
    path = key_file(tmp_path, pem)
    with pytest.raises(ConfigurationError, match=says) as caught:
        load_signer(path, "id")
    assert str(path) in str(caught.value)
    assert b"PRIVATE KEY" not in str(caught.value).encode()


def test_a_missing_file_and_a_missing_key_id_are_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nokey\.pem"):
        load_signer(tmp_path / "nokey.pem", "id")
    with pytest.raises(ConfigurationError, match="key_id"):
        load_signer(key_file(tmp_path, ED_PEM), "")


def test_nothing_of_the_key_shows():
    signer = signer_from_pem(RSA_PEM, "id")
    shown = f"{signer!r} {signer!s}"
    assert signer.fingerprint[:16] in shown
    assert "rsa-pss" in shown
    assert not any(line.decode() in shown for line in RSA_PEM.splitlines())


def test_a_public_key_of_another_kind_is_refused():
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    with pytest.raises(ConfigurationError):
        Verifier(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "id", 1)
