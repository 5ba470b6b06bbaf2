"""A DICOM series as pydicom reads it: every value from its own file, every slice where its position says."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from fuzz.dicom_bytes import BIG, RUN_LENGTHS
from fuzz.mutant import NoTruthError, Truth

# Slices may lie a little beside a regular grid.
TOLERANCE_VOXELS = 0.16


def truth(folder: Path) -> Truth:
    """Read every file with pydicom, and put the slices in the order of their positions."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.suffix != ".txt":
            found += _frames(pydicom.dcmread(path))
    series = {str(item["series"]) for item in found}
    if len(series) != 1 or len(found) < 2 or len({item["values"].shape for item in found}) != 1:
        raise NoTruthError("no series")
    axes = found[0]["axes"]
    normal = np.cross(axes[:, 0], axes[:, 1])
    found.sort(key=lambda item: float(item["position"] @ normal))
    positions = np.array([item["position"] for item in found])
    step = (positions[-1] - positions[0]) / (len(found) - 1)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = axes[:, 0] * found[0]["spacing"][1], axes[:, 1] * found[0]["spacing"][0]
    affine[:3, 2], affine[:3, 3] = step, positions[0]
    smallest = min(*found[0]["spacing"], float(np.linalg.norm(step)))
    regular = positions[0] + np.arange(len(found))[:, None] * step
    spacing = found[0]["spacing"]
    alike = all(
        np.allclose(item["axes"], axes, atol=2e-4) and np.allclose(item["spacing"], spacing, rtol=2e-4, atol=0)
        for item in found
    )
    if not alike or np.abs(positions - regular).max() > TOLERANCE_VOXELS * smallest:
        raise NoTruthError("no regular grid")
    return Truth(
        array_DHW=np.stack([item["values"] for item in found]), affine=affine, tolerance_voxels=TOLERANCE_VOXELS
    )


def _frames(file: pydicom.Dataset) -> list[dict[str, Any]]:
    allocated, stored, signed = file.BitsAllocated, file.BitsStored, file.PixelRepresentation
    if file.SamplesPerPixel != 1 or file.PhotometricInterpretation != "MONOCHROME2" or file.HighBit != stored - 1:
        raise NoTruthError("no plain grey values")
    order = ">" if file.file_meta.TransferSyntaxUID == BIG else "<"
    count = int(file.get("NumberOfFrames") or 1)
    packed = file.file_meta.TransferSyntaxUID == RUN_LENGTHS
    content = file.pixel_array.tobytes() if packed else file.PixelData
    raw = np.frombuffer(content, f"{order}u{allocated // 8}")[: count * file.Rows * file.Columns]
    values = raw.reshape(count, file.Rows, file.Columns).astype(np.int64) & ((1 << stored) - 1)
    if signed:
        values -= (values >> (stored - 1)) << stored
    frames = []
    for index in range(count):
        groups = [file.PerFrameFunctionalGroupsSequence[index]] if "PerFrameFunctionalGroupsSequence" in file else []
        groups += list(file.get("SharedFunctionalGroupsSequence", []))
        rescale = _group(groups, "PixelValueTransformationSequence", file)
        slope, intercept = float(rescale.get("RescaleSlope", 1)), float(rescale.get("RescaleIntercept", 0))
        if file.Modality == "CT" and ("RescaleSlope" not in rescale or "RescaleIntercept" not in rescale):
            raise NoTruthError("no rescale")
        axes = _group(groups, "PlaneOrientationSequence", file).ImageOrientationPatient
        frames.append({
            "series": file.get("SeriesInstanceUID"), "values": values[index] * slope + intercept,
            "position": np.array(_group(groups, "PlanePositionSequence", file).ImagePositionPatient, float),
            "axes": np.array(axes, float).reshape(2, 3).T,
            "spacing": [float(mm) for mm in _group(groups, "PixelMeasuresSequence", file).PixelSpacing],
        })  # fmt: skip
    return frames


def _group(groups: list[pydicom.Dataset], name: str, file: pydicom.Dataset) -> pydicom.Dataset:
    return next((item[name].value[0] for item in groups if name in item), file)
