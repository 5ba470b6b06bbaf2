"""Where the DICOM files of a volume lie, where Slicer knows."""

from pathlib import Path

import slicer


def seriesFolderOf(volume) -> str:
    """The folder of a volume's files, as Slicer's DICOM database lists them; "" for other volumes."""
    uids = (volume.GetAttribute("DICOM.instanceUIDs") or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    if not uids or database is None:
        return ""
    file = str(database.fileForInstance(uids[0]) or "")
    return str(Path(file).parent) if file else ""


def isSeriesOf(volume, folder: str) -> bool:
    """Whether the database lists the volume's files in this folder."""
    listed = seriesFolderOf(volume) if volume is not None else ""
    try:
        return bool(listed) and Path(listed).resolve() == Path(folder).resolve()
    except (OSError, ValueError, RuntimeError):
        return False
