"""The small pictures in OrganReview's table: what they show, that they come in bites, and scans that give none."""

import gzip
import time

import numpy as np
import pytest
from review_cases import addCase, changeLabel, labelArray, makeDataset, scanArray, writeNifti


@pytest.fixture
def review():
    """The classes under test, imported late: pytest collects before the harness is up."""
    from OrganIncrementLib.Logics import CaseThumbnails, ScanStream

    class Names:
        Thumbnails, slices = CaseThumbnails.CaseThumbnails, staticmethod(ScanStream.slices)

    return Names


def pictureOf(review, image, label, colors=((255, 0, 0), (0, 255, 0))):
    thumbnails = review.Thumbnails()
    thumbnails.ask("a", image, label, colors)
    done = []
    for _attempt in range(200):
        done += thumbnails.work(0.01)
        if not thumbnails.pending:
            break
    return dict(done).get("a")


def pixels(png):
    import qt

    pixmap = qt.QPixmap()
    assert pixmap.loadFromData(qt.QByteArray(png), "PNG")
    image = pixmap.toImage()
    size = image.size()
    return np.array(
        [[_rgb(image.pixelColor(x, y)) for x in range(size.width())] for y in range(size.height())], np.uint8
    )


def _rgb(color):
    return color.red(), color.green(), color.blue()


def test_a_picture_shows_the_labels_middle_slice_with_its_outline(tmp_path, review):
    scan, label = scanArray(), np.zeros_like(labelArray())
    scan[6, 4:8, 4:9] = 250  # only in the label's middle slice
    label[4:9, 4:8, 4:9] = 2
    writeNifti(tmp_path / "i.nii.gz", scan)
    writeNifti(tmp_path / "l.nii.gz", label)
    picture_HWC = pixels(pictureOf(review, tmp_path / "i.nii.gz", tmp_path / "l.nii.gz"))
    assert picture_HWC.shape == (48, 64, 3)
    assert (picture_HWC == [0, 255, 0]).all(axis=2).any()
    assert (picture_HWC == [255, 0, 0]).all(axis=2).sum() == 0
    assert (picture_HWC.min(axis=2) > 200).any(), "the bright box of the middle slice is not in the picture"


def test_a_picture_is_turned_as_radiologists_look_at_it(tmp_path, review):
    scan = scanArray()
    scan[:, 2:5, 2:5] = 280  # small i and j: right and anterior come first in this grid's RAS axes (-x, -y)
    writeNifti(tmp_path / "i.nii.gz", scan)
    picture_HW = pixels(pictureOf(review, tmp_path / "i.nii.gz", None)).min(axis=2)
    rows, columns = np.nonzero(picture_HW > 200)
    assert rows.mean() < 24
    assert columns.mean() < 32


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "missing"])
def test_a_scan_that_gives_no_picture_holds_nobody_up(tmp_path, review, damage):
    path = tmp_path / "i.nii.gz"
    writeNifti(path, scanArray())
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"truncated": path.read_bytes()[:400], "empty": b"", "text": b"hello" * 200}[damage])
    assert pictureOf(review, path, None) is None


def test_pictures_are_made_in_bites(tmp_path, review):
    noise = np.random.default_rng(0).integers(-1000, 1000, (60, 512, 512), dtype=np.int16)
    writeNifti(tmp_path / "i.nii.gz", noise)
    thumbnails = review.Thumbnails()
    thumbnails.ask("a", tmp_path / "i.nii.gz", None, ())
    worst, done = 0.0, []
    while thumbnails.pending:
        started = time.process_time()
        done += thumbnails.work(0.02)
        worst = max(worst, time.process_time() - started)
    print(f"longest bite {1000 * worst:.0f} ms")
    assert done
    assert worst < 0.05


def test_an_nrrd_file_streams_as_a_nifti_file_does(tmp_path, review):
    scan = scanArray()
    head = (
        "NRRD0005\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 14 12 10\n"
        "space directions: (4,0,0) (0,5,0) (0,0,6)\nendian: little\nencoding: gzip\nspace origin: (0,0,0)\n\n"
    )
    (tmp_path / "i.nrrd").write_bytes(head.encode() + gzip.compress(scan.tobytes()))
    parts = [part for part in review.slices(tmp_path / "i.nrrd") if part is not None]
    assert np.array_equal(np.stack(parts[1:]), scan)
    assert parts[0].axes_ras.tolist() == [[-4, 0, 0], [0, -5, 0], [0, 0, 6]]


def test_the_label_of_an_added_case_is_drawn_again_after_news(tmp_path, review):
    folder = makeDataset(tmp_path / "d", {"a": "submitted"})
    addCase(folder, "b", 1)
    thumbnails = review.Thumbnails()
    image, label = folder.path / "images/b.nii.gz", folder.path / "labels/b.nii.gz"
    for _time in range(2):
        thumbnails.ask("b", image, label, ((255, 0, 0), (0, 255, 0)))
    assert thumbnails.pending == 1
    (_id, before), *_rest = thumbnails.work(1.0)
    changeLabel(folder, "b")
    thumbnails.forgetCases({"b"})
    thumbnails.ask("b", image, label, ((255, 0, 0), (0, 255, 0)))
    (_id, after), *_rest = thumbnails.work(1.0)
    assert before != after
