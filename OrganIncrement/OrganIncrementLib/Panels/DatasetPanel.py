"""Section 2, upper part: which dataset, how many of its cases are approved, and the first problem in it."""

from dataclasses import dataclass
from html import escape

from slicer.i18n import tr as _

from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.ChoiceBox import Choice, ChoiceBox
from OrganIncrementLib.Panels.OrganChips import OrganChip, chipsHtml


@dataclass(frozen=True, kw_only=True)
class DatasetState:
    """What the section shows. `checked`: what `dataset check` says; `problemOpens`: whether a click can show it."""

    choices: tuple[Choice, ...] = ()
    chosen: str = ""
    placeholder: str = ""
    organs: tuple[OrganChip, ...] = ()
    cases: str = ""
    problem: str = ""
    problemOpens: bool = False
    checked: str = ""


class DatasetPanel:
    """Intents: datasetChosen(path), openWanted(), problemWanted()."""

    def __init__(self, ui) -> None:
        self.datasetChosen, self.openWanted, self.problemWanted = Intent(), Intent(), Intent()
        self._ui = ui
        self._datasets = ChoiceBox(ui.datasetComboBox, self.datasetChosen)
        ui.openDatasetButton.connect("clicked(bool)", self._onOpen)
        ui.datasetProblemLabel.connect("linkActivated(QString)", self._onProblem)

    def show(self, state: DatasetState) -> None:
        """Show the state."""
        ui = self._ui
        self._datasets.show(state.choices, state.chosen, state.placeholder)
        ui.datasetCasesLabel.text = f"{chipsHtml(state.organs)}{escape(state.cases)}" if state.organs else state.cases
        ui.datasetCasesLabel.visible = bool(state.cases)
        problem, text = escape(state.problem), escape(state.checked)
        if problem:
            text = f'⚠ <a href="problem">{problem}</a>' if state.problemOpens else f"⚠ {problem}"
        ui.datasetProblemLabel.text = text
        ui.datasetProblemLabel.toolTip = _("Click to open what is meant") if state.problemOpens else ""
        ui.datasetProblemLabel.visible = bool(text)

    def _onOpen(self) -> None:
        self.openWanted()

    def _onProblem(self, link) -> None:
        self.problemWanted()
