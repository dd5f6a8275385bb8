"""The page's files: served by name, nothing else; those of others are what their packages held."""

import gzip
import re
from hashlib import sha256

import aiohttp

from kalshi_daemon.operations.page import serve_page
from kalshi_daemon.operations.page_files import FOLDER
from tests.operations.test_alert_rules import CALM
from tests.operations.test_page import HERE, shown

VENDOR = FOLDER / "vendor"


async def test_each_file_is_served_as_what_it_is_and_packed_for_who_can_unpack():
    async with serve_page(HERE, shown(lambda: CALM)) as url, aiohttp.ClientSession(auto_decompress=False) as session:
        for path in sorted(FOLDER.rglob("*.*")):
            where = f"{url}page/{path.relative_to(FOLDER).as_posix()}"
            async with session.get(where, headers={"Accept-Encoding": "identity"}) as answer:
                assert (answer.status, await answer.read()) == (200, path.read_bytes()), path.name
                tag = answer.headers["ETag"]
            async with session.get(where, headers={"Accept-Encoding": "gzip"}) as answer:
                assert gzip.decompress(await answer.read()) == path.read_bytes()
            async with session.get(where, headers={"If-None-Match": tag}) as answer:
                assert (answer.status, await answer.read()) == (304, b"")
        async with session.get(url, headers={"Accept-Encoding": "identity"}) as answer:
            assert (await answer.read(), answer.content_type) == ((FOLDER / "index.html").read_bytes(), "text/html")


async def test_nothing_else_is():
    async with serve_page(HERE, shown(lambda: CALM)) as url, aiohttp.ClientSession() as session:
        for name in (
            "page.py",
            "../page.py",
            "%2e%2e/page.py",
            "vendor",
            "vendor/",
            "/etc/passwd",
            "vendor/..%2fmain.js",
        ):
            async with session.get(f"{url}page/{name}") as answer:
                assert answer.status in {403, 404}, name


def test_the_page_asks_nobody_else_and_runs_nothing_inline():
    for path in sorted(FOLDER.glob("*.*")):
        text = path.read_text()
        assert not re.search(r"(src|href)=[\"']?(https?:)?//", text), path.name
        assert "innerHTML" not in text, path.name
        assert "eval(" not in text, path.name
        for imported in re.findall(r"from \"([^\"]+)\"", text):
            assert (path.parent / imported).is_file(), (path.name, imported)
    index = (FOLDER / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=", index)


def test_the_libraries_are_what_their_packages_held_with_their_licences():
    listing = (VENDOR / "README.txt").read_text()
    listed = dict(reversed(row) for row in re.findall(r"^  ([0-9a-f]{64})  (\S+)  \S+$", listing, re.MULTILINE))
    assert set(listed) == {path.name for path in VENDOR.iterdir()} - {"README.txt"}
    for name, digest in listed.items():
        assert sha256((VENDOR / name).read_bytes()).hexdigest() == digest, name
    packages = re.findall(r"^(\w+) [\d.]+ \S+$", listing, re.MULTILINE)
    assert packages == ["preact", "htm", "uplot"]
    assert all((VENDOR / f"{name}.LICENSE.txt").stat().st_size > 500 for name in packages)


def test_what_a_phone_loads_is_small():
    packed = sum(len(gzip.compress(path.read_bytes())) for path in FOLDER.rglob("*.*") if path.suffix != ".txt")
    assert packed < 60_000
