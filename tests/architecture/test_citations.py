"""Who reads a citation can follow it: the document is in the repository, the section is one of its headings.

One form: path from the root, a space, section numbers: `docs/reference/venue.md 2.3, 2.4`, or `1.2-1.5`, on one line.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDERS: Final = ("kalshi_daemon", "tests", "benchmarks", "scripts", "docs", "deploy", "findings")
ALONE: Final = ("README.md", "CHANGELOG.md", "config.toml", "pyproject.toml", "Makefile", "Dockerfile")
SUFFIXES: Final = frozenset({"", ".md", ".py", ".service", ".sh", ".toml"})
WRITTEN: Final = re.compile(r"(?:.*/)?(?:\d{4}-\d\d-\d\d.*|page|FILE)\.md")
"""Pages the program itself writes, and stand-ins for them."""

NUMBER: Final = r"\d{1,2}(?:\.\d{1,2})*[a-z]?(?!\w)(?!\.\d)"
LISTED: Final = rf"{NUMBER}(?:-{NUMBER})?"
CITATION: Final = re.compile(
    rf"(?<![\w/.}}>*:-])(?P<page>(?:\.{{1,2}}/|[\w-]+/)*[\w.-]*\w\.md)\b"
    rf"(?: (?P<numbers>{LISTED}(?:(?:, | and ){LISTED})*))?"
)
UNFINDABLE: Final = re.compile(
    r"(?<!RFC \d{4} )\bsections? \d|\bdefects? \d|\bdocs page\b|\brunbook section\b|\(changelog \d|\bOpenAPI (?:of )?\d"
)
"""Sections of nothing that could be opened. An RFC has a number and can be."""
WORDS: Final = ("section", "defect", "docs page", "changelog", "OpenAPI")
"""One of them is in whatever UNFINDABLE finds: the regular expression alone takes seconds over all the code."""
DECISION: Final = re.compile(r"docs/decisions/(\d{4})\b")
HEADING: Final = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
FENCE: Final = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def texts() -> Iterator[Path]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in SUFFIXES and path.is_file() and "__pycache__" not in path.parts:
                yield path
    yield from (ROOT / name for name in ALONE if (ROOT / name).is_file())


@cache
def headings(page: Path) -> tuple[str, ...]:
    return tuple(HEADING.findall(FENCE.sub("", page.read_text())))


@cache
def numbers_of(page: Path) -> frozenset[str]:
    found = (re.match(rf"({NUMBER})\.?(?: |$)", one) for one in headings(page))
    return frozenset(one[1] for one in found if one)


@cache
def anchors(page: Path) -> frozenset[str]:
    """As the usual renderers make them: lower case, punctuation dropped, blanks to hyphens, repeats numbered."""
    made: dict[str, int] = {}
    found = set()
    for heading in headings(page):
        plain = LINK.sub(lambda link: link[0][1 : link[0].index("]")], heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        seen = made.get(slug, 0)
        made[slug] = seen + 1
        found.add(f"{slug}-{seen}" if seen else slug)
    return frozenset(found)


def page_of(name: str, path: Path) -> Path | None:
    """From the root; inside a page also from there. A bare name in code may be one of docs/, whose path is joined."""
    places = [ROOT / name] if "/" in name else [ROOT / name, ROOT / "docs" / name]
    if path.suffix == ".md":
        places.append(path.parent / name)
    return next((place for place in places if place.is_file()), None)


def problems(text: str, path: Path) -> Iterator[str]:
    code = path.suffix == ".py"
    for number, line in enumerate(text.splitlines(), 1):
        if ".md" in line:
            yield from (f"line {number}: {problem}" for problem in _misplaced(line, path))
        if code and any(word in line for word in WORDS) and (unfindable := UNFINDABLE.search(line)):
            yield f"line {number}: '{unfindable[0]}' of what?"
        if "docs/decisions/" in line:
            missing = [one for one in DECISION.findall(line) if not list((ROOT / "docs/decisions").glob(f"{one}-*.md"))]
            yield from (f"line {number}: there is no decision {one}" for one in missing)


def _misplaced(line: str, path: Path) -> Iterator[str]:
    for match in CITATION.finditer(line):
        name = match["page"]
        if WRITTEN.fullmatch(name):
            continue
        page = page_of(name, path)
        if page is None:
            yield f"{name} is not in the repository"
            continue
        cited = re.findall(NUMBER, match["numbers"] or "")
        yield from (f"{name} has no section {one}" for one in cited if one not in numbers_of(page))
        if not cited and path.suffix == ".py" and page.parent == ROOT / "docs" / "reference":
            yield f"{name} without a section on the same line"


def broken_links(page: Path) -> Iterator[str]:
    for target in LINK.findall(re.sub(r"`[^`]*`", "", FENCE.sub("", page.read_text()))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        place = page.parent / name if name else page
        if not place.exists():
            yield f"{target}: no such file"
        elif anchor and anchor not in anchors(place.resolve()):
            yield f"{target}: no such heading"


def test_every_cited_document_and_section_exists():
    found = [
        f"{path.relative_to(ROOT)}: {problem}"
        for path in texts()
        if path != Path(__file__).resolve()
        for problem in problems(path.read_text(), path)
    ]
    assert found == [], "\n".join(found)


def test_every_link_of_every_page_leads_somewhere():
    pages = [path for path in texts() if path.suffix == ".md"]
    found = [f"{page.relative_to(ROOT)}: {problem}" for page in pages for problem in broken_links(page)]
    assert found == [], "\n".join(found)


CODE: Final = ROOT / "kalshi_daemon" / "made_up.py"


@pytest.mark.parametrize(
    "text",
    [
        "docs/reference/venue.md 2.3",
        "docs/reference/venue.md 2.3, 2.4 and more",
        "see docs/reference/feed.md 1.2-1.5.",
        "(docs/reference/performance.md 3b): tuned",
        "docs/reference/venue.md 8, 2026-05-21",
        "docs/guards.md gives the reason",
        'ROOT / "docs" / "guards.md"',
        "reports/2026-11-23-digest.md",
        "RFC 6455 section 5.2",
        "docs/decisions/0005",
    ],
)
def test_what_can_be_followed_passes(text):
    assert list(problems(text, CODE)) == []


@pytest.mark.parametrize(
    "text",
    [
        "venue.md 2.3",
        "docs/reference/nobody.md 1",
        "docs/reference/venue.md 99",
        "docs/reference/venue.md 2.3, 2.99",
        "docs/reference/feed.md 1.2-1.99",
        "docs/reference/feed.md 1.0-1.2",
        "docs/reference/venue.md\n7.1",
        "docs/reference/venue.md section 7",
        "(section 5)",
        "runbook section 2",
        "(defect 14)",
        'docs page "Fee Rounding"',
        "docs/decisions/0999",
    ],
)
def test_what_cannot_be_followed_is_found(text):
    assert list(problems(text, CODE)) != []


def test_a_link_to_nowhere_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Here\n\n[a](#here) [b](#there) [c](none.md) [d](page.md#here) [e](https://example.org/x)\n")
    assert list(broken_links(page)) == ["#there: no such heading", "none.md: no such file"]
