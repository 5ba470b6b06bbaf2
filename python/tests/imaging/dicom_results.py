"""A made-up result on a DICOM scan, and where its voxels lie."""

import numpy as np
from dicom_scan import LYING, write_enhanced, write_scan

from organincrement.contract.labels import Organ
from organincrement.contract.organs import organ_from_name
from organincrement.imaging.dicom_source import read_source
from organincrement.imaging.dicom_writing import MadeBy, write_dicom_segmentation, write_dicom_uncertainty
from organincrement.imaging.safe_read import read_image

ORGANS = {
    1: organ_from_name("kidney_left"),
    2: organ_from_name("spleen"),
    3: organ_from_name("liver tumour"),
    4: Organ(id="gland_of_nobody_s_list", name="Drüse\\x", color=(255, 0, 51)),
}
MADE_BY = MadeBy(model="a model \\ of ours", sha256="0123456789abcdef" * 4)
SCANS = [*LYING, "enhanced"]


def scan(folder, kind="oblique", **more):
    """A series, its labels and its uncertainty; the spleen has no voxel."""
    enhanced = kind == "enhanced"
    path = write_enhanced(folder / "one.dcm") if enhanced else write_scan(folder / "s", lying=kind, **more)
    image = read_image(path)
    labels_DHW = np.zeros(image.shape_DHW, np.uint8)
    labels_DHW[1:4, 1:3, 2:5] = 1
    labels_DHW[3:5, 3:, 1:] = 3
    labels_DHW[5, 0, 0] = 4
    percent_DHW = np.random.default_rng(1).integers(0, 101, image.shape_DHW).astype(np.uint8)
    return path, image.with_array(labels_DHW), image.with_array(percent_DHW)


def written(folder, kind="oblique", **more):
    path, labels, percent = scan(folder, kind, **more)
    source = read_source(path)
    left_out = write_dicom_segmentation(folder / "seg.dcm", labels, ORGANS, source, MADE_BY)
    write_dicom_uncertainty(folder / "map.dcm", percent, source, MADE_BY)
    assert left_out == ("Spleen",)
    return path, labels, percent


def points(volume, mask_DHW):
    """Of voxels, rounded to a micrometre, in the order of the array."""
    index_xyz = np.argwhere(mask_DHW)[:, ::-1]
    return np.round(index_xyz @ volume.affine[:3, :3].T + volume.affine[:3, 3], 3)


def places(volume, mask_DHW):
    """Where voxels lie, as a set."""
    return {tuple(place) for place in (points(volume, mask_DHW) + 0.0).tolist()}
