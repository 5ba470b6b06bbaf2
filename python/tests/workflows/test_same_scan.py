"""One scan in two groups is found however it is stored; two patients are never taken for one."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from organincrement.contract.files import sha256_file
from organincrement.imaging.phantom.scan import SITES, make_phantom
from organincrement.imaging.safe_read import read_stored
from organincrement.imaging.volume import Volume
from organincrement.imaging.writing import write_nifti, write_volume
from organincrement.workflows.check_dataset import check
from organincrement.workflows.import_dataset import import_dataset
from organincrement.workflows.same_scan import CERTAINLY_ONE, likeness, scan_print

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "headneck"
SHAPE = (24, 28, 32)


@pytest.fixture(scope="module")
def scan():
    return make_phantom(1, SITES["a"], SHAPE).image


def shown_as(image):
    return Volume.from_sitk(image)


def cropped(volume):
    first = np.array([2, 3, 4, 1])
    array = volume.array_DHW[4:-3, 3:-3, 2:-2].copy()
    return Volume(array, volume.spacing_mm, tuple((volume.affine @ first)[:3]), volume.direction)


def resampled(volume, factor=1.2):
    image = volume.to_sitk()
    spacing = [value * factor for value in image.GetSpacing()]
    size = [int(count / factor) for count in image.GetSize()]
    return shown_as(
        sitk.Resample(
            image, size, sitk.Transform(), sitk.sitkLinear, image.GetOrigin(), spacing, image.GetDirection(), -1000.0
        )
    )


COPIES = {
    "another type": lambda v: v.with_array(np.rint(v.array_DHW).astype(np.int32)),
    "other axes": lambda v: shown_as(sitk.DICOMOrient(v.to_sitk(), "RAI")),
    "another origin": lambda v: Volume(v.array_DHW, v.spacing_mm, (0.0, 0.0, 0.0), v.direction),
    "another spacing": lambda v: Volume(v.array_DHW, (1.0, 1.0, 1.0), v.origin_mm, v.direction),
}


@pytest.fixture
def dataset(tmp_path, scan):
    """Case a is the scan, case b another patient's of the same shape."""
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    for case, volume in (("a", whole(scan)), ("b", whole(make_phantom(2, SITES["a"], SHAPE).image))):
        write_nifti(tmp_path / f"images/{case}.nii.gz", volume)
        write_nifti(tmp_path / f"labels/{case}.nii.gz", volume.with_array(np.ones(SHAPE, np.uint8)))
    return import_dataset(tmp_path / "images", tmp_path / "labels", {"liver": 1}, tmp_path / "dataset")


def whole(volume):
    return volume.with_array(np.rint(volume.array_DHW).astype(np.int16))


def give(dataset, case_id, volume, suffix=".nii.gz"):
    """Let the case hold this scan, with a label on its grid, through every step."""
    name = f"images/{case_id}{suffix}"
    (write_nifti if suffix == ".nii.gz" else write_volume)(dataset.path / name, volume)
    if suffix != ".nii.gz":
        (dataset.path / f"images/{case_id}.nii.gz").unlink()
    label = volume.with_array(np.ones(volume.shape_DHW, np.uint8))
    write_nifti(dataset.path / f"labels/{case_id}.nii.gz", label)
    dataset.save_case(replace(dataset.case(case_id), image=name, image_sha256=sha256_file(dataset.path / name)))
    for status in ("submitted", "approved"):
        dataset.move(case_id, status, "Ana", "")


def same_scan(dataset):
    return [str(line) for line in check(dataset) if line.code == "same-scan" and line.kind == "problem"]


def test_two_patients_are_no_finding(dataset):
    assert check(dataset) == []


@pytest.mark.parametrize("change", COPIES.values(), ids=COPIES.keys())
def test_the_same_voxels_stored_otherwise_are_one_scan(dataset, scan, change):
    give(dataset, "b", change(whole(scan)))
    (line,) = same_scan(dataset)
    assert "cases a, b are one scan in different groups" in line and "give them one group" in line


def test_another_file_format_and_packing_hides_nothing(dataset, scan):
    give(dataset, "b", whole(scan), suffix=".nrrd")
    assert len(same_scan(dataset)) == 1


def test_a_crop_is_one_scan(dataset, scan):
    give(dataset, "b", cropped(whole(scan)))
    (line,) = same_scan(dataset)
    assert "are, cropped or resampled, one scan in different groups" in line


def test_a_resampled_copy_of_a_coarse_scan_is_perhaps_one_scan(dataset, scan):
    give(dataset, "b", resampled(whole(scan)))
    (line,) = check(dataset)
    assert line.kind == "note" and "are perhaps one scan in different groups" in line.message


def test_a_lattice_at_the_scanners_place_is_never_compared_with_one_from_the_centre(scan):
    whole_print = scan_print(whole(scan))
    placed, centred = whole_print.lattices
    only_placed, only_centred = (
        replace(whole_print, lattices=(placed, None)),
        replace(whole_print, lattices=(None, placed)),
    )
    assert placed is not None and centred is not None
    assert likeness(only_placed, only_centred) == 0 and likeness(only_placed, whole_print) > CERTAINLY_ONE


def test_copies_in_one_group_are_only_a_note(dataset, scan):
    give(dataset, "b", COPIES["another origin"](whole(scan)))
    dataset.save_case(replace(dataset.case("b"), group="a"))
    (line,) = check(dataset)
    assert line.kind == "note" and "are one scan" in line.message


def test_images_without_contrast_are_not_taken_for_one(dataset):
    for case, value in (("a", 0), ("b", 0)):
        give(
            dataset,
            case,
            Volume(np.full(SHAPE, value, np.int16), (9.0, 9.0, 9.0 + (case == "b")), (0, 0, 0), np.eye(3)),
        )
    assert same_scan(dataset) == []


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real data are not at {DATA}")
def test_real_patients_are_told_apart_and_a_real_crop_is_found():
    scans = [read_stored(path) for path in sorted(DATA.glob("site_b/images/*.nii.gz"))[:5]]
    prints = [scan_print(scan) for scan in scans]
    assert max(likeness(a, b) for a, b in combinations(prints, 2)) < 0.7
    for change in (cropped, resampled):
        copies = [scan_print(change(scan)) for scan in scans]
        assert min(map(likeness, prints, copies)) > CERTAINLY_ONE
