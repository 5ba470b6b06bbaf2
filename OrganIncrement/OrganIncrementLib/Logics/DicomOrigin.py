"""Where the DICOM files of a volume lie, where Slicer knows."""

from pathlib import Path

import slicer


def seriesFolderOf(volume) -> str:
    """The folder of a volume's files, as Slicer's DICOM database lists them; "" for other volumes."""
    uids = (volume.GetAttribute("DICOM.instanceUIDs") or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    if not uids or database is None:
        return ""
    file = database.fileForInstance(uids[0])
    return str(Path(file).parent) if file else ""
