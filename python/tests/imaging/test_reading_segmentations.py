"""DICOM segmentations: labels where every frame's place is certain, otherwise a refusal that says what it is."""

import random
from pathlib import Path

import numpy as np
import pydicom
import pytest

from fuzz.segmentation_mutants import DISTANCE, KIND, THICKNESS, Segmentation, truth
from organincrement.imaging.errors import ImageError
from organincrement.imaging.safe_read import examine, read_labels, read_stored

LIVER = Path(pydicom.__file__).parent / "data" / "test_files" / "liver_1frame.dcm"


@pytest.fixture
def segmentation():
    return Segmentation(random.Random(5))


def write(segmentation, path):
    path.write_bytes(segmentation.pack())
    return path


def test_frames_become_labels_at_their_positions(segmentation, tmp_path):
    path = write(segmentation, tmp_path / "seg.dcm")
    read, expected = read_stored(path), truth(path)
    np.testing.assert_array_equal(read.array_DHW, expected.array_DHW)
    np.testing.assert_allclose(read.affine, expected.affine, atol=1e-6)
    assert read.array_DHW.dtype == np.uint8 and len(np.unique(read.array_DHW)) > 2
    assert read_labels(path, allowed=range(1, 4)).shape_DHW == read.shape_DHW
    # A folder with nothing else in it is the same.
    np.testing.assert_array_equal(read_stored(tmp_path).array_DHW, read.array_DHW)


def test_samples_are_those_of_the_whole(segmentation, tmp_path):
    path = write(segmentation, tmp_path / "seg.dcm")
    read = read_stored(path)
    index = np.argwhere(read.array_DHW >= 0)
    points = index[:, ::-1] @ read.affine[:3, :3].T + read.affine[:3, 3]
    image = examine(path, points)
    assert image.inside.all() and image.segments == len(segmentation.elements[0x00620002][1])
    np.testing.assert_array_equal(image.values, read.array_DHW.ravel())


def test_a_segmentation_of_another_program_is_known_as_one():
    with pytest.raises(ImageError, match=r"liver_1frame\.dcm: is a DICOM segmentation|export"):
        read_stored(LIVER)


def test_fractions_overlaps_unknown_segments_and_uneven_frames_are_refused_in_words(segmentation, tmp_path):
    def refused(change, reason):
        broken = Segmentation(random.Random(5))
        change(broken)
        with pytest.raises(ImageError, match=rf"seg\.dcm: is a DICOM segmentation.*{reason}.*export it as"):
            read_stored(write(broken, tmp_path / "seg.dcm"))

    def every_frame_full(broken):
        for frame in broken.frames:
            frame[2] = np.ones_like(frame[2])

    def left_out_without_distance(broken):
        for tag in (DISTANCE, THICKNESS):
            broken.shared[0x00289110][1][0].pop(tag)
        broken.frames = [frame for frame in broken.frames if frame[1] != 1]

    refused(lambda broken: broken.elements.update({KIND: ("CS", "FRACTIONAL")}), "fractional")
    refused(every_frame_full, "overlap")
    refused(lambda broken: broken.frames[0].__setitem__(0, 9), "does not list")
    refused(lambda broken: broken.frames.append(broken.frames[0]), "two frames of one segment")
    refused(lambda broken: broken.moves.update({0: 0.3 * broken.step_mm * broken.normal}), "even distances")
    refused(left_out_without_distance, "even distances")
    refused(lambda broken: broken.moves.update({0: 1e7 * broken.normal}), "slices")


def without_distance(slices, thickness_in_steps):
    """Frames of one segment on these slices of a grid whose distance of slices is not stated."""
    made = Segmentation(random.Random(5))
    made.frames = [[1, index, np.ones((made.height, made.width), bool)] for index in slices]
    measures = made.shared[0x00289110][1][0]
    del measures[DISTANCE]
    measures[THICKNESS] = ("DS", str(made.step_mm * thickness_in_steps))
    return made


@pytest.mark.parametrize("slices", [(0, 2, 4), (0, 1, 3), (1, 3, 6)])
def test_frames_on_some_slices_only_keep_the_grid_that_the_thickness_says(tmp_path, slices):
    made = without_distance(slices, 1)
    read = read_stored(write(made, tmp_path / "seg.dcm"))
    assert read.spacing_mm[0] == pytest.approx(made.step_mm)
    assert np.flatnonzero(read.array_DHW.any((1, 2))).tolist() == [index - slices[0] for index in slices]


@pytest.mark.parametrize("thickness", [0.7, 1.5, 2])
def test_a_thickness_that_contradicts_the_unstated_distance_is_refused_in_words(tmp_path, thickness):
    with pytest.raises(ImageError, match=r"seg\.dcm: .*states no distance of its slices.*thick.*export it as"):
        read_stored(write(without_distance((0, 1, 2), thickness), tmp_path / "seg.dcm"))


def test_thousands_of_frames_are_grouped_by_slice_once(tmp_path):
    made = Segmentation(random.Random(5))
    mask_HW = np.arange(made.height * made.width).reshape(made.height, made.width) % 3 == 0
    made.frames = [[1, index, mask_HW] for index in range(3000)]
    read = read_stored(write(made, tmp_path / "seg.dcm"))
    assert read.shape_DHW[0] == 3000 and (read.array_DHW == mask_HW).all()
