"""Writing a result's segmentation where the user wants it: as Slicer's .seg.nrrd, or as a NIfTI label map."""

from pathlib import Path

import slicer
from slicer.i18n import tr as _

from OrganIncrementLib.Logics import SegmentationExport
from OrganIncrementLib.Logics.LogicError import LogicError
from OrganIncrementLib.Logics.SegmentationFile import writeSegmentation
from OrganIncrementLib.Logics.Terminology import organOf
from OrganIncrementLib.Workspace import safeName

_SEGMENTATION, _NIFTI = ".seg.nrrd", ".nii.gz"


def saveSegmentation(segmentation, volume, dialogs):
    """Ask where to, and write. Returns: the path, None where nothing was written; the user knows why."""
    if not segmentation.GetSegmentation().GetNumberOfSegments():
        dialogs.error(_("{name} has no segment any longer: press Apply to segment the scan again.").format(
            name=segmentation.GetName()))  # fmt: skip
        return None
    filters = ";;".join((_("Slicer segmentation (*.seg.nrrd)"), _("NIfTI label map (*.nii.gz)")))
    path = dialogs.saveFile(_("Export the segmentation"), filters, f"{safeName(segmentation.GetName())}{_SEGMENTATION}")
    if path is None:
        return None
    path = _named(Path(path))
    try:
        if path.name.endswith(_NIFTI):
            ids = segmentation.GetSegmentation().GetSegmentIDs()
            organs = tuple(organOf(segmentation.GetSegmentation().GetSegment(segmentId)) for segmentId in ids)
            SegmentationExport.exportLabelmap(segmentation, volume, organs, path)
        else:
            writeSegmentation(segmentation, path)
    except LogicError as error:
        dialogs.error(str(error))
        return None
    slicer.util.showStatusMessage(_("Written: {path}").format(path=path), 5000)
    return path


def _named(path):
    """With the ending of one of the two formats."""
    name = path.name
    if name.endswith((_SEGMENTATION, _NIFTI)):
        return path
    if name.endswith(".nii"):
        return path.with_name(name + ".gz")
    return path.with_name(name.removesuffix(".nrrd") + _SEGMENTATION)
