"""Fetch the page's libraries from the package registry by name, check them, and write them below `page_assets/vendor`.

What it writes is committed, so nobody needs npm to run or build the daemon: it is for who raises a version. The archive
of each package is pinned by its SHA-256; the files are listed with theirs in `vendor/README.txt`, which a test holds.

    .venv/bin/python scripts/vendor_page.py
"""

import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

VENDOR = Path(__file__).resolve().parents[1] / "kalshi_daemon" / "operations" / "page_assets" / "vendor"
LISTING = "README.txt"


@dataclass(frozen=True)
class Package:
    """One package of the registry. `files`: path inside of it -> our name."""

    name: str
    version: str
    licence: str
    archive_sha256: str
    files: dict[str, str]


PACKAGES = (
    Package(
        "preact",
        "11.2.0",
        "MIT",
        "3c4456766bd32b6b534d52bf4e9c2a29b33e7eedf6e96ed479300ba1a7888ebf",
        {"dist/preact.mjs": "preact.js", "LICENSE": "preact.LICENSE.txt"},
    ),
    Package(
        "htm",
        "3.1.1",
        "Apache-2.0",
        "2425b9bee11409177bcabc7f32e319926fc6690c1701c0b257c88bdff2d5ba90",
        {"dist/htm.mjs": "htm.js", "LICENSE": "htm.LICENSE.txt"},
    ),
    Package(
        "uplot",
        "1.6.32",
        "MIT",
        "4b8a8191e425658e3ea8c8c1314b0fc679c861ee3a1af2b20c7b16ba50b5133d",
        {
            "dist/uPlot.iife.min.js": "uplot.js",
            "dist/uPlot.min.css": "uplot.css",
            "LICENSE": "uplot.LICENSE.txt",
        },
    ),
)


def fetch(package: Package, folder: Path) -> bytes:
    """The archive, as the registry's own client gives it. Raises SystemExit when it is another one."""
    wanted = f"{package.name}@{package.version}"
    subprocess.run(["npm", "pack", "--silent", "--ignore-scripts", wanted], cwd=folder, check=True, stdout=sys.stderr)
    archive = (folder / f"{package.name}-{package.version}.tgz").read_bytes()
    found = sha256(archive).hexdigest()
    if found != package.archive_sha256:
        raise SystemExit(f"{wanted}: its archive is {found}, pinned is {package.archive_sha256}")
    return archive


def without_map(content: bytes) -> bytes:
    """A file without the address of its source map, which is not shipped."""
    lines = content.split(b"\n")
    return b"\n".join(line for line in lines if not line.startswith(b"//# sourceMappingURL="))


def main() -> int:
    VENDOR.mkdir(parents=True, exist_ok=True)
    lines = [
        "Libraries of others, as their packages hold them (without the address of a source map), written by",
        "scripts/vendor_page.py. Name, version, licence; each file's SHA-256 and its place in the package.",
        "",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for package in PACKAGES:
            fetch(package, folder)
            lines.append(f"{package.name} {package.version} {package.licence}")
            with tarfile.open(folder / f"{package.name}-{package.version}.tgz") as archive:
                for source, target in package.files.items():
                    member = archive.extractfile(f"package/{source}")
                    assert member is not None, source
                    content = without_map(member.read())
                    (VENDOR / target).write_bytes(content)
                    lines.append(f"  {sha256(content).hexdigest()}  {target}  {source}")
    (VENDOR / LISTING).write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
