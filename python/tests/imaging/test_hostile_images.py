"""Seeded mutants of every format: refused by name in one line, or read as an independent reader reads them."""

import pytest

from fuzz.images import FORMATS, run

MUTANTS = 200


@pytest.mark.parametrize("kind", FORMATS)
def test_no_mutant_hangs_crashes_or_is_read_silently_wrong(kind):
    outcomes = []
    for number, mutant, outcome, wrong in run(kind, MUTANTS, seed=1):
        assert wrong is None, f"{kind} {number} ({mutant.what}): {wrong}"
        outcomes.append(outcome)
    # Neither is everything refused nor everything read.
    assert outcomes.count("read") > MUTANTS / 5 and outcomes.count("refused") > MUTANTS / 5
