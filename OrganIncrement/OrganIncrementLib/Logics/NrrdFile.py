"""Writes a NRRD file packed with gzip, as a dataset keeps its scans and labels."""

import gzip
from pathlib import Path

import numpy as np

from OrganIncrementLib.Logics.NrrdImage import headerBytes

GZIP_LEVEL = 4  # slices full of zeros or of air pack as well at a low level, several times faster


def writeNrrd(path: Path, array_KJI: np.ndarray, ijkToRas: np.ndarray) -> None:
    """Write voxels with their exact grid, to the name of a partial file. Raises: OSError as the system does."""
    little = array_KJI.dtype.newbyteorder("<")
    with Path(path).open("wb") as file:
        file.write(headerBytes(array_KJI, ijkToRas, "gzip"))
        with gzip.GzipFile("", "wb", GZIP_LEVEL, file, mtime=0) as stream:
            for slice_JI in array_KJI:
                stream.write(np.ascontiguousarray(slice_JI, dtype=little).data)
