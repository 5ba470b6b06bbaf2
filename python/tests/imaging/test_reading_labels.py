"""Labels: whole numbers that were declared, on the grid of their image, or refused."""

import numpy as np
import pytest
from imaging_files import save, scan

from organincrement.imaging.errors import ImageError
from organincrement.imaging.safe_read import label_counts, read_labels
from organincrement.imaging.volume import Volume


def labels_of(values, dtype):
    array = np.zeros((4, 5, 6), dtype)
    array.ravel()[: len(values)] = values
    return scan().with_array(array)


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4", "f8"])
def test_whole_labels_of_any_type_become_uint8(tmp_path, dtype):
    path = save(labels_of([1, 2, 2], dtype), tmp_path / "label.nii.gz")
    labels = read_labels(path, allowed=[1, 2], like=scan())
    assert labels.array_DHW.dtype == np.uint8
    assert label_counts(labels.array_DHW) == {0: 117, 1: 1, 2: 2}


def test_labels_above_255_become_uint16(tmp_path):
    labels = read_labels(save(labels_of([300], "i4"), tmp_path / "label.nrrd"), allowed=None)
    assert labels.array_DHW.dtype == np.uint16
    assert label_counts(labels.array_DHW) == {0: 119, 300: 1}


@pytest.mark.parametrize(
    ("values", "dtype", "reason"),
    [
        ([1, 3, 7], "u1", "undeclared label values 3, 7"),
        ([1, -1], "i2", "negative"),
        ([1, 0.5], "f4", "no whole numbers"),
        ([1, 70000], "i4", "above 65535"),
    ],
)
def test_labels_that_are_none_are_refused_by_name(tmp_path, values, dtype, reason):
    with pytest.raises(ImageError, match=rf"label\.nii\.gz: .*{reason}"):
        read_labels(save(labels_of(values, dtype), tmp_path / "label.nii.gz"), allowed=[1, 2])


def test_a_label_on_another_grid_is_refused(tmp_path):
    path = save(labels_of([1], "u1"), tmp_path / "label.nii.gz")
    shifted = Volume(scan().array_DHW, scan().spacing_mm, (-11.5, 22.25, 7.01), scan().direction)
    for other in (shifted, scan((4, 5, 7)), scan(direction=np.eye(3))):
        with pytest.raises(ImageError, match="not on the grid of its image"):
            read_labels(path, allowed=[1], like=other)


def test_rounding_of_a_thousandth_of_a_voxel_is_the_same_grid(tmp_path):
    path = save(labels_of([1], "u1"), tmp_path / "label.nii.gz")
    x, y, z = scan().origin_mm
    nearly = Volume(scan().array_DHW, scan().spacing_mm, (x, y, z + 0.0005), scan().direction)
    assert read_labels(path, allowed=[1], like=nearly).array_DHW.max() == 1
