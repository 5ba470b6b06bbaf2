"""DICOM segmentations: labels where every frame's place is certain, otherwise a refusal that says what it is."""

import random
from pathlib import Path

import numpy as np
import pydicom
import pytest

from fuzz.segmentation_mutants import DISTANCE, KIND, Segmentation, truth
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
        broken.shared[0x00289110][1][0].pop(DISTANCE)
        broken.frames = [frame for frame in broken.frames if frame[1] != 1]

    refused(lambda broken: broken.elements.update({KIND: ("CS", "FRACTIONAL")}), "fractional")
    refused(every_frame_full, "overlap")
    refused(lambda broken: broken.frames[0].__setitem__(0, 9), "does not list")
    refused(lambda broken: broken.frames.append(broken.frames[0]), "two frames of one segment")
    refused(lambda broken: broken.moves.update({0: 0.3 * broken.step_mm * broken.normal}), "even distances")
    refused(left_out_without_distance, "even distances")
    refused(lambda broken: broken.moves.update({0: 1e7 * broken.normal}), "slices")
