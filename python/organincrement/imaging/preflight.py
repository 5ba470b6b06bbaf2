"""Which reader a file needs, its checked header, and whether the file can hold the voxels that its header claims."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

from organincrement.imaging.errors import ImageError
from organincrement.imaging.header import Header, open_regular
from organincrement.imaging.metaimage_header import read_metaimage_header
from organincrement.imaging.nifti_header import read_nifti_header
from organincrement.imaging.nrrd_header import read_nrrd_header

READERS: dict[str, Callable[[Path], Header]] = {
    ".nii.gz": read_nifti_header,
    ".nii": read_nifti_header,
    ".seg.nrrd": read_nrrd_header,
    ".nrrd": read_nrrd_header,
    ".nhdr": read_nrrd_header,
    ".mha": read_metaimage_header,
    ".mhd": read_metaimage_header,
}

# Deflate never packs more than about 1032 bytes into one.
LARGEST_DEFLATE_RATIO = 1040
SMALLEST_GZIP_BYTES = 18


def image_suffix(path: Path) -> str | None:
    """The ending by which an image format is known, for example '.nii.gz'; None for any other file."""
    name = path.name.lower()
    return next((suffix for suffix in READERS if name.endswith(suffix) and len(name) > len(suffix)), None)


def image_stem(path: Path) -> str:
    """The file name without the ending of its image format; the whole name for any other file."""
    suffix = image_suffix(path)
    return path.name[: -len(suffix)] if suffix else path.name


def read_header(path: Path) -> Header:
    """The checked header of an image file; raises ImageError with the reason when the file must not be read."""
    open_regular(path)
    suffix = image_suffix(path)
    if path.suffix.lower() in (".hdr", ".img"):
        raise ImageError(f"{path}: is one half of a two-file NIfTI or Analyze image; save it as a single .nii.gz")
    if suffix is None:
        formats = ", ".join(READERS)
        raise ImageError(f"{path}: is no image that can be read; save it as one of {formats}, or give a DICOM folder")
    try:
        header = READERS[suffix](path)
        check_data_size(header)
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror or error}); check the file and its disk") from error
    return header


def check_data_size(header: Header) -> None:
    """Raise ImageError when the data file is too short, or too long, for what the header claims.

    Of compressed data this sees only what the size of the file tells; `read_voxels` counts them.
    """
    available = header.data_path.stat().st_size - header.offset
    needed = header.skip + header.data_bytes
    if header.encoding == "raw":
        check_extra(header, available - needed)
        if available < needed:
            raise ImageError(
                f"{header.path}: is cut off: {max(0, available)} of {needed} bytes are there; copy or export it again"
            )
    elif header.encoding in ("gzip", "zlib") and available * LARGEST_DEFLATE_RATIO < needed:
        raise ImageError(
            f"{header.path}: is cut off: {max(0, available)} bytes cannot hold its voxels; copy or export it again"
        )


def check_extra(header: Header, extra_bytes: int) -> None:
    """Raise ImageError when more follows the last voxel than padding: then the header says too few of them."""
    if extra_bytes > header.spare_bytes:
        raise ImageError(f"{header.path}: holds more voxels than its header says; export it again")


def gzip_length_agrees(header: Header) -> bool:
    """True when the length at the end of a gzip file fits the header; what a file cut off says there is chance."""
    with header.data_path.open("rb") as file:
        if file.seek(0, os.SEEK_END) < SMALLEST_GZIP_BYTES:
            return False
        file.seek(-4, os.SEEK_END)
        (length,) = struct.unpack("<I", file.read(4))
    extra = (length - header.skip - header.data_bytes) % 2**32
    return bool(extra <= header.spare_bytes)
