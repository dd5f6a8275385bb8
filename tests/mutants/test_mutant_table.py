"""The table keeps up with the code: `make mutants` would otherwise break nothing and praise itself."""

from pathlib import Path

import pytest

from tests.mutants.mutate import mutated
from tests.mutants.table import MUTANTS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_changes_exactly_one_place_and_still_compiles(mutant):
    source = (ROOT / "kalshi_daemon" / mutant.file).read_text()
    compile(mutated(source, mutant), mutant.file, "exec")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_names_tests_that_exist(mutant):
    assert mutant.tests
    assert all((ROOT / "tests" / name).is_file() for name in mutant.tests)


def test_names_are_unique_and_no_break_is_listed_twice():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 20
    assert len({(mutant.file, mutant.old, mutant.new) for mutant in MUTANTS}) == len(MUTANTS)
