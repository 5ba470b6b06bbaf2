"""Going through the uncertain regions of a scan, the largest first, round and round."""

from collections.abc import Sequence

import slicer

from organincrement.contract.results import Region
from OrganIncrementLib.Logics.Grid import MAX_ORIGIN_MM
from OrganIncrementLib.Translation import _


class RegionWalk:
    """Where one stands among the regions of a case."""

    def __init__(self, regions: Sequence[Region]) -> None:
        self.regions = tuple(regions)
        self._index: int | None = None

    def __len__(self) -> int:
        return len(self.regions)

    @property
    def current(self) -> Region | None:
        """The region one is at, None before the first step."""
        return None if self._index is None else self.regions[self._index]

    def next(self) -> Region | None:
        """Go to the next region, after the last one to the first; None when there is none at all."""
        return self._go(0 if self._index is None else self._index + 1)

    def previous(self) -> Region | None:
        """Go to the region before, before the first one to the last."""
        return self._go(-1 if self._index is None else self._index - 1)

    def text(self, organName: str = "") -> str:
        """Where one is, in words: "2 of 7: Liver"."""
        if not self.regions:
            return _("No uncertain regions")
        if self._index is None:
            return _("{count} uncertain regions").format(count=len(self.regions))
        organ = organName or self.regions[self._index].organ
        return _("{number} of {count}: {organ}").format(number=self._index + 1, count=len(self.regions), organ=organ)

    def centre(self, region: Region | None = None) -> None:
        """Put a region (the current one) into the middle of all slice views and make the 3-D views turn around it."""
        region = region or self.current
        if region is not None:
            centreViews(region.center_ras_mm)

    def _go(self, index: int) -> Region | None:
        if not self.regions:
            return None
        self._index = index % len(self.regions)
        return self.regions[self._index]


def centreViews(point_ras_mm: Sequence[float]) -> None:
    """Move every slice view so that the point is in its plane and in its middle, and the 3-D cameras with it.

    Where no scan can be, the views stay as they are.
    """
    if not all(abs(value) <= MAX_ORIGIN_MM for value in point_ras_mm):
        return
    for sliceNode in _nodes("vtkMRMLSliceNode"):
        sliceNode.JumpSliceByCentering(*point_ras_mm)
    for cameraNode in _nodes("vtkMRMLCameraNode"):
        # The camera keeps its direction and its distance.
        focal, position = cameraNode.GetFocalPoint(), cameraNode.GetPosition()
        moved = [p + new - old for p, new, old in zip(position, point_ras_mm, focal, strict=True)]
        cameraNode.SetFocalPoint(*point_ras_mm)
        cameraNode.SetPosition(*moved)
        if hasattr(cameraNode, "ResetClippingRange"):
            cameraNode.ResetClippingRange()


def _nodes(className: str) -> list:
    scene = slicer.mrmlScene
    return [scene.GetNthNodeByClass(n, className) for n in range(scene.GetNumberOfNodesByClass(className))]
