"""The files of the page: read once, served from memory, each by its own name and no other.

They lie in `page_assets/`; what is not ours among them, with licences and hashes, in
`page_assets/vendor` (`scripts/vendor_page.py`).
"""

import gzip
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from aiohttp import web

from kalshi_daemon.ground.folders import files_below

FOLDER: Final = Path(__file__).with_name("page_assets")
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_INDEX: Final = "index.html"
_LEVEL: Final = 6


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file, plain and packed."""

    kind: str
    plain: bytes
    packed: bytes
    tag: str

    def answer(self, request: web.Request) -> web.Response:
        """The file, or that it has not changed."""
        headers = {"ETag": self.tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if request.headers.get("If-None-Match") == self.tag:
            return web.Response(status=304, headers=headers)
        headers["Content-Type"] = self.kind
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=self.packed, headers=headers | {"Content-Encoding": "gzip"})
        return web.Response(body=self.plain, headers=headers)


class PageFiles:
    """All of them, by their path below the folder; raises OSError when it cannot be read."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files: dict[str, PageFile] = {}
        for path in files_below(folder):
            if path.suffix in _TYPES:
                plain = path.read_bytes()
                tag = f'"{sha256(plain).hexdigest()[:32]}"'
                packed = gzip.compress(plain, _LEVEL, mtime=0)
                self._files[path.relative_to(folder).as_posix()] = PageFile(_TYPES[path.suffix], plain, packed, tag)

    async def index(self, request: web.Request) -> web.Response:
        """The page itself."""
        return self._answer(_INDEX, request)

    async def file(self, request: web.Request) -> web.Response:
        """One of the files it is made of."""
        return self._answer(request.match_info["name"], request)

    def _answer(self, name: str, request: web.Request) -> web.Response:
        found = self._files.get(name)
        return web.Response(status=404, text="no such file\n") if found is None else found.answer(request)
