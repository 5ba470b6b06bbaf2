"""The results of one volume in the scene: which model made them, their uncertainty and uncertain regions.

All of it lies in the scene itself (node references and attributes), so that a saved scene tells it again.
"""

from dataclasses import dataclass

import slicer

from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.results import Conflicts, MergeConflict, Region, Regions

_VOLUME, _UNCERTAINTY = "OrganIncrement.volume", "OrganIncrement.uncertainty"
_MODEL, _SHA256, _LINEAGE = "OrganIncrement.model", "OrganIncrement.modelSha256", "OrganIncrement.lineage"
_STORED = "OrganIncrement.stored"
_REGIONS, _CONFLICTS = "OrganIncrement.regions", "OrganIncrement.conflicts"


@dataclass(frozen=True, kw_only=True)
class ResultFacts:
    """What is known of a result: its model's name and hash, the hashes of its ancestors (oldest first), its regions.

    stored: its folder among the workspace's results.
    """

    model: str
    modelSha256: str
    lineage: tuple[str, ...] = ()
    regions: tuple[Region, ...] = ()
    stored: str = ""


def markResult(segmentation, uncertainty, volume, facts):
    """Note on a segmentation node what it is of and who made it; uncertainty: its volume node, or None."""
    segmentation.SetNodeReferenceID(_VOLUME, volume.GetID())
    if uncertainty is not None:
        segmentation.SetNodeReferenceID(_UNCERTAINTY, uncertainty.GetID())
        uncertainty.SetAttribute(_MODEL, facts.model)
    segmentation.SetAttribute(_MODEL, facts.model)
    segmentation.SetAttribute(_SHA256, facts.modelSha256)
    segmentation.SetAttribute(_LINEAGE, " ".join(facts.lineage))
    segmentation.SetAttribute(_STORED, facts.stored or None)
    segmentation.SetAttribute(_REGIONS, codec.dumps(Regions(regions=facts.regions), indent=None))


def markConflicts(segmentation, conflicts):
    """Note on a merged segmentation node what its parts both claimed."""
    segmentation.SetAttribute(_CONFLICTS, codec.dumps(Conflicts(conflicts=tuple(conflicts)), indent=None))


def conflictsOf(segmentation) -> tuple[MergeConflict, ...]:
    """What the parts of a merged segmentation both claimed; none where the scene does not tell."""
    try:
        return codec.loads(Conflicts, segmentation.GetAttribute(_CONFLICTS) or "", where="scene").conflicts
    except ContractError:
        return ()


def isMerged(segmentation):
    """Whether a segmentation node came of a merge."""
    return segmentation.GetAttribute(_CONFLICTS) is not None


def mergedOf(volume):
    """The newest merged segmentation node of a volume node; None where there is none."""
    return next((node for node in reversed(resultsOf(volume)) if isMerged(node)), None)


def isUncertainty(volume):
    """Whether a volume node is an uncertainty map of ours, and no scan."""
    return volume.GetAttribute(_MODEL) is not None


def resultsOf(volume):
    """The segmentation nodes made from this volume node, oldest first."""
    if volume is None:
        return []
    return [node for node in _results() if node.GetNodeReferenceID(_VOLUME) == volume.GetID()]


def otherResults(*but):
    """All results in the scene except these (None among them is passed over)."""
    ids = {node.GetID() for node in but if node is not None}
    return [node for node in _results() if node.GetID() not in ids]


def _results():
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    return [node for node in nodes if node.GetAttribute(_SHA256)]


def modelOf(segmentation):
    """The name of the model that made it."""
    return segmentation.GetAttribute(_MODEL) or ""


def storedIn(segmentation):
    """The folder that the engine wrote it into, relative to the workspace's results; "" where the scene has none."""
    return segmentation.GetAttribute(_STORED) or ""


def uncertaintyOf(segmentation):
    """Its uncertainty volume, None where there is none."""
    return segmentation.GetNodeReference(_UNCERTAINTY)


def regionsOf(segmentation):
    """Its uncertain regions, the largest first; none where the scene does not tell."""
    try:
        return codec.loads(Regions, segmentation.GetAttribute(_REGIONS) or "", where="scene").regions
    except ContractError:
        return ()


def teacherAndStudent(results):
    """(teacher's result, student's result) among the results of one volume, either may be None.

    The newest result is one of the two; the other is the newest of an ancestor, or else of a descendant, of its model.
    """
    if not results:
        return None, None
    newest, earlier = results[-1], list(reversed(results[:-1]))
    lineage = (newest.GetAttribute(_LINEAGE) or "").split()
    for sha256 in reversed(lineage):  # the nearest ancestor first
        for other in earlier:
            if other.GetAttribute(_SHA256) == sha256:
                return other, newest
    for other in earlier:
        if newest.GetAttribute(_SHA256) in (other.GetAttribute(_LINEAGE) or "").split():
            return newest, other
    return (None, newest) if lineage else (newest, None)
