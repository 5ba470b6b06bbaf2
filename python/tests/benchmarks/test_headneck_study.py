"""The arithmetic of the head-and-neck study, on figures made up here."""

import numpy as np
import pytest

from benchmarks.headneck_measure import auroc
from benchmarks.headneck_page import write_page
from benchmarks.headneck_runs import RUNS, Run, key_of
from benchmarks.headneck_scores import OLD, differences, goal_lines, row_scores


def figures_of(old: float, mandible: float | None = None, *, trust: bool = False) -> dict:
    organs = dict.fromkeys(OLD, old) | ({"mandible": mandible} if mandible is not None else {})
    rows = {
        organ: {
            patient: {"dice": dice + shift, "hd95_mm": 5.0, "assd_mm": 1.0}
            for patient, shift in (("pt_1", -0.01), ("pt_2", 0.01))
        }
        for organ, dice in organs.items()
    }
    costs = {"steps": 9, "seconds_per_step": 0.5, "ram_bytes": 2**30, "parameters": 10**6, "temperature": 1.0}
    costs |= {"package_sha256": "t", "teacher_sha256": "t"}
    found = {"key": "", "accuracy": rows, "costs": costs}
    if trust:
        dice = {"0.0": 0.7, "0.01": 0.8, "0.05": 0.9, "0.1": 0.9}
        worth = {"auroc": 0.9, "auroc_least": 0.8, "dice_set_aside": dice, "dice_corrected": dice}
        bars = {"ece": 0.01, "confidence": [0.5, 0.9], "accuracy": [0.4, 0.9], "voxels": [100, 900]}
        found["trust"] = {
            "uncertainty": {"entropy": worth, "perturbation": worth},
            "calibration": {"body": bars, "organs": bars},
        }
    return found


def test_error_auroc_counts_pairs_with_ties_as_half():
    rng = np.random.default_rng(0)
    u, wrong = rng.integers(0, 6, 300).astype(np.uint8), rng.random(300) < 0.2
    pairs = np.sign(u[wrong].astype(int)[:, None] - u[~wrong].astype(int)[None, :])
    assert auroc(u, wrong) == pytest.approx(((pairs + 1) / 2).mean())


def test_a_change_to_the_teacher_makes_every_student_of_it_run_again(monkeypatch):
    before = {name: key_of(name) for name in RUNS}
    changed = Run(what="another", dataset="site_a", method="supervised", overrides={"training.steps": 7})
    monkeypatch.setitem(RUNS, "teacher", changed)
    changed_keys = {name for name in RUNS if key_of(name) != before[name]}
    fresh = {name for name, run in RUNS.items() if run.parent is None}
    assert changed_keys == (RUNS.keys() - fresh) | {"teacher"}


def test_differences_are_paired_and_compare_shared_organs_only():
    found = {"bla-uag": figures_of(0.75, 0.8), "mib": figures_of(0.70, 0.9)}
    ((a, b, (old, new, every)),) = differences(found)
    assert (a, b) == ("bla-uag", "mib")
    assert old.mean == pytest.approx(0.05) and new.mean == pytest.approx(-0.1) and every.mean == pytest.approx(0.02)
    assert old.ci95 == pytest.approx((0.05, 0.05)), "patients vary together, so their differences do not vary"


def test_a_goal_that_is_missed_is_said_to_be_missed():
    goals = {line[0]: line[2] for line in goal_lines({"teacher": figures_of(0.77), "bla-uag": figures_of(0.755, 0.8)})}
    assert goals["teacher: mean Dice at least 0.76"] == "reached"
    assert goals["mean of the old organs within 1 point of the teacher, first increment"] == "**not reached**"
    assert "mean ahead of MiB, first increment" not in goals, "it was not measured"
    assert "error AUROC at least 0.85, teacher" not in goals, "its uncertainty was not measured"


def test_the_mean_of_an_organ_leaves_out_patients_without_a_distance():
    figures = figures_of(0.7)
    figures["accuracy"]["brainstem"]["pt_1"]["hd95_mm"] = None
    assert row_scores(figures, "hd95_mm")["brainstem"] == 5.0


def test_the_page_names_the_runs_that_have_no_figures_yet(tmp_path):
    figures = {"teacher": figures_of(0.77, trust=True), "bla-uag": figures_of(0.76, 0.8), "mib": figures_of(0.7, 0.9)}
    (tmp_path / "headneck").mkdir()
    figures["mib"]["costs"]["teacher_sha256"] = "another"
    write_page(tmp_path / "headneck", figures)
    page = (tmp_path / "headneck.md").read_text(encoding="utf-8")
    assert "| `bla-uag` − `mib` | +0.060" in page
    assert "than the one shown: `mib`." in page
    assert "Not run yet with the present settings: `self-training`, `no-uncertainty`, `bla-uag-again`" in page
    assert all((tmp_path / "headneck" / f"{chart}.png").is_file() for chart in ("dice", "reliability", "set-aside"))
