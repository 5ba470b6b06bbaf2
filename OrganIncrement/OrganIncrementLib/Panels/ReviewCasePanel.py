"""The open case: its uncertain regions, what is shown of it, and how its label compares with the model."""

from dataclasses import dataclass

from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.ListWidgets import fillRow, fitColumns
from OrganIncrementLib.Panels.Permission import allow
from OrganIncrementLib.Translation import _


@dataclass(frozen=True, kw_only=True)
class ReviewCaseState:
    """What the panel shows. Texts that begin with `no` say why a control cannot work, empty where it can."""

    title: str = ""
    warning: str = ""
    region: str = ""
    noRegions: str = ""
    noLabel: str = ""
    noModel: str = ""
    noUncertainty: str = ""
    overlap: tuple[tuple[str, str, str], ...] = ()
    overlapDone: str = ""
    noOverlap: str = ""


class ReviewCasePanel:
    """Shows the open case; says that the next or previous region, or the overlap, is wanted."""

    def __init__(self, ui):
        self.ui = ui
        self.nextRegionWanted = Intent()
        self.previousRegionWanted = Intent()
        self.overlapWanted = Intent()
        ui.nextRegionButton.connect("clicked(bool)", self._onNext)
        ui.previousRegionButton.connect("clicked(bool)", self._onPrevious)
        ui.overlapButton.connect("clicked(bool)", self._onOverlap)
        fitColumns(ui.overlapTable, stretched=0)

    def show(self, state: ReviewCaseState) -> None:
        """Show a state."""
        ui = self.ui
        ui.caseLabel.text = state.title or _("No case is open: click one in the table.")
        ui.caseWarningLabel.text = f"⚠ {state.warning}" if state.warning else ""
        ui.caseWarningLabel.visible = bool(state.warning)
        ui.caseWarningLabel.styleSheet = "color: #b35900;"
        ui.regionLabel.text = state.region or state.noRegions
        allow(ui.nextRegionButton, state.noRegions, _("Show the next uncertain region in all views (key N)"))
        allow(ui.previousRegionButton, state.noRegions, _("Show the uncertain region before in all views (key B)"))
        allow(ui.labelCheckBox, state.noLabel, _("Outlines of the label under review"))
        allow(ui.modelCheckBox, state.noModel, _("Outlines of what the model found"))
        allow(ui.uncertaintyCheckBox, state.noUncertainty, _("Where the model is uncertain, as colours over the scan"))
        allow(ui.opacitySlider, state.noUncertainty, _("How strongly the colours cover the scan"))
        allow(ui.thresholdSlider, state.noUncertainty,
               _("Leave out what is less uncertain than this: 0 % is certain, 100 % is a guess"))  # fmt: skip
        allow(ui.overlapButton, state.noOverlap, _("Dice and distance between the label and what the model found"))
        ui.overlapButton.text = state.overlapDone or _("Measure overlap")
        ui.overlapTable.setRowCount(len(state.overlap))
        for row, cells in enumerate(state.overlap):
            fillRow(ui.overlapTable, row, cells)

    def _onNext(self):
        self.nextRegionWanted()

    def _onPrevious(self):
        self.previousRegionWanted()

    def _onOverlap(self):
        self.overlapWanted()
