"""Which scan to annotate next, the name in the history, and the task that runs in the background."""

from dataclasses import dataclass

from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.ListWidgets import currentKey, fillCombo, fillRow, fitColumns
from OrganIncrementLib.Panels.Permission import allow
from OrganIncrementLib.Panels.TaskBar import TaskBar, TaskState
from OrganIncrementLib.Translation import _


@dataclass(frozen=True)
class SuggestionRow:
    """One scan of the folder: its path from there; uncertainty, and the gain that it adds, in per cent."""

    path: str
    uncertainty: float
    gain: float


@dataclass(frozen=True)
class NextState:
    """What the panel shows; noSuggest: why it cannot start."""

    models: tuple[tuple[str, str], ...] = ()
    model: str = ""
    rows: tuple[SuggestionRow, ...] = ()
    noSuggest: str = ""
    userName: str = ""


class AnnotateNextPanel:
    """Shows the ranked scans; says which folder, which model, which scan."""

    def __init__(self, ui):
        self.ui = ui
        self.folderWanted = Intent()
        self.modelChosen = Intent()  # path
        self.suggestWanted = Intent()
        self.scanChosen = Intent()  # path in the folder
        self.userNamed = Intent()  # name
        self._state = NextState()
        fitColumns(ui.suggestTable, stretched=1)
        ui.candidateFolderButton.connect("clicked(bool)", self._onFolder)
        ui.nextModelComboBox.connect("activated(int)", self._onModel)
        ui.suggestButton.connect("clicked(bool)", self._onSuggest)
        ui.suggestTable.connect("cellClicked(int,int)", self._onScan)
        ui.suggestTable.connect("cellActivated(int,int)", self._onScan)
        ui.userNameLineEdit.connect("editingFinished()", self._onName)

    def show(self, state: NextState) -> None:
        """Show a state."""
        ui, before = self.ui, self._state
        self._state = state
        if (state.models, state.model) != (before.models, before.model):
            fillCombo(ui.nextModelComboBox, state.models, state.model)
        noModels = "" if state.models else _("No model is known: load one in the module OrganIncrement.")
        allow(ui.nextModelComboBox, noModels, _("The model that is to learn from the scans"))
        allow(ui.suggestButton, state.noSuggest, _("Rank the scans of the folder; this can be cancelled"))
        if state.rows != before.rows:
            ui.suggestTable.setRowCount(len(state.rows))
            for index, row in enumerate(state.rows):
                texts = (str(index + 1), row.path, f"{row.uncertainty:.1f} %", f"{row.gain:.0f} %")
                fillRow(ui.suggestTable, index, texts)
        if state.userName != str(ui.userNameLineEdit.text) and not ui.userNameLineEdit.focus:
            ui.userNameLineEdit.text = state.userName

    def _onFolder(self):
        self.folderWanted()

    def _onModel(self):
        self.modelChosen(currentKey(self.ui.nextModelComboBox))

    def _onSuggest(self):
        self.suggestWanted()

    def _onScan(self, row, column=0):
        if 0 <= row < len(self._state.rows):
            self.scanChosen(self._state.rows[row].path)

    def _onName(self):
        self.userNamed(str(self.ui.userNameLineEdit.text).strip())


class AnnotateTaskPanel:
    """Shows the task that runs, with the way out of it; hidden when none runs."""

    def __init__(self, ui):
        self.ui = ui
        self.cancelled = Intent()
        self._bar = TaskBar(ui.taskProgressBar, ui.taskCancelButton, ui.taskLabel)
        self._state = False
        ui.taskCancelButton.connect("clicked(bool)", self._onCancel)
        self.show(None)

    def show(self, state: TaskState | None) -> None:
        """Show a state."""
        if state == self._state:
            return
        self._state = state
        self.ui.taskFrame.visible = state is not None
        self._bar.show(state, "")

    def _onCancel(self):
        self.cancelled()
