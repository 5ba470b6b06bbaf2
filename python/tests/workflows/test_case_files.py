"""A case's files are those that the dataset recorded, or are refused; its labels are read, and numbered anew."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_world import copied

from organincrement.contract.files import sha256_file
from organincrement.imaging.safe_read import read_image, read_labels
from organincrement.workflows.case_files import case_labels, check_unchanged, renumbered
from organincrement.workflows.errors import WorkflowError


@pytest.fixture
def dataset(tiny_world, tmp_path):
    return copied(tiny_world.site_a, tmp_path / "dataset")


def unlabelled(case):
    return replace(case, status="draft", label=None, label_sha256=None)


def test_files_as_recorded_pass_and_are_told_by_hash_image_first(dataset):
    case, told = dataset.cases()[0], []
    check_unchanged(dataset, case, "submit it", told.append)
    assert told == [case.image_sha256, case.label_sha256]
    check_unchanged(dataset, unlabelled(case), "submit it", told.append)
    assert told[2:] == [case.image_sha256]


@pytest.mark.parametrize("changed", ["image", "label"])
def test_a_changed_file_is_told_by_its_present_hash_and_refused_with_the_remedy(dataset, changed):
    case, told = dataset.cases()[0], []
    path = dataset.image_path(case) if changed == "image" else dataset.label_path(case)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(WorkflowError) as refusal:
        check_unchanged(dataset, case, "submit the case again", told.append)
    assert str(refusal.value) == f"{path.name}: has changed since the dataset recorded it; submit the case again"
    assert told[-1] == sha256_file(path)


def test_labels_are_those_stored_and_background_where_there_are_none(dataset):
    case = dataset.cases()[0]
    image = read_image(dataset.image_path(case))
    stored = read_labels(dataset.label_path(case), allowed=dataset.label_values, like=image)
    assert np.array_equal(case_labels(dataset, case, image).array_DHW, stored.array_DHW) and stored.array_DHW.any()
    nothing = case_labels(dataset, unlabelled(case), image)
    assert nothing.array_DHW.shape == image.shape_DHW and not nothing.array_DHW.any()


def test_stored_labels_get_the_numbers_of_their_organs_and_all_else_none():
    stored_DHW = np.array([[[0, 1, 2, 3, 255]]], np.uint8)
    assert renumbered(stored_DHW, [7, 0, 300]).tolist() == [[[0, 7, 0, 300, 0]]]
    assert renumbered(np.zeros((1, 1, 2), np.uint8), []).tolist() == [[[0, 0]]]
    assert renumbered(stored_DHW, [7, 0, 300]).dtype == np.int16
