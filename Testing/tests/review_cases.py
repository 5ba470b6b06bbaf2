"""Datasets for the tests of OrganReview, made with the contract alone: tiny scans, labels, and what a model said."""

import gzip
import os
import struct
import tempfile
from pathlib import Path

import numpy as np
import pytest

from organincrement.contract import codec
from organincrement.contract.dataset import Case, Dataset, DatasetFolder
from organincrement.contract.files import sha256_file
from organincrement.contract.organs import organ_from_name
from organincrement.contract.results import Region, Regions, SegmentedOrgan, SegmentReport

SHAPE_DHW = (10, 12, 14)
SPACING_MM = (4.0, 5.0, 6.0)
MODEL_SHA256 = "0a1b2c3d" + "0" * 56
STEPS = {
    "draft": (),
    "submitted": ("submitted",),
    "approved": ("submitted", "approved"),
    "flagged": ("submitted", "flagged"),
}


def makeDataset(path, statuses, organs=("liver", "spleen"), who="Ada"):
    """A dataset; statuses: case id to status. Every label holds a box of the first organ."""
    manifest = Dataset(name=path.name, modality="CT", organs=tuple(map(organ_from_name, organs)))
    folder = DatasetFolder.create(path, manifest)
    for number, (caseId, status) in enumerate(statuses.items()):
        addCase(folder, caseId, number)
        for step in STEPS[status]:
            folder.move(caseId, step, who, "")
    return folder


def addCase(folder, caseId, seed=0):
    """A scan and its label, as a draft."""
    image, label = f"images/{caseId}.nii.gz", f"labels/{caseId}.nii.gz"
    writeNifti(folder.path / image, scanArray(seed))
    writeNifti(folder.path / label, labelArray())
    folder.save_case(
        Case(
            id=caseId, group=caseId, image=image, label=label, annotated=folder.label_space.ids,
            image_sha256=sha256_file(folder.path / image), label_sha256=sha256_file(folder.path / label),
        )
    )  # fmt: skip


def scanArray(seed=0):
    """Air around a body."""
    array_DHW = np.full(SHAPE_DHW, -1000, np.int16)
    array_DHW[1:-1, 2:-2, 2:-2] = 40 + np.random.default_rng(seed).integers(0, 50, (8, 8, 10))
    return array_DHW


def labelArray(value=1):
    """A box inside the body."""
    array_DHW = np.zeros(SHAPE_DHW, np.uint8)
    array_DHW[3:7, 4:8, 4:9] = value
    return array_DHW


def writeNifti(path, array_DHW, spacing_mm=SPACING_MM):
    """NIfTI-1, packed where the name says so. Source: nifti.nimh.nih.gov/nifti-1."""
    kinds = {"uint8": 2, "int16": 4, "int32": 8, "float32": 16}
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *reversed(array_DHW.shape), 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, kinds[str(array_DHW.dtype)], 8 * array_DHW.itemsize)
    struct.pack_into("<8f", header, 76, 1, *spacing_mm, 1, 1, 1, 1)
    struct.pack_into("<3f", header, 108, 352, 1, 0)
    struct.pack_into("<2h", header, 252, 1, 1)
    rows = np.zeros((3, 4))
    rows[[0, 1, 2], [0, 1, 2]] = -spacing_mm[0], -spacing_mm[1], spacing_mm[2]
    struct.pack_into("<12f", header, 280, *rows.ravel())
    header[344:348] = b"n+1\0"
    data = bytes(header) + np.ascontiguousarray(array_DHW).tobytes()
    path.write_bytes(gzip.compress(data, 1) if path.suffix == ".gz" else data)


def changeLabel(folder, caseId, value=2):
    """Somebody draws the label anew, past the program."""
    writeNifti(folder.path / "labels" / f"{caseId}.nii.gz", labelArray(value))


def writeReport(folder, caseId, uncertainty, sha256=MODEL_SHA256, inputSha256=None):
    """What `segment` left, without its images. Args: uncertainty: organ id to per cent, None for one not found."""
    where = folder.path / "results" / sha256[:8] / caseId
    where.mkdir(parents=True, exist_ok=True)
    organs = tuple(
        SegmentedOrgan(id=organ, volume_mm3=0.0 if mean is None else 900.0, mean_uncertainty=mean)
        for organ, mean in uncertainty.items()
    )
    report = SegmentReport(
        model="tiny", model_sha256=sha256, input_sha256=inputSha256 or folder.case(caseId).image_sha256, organs=organs,
        seconds=1.0, device="cpu", versions={},
    )  # fmt: skip
    codec.write(report, where / "report.json")
    region = Region(
        organ="liver",
        center_ras_mm=(0.0, 0.0, 0.0),
        bounds_ras_mm=(0, 1, 0, 1, 0, 1),
        volume_mm3=1.0,
        mean=1.0,
        max=2.0,
    )
    codec.write(Regions(regions=(region,)), where / "regions.json")
    return where


def openToAll(folder):
    """Let strangers into the folders above, so that only the rights of what lies in them count."""
    for parent in (folder, *folder.parents[:3]):
        if parent != Path(tempfile.gettempdir()) and parent.stat().st_uid == os.geteuid():
            parent.chmod(0o755)


def asNobody(action):
    """Run an action with the rights of a stranger; tests may run as the system's administrator."""
    if os.geteuid() != 0:
        pytest.skip("only an administrator can lay down rights and take them up again")
    os.seteuid(65534)
    try:
        return action()
    finally:
        os.seteuid(0)
