"""Section 4: how the student does against its teacher, where it comes from, and how to pass it on."""

from dataclasses import dataclass

import qt
from slicer.i18n import tr as _

from OrganIncrementLib.Engine.ComparisonRows import OrganComparison
from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.ChoiceBox import Choice, ChoiceBox
from OrganIncrementLib.Panels.ComparisonTable import ComparisonTable
from OrganIncrementLib.Panels.Permission import allow
from OrganIncrementLib.Panels.TaskBar import TaskBar, TaskState

RECOMMENDED, NOT_RECOMMENDED, UNKNOWN = "recommended", "not recommended", "unknown"
_COLORS = {RECOMMENDED: ("#e3f0fa", "#00508c"), NOT_RECOMMENDED: ("#fdeadd", "#8a3500")}


@dataclass(frozen=True, kw_only=True)
class Ancestor:
    """One line of the lineage; value: its package's path, empty where it is not on this computer."""

    value: str
    text: str
    toolTip: str


@dataclass(frozen=True, kw_only=True)
class ResultState:
    """All that section 4 shows. A text in a field that begins with `why` disables its button and says why.

    canShow: files were exported, whose folder can be opened.
    """

    students: tuple[Choice, ...] = ()
    student: str = ""
    rows: tuple[OrganComparison, ...] = ()
    note: str = ""
    verdict: str = UNKNOWN
    verdictText: str = ""
    datasets: tuple[Choice, ...] = ()
    dataset: str = ""
    whyNoEvaluation: str = ""
    whyNoStudentReport: str = ""
    whyNoTeacherReport: str = ""
    lineage: tuple[Ancestor, ...] = ()
    whyNoExport: str = ""
    formats: tuple[Choice, ...] = ()
    exportFormat: str = "file"
    canShow: bool = False
    task: TaskState | None = None
    message: str = ""


class ResultPanel:
    """Widgets in, ResultState shown, intents out."""

    def __init__(self, ui):
        self.ui = ui
        self.studentChosen = Intent()
        self.datasetChosen = Intent()
        self.evaluationWanted = Intent()
        self.reportWanted = Intent()  # "student" | "teacher"
        self.ancestorWanted = Intent()  # path
        self.exportWanted = Intent()
        self.exportFormatChosen = Intent()
        self.cancelWanted = Intent()
        self.showWanted = Intent()
        self._students = ChoiceBox(ui.studentComboBox, self.studentChosen)
        self._datasets = ChoiceBox(ui.evaluationDatasetComboBox, self.datasetChosen)
        self._formats = ChoiceBox(ui.exportFormatComboBox, self.exportFormatChosen)
        self._table = ComparisonTable(ui.comparisonTable)
        self._bar = TaskBar(ui.resultProgressBar, ui.resultCancelButton, ui.resultStatusLabel)
        self._lineage = None
        ui.evaluateButton.connect("clicked(bool)", self._onEvaluate)
        ui.studentReportButton.connect("clicked(bool)", self._onStudentReport)
        ui.teacherReportButton.connect("clicked(bool)", self._onTeacherReport)
        ui.useAncestorButton.connect("clicked(bool)", self._onAncestor)
        ui.exportButton.connect("clicked(bool)", self._onExport)
        ui.showExportButton.connect("clicked(bool)", self._onShow)
        ui.resultCancelButton.connect("clicked(bool)", self._onCancel)
        ui.lineageList.connect("currentRowChanged(int)", self._showAncestorButton)
        self.show(ResultState())

    def show(self, state):
        """Show a ResultState."""
        self._students.show(state.students, state.student, _("No student yet: train one, or load a package"))
        self._datasets.show(state.datasets, state.dataset, _("Choose a dataset"))
        self._formats.show(state.formats, state.exportFormat, "")
        self._table.show(state.rows)
        self.ui.comparisonNoteLabel.text = state.note
        self.ui.comparisonNoteLabel.visible = bool(state.note)
        self._showVerdict(state)
        self._showLineage(state.lineage)
        self._bar.show(state.task, state.message)
        allow(self.ui.evaluateButton, state.whyNoEvaluation, _("Run teacher and student on this dataset"))
        allow(self.ui.studentReportButton, state.whyNoStudentReport, _("Open the page with every scan and figure"))
        allow(self.ui.teacherReportButton, state.whyNoTeacherReport, _("Open the page with every scan and figure"))
        allow(
            self.ui.exportButton, state.whyNoExport, _("Write the model in this format, to pass on or for another tool")
        )
        self.ui.showExportButton.visible = state.canShow and state.task is None

    def _showVerdict(self, state):
        label = self.ui.recommendationLabel
        label.text = state.verdictText
        label.visible = bool(state.verdictText)
        fill, ink = _COLORS.get(state.verdict, ("transparent", "palette(text)"))
        label.styleSheet = f"QLabel{{background:{fill};color:{ink};border-radius:3px;}}"

    def _showLineage(self, lineage):
        if lineage != self._lineage:
            self._lineage = lineage
            self.ui.lineageList.clear()
            for ancestor in lineage:
                item = qt.QListWidgetItem(ancestor.text)
                item.setToolTip(ancestor.toolTip)
                self.ui.lineageList.addItem(item)
        self._showAncestorButton()

    def _showAncestorButton(self, row=None):
        ancestor = self._chosenAncestor()
        if ancestor is not None:
            missing = "" if ancestor.value else _("This package is not on this computer: load it in section 1 first")
        elif self._lineage:
            missing = _("Choose a model in the list")
        else:
            missing = _("This model has no ancestors")
        allow(self.ui.useAncestorButton, missing, _("Go back: take this model as teacher and in section 5"))

    def _chosenAncestor(self):
        row = self.ui.lineageList.currentRow
        return self._lineage[row] if self._lineage and 0 <= row < len(self._lineage) else None

    def _onEvaluate(self):
        self.evaluationWanted()

    def _onStudentReport(self):
        self.reportWanted("student")

    def _onTeacherReport(self):
        self.reportWanted("teacher")

    def _onAncestor(self):
        ancestor = self._chosenAncestor()
        if ancestor is not None and ancestor.value:
            self.ancestorWanted(ancestor.value)

    def _onExport(self):
        self.exportWanted()

    def _onCancel(self):
        self.cancelWanted()

    def _onShow(self):
        self.showWanted()
