"""Section 5, lower half: shows the results of the chosen volume, walks their uncertain regions, exports."""

from contextlib import nullcontext

import slicer
from slicer.i18n import tr as _

from OrganIncrementLib.Controllers.SegmentationSaving import saveSegmentation
from OrganIncrementLib.Logics import ResultLoader, SegmentationDisplay
from OrganIncrementLib.Logics.LogicError import LogicError
from OrganIncrementLib.Logics.RegionWalk import RegionWalk
from OrganIncrementLib.Logics.ResultNodes import (
    ResultFacts,
    isMerged,
    markResult,
    modelOf,
    otherResults,
    regionsOf,
    resultsOf,
    teacherAndStudent,
    uncertaintyOf,
)
from OrganIncrementLib.Logics.UncertaintyDisplay import UncertaintyDisplay
from OrganIncrementLib.Logics.WeakNode import WeakNode
from OrganIncrementLib.Panels.UncertaintyPanel import (
    DIFFERENCE,
    STUDENT,
    TEACHER,
    RegionAt,
    UncertaintyPanel,
    UncertaintyState,
)

AROUND_OPACITY = 0.25


class ResultView:
    """The scene tells which results there are (ResultNodes); the parameter node, which of them is shown and how."""

    def __init__(self, ui, services):
        self._panel, self._services = UncertaintyPanel(ui), services
        self._parameters = None
        self._overlay = UncertaintyDisplay()
        self._shown, self._look, self._nodes = None, None, []
        self._walk, self._region = RegionWalk(()), None
        self._panel.shownChosen.connect(self._onShown)
        self._panel.nextWanted.connect(self.nextRegion)
        self._panel.previousWanted.connect(self.previousRegion)
        self._panel.exportWanted.connect(self.export)

    def attach(self, parameters):
        """Follow a parameter node."""
        self._parameters = parameters
        if any(node is not None and not node.GetDisplayVisibility() for node in self._shownNodes()):
            self._shown = None  # another module showed another scan meanwhile
        self.parametersModified()

    def detach(self):
        """Follow none."""
        self._parameters = None

    def close(self):
        """The module goes."""
        self.detach()

    def parametersModified(self):
        """Another volume, another result, or another look is chosen."""
        if self._parameters is None:
            return
        teacher, student = self._pair()
        which = self._which(teacher, student)
        shown = (*(node.GetID() if node else "" for node in (teacher, student)), which)
        isAnotherScene = any(weak.node is None for weak in self._nodes)  # its ids may be the same
        if shown != self._shown or isAnotherScene:
            self._shown, self._look = shown, None
            self._nodes = [WeakNode(node) for node in (teacher, student) if node is not None]
            segmentation = teacher if which == TEACHER else student
            self._walk, self._region = RegionWalk(regionsOf(segmentation) if segmentation is not None else ()), None
            self._display(teacher, student, which)
        self._displayLook(teacher, student, which)
        self._show(teacher, student, which)

    def take(self, run):
        """Load what a run has made, and show it. Returns: the segmentation node.

        Raises: LogicError; nothing of it is then in the scene.
        """
        volume = run.volume
        name = slicer.mrmlScene.GenerateUniqueName(f"{run.volumeName} {run.entry.name}")
        segmentation = ResultLoader.loadSegmentation(run.folder, volume, name)
        uncertainty = None
        try:
            regions = ()
            if (run.folder / "uncertainty.nrrd").is_file():
                uncertainty = ResultLoader.loadUncertainty(
                    run.folder, volume, _("{name} uncertainty").format(name=name)
                )
                regions = ResultLoader.loadRegions(run.folder)
        except LogicError:
            for node in (segmentation, uncertainty):
                if node is not None:
                    slicer.mrmlScene.RemoveNode(node)
            raise
        manifest = run.entry.manifest
        lineage = tuple(step.sha256 for step in manifest.lineage) if manifest is not None else ()
        facts = ResultFacts(
            model=run.entry.name, modelSha256=run.entry.sha256, lineage=lineage, regions=tuple(regions),
            stored=self._services.workspace.storedResult(run.folder),
        )  # fmt: skip
        markResult(segmentation, uncertainty, volume, facts)
        slicer.util.setSliceViewerLayers(background=volume)
        if self._parameters is not None:
            self._parameters.inputVolume = volume
            self._parameters.shownResult = (
                TEACHER if teacherAndStudent(resultsOf(volume))[0] is segmentation else STUDENT
            )
            self.parametersModified()
        return segmentation

    def nextRegion(self):
        """Move all views to the next uncertain region."""
        self._step(lambda walk: walk.next())

    def previousRegion(self):
        """Move all views back."""
        self._step(lambda walk: walk.previous())

    def export(self):
        """Write the shown segmentation to a file that the user names."""
        segmentation = self._segmentation()
        if segmentation is not None:
            saveSegmentation(segmentation, self._parameters.inputVolume, self._services.dialogs)

    def _step(self, move):
        segmentation, region = self._segmentation(), move(self._walk)
        if segmentation is None or region is None:
            return
        self._walk.centre(region)
        regions = self._walk.regions
        self._region = RegionAt(
            number=regions.index(region) + 1, count=len(regions), organ=_organName(segmentation, region.organ),
            volume_mm3=region.volume_mm3, mean=region.mean,
        )  # fmt: skip
        self._show(*self._pair(), self._which(*self._pair()))

    def _shownNodes(self):
        """The nodes whose outlines were shown last, of those that are still there."""
        teacher, student = self._pair()
        which = self._which(teacher, student)
        wanted = {TEACHER: (teacher,), STUDENT: (student,), DIFFERENCE: ()}[which]
        return wanted if self._shown is not None else ()

    def _onShown(self, which):
        if self._parameters is not None:
            self._parameters.shownResult = which

    def _pair(self):
        return teacherAndStudent(resultsOf(self._parameters.inputVolume))

    def _which(self, teacher, student):
        """What is shown of what is there."""
        wanted = self._parameters.shownResult
        if teacher is not None and student is not None:
            return wanted if wanted in (TEACHER, STUDENT, DIFFERENCE) else STUDENT
        return TEACHER if teacher is not None else STUDENT

    def shownResult(self):
        """The segmentation node that is shown, of a difference the student's; None where there is none."""
        return self._segmentation() if self._parameters is not None else None

    def _segmentation(self):
        """The segmentation whose uncertainty and regions count; of a difference, the student's."""
        teacher, student = self._pair()
        return teacher if self._which(teacher, student) == TEACHER else student

    def _display(self, teacher, student, which):
        """Show the outlines of what is chosen, and of nothing else of ours."""
        for other in otherResults(teacher, student):
            other.SetDisplayVisibility(False)
        try:
            if teacher is not None and student is not None:
                SegmentationDisplay.showComparison(teacher, student, which)
                return
            SegmentationDisplay.closeComparison()
            if teacher is not None or student is not None:
                SegmentationDisplay.showOutlines(teacher if teacher is not None else student)
        except LogicError as error:
            self._services.dialogs.error(str(error))

    def _displayLook(self, teacher, student, which):
        """Overlay and surfaces, where they are not shown so yet."""
        parameters = self._parameters
        segmentation = teacher if which == TEACHER else student
        look = (
            parameters.overlayVisible, parameters.uncertaintyOpacity, parameters.uncertaintyThreshold, parameters.show3D
        )  # fmt: skip
        if look == self._look:
            return
        isNew, showed3D = self._look is None, self._look[3] if self._look else None
        self._look = look
        uncertainty = uncertaintyOf(segmentation) if segmentation is not None else None
        if uncertainty is None:
            self._overlay.hide()
        else:
            if isNew:
                self._overlay.show(uncertainty, parameters.inputVolume)
            self._overlay.setVisible(parameters.overlayVisible)
            self._overlay.setOpacity(parameters.uncertaintyOpacity)
            self._overlay.setThreshold(parameters.uncertaintyThreshold)
        if segmentation is not None and parameters.show3D != showed3D:
            with slicer.util.WaitCursor() if hasattr(slicer.util, "WaitCursor") else nullcontext():
                showSurfaces(segmentation, parameters.show3D, which == DIFFERENCE)
            if parameters.show3D and isNew and hasattr(slicer.util, "resetThreeDViews"):
                slicer.util.resetThreeDViews()

    def _show(self, teacher, student, which):
        segmentation = teacher if which == TEACHER else student
        hasOverlay = segmentation is not None and uncertaintyOf(segmentation) is not None
        self._panel.show(
            UncertaintyState(
                teacher=modelOf(teacher) if teacher else "", student=modelOf(student) if student else "", shown=which,
                isMerged=teacher is not None and isMerged(teacher), hasOverlay=hasOverlay,
                regionCount=len(self._walk.regions), region=self._region,
            )
        )  # fmt: skip


def showSurfaces(segmentation, on, isDifference):
    """Show surfaces in 3-D; differences inside the student's, which are then transparent and without outlines."""
    SegmentationDisplay.show3D(segmentation, on)
    display, difference = segmentation.GetDisplayNode(), SegmentationDisplay.differenceNode()
    display.SetOpacity3D(AROUND_OPACITY if isDifference else 1.0)
    if isDifference and difference is not None:
        display.SetVisibility2D(False)
        display.SetVisibility(on)
        SegmentationDisplay.show3D(difference, on)


def _organName(segmentation, organ):
    segment = segmentation.GetSegmentation().GetSegment(organ)
    return segment.GetName() if segment is not None else organ
