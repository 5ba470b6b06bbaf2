"""Checking a dataset: every kind of damage has its line, and a sound dataset has none."""

from dataclasses import replace

import numpy as np
import pytest

from organincrement.imaging.volume import Volume
from organincrement.imaging.writing import write_nifti
from organincrement.workflows.check_dataset import check
from organincrement.workflows.import_dataset import import_dataset

GRID = ((3.0, 0.75, 1.25), (-11.5, 22.25, 7.0), np.eye(3))


def label(value=1, shape=(4, 5, 6)):
    array = np.zeros(shape, np.uint8)
    array[1, 2, 3:5] = value
    return Volume(array, *GRID)


@pytest.fixture
def dataset(tmp_path):
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    for index, case in enumerate(("pt_1", "pt_2")):
        hu = np.random.default_rng(index).integers(-1000, 1000, (4, 5, 6)).astype(np.int16)
        write_nifti(tmp_path / f"images/{case}.nii.gz", Volume(hu, *GRID))
        write_nifti(tmp_path / f"labels/{case}.nii.gz", label())
    return import_dataset(tmp_path / "images", tmp_path / "labels", {"mandible": 1}, tmp_path / "dataset")


def lines(dataset):
    found = [str(finding) for finding in check(dataset)]
    assert all("\n" not in line for line in found)
    return found


def relabel(dataset, case_id, volume):
    """Store another label, and have it approved, as annotator and reviewer do."""
    write_nifti(dataset.label_path(dataset.case(case_id)), volume)
    dataset.move(case_id, "submitted", "Ana", "")
    dataset.move(case_id, "approved", "Ben", "")


def test_a_sound_dataset_has_no_findings(dataset):
    assert lines(dataset) == []


def test_missing_files_are_named(dataset):
    dataset.image_path(dataset.case("pt_1")).unlink()
    dataset.label_path(dataset.case("pt_2")).unlink()
    first, second = lines(dataset)
    assert "problem: case pt_1" in first and "the image is missing" in first
    assert "problem: case pt_2" in second and "the label is missing" in second


def test_a_label_changed_after_approval_is_a_problem(dataset):
    write_nifti(dataset.label_path(dataset.case("pt_1")), label(0))
    assert any("pt_1.nii.gz: the label has changed" in line and "submit it again" in line for line in lines(dataset))


def test_a_changed_image_is_a_problem(dataset):
    write_nifti(dataset.image_path(dataset.case("pt_1")), label())
    assert any("the image has changed" in line for line in lines(dataset))


@pytest.mark.parametrize(
    ("volume", "text"),
    [
        (label(shape=(4, 5, 7)), "not on the grid of its image"),
        (label(3), "undeclared label values 3"),
    ],
)
def test_a_label_that_does_not_fit_is_a_problem(dataset, volume, text):
    relabel(dataset, "pt_2", volume)
    (line,) = lines(dataset)
    assert line.startswith("problem: case pt_2") and text in line


def test_the_ignore_value_is_no_undeclared_label(dataset):
    volume = label()
    volume.array_DHW[0] = 255
    relabel(dataset, "pt_2", volume)
    assert lines(dataset) == []


def test_an_empty_label_of_an_annotated_organ_is_a_note(dataset):
    relabel(dataset, "pt_1", label(0))
    (line,) = lines(dataset)
    assert line.startswith("note: case pt_1") and "no voxel of mandible" in line


def test_voxels_of_an_organ_that_is_not_annotated_are_a_problem(dataset):
    dataset.save_case(replace(dataset.case("pt_1"), annotated=()))
    (line,) = lines(dataset)
    assert line.startswith("problem: case pt_1") and "`annotated` does not list" in line


def test_a_tampered_history_is_a_problem(dataset):
    text = dataset.history_path.read_text(encoding="utf-8")
    dataset.history_path.write_text(text.replace('"imported"', '"looked at"', 1), encoding="utf-8")
    assert any("history.jsonl line 2: does not follow" in line for line in lines(dataset))


def test_an_approval_that_the_history_does_not_know_is_a_problem(dataset):
    dataset.history_path.write_text("", encoding="utf-8")
    assert sum("review it again" in line for line in lines(dataset)) == 2


def test_one_scan_in_two_groups_is_a_problem_and_in_one_group_a_note(dataset):
    first, second = dataset.cases()
    image = dataset.image_path(first).read_bytes()
    dataset.image_path(second).write_bytes(image)
    dataset.save_case(replace(second, image_sha256=first.image_sha256))
    (line,) = lines(dataset)
    assert line.startswith("problem") and "pt_1, pt_2 are one scan in different groups" in line
    dataset.save_case(replace(dataset.case("pt_2"), group="pt_1"))
    (line,) = lines(dataset)
    assert line.startswith("note") and "one scan" in line


def test_a_broken_case_file_does_not_hide_the_other_cases(dataset):
    (dataset.path / "cases/pt_1.json").write_text("{", encoding="utf-8")
    dataset.label_path(dataset.case("pt_2")).unlink()
    found = lines(dataset)
    assert any("pt_1.json" in line and "not valid JSON" in line for line in found)
    assert any("case pt_2" in line and "missing" in line for line in found)


def test_a_file_of_no_case_is_a_note_and_comes_after_the_problems(dataset):
    (dataset.path / "labels/stray.nii.gz").write_bytes(b"")
    dataset.image_path(dataset.case("pt_1")).unlink()
    found = lines(dataset)
    assert found[0].startswith("problem") and found[-1].startswith("note") and "stray" in found[-1]


def test_checking_changes_nothing(dataset):
    before = {path: path.read_bytes() for path in dataset.path.rglob("*") if path.is_file()}
    check(dataset)
    assert {path: path.read_bytes() for path in dataset.path.rglob("*") if path.is_file()} == before
