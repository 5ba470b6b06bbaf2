"""Section 5, lower half: which result is shown, the overlay, walking the uncertain regions, export."""

from dataclasses import dataclass
from html import escape

from slicer.i18n import tr as _

from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.Permission import allow

TEACHER, STUDENT, DIFFERENCE = "teacher", "student", "difference"
ONLY_TEACHER, ONLY_STUDENT = "#0072b2", "#e69f00"  # as the difference is drawn: blue and orange of Okabe and Ito


@dataclass(frozen=True, kw_only=True)
class RegionAt:
    """Region n of m; organ None before the first step."""

    number: int
    count: int
    organ: str
    volume_mm3: float
    mean: float


@dataclass(frozen=True, kw_only=True)
class UncertaintyState:
    """teacher, student: names of the results of the chosen volume, empty where there is none yet.

    isMerged: what stands in the teacher's place is a merged segmentation.
    """

    teacher: str = ""
    student: str = ""
    shown: str = STUDENT
    hasOverlay: bool = False
    regionCount: int = 0
    region: RegionAt | None = None
    whyNoRegions: str = ""
    isMerged: bool = False


class UncertaintyPanel:
    """Widgets in, UncertaintyState shown, intents out. Check boxes and sliders are bound to the parameter node."""

    def __init__(self, ui):
        self.ui = ui
        self.shownChosen = Intent()  # teacher | student | difference
        self.nextWanted = Intent()
        self.previousWanted = Intent()
        self.exportWanted = Intent()
        self._teacherText = ui.teacherRadioButton.text
        self._radios = {
            TEACHER: ui.teacherRadioButton,
            STUDENT: ui.studentRadioButton,
            DIFFERENCE: ui.differenceRadioButton,
        }
        ui.teacherRadioButton.connect("clicked(bool)", self._onTeacher)
        ui.studentRadioButton.connect("clicked(bool)", self._onStudent)
        ui.differenceRadioButton.connect("clicked(bool)", self._onDifference)
        ui.nextRegionButton.connect("clicked(bool)", self._onNext)
        ui.previousRegionButton.connect("clicked(bool)", self._onPrevious)
        ui.exportSegmentationButton.connect("clicked(bool)", self._onExport)
        self.show(UncertaintyState())

    def show(self, state):
        """Show an UncertaintyState."""
        self._showRadios(state)
        self.ui.shownResultNoteLabel.text = self._noteText(state)
        self.ui.shownResultNoteLabel.visible = bool(state.teacher or state.student)
        noResult = "" if state.teacher or state.student else _("Nothing to show yet: choose a volume and press Apply")
        noOverlay = noResult or ("" if state.hasOverlay else _("This result was made without uncertainty"))
        allow(self.ui.overlayCheckBox, noOverlay, _("Draw the uncertainty over the scan"))
        allow(self.ui.opacitySlider, noOverlay, _("How strongly the uncertainty is drawn over the scan"))
        allow(
            self.ui.thresholdSlider,
            noOverlay,
            _("Uncertainty below this is not drawn. 0: certain; 100: every organ is as likely as another"),
        )
        allow(self.ui.show3DCheckBox, noResult, _("Show the organs' surfaces in the 3-D view"))
        allow(self.ui.exportSegmentationButton, noResult, _("Write the shown segmentation as .seg.nrrd or NIfTI"))
        noRegions = (
            noOverlay or state.whyNoRegions or ("" if state.regionCount else _("There are no uncertain regions"))
        )
        allow(self.ui.nextRegionButton, noRegions, _("Move all views to the next uncertain region, largest first"))
        allow(self.ui.previousRegionButton, noRegions, _("Move all views back to the region before"))
        self.ui.regionLabel.text = noRegions or self._regionText(state)

    def _showRadios(self, state):
        self.ui.teacherRadioButton.text = _("Merged") if state.isMerged else self._teacherText
        missing = {
            TEACHER: "" if state.teacher else _("Apply the teacher to this volume first"),
            STUDENT: "" if state.student else _("Apply the student to this volume first"),
        }
        missing[DIFFERENCE] = (
            "" if state.teacher and state.student else _("Apply both teacher and student to this volume first")
        )
        tips = {
            TEACHER: state.teacher,
            STUDENT: state.student,
            DIFFERENCE: _("Outlines of both: {teacher} and {student}").format(
                teacher=state.teacher, student=state.student
            ),
        }
        for which, radio in self._radios.items():
            allow(radio, missing[which], tips[which])
            radio.autoExclusive = False  # else the last checked one could not be unchecked
        for which, radio in self._radios.items():
            wasBlocked = radio.blockSignals(True)
            radio.checked = which == state.shown and not missing[which]
            radio.blockSignals(wasBlocked)
        for radio in self._radios.values():
            radio.autoExclusive = True

    def _noteText(self, state):
        """What is seen; the colours of the difference are told here, since a legend has no room for them."""
        if state.shown == DIFFERENCE and state.teacher and state.student:
            blue, orange = (f'<span style="color:{ink}">■</span>' for ink in (ONLY_TEACHER, ONLY_STUDENT))
            return _("{blue} only the teacher · {orange} only the student").format(blue=blue, orange=orange)
        return escape(state.teacher if state.shown == TEACHER else state.student)

    def _regionText(self, state):
        if state.region is None:
            if state.regionCount == 1:
                return _("1 uncertain region")
            return _("{count} uncertain regions, largest first").format(count=state.regionCount)
        region = state.region
        return _("Region {n} of {m} · {organ} · {volume} · {mean:.0f} % uncertain").format(
            n=region.number, m=region.count, organ=region.organ, volume=volumeText(region.volume_mm3), mean=region.mean
        )

    def _onTeacher(self):
        self.shownChosen(TEACHER)

    def _onStudent(self):
        self.shownChosen(STUDENT)

    def _onDifference(self):
        self.shownChosen(DIFFERENCE)

    def _onNext(self):
        self.nextWanted()

    def _onPrevious(self):
        self.previousWanted()

    def _onExport(self):
        self.exportWanted()


def volumeText(volume_mm3):
    """A volume in ml, or in mm³ where it is small."""
    if volume_mm3 < 1000:
        return _("{volume:.0f} mm³").format(volume=volume_mm3)
    return _("{volume:.1f} ml").format(volume=volume_mm3 / 1000)
