"""One exact replacement. The table must keep up with the code: anything but exactly one place is an error."""

from tests.mutants.mutant import Mutant


class TableOutdated(Exception):  # noqa: N818 - errors are nouns
    """The old text is not in the file exactly once, or the new text is the same."""


def mutated(source: str, mutant: Mutant) -> str:
    """The source with the promise broken. Raises TableOutdated."""
    found = source.count(mutant.old)
    if found != 1 or mutant.old == mutant.new:
        raise TableOutdated(f"{mutant.name}: old text found {found} times in {mutant.file}")
    return source.replace(mutant.old, mutant.new)
