"""The open case: loading it into the scene, its uncertain regions, what is shown of it, overlap with the model."""

import contextlib

import slicer

from OrganIncrementLib.Controllers.ReviewRows import statusText
from OrganIncrementLib.Logics import SegmentOverlap
from OrganIncrementLib.Logics.CaseLoader import CaseNodes, centreOn, isEdited, loadCase, removeNodes
from OrganIncrementLib.Logics.LogicError import LogicError
from OrganIncrementLib.Logics.OtherOutlines import setAside
from OrganIncrementLib.Logics.RegionWalk import RegionWalk
from OrganIncrementLib.Logics.ReviewDataset import ReviewError
from OrganIncrementLib.Logics.UncertaintyDisplay import UncertaintyDisplay
from OrganIncrementLib.Panels.ReviewCasePanel import ReviewCasePanel, ReviewCaseState
from OrganIncrementLib.Translation import _

QUICK_VOXELS = 2_000_000  # up to so many, the overlap is measured without being asked for


class ReviewCaseController:
    """Opens one case at a time; its nodes are references of the parameter node, and go with the next case."""

    def __init__(self, ui, services, session):
        self.services = services
        self.session = session
        self.panel = ReviewCasePanel(ui)
        self._display = UncertaintyDisplay()
        self._walk = None
        self._region = None
        self._overlap = ()
        self._problem = ""
        self._isWriting = False
        panel = self.panel
        panel.nextRegionWanted.connect(self.nextRegion)
        panel.previousRegionWanted.connect(self.previousRegion)
        panel.overlapWanted.connect(self.measureOverlap)
        session.changed.connect(self.refresh)

    def attach(self):
        """The case is still open where the scene still holds its scan."""
        if self.session.opened is None:
            return
        if self._nodes().image is None or self.session.parameters.caseId != self.session.opened.id:
            self._forget()
        else:
            self.applyDisplay()

    def detach(self):
        """No node is kept."""

    def open(self, caseId):
        """Show a case; the one before goes, after a question where it was drawn on."""
        session = self.session
        if session.dataset is None or session.parameters is None or not self.close():
            return
        self._problem = ""
        try:
            case = session.dataset.readCase(caseId)
            if case is None:
                raise ReviewError(session.dataset.row(caseId).problem)
            with _waiting():
                opened, nodes = loadCase(session.dataset, case)
        except ReviewError as error:
            self._problem = str(error)
            session.forgetRows()
            session.changed()
            return
        session.opened = opened
        session.forgetRows()
        self._write(caseId, nodes)
        slicer.util.setSliceViewerLayers(background=nodes.image, fit=True)
        setAside(nodes.label, nodes.model)
        self._walk = RegionWalk(opened.regions)
        self._region = None
        self.applyDisplay()
        if opened.regions:
            self._region = self._walk.next()
            self._walk.centre(self._region)
        elif nodes.label is not None:
            centreOn(nodes.label, nodes.image)
        self._overlap = ()
        if not self._noOverlap() and nodes.image.GetImageData().GetNumberOfPoints() <= QUICK_VOXELS:
            self._measure()
        session.changed()

    def close(self):
        """Take the open case out of the scene. Returns: False where the user wants to keep what was drawn."""
        opened = self.session.opened
        nodes = self._nodes()
        if opened is not None and isEdited(opened, nodes.label):
            question = _("The label of {case} was drawn on in this scene, which is not saved. Close it all the same?")
            if not self.services.dialogs.confirm(question.format(case=opened.id)):
                return False
        if self.session.parameters is not None:
            self._display.hide()
            self._write("", CaseNodes())
        removeNodes(nodes)
        self._forget()
        return True

    def nextRegion(self):
        """Centre all views on the next uncertain region."""
        self._go(forward=True)

    def previousRegion(self):
        """Centre all views on the one before."""
        self._go(forward=False)

    def measureOverlap(self):
        """Compare the label with what the model found."""
        if not self._noOverlap():
            with _waiting():
                self._measure()
        self.refresh()

    def applyDisplay(self):
        """Show what the check boxes and sliders say."""
        if self._isWriting:
            return
        parameters, nodes = self.session.parameters, self._nodes()
        for node, visible in ((nodes.label, parameters.labelVisible), (nodes.model, parameters.modelVisible)):
            if node is not None and node.GetDisplayNode() is not None:
                node.GetDisplayNode().SetVisibility(bool(visible))
        if nodes.uncertainty is not None and nodes.image is not None:
            self._display.show(nodes.uncertainty, nodes.image)
            self._display.setOpacity(parameters.uncertaintyOpacity)
            self._display.setThreshold(parameters.uncertaintyThreshold)
            self._display.setVisible(parameters.uncertaintyVisible)

    def refresh(self):
        """Show the panel as things are now."""
        session = self.session
        if session.parameters is None:
            return
        opened = session.opened
        if opened is None:
            missing = _("Open a case first.")
            self.panel.show(
                ReviewCaseState(
                    warning=self._problem, noRegions=missing, noLabel=missing, noModel=missing, noUncertainty=missing,
                    noOverlap=missing,
                )
            )  # fmt: skip
            return
        case = session.dataset.case(opened.id)
        title = f"{opened.id} · {statusText(case.status if case else '')}"
        warnings = [text for text in (opened.noLabel, *opened.warnings) if text]
        self.panel.show(
            ReviewCaseState(
                title=title,
                warning="\n⚠ ".join(warnings),
                region=self._regionText(),
                noRegions=self._noRegions(),
                noLabel=opened.noLabel,
                noModel=opened.noModel,
                noUncertainty=opened.noUncertainty,
                overlap=self._overlap,
                overlapDone=_("Measure overlap again") if self._overlap else "",
                noOverlap=self._noOverlap(),
            )
        )

    def _go(self, forward):
        if self._walk is None or self._noRegions():
            return
        self._region = self._walk.next() if forward else self._walk.previous()
        self._walk.centre(self._region)
        self.refresh()

    def _regionText(self):
        opened, region = self.session.opened, self._region
        if region is None:
            return ""
        number = opened.regions.index(region) + 1
        text = _("Region {number} of {count}: {organ}, {volume:.1f} ml, uncertainty {mean:.0f} % (up to {max:.0f} %)")
        return text.format(
            number=number, count=len(opened.regions), organ=self.session.organName(region.organ),
            volume=region.volume_mm3 / 1000, mean=region.mean, max=region.max,
        )  # fmt: skip

    def _noRegions(self):
        opened = self.session.opened
        if opened is None:
            return _("Open a case first.")
        if opened.noUncertainty:
            return _("No uncertain regions: {reason}").format(reason=opened.noUncertainty)
        return "" if opened.regions else _("The model is certain everywhere in this case.")

    def _noOverlap(self):
        opened = self.session.opened
        if opened is None:
            return _("Open a case first.")
        if opened.noLabel or opened.noModel:
            return opened.noLabel or _("There is nothing to compare with: {reason}").format(reason=opened.noModel)
        known = set(self.session.dataset.results(opened.id).uncertainty) | set(
            self.session.dataset.results(opened.id).absent
        )
        if known.isdisjoint(organ.id for organ in self.session.dataset.organs):
            return _("The model knows none of this dataset's organs.")
        return ""

    def _measure(self):
        nodes = self._nodes()
        try:
            found = SegmentOverlap.overlap(nodes.label, nodes.model, nodes.image)
        except LogicError as error:
            self._overlap = ((str(error), "", ""),)
            return
        ours = {organ.id for organ in self.session.dataset.organs}
        self._overlap = tuple(
            (self.session.organName(organ), _figure(dice, "{:.3f}"), _figure(distance_mm, "{:.1f} mm"))
            for organ, (dice, distance_mm) in found.items()
            if organ in ours
        )

    def _nodes(self):
        parameters = self.session.parameters
        if parameters is None:
            return CaseNodes()
        return CaseNodes(
            image=parameters.image, label=parameters.label, model=parameters.model, uncertainty=parameters.uncertainty
        )

    def _write(self, caseId, nodes):
        parameters = self.session.parameters
        self._isWriting = True  # each of these lines tells that the parameter node was modified
        try:
            parameters.caseId = caseId
            parameters.image, parameters.label = nodes.image, nodes.label
            parameters.model, parameters.uncertainty = nodes.model, nodes.uncertainty
        finally:
            self._isWriting = False

    def _forget(self):
        self.session.opened = self._walk = self._region = None
        self._overlap = ()
        self._problem = ""


def _figure(value, form):
    return "–" if value is None else form.format(value)


@contextlib.contextmanager
def _waiting():
    """The cursor says that something takes its time."""
    if hasattr(slicer.util, "WaitCursor"):
        with slicer.util.WaitCursor():
            yield
    else:
        yield
