"""A DICOM scan of a patient who does not exist, as slices or as one enhanced file, lying any way in the scanner."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

NAME, PATIENT_ID, ACCESSION = "Muster^Erika", "MRN-4711", "ACC-0815"
# none of these may reach anything that is written, and each is in the files
NEVER_COPIED = ("Dr^House", "Ward 7", "private remark", "St Elsewhere", "Device-99")
# of rows and columns: where they run to in the patient
LYING = {
    "supine": ((1, 0, 0), (0, 1, 0)),
    "prone": ((-1, 0, 0), (0, -1, 0)),
    "feet first": ((-1, 0, 0), (0, 1, 0)),
    "sagittal": ((0, 1, 0), (0, 0, -1)),
    "oblique": ((0.8, 0.6, 0.0), (-0.36, 0.48, 0.8)),
}
CT, ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"


def write_scan(
    folder: Path,
    *,
    lying: str = "supine",
    shape: tuple[int, int, int] = (6, 5, 7),
    spacing_mm: tuple[float, float, float] = (2.5, 0.75, 1.25),
    voxels_DHW: np.ndarray | None = None,
    seed: int = 0,
    **more: Any,
) -> Path:
    """Slices whose names, numbers and order on disk say nothing of their places. Args: more: attributes to change."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    uids = {name: generate_uid() for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")}
    voxels_DHW = random.integers(-1000, 1000, shape) if voxels_DHW is None else voxels_DHW
    for number, d in zip(random.permutation(shape[0]), range(shape[0]), strict=True):
        item = _scan(shape, uids, CT) | {
            "ImagePositionPatient": list(place(lying, spacing_mm, d)),
            "ImageOrientationPatient": [*LYING[lying][0], *LYING[lying][1]],
            "PixelSpacing": list(spacing_mm[1:]), "SliceThickness": spacing_mm[0], "InstanceNumber": int(number) + 1,
            "RescaleSlope": 1, "RescaleIntercept": -1024,
            "PixelData": (voxels_DHW[d] + 1024).astype("<u2").tobytes(),
        }  # fmt: skip
        save(folder / f"IM{int(number):04d}", item | more)
    return folder


def write_enhanced(path: Path, *, lying: str = "oblique", shape: tuple[int, int, int] = (6, 5, 7), **more: Any) -> Path:
    """One file, its frames in an order of their own."""
    spacing_mm, uids = (2.5, 0.75, 1.25), {}
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        uids[name] = generate_uid()
    order = np.random.default_rng(3).permutation(shape[0])
    frames = [
        _item(PlanePositionSequence=[_item(ImagePositionPatient=list(place(lying, spacing_mm, int(d))))]) for d in order
    ]
    measures = _item(PixelSpacing=list(spacing_mm[1:]), SliceThickness=spacing_mm[0])
    shared = _item(
        PlaneOrientationSequence=[_item(ImageOrientationPatient=[*LYING[lying][0], *LYING[lying][1]])],
        PixelMeasuresSequence=[measures],
        PixelValueTransformationSequence=[_item(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")],
    )
    item = _scan(shape, uids, ENHANCED_CT) | {
        "NumberOfFrames": shape[0], "SharedFunctionalGroupsSequence": [shared],
        "PerFrameFunctionalGroupsSequence": frames,
        "PixelData": np.random.default_rng(0).integers(0, 2000, shape).astype("<u2").tobytes(),
    }  # fmt: skip
    save(path, item | more)
    return path


def place(lying: str, spacing_mm: tuple[float, float, float], d: int) -> np.ndarray:
    """Of the first voxel of a slice, in the patient."""
    rows, columns = np.array(LYING[lying])
    return np.array([-100.5, 30.25, 12.125]) + d * spacing_mm[0] * np.cross(rows, columns)


def save(path: Path, attributes: dict[str, Any]) -> None:
    """A file of these attributes; None leaves one out."""
    made = _item(**{name: value for name, value in attributes.items() if value is not None})
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = attributes["SOPClassUID"]
    made.file_meta.MediaStorageSOPInstanceUID = attributes["SOPInstanceUID"]
    pydicom.dcmwrite(path, made, enforce_file_format=True)


def _scan(shape: tuple[int, int, int], uids: dict[str, str], kind: str) -> dict[str, Any]:
    return uids | {
        "SpecificCharacterSet": "ISO_IR 100", "SOPClassUID": kind, "SOPInstanceUID": generate_uid(), "Modality": "CT",
        "PatientName": NAME, "PatientID": PATIENT_ID, "PatientBirthDate": "19700131", "PatientSex": "F",
        "StudyDate": "20250203", "StudyTime": "101112", "StudyID": "S1", "AccessionNumber": ACCESSION,
        "ReferringPhysicianName": "Arzt^Anna", "PatientComments": "private remark",
        "PerformingPhysicianName": "Dr^House", "InstitutionName": "St Elsewhere",
        "InstitutionalDepartmentName": "Ward 7", "Manufacturer": "Scanner maker",
        "DeviceSerialNumber": "Device-99", "Rows": shape[1], "Columns": shape[2], "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15,
        "PixelRepresentation": 0, "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    }  # fmt: skip


def _item(**attributes: Any) -> Dataset:
    made = Dataset()
    for name, value in attributes.items():
        setattr(made, name, value)
    return made
