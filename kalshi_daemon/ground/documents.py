"""Documents of ours as files hold them: a frozen dataclass for each kind, which whoever writes and whoever reads share.

A document carries the number of its schema; one without it was written before the number was, in the first schema. A
field that is added gets a default, so that older documents are still read; what changes the meaning of a field is a new
schema. What this daemon does not know is left out when a document is read, and read all the same.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import TypeAdapter, ValidationError

from kalshi_daemon.ground.errors import MalformedField, MissingField, StateCorrupt, StateTooNew
from kalshi_daemon.ground.readers import parse_json


class Document(Protocol):
    """A kind of document: a dataclass whose fields are named and ordered as in its JSON."""

    WHAT: ClassVar[str]
    """What a sentence calls it."""
    SCHEMA: ClassVar[int]
    """The newest one, which is written."""


def read_document[D: Document](kind: type[D], path: Path) -> D:
    """Raises FileNotFoundError, another OSError, and what `parse_document` raises."""
    return parse_document(kind, path.read_bytes(), path)


def parse_document[D: Document](kind: type[D], content: bytes, path: Path) -> D:
    """The document that `path` holds. Raises StateTooNew, or StateCorrupt naming the file and the field."""
    found = parse_object(content, path)
    check_schema(found.get("schema", 1), kind.SCHEMA, kind.WHAT, path)
    try:
        made: D = _adapter(kind).validate_json(content, strict=True)
    except ValidationError as problem:
        raise StateCorrupt(str(path), _sentence(kind.WHAT, problem)) from problem
    return made


def parse_object(content: bytes, path: Path) -> dict[str, Any]:
    """The JSON object that `path` holds. Raises StateCorrupt naming the file."""
    try:
        data = parse_json(content, path.name)
    except MalformedField as problem:
        raise StateCorrupt(str(path), str(problem)) from problem
    if not isinstance(data, dict):
        raise StateCorrupt(str(path), "is not a JSON object")
    return data


def check_schema(schema: object, known: int, what: str, path: Path) -> None:
    """Raises StateTooNew for one beyond `known`, StateCorrupt for what is no schema."""
    if isinstance(schema, bool) or not isinstance(schema, int) or schema < 1:
        raise StateCorrupt(str(path), str(MalformedField(f"{what}: schema", schema, f"a number from 1 to {known}")))
    if schema > known:
        raise StateTooNew(str(path), what, schema, known)


@cache
def _adapter[D](kind: type[D]) -> TypeAdapter[D]:
    return TypeAdapter(kind)


def _sentence(what: str, problem: ValidationError) -> str:
    first = problem.errors(include_url=False, include_context=False)[0]
    more = f", and {problem.error_count() - 1} more" if problem.error_count() > 1 else ""
    return f"{_problem(what, first)}{more}"


def _problem(what: str, error: Mapping[str, Any]) -> str:
    place = ".".join(map(str, error["loc"]))
    if error["type"] == "missing":
        return str(MissingField(place, what))
    return f"{what}: {place}: {error['msg'][:1].lower()}{error['msg'][1:]}"
