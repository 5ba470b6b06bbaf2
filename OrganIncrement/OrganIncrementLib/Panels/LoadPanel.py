"""Section 1, on request: a model that is being taken in, what it is, and what the user is asked about it."""

from dataclasses import dataclass

import qt
from slicer.i18n import tr as _

from OrganIncrementLib.Engine.ModelDescription import DescriptionFields
from OrganIncrementLib.Engine.ModelImport import Answers
from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.BusyRow import BusyRow
from OrganIncrementLib.Panels.ListWidgets import currentKey, fillCombo, fitColumns, fitHeight
from OrganIncrementLib.Panels.OrganChips import OrganChip, chipsHtml, chipsText
from OrganIncrementLib.Panels.Permission import allow
from OrganIncrementLib.Panels.TaskBar import TaskState

NAME, MODEL, CONFIGURATION, FOLDS, ORIENTATION = "name", "model", "configuration", "fold", "orientation"
ORGANS, DESCRIPTION = "organs", "network"
_PLAIN = str.maketrans(",=", "  ")
_ORIENTATIONS = ("LPS", "RAS", "LAS", "SPL")
_MODALITIES = ("CT", "MR", "PET", "CBCT")


@dataclass(frozen=True, kw_only=True)
class LoadQuestions:
    """What is asked, and what can be answered; a new object empties the fields. `fields`: names as above.

    `models`, `configurations`: (value, text). `organs`: names in the order of their label values.
    """

    fields: frozenset[str] = frozenset()
    name: str = ""
    models: tuple[tuple[str, str], ...] = ()
    configurations: tuple[str, ...] = ()
    folds: tuple[str, ...] = ()
    organs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LoadState:
    """What the part shows. `message`: a refusal or a question; `missing`: why it cannot be loaded, "" when it can."""

    open: bool = False
    title: str = ""
    organs: tuple[OrganChip, ...] = ()
    facts: tuple[str, ...] = ()
    message: str = ""
    questions: LoadQuestions = LoadQuestions()
    busy: TaskState | None = None
    missing: str = ""


class LoadPanel:
    """Intents: importWanted(), closeWanted(), cancelWanted(), descriptionWanted(), exampleWanted()."""

    def __init__(self, ui) -> None:
        self.importWanted, self.closeWanted, self.descriptionWanted, self.exampleWanted = (Intent() for _i in range(4))
        self._ui, self._shown = ui, None
        self._row = BusyRow(ui.loadProgressBar, ui.loadCancelButton)
        self.cancelWanted = self._row.cancelWanted
        self._rows = {
            NAME: (ui.loadNameLabel, ui.loadNameLineEdit),
            MODEL: (ui.loadModelLabel, ui.loadModelComboBox),
            CONFIGURATION: (ui.loadConfigurationLabel, ui.loadConfigurationComboBox),
            FOLDS: (ui.loadFoldsLabel, ui.loadFoldsList),
            ORIENTATION: (ui.loadOrientationLabel, ui.loadOrientationComboBox),
            ORGANS: (ui.loadOrgansLabel, ui.loadOrgansTable),
            DESCRIPTION: (ui.loadDescriptionGroupBox,),
        }
        ui.loadStartButton.connect("clicked(bool)", self._onStart)
        ui.loadCloseButton.connect("clicked(bool)", self._onClose)
        ui.loadDescriptionButton.connect("clicked(bool)", self._onDescription)
        ui.loadExampleButton.connect("clicked(bool)", self._onExample)
        self.show(LoadState())

    def show(self, state: LoadState) -> None:
        """Show the state; what was typed stays as long as the questions are the same."""
        ui = self._ui
        ui.loadFrame.visible = state.open
        ui.loadTitleLabel.text = state.title
        ui.loadOrgansShownLabel.text, ui.loadOrgansShownLabel.toolTip = chipsHtml(state.organs), chipsText(state.organs)
        ui.loadOrgansShownLabel.visible = bool(state.organs)
        ui.loadFactsLabel.text = "\n".join(state.facts)
        ui.loadFactsLabel.visible = bool(state.facts)
        ui.loadMessageLabel.text = state.message
        ui.loadMessageLabel.visible = bool(state.message)
        if state.questions is not self._shown:
            self._shown = state.questions
            self._fill(state.questions)
        self._row.show(state.busy)
        ui.loadQuestionsWidget.enabled = state.busy is None
        ui.loadStartButton.visible = state.busy is None and not state.missing
        ui.loadCloseButton.visible = state.busy is None
        allow(ui.loadStartButton, state.missing, _("Make a package of it in this module's folder; it is not changed"))

    def answers(self) -> Answers:
        """What was filled in, of what is asked."""
        ui, fields = self._ui, self._shown.fields
        return Answers(
            name=str(ui.loadNameLineEdit.text).strip() if NAME in fields else "",
            model=currentKey(ui.loadModelComboBox) if MODEL in fields else "",
            configuration=str(ui.loadConfigurationComboBox.currentText).strip() if CONFIGURATION in fields else "",
            folds=self._folds() if FOLDS in fields else (),
            orientation=currentKey(ui.loadOrientationComboBox) if ORIENTATION in fields else "",
            organs=self._organs() if ORGANS in fields else (),
            description=str(ui.loadDescriptionLineEdit.text).strip() if DESCRIPTION in fields else "",
        )

    def described(self) -> DescriptionFields:
        """What was typed where weights have no description of their own."""
        ui = self._ui
        return DescriptionFields(
            organs=str(ui.loadOrganNamesLineEdit.text), spacing=str(ui.loadSpacingLineEdit.text),
            patch=str(ui.loadPatchLineEdit.text), window=str(ui.loadWindowLineEdit.text),
            modality=str(ui.loadModalityComboBox.currentText).strip() or "CT",
            orientation=currentKey(ui.loadOrientationComboBox) or "LPS",
        )  # fmt: skip

    def setDescription(self, path: str) -> None:
        """A file was chosen."""
        self._ui.loadDescriptionLineEdit.text = path

    def _fill(self, questions: LoadQuestions) -> None:
        ui = self._ui
        for field, widgets in self._rows.items():
            for widget in widgets:
                widget.visible = field in questions.fields
        ui.loadNameLineEdit.text = questions.name
        fillCombo(ui.loadModelComboBox, questions.models, questions.models[0][0] if questions.models else "")
        ui.loadConfigurationComboBox.clear()
        ui.loadConfigurationComboBox.addItems(list(questions.configurations))
        asItSays = _("as the model says") if DESCRIPTION not in questions.fields else _("LPS")
        others = (("stored", _("as each scan's file stores its axes")), *((code, code) for code in _ORIENTATIONS))
        fillCombo(ui.loadOrientationComboBox, (("", asItSays), *others), "")
        ui.loadFoldsList.clear()
        for fold in questions.folds:
            item = qt.QListWidgetItem(_("fold {number}").format(number=fold))
            item.setFlags(qt.Qt.ItemIsUserCheckable | qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
            item.setCheckState(qt.Qt.Checked if _isTaken(fold, questions.folds) else qt.Qt.Unchecked)
            ui.loadFoldsList.addItem(item)
        ui.loadFoldsList.setFixedHeight(min(max(len(questions.folds), 1), 5) * 20 + 6)
        ui.loadModalityComboBox.clear()
        ui.loadModalityComboBox.addItems(list(_MODALITIES))
        for line in (ui.loadDescriptionLineEdit, ui.loadOrganNamesLineEdit, ui.loadSpacingLineEdit):
            line.text = ""
        ui.loadPatchLineEdit.text = ui.loadWindowLineEdit.text = ""
        self._fillOrgans(questions.organs)

    def _fillOrgans(self, organs: tuple[str, ...]) -> None:
        table = self._ui.loadOrgansTable
        table.setColumnCount(2)
        table.setHorizontalHeaderLabels([_("Label"), _("Organ")])
        table.setRowCount(len(organs))
        for row, name in enumerate(organs):
            value = qt.QTableWidgetItem(str(row + 1))
            value.setFlags(qt.Qt.ItemIsEnabled)
            table.setItem(row, 0, value)
            table.setItem(row, 1, qt.QTableWidgetItem(name))
        fitColumns(table, 1)
        fitHeight(table, 2, 6)

    def _folds(self) -> tuple[str, ...]:
        """Those that are ticked; none where they are those that the engine takes by itself."""
        listed, folds = self._ui.loadFoldsList, self._shown.folds
        ticked = [fold for i, fold in enumerate(folds) if listed.item(i).checkState() == qt.Qt.Checked]
        return () if ticked == [fold for fold in folds if _isTaken(fold, folds)] else tuple(ticked)

    def _organs(self) -> tuple[tuple[str, int], ...]:
        table, names = self._ui.loadOrgansTable, self._shown.organs
        # the engine takes commas and equals signs for its own
        typed = [" ".join(str(table.item(i, 1).text()).translate(_PLAIN).split()) for i in range(len(names))]
        return tuple(
            (name, value) for value, (name, before) in enumerate(zip(typed, names, strict=True), 1)
            if name and name != before
        )  # fmt: skip

    def _onStart(self) -> None:
        self.importWanted()

    def _onClose(self) -> None:
        self.closeWanted()

    def _onDescription(self) -> None:
        self.descriptionWanted()

    def _onExample(self) -> None:
        self.exampleWanted()


def _isTaken(fold: str, folds: tuple[str, ...]) -> bool:
    """Whether the engine takes a fold where nothing is said: all that are numbered, else the one of all cases."""
    return fold != "all" or len(folds) == 1
