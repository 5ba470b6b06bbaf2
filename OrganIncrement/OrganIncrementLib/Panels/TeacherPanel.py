"""Section 1: which teacher, what it knows, what it was trained on."""

from dataclasses import dataclass

from slicer.i18n import tr as _

from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.BusyRow import BusyRow
from OrganIncrementLib.Panels.ChoiceBox import Choice, ChoiceBox
from OrganIncrementLib.Panels.OrganChips import OrganChip, chipsHtml, chipsText
from OrganIncrementLib.Panels.Permission import allow
from OrganIncrementLib.Panels.TaskBar import TaskState


@dataclass(frozen=True, kw_only=True)
class TeacherState:
    """What the section shows. `facts`: lines about the chosen teacher; `problem`: why it cannot be used.

    `details`: more lines, on request. `message`: what was just done with it.
    """

    choices: tuple[Choice, ...] = ()
    chosen: str = ""
    placeholder: str = ""
    organs: tuple[OrganChip, ...] = ()
    facts: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    message: str = ""
    problem: str = ""
    sampleBusy: TaskState | None = None
    sampleHindrance: str = ""


class TeacherPanel:
    """Intents: teacherChosen(path), loadWanted(), sampleWanted(), sampleCancelWanted()."""

    def __init__(self, ui) -> None:
        self.teacherChosen, self.loadWanted, self.sampleWanted = Intent(), Intent(), Intent()
        self._ui = ui
        self._teachers = ChoiceBox(ui.teacherComboBox, self.teacherChosen)
        self._sampleRow = BusyRow(ui.sampleProgressBar, ui.sampleCancelButton)
        self.sampleCancelWanted = self._sampleRow.cancelWanted
        self._sampleHint = ui.sampleDataButton.toolTip
        ui.loadTeacherButton.connect("clicked(bool)", self._onLoad)
        ui.sampleDataButton.connect("clicked(bool)", self._onSample)

    def show(self, state: TeacherState) -> None:
        """Show the state."""
        ui = self._ui
        self._teachers.show(state.choices, state.chosen, state.placeholder)
        ui.teacherOrgansLabel.text = chipsHtml(state.organs)
        ui.teacherOrgansLabel.toolTip = chipsText(state.organs)
        ui.teacherOrgansLabel.visible = bool(state.organs)
        ui.teacherFactsLabel.text = state.problem or "\n".join(state.facts)
        ui.teacherFactsLabel.visible = bool(state.problem or state.facts)
        ui.teacherMessageLabel.text = state.message
        ui.teacherMessageLabel.visible = bool(state.message)
        ui.teacherDetailsLabel.text = "\n".join(state.details)
        ui.teacherDetailsCollapsibleButton.visible = bool(state.details)
        self._sampleRow.show(state.sampleBusy)
        hindrance = _("The sample data is being made.") if state.sampleBusy else state.sampleHindrance
        allow(ui.sampleDataButton, hindrance, self._sampleHint)

    def _onLoad(self) -> None:
        self.loadWanted()

    def _onSample(self) -> None:
        self.sampleWanted()
