"""A segmentation node as a .seg.nrrd file, with names, colours and terminology; the node keeps its own storage."""

import secrets

import slicer

from OrganIncrementLib.Logics.LogicError import LogicError
from OrganIncrementLib.Translation import _


def writeSegmentation(segmentation, path):
    """Write the node; a file that is there stays as it is until the new one is whole. Raises: LogicError."""
    partial = path.with_name(f".{secrets.token_hex(4)}.partial.{path.name}")
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(partial))
    try:
        isWritten = bool(storage.WriteData(segmentation)) and partial.is_file() and partial.stat().st_size > 0
        if isWritten:
            partial.replace(path)
    except OSError:
        isWritten = False
    finally:
        partial.unlink(missing_ok=True)
    if not isWritten:
        raise LogicError(
            _("{file} cannot be written: free disk space, or choose another folder.").format(file=path.name)
        )
