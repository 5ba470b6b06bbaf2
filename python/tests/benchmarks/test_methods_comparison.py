"""The comparison of methods: every method has a run, figures are read rightly, and what loses is named."""

import math

import pytest

from benchmarks.methods_data import HEADNECK_PARTS, HEADNECK_WHOLE, PHANTOM
from benchmarks.methods_page import write_page
from benchmarks.methods_run import VAULTS
from benchmarks.methods_runs import PHANTOM_RUNS, RUNS, key_of, parents_of, why_not
from benchmarks.methods_scores import difference, forgotten, orders, per_seed, reversals, suspects
from benchmarks.methods_studies import COMPOSITES, STUDIES
from benchmarks.methods_why import WHY
from organincrement.methods.registry import METHODS

STUDY = STUDIES["bla-uag"]


def figures_of(dice_by_run, test="test-b", seeds=(0, 1, 2), distance=4.0):
    """Run to (old organs' Dice, new organ's), alike in eight patients but for a little; seeds differ by 0.01."""
    found = {}
    for run, (old, new) in dice_by_run.items():
        found[run] = {}
        for seed in seeds:
            organs = {"liver": old, "spleen": old, "stomach": new}
            accuracy = {
                organ: {
                    f"p{p}": {"dice": dice + 0.01 * seed + 0.001 * p, "hd95_mm": distance, "assd_mm": None}
                    for p in range(8)
                }
                for organ, dice in organs.items()
                if dice is not None
            }
            found[run][str(seed)] = {"key": "", "costs": COSTS, "accuracy": {test: accuracy}}
    return found


COSTS = {
    "steps": 10, "seconds_per_step": 0.1, "cpu_seconds": 3.0, "ram_bytes": 2**29, "parameters": 90_000,
    "stored_bytes": 400_000, "package_sha256": "",
}  # fmt: skip


def test_every_method_of_the_registry_is_run_on_the_phantom():
    assert set(METHODS) <= {run.method for run in PHANTOM_RUNS.values()}


def test_every_run_names_data_teachers_and_vaults_that_there_are():
    for name, run in RUNS.items():
        known = PHANTOM if run.world != "headneck" else {*HEADNECK_PARTS, *HEADNECK_WHOLE}
        assert {*run.datasets, *run.old_datasets, *run.tests} <= set(known), name
        assert set(parents_of(name)) <= set(RUNS), name
        assert run.exemplars is None or run.exemplars in VAULTS, name


def test_every_setting_of_a_run_is_the_methods_own():
    assert [reason for name in RUNS if (reason := why_not(name)) and "setting" in reason] == []


def test_every_row_of_a_study_is_a_run_or_made_of_runs():
    for study in STUDIES.values():
        for row in study.rows:
            assert row in RUNS or set(COMPOSITES[row].values()) <= set(RUNS), row
        assert {run for pair in study.against for run in pair} | set(study.ours) <= set(study.rows)
        assert all(len(given) in (0, len(study.columns)) for _, given in study.rows.values())
    assert set(WHY) <= {*STUDIES, "headneck"}


def test_no_test_patient_is_trained_on():
    trained = {patient for name, data in PHANTOM.items() if not name.startswith("test") for patient in data.patients}
    tested = {patient for name, data in PHANTOM.items() if name.startswith("test") for patient in data.patients}
    assert not trained & tested


def test_the_key_changes_with_the_seed_and_with_the_teachers_settings(monkeypatch):
    before = key_of("bla-uag", 0)
    assert key_of("bla-uag", 1) != before
    teacher = RUNS["teacher"]
    changed = {**teacher.overrides, "training.steps": 7}
    monkeypatch.setitem(RUNS, "teacher", type(teacher)(**{**vars(teacher), "overrides": changed}))
    assert key_of("bla-uag", 0) != before


def test_a_seed_has_the_mean_over_organs_and_patients():
    figures = figures_of({"mib": (0.8, 0.5)})
    assert per_seed(figures, "mib", "test-b", STUDY.organs) == pytest.approx([0.7035, 0.7135, 0.7235])
    assert per_seed(figures, "mib", "test-b", STUDY.organs, "assd_mm") == []


def test_a_composite_takes_each_organ_from_the_run_that_knows_it():
    figures = figures_of({"teacher": (0.9, None), "specialist": (None, 0.6)})
    assert per_seed(figures, "separate", "test-b", STUDY.old)[0] == pytest.approx(0.9035)
    assert per_seed(figures, "separate", "test-b", STUDY.new)[0] == pytest.approx(0.6035)


def test_forgetting_is_what_the_old_organs_lost_since_the_teacher():
    figures = figures_of({"teacher": (0.9, None), "fine-tune": (0.2, 0.8)})
    assert forgotten(figures, "fine-tune", STUDY) == pytest.approx(0.7)


def test_a_difference_is_paired_and_its_interval_holds_no_spread_that_both_share():
    figures = figures_of({"bla-uag": (0.8, 0.8), "mib": (0.7, 0.8)})
    found = difference(figures, "bla-uag", "mib", "test-b", STUDY.old)
    assert (found.mean, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))


def test_a_method_below_fine_tuning_or_its_ablation_is_suspect():
    figures = figures_of({"bla-uag": (0.1, 0.8), "no-uncertainty": (0.8, 0.8), "fine-tune": (0.2, 0.8)})
    lines = list(suspects(figures, STUDY))
    assert [line.split(":")[0] for line in lines] == [
        "BUG? `bla-uag` loses to fine-tuning on the old organs",
        "BUG? `bla-uag` loses to `no-uncertainty` by more than the interval",
    ]


def test_a_method_that_is_ahead_is_not():
    figures = figures_of({"bla-uag": (0.8, 0.8), "no-uncertainty": (0.79, 0.8), "fine-tune": (0.2, 0.9)})
    assert list(suspects(figures, STUDY)) == []


def test_orders_are_of_the_rows_that_both_have():
    figures = figures_of({"bla-uag": (0.8, 0.8), "mib": (0.9, 0.8), "lwf": (0.95, 0.95), "all-datasets": (0.1, 0.1)})
    assert orders(figures, STUDY) == (["bla-uag", "mib", "all-datasets"], ["mib", "bla-uag", "all-datasets"])
    assert [line.split(" in the paper")[0] for line in reversals(figures, STUDY)] == ["`bla-uag` is ahead of `mib`"]


def test_the_page_shows_what_there_is_and_names_what_is_missing(tmp_path):
    folder = tmp_path / "methods"
    folder.mkdir()
    figures = figures_of({"teacher": (0.9, None), "bla-uag": (0.1, 0.8), "fine-tune": (0.2, 0.8)})
    write_page(folder, figures, tmp_path)
    page = folder.with_suffix(".md").read_text(encoding="utf-8")
    assert "BUG? `bla-uag` loses to fine-tuning" in page and "| `bla-uag` | 0.114 ± 0.010 | 0.814 ± 0.010 |" in page
    assert "`coriseg`" not in page.split("Not measured with every seed yet")[0] and "`dodnet`" in page
    assert (folder / "bla-uag.png").is_file() and not (folder / "dodnet.png").exists()
    assert not any(math.isnan(float(cell)) for cell in page.split("|") if cell.strip() == "nan")
