"""Copying a NIfTI image so that its voxels and grid stay bit for bit, and free text about the patient does not."""

import gzip
import shutil
import struct
import zlib
from pathlib import Path

from organincrement.imaging.errors import ImageError
from organincrement.imaging.header import Header
from organincrement.imaging.nifti_header import SIZES, TEXT_FIELDS, RawHeader, read_raw_header
from organincrement.imaging.preflight import read_header
from organincrement.imaging.voxels import opened_voxels
from organincrement.imaging.writing import GZIP_LEVEL, replacing

VOX_OFFSET = {1: (108, "f"), 2: (168, "q")}
PIECE_BYTES = 4 * 2**20


def copy_nifti(source: Path, target: Path) -> bool:
    """Copy a .nii or .nii.gz file to `target` (.nii.gz) without header text, extensions and the gzip file name.

    Returns: True when there was none of these, and the copy has the same bytes. Raises ImageError for what is refused.
    """
    header, raw = read_header(source), read_raw_header(source)
    clean = _is_clean(raw)
    with replacing(target) as partial:
        if clean:
            shutil.copyfile(source, partial)
            return True
        try:
            _write_without_text(header, raw, partial)
        except (EOFError, zlib.error) as error:
            raise ImageError(f"{source}: is cut off or damaged ({error}); copy or export it again") from None
    return False


def _is_clean(raw: RawHeader) -> bool:
    """No text in the header, nothing between it and the voxels, and no name, comment or time in the gzip header."""
    size = SIZES[raw.version]
    text = b"".join(raw.data[start:end] for start, end in TEXT_FIELDS[raw.version])
    with raw.path.open("rb") as file:
        gzip_is_bare = file.read(8)[3:] == bytes(5)
    return (
        raw.compressed and gzip_is_bare and not any(text) and raw.voxels_start == size + 4 and not any(raw.data[size:])
    )


def _write_without_text(header: Header, raw: RawHeader, target: Path) -> None:
    size = SIZES[raw.version]
    data = bytearray(raw.data[:size] + bytes(4))
    for start, end in TEXT_FIELDS[raw.version]:
        data[start:end] = bytes(end - start)
    offset, form = VOX_OFFSET[raw.version]
    struct.pack_into(raw.order + form, data, offset, size + 4)
    remaining = header.data_bytes
    with (
        target.open("xb") as file,
        gzip.GzipFile(filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=file, mtime=0) as packed,
        opened_voxels(header) as voxels,
    ):
        packed.write(data)
        while remaining > 0 and (piece := voxels.read(min(PIECE_BYTES, remaining))):
            packed.write(piece)
            remaining -= len(piece)
    if remaining:
        raise EOFError(f"{remaining} bytes are missing")
