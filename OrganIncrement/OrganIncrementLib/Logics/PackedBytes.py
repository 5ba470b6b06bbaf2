"""The voxels' bytes of a file, packed with gzip or not, never more than the header declares."""

import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from OrganIncrementLib.Logics.ImageFile import notRead
from OrganIncrementLib.Translation import _

READ_BYTES = 2**20


def readAll(path: Path, file: BinaryIO, size: int, *, packed: bool, skip: int = 0) -> np.ndarray:
    """`size` bytes from where `file` stands, after `skip` unpacked ones. Raises: LogicError when there are fewer."""
    # Asked first, so that a header that claims too much costs no memory. Deflate packs at most 1032 to 1.
    start = file.tell()
    there = file.seek(0, 2) - start
    file.seek(start)
    if size + skip > there * (1032 if packed else 1):
        raise notRead(path, _("it is cut off"))
    data = np.empty(size, np.uint8)
    view = memoryview(data)
    if not packed:
        file.seek(skip, 1)
        if file.readinto(view) != size:
            raise notRead(path, _("it is cut off"))
        return data
    done = 0
    for block in _unpacked(path, file):
        if skip:
            block, skip = block[skip:], max(0, skip - len(block))
        taken = min(len(block), size - done)
        view[done : done + taken] = block[:taken]
        done += taken
    if done < size:
        raise notRead(path, _("it is cut off"))
    return data


def _unpacked(path: Path, file: BinaryIO):
    """Every member's bytes to the end, so that the checksum is compared too."""
    unpacker = zlib.decompressobj(31)
    try:
        while block := file.read(READ_BYTES):
            while block:
                yield unpacker.decompress(block)
                block = unpacker.unused_data.lstrip(b"\0") if unpacker.eof else b""
                if unpacker.eof and block:
                    unpacker = zlib.decompressobj(31)
        if not unpacker.eof:
            raise notRead(path, _("it is cut off"))
    except zlib.error:
        raise notRead(path, _("it is damaged")) from None
