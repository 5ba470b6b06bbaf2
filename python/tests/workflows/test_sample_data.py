"""Sample data: what is made, that it fits together, and that nothing half made is ever seen."""

import os

import pytest

from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.package import read_manifest
from organincrement.imaging.safe_read import read_image
from organincrement.workflows import sample_data
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.make_plan import PlanRequest, make_plan
from organincrement.workflows.sample_data import NAMES, make_samples


@pytest.fixture
def small(monkeypatch):
    """The same samples with fewer patients, and a teacher of a few steps."""
    monkeypatch.setattr(sample_data, "_TEACHER_SEEDS", range(100, 103))
    monkeypatch.setattr(sample_data, "_DATASET_SEEDS", range(200, 204))
    tiny = {"features": [4, 8], "blocks": [1, 1], "training.patch": [16, 16, 16], "training.workers": 0}
    steps = {"training.steps": 6, "validation.every_steps": 3}
    monkeypatch.setattr(sample_data, "_TEACHER", {**sample_data._TEACHER, **tiny, **steps, "spacing_mm": [9, 9, 9]})


@pytest.mark.slow
def test_the_samples_fit_together_and_leave_nothing_else_behind(small, tmp_path):
    told = []
    paths = make_samples(tmp_path, progress=lambda done, total, text: told.append((done, total, text)))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(NAMES.values())
    assert paths == {name: tmp_path / file for name, file in NAMES.items()}
    manifest = read_manifest(paths["teacher"])
    assert manifest.name == "phantom-teacher"
    assert [organ.id for organ in manifest.organs] == list(sample_data.OLD_ORGANS)
    dataset = DatasetFolder.open(paths["dataset"])
    assert [case.status for case in dataset.cases()] == ["approved", "approved", "submitted", "submitted"]
    assert not dataset.check_history() and not dataset.check_files()
    plan = make_plan(PlanRequest(datasets=(dataset.path,), teachers=(paths["teacher"],), out=tmp_path / "plan.json"))
    assert plan.method == "bla-uag"
    done = [percent for percent, total, _ in told if total == 100]
    assert done == sorted(done) and done[0] >= 0 and done[-1] <= 100


def test_a_sample_that_is_there_is_kept(tmp_path):
    path = tmp_path / NAMES["scan"]
    path.write_bytes(b"mine")
    assert make_samples(tmp_path, ["scan"]) == {"scan": path}
    assert path.read_bytes() == b"mine"


def test_the_scan_is_the_same_each_time_and_in_no_dataset(tmp_path):
    first, second = (make_samples(tmp_path / name, ["scan"])["scan"] for name in "ab")
    assert (read_image(first).array_DHW == read_image(second).array_DHW).all()
    assert sample_data._SCAN_SEED not in (*sample_data._TEACHER_SEEDS, *sample_data._DATASET_SEEDS)


def test_what_a_killed_process_left_goes_and_what_a_living_one_makes_stays(tmp_path, monkeypatch):
    killed, living = tmp_path / ".making-999999999", tmp_path / f".making-{os.getppid()}"
    killed.mkdir()
    living.mkdir()
    make_samples(tmp_path, ["scan"])
    assert not killed.exists() and living.exists()


def test_a_failure_leaves_nothing_half_made(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(sample_data, "write_nifti", fail)
    with pytest.raises(OSError, match="no space"):
        make_samples(tmp_path, ["scan"])
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_sample_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(WorkflowError, match="scan, dataset, teacher"):
        make_samples(tmp_path, ["brain"])
