#!/bin/sh
# kalshi-python-async 3.34.0 (the exchange's official async client; needs Python 3.13): `ApiClient.set_kalshi_auth(key_id,
# private_key_path)` is the documented way to give a plain ApiClient a key, and raises NameError for any input:
# `api_client.py` uses `KalshiAuth` and never imports it. With the import it would still be refused: the docstring says
# a path, `KalshiAuth` takes the PEM's text. A bot that follows the docstring ends before its first request.
# Way around: `from kalshi_python_async.auth import KalshiAuth`, and assign `client.kalshi_auth` with the PEM's text.
# Seen: NameError: name 'KalshiAuth' is not defined. Exits 0 while that is so, 1 when it has changed.
set -eu
python=${PYTHON:-python3.13}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q --disable-pip-version-check kalshi-python-async==3.34.0 cryptography
cat >"$work/show.py" <<'PY'
import asyncio
import sys
from importlib.metadata import version

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from kalshi_python_async import ApiClient, Configuration
from kalshi_python_async.auth import KalshiAuth

key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
pem = key.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
with open(sys.argv[1], "wb") as file:
    file.write(pem)


async def main() -> int:
    print("kalshi-python-async", version("kalshi-python-async"))
    client = ApiClient(Configuration(host="http://127.0.0.1:9"))
    try:
        client.set_kalshi_auth("a-key-id", sys.argv[1])
    except NameError as problem:
        print("ApiClient.set_kalshi_auth:", f"{type(problem).__name__}: {problem}")
        changed = 0
    else:
        print("ApiClient.set_kalshi_auth works now")
        changed = 1
    client.kalshi_auth = KalshiAuth("a-key-id", pem.decode())
    print("the same key as text, assigned by hand: accepted")
    await client.close()
    return changed


sys.exit(asyncio.run(main()))
PY
"$work/venv/bin/python" "$work/show.py" "$work/key.pem"
