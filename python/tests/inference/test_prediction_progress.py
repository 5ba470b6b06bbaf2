"""How far a prediction is: every run of the network over a window counts, whatever the tiles and perturbations."""

import pytest
from test_predict_volume import BODY, ROOMY, Reads, scan, segmented


def told(budget=ROOMY, uncertainty="none", **manifest):
    """All that one prediction told: (done, of how many)."""
    seen = []
    image, _ = scan()
    settings = {"progress": lambda done, total: seen.append((done, total))}
    segmented(Reads(*BODY), image, budget=budget, uncertainty=uncertainty, settings=settings, **manifest)
    return seen


@pytest.mark.parametrize("budget", [ROOMY, 40_000])
@pytest.mark.parametrize("uncertainty", ["none", "entropy", "perturbation"])
def test_every_run_counts_once_and_the_last_is_the_total(budget, uncertainty):
    seen = told(budget, uncertainty)
    total = seen[0][1]
    assert seen == [(i, total) for i in range(1, total + 1)]


def test_perturbed_copies_count_as_runs():
    clean, perturbed = told(), told(uncertainty="perturbation")
    copies = len(perturbed) / len(clean) - 1
    assert len(clean) > 1 and copies == int(copies) and copies >= 1


def test_smaller_tiles_look_at_more_windows():
    assert len(told(40_000)) > len(told())
