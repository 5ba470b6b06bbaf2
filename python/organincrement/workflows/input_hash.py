"""The SHA-256 of a scan's files, by which a report knows what was segmented without naming it."""

import hashlib
from pathlib import Path

from organincrement.contract.files import sha256_file
from organincrement.imaging.dicom_tags import has_dicom_mark
from organincrement.imaging.preflight import image_suffix


def input_sha256(path: Path) -> str:
    """Of a file, or of a DICOM folder's files in the order of their names."""
    if path.is_file():
        return sha256_file(path)
    digest = hashlib.sha256()
    for file in sorted(path.iterdir()):
        if file.is_file():
            digest.update(sha256_file(file).encode())
    return digest.hexdigest()


def is_dicom(path: Path) -> bool:
    """Whether a scan is a DICOM series: a folder of its files, or one file of many frames."""
    return path.is_dir() or (image_suffix(path) is None and has_dicom_mark(path))
