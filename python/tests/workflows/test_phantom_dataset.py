"""A dataset of phantom patients is a whole, approved dataset with just the organs asked for."""

import numpy as np
import pytest

from organincrement.contract.dataset import DatasetFolder
from organincrement.imaging.errors import ImageError
from organincrement.imaging.phantom.scan import SITES, make_phantom
from organincrement.imaging.safe_read import read_image, read_labels
from organincrement.workflows.phantom_dataset import write_phantom_dataset

SMALL = (32, 40, 48)


def test_dataset_reads_back_with_the_phantoms_voxels_and_only_the_organs_asked_for(tmp_path):
    written = write_phantom_dataset(tmp_path / "set", SITES["b"], ("pancreas", "spleen"), (4, 7), shape_DHW=SMALL)
    folder = DatasetFolder.open(written.path)
    assert folder.label_space.ids == ("pancreas", "spleen")
    case = folder.cases()[1]
    assert (case.group, case.status, case.annotated) == ("phantom_0007", "approved", ("pancreas", "spleen"))
    phantom = make_phantom(7, SITES["b"], SMALL)
    image = read_image(folder.image_path(case))
    labels = read_labels(folder.label_path(case), allowed=(0, 1, 2), like=image)
    np.testing.assert_array_equal(image.array_DHW, phantom.image.array_DHW)
    np.testing.assert_array_equal(labels.array_DHW, phantom.labels_of(("pancreas", "spleen")).array_DHW)
    assert image.spacing_mm == pytest.approx(phantom.image.spacing_mm, abs=1e-4)


def test_history_and_hashes_of_the_dataset_hold(tmp_path):
    folder = write_phantom_dataset(tmp_path / "set", SITES["a"], ("liver",), (1, 2), shape_DHW=SMALL)
    assert folder.check_history() == [] and folder.check_files() == []


def test_unapproved_cases_stay_drafts(tmp_path):
    folder = write_phantom_dataset(tmp_path / "set", SITES["a"], ("liver",), (1,), shape_DHW=SMALL, approved=False)
    assert [case.status for case in folder.cases()] == ["draft"]


def test_an_unknown_organ_leaves_no_dataset_behind(tmp_path):
    with pytest.raises(ImageError, match="mandible"):
        write_phantom_dataset(tmp_path / "set", SITES["a"], ("liver", "mandible"), (1,), shape_DHW=SMALL)
    assert not (tmp_path / "set").exists()
