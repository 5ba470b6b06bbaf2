"""The reviewer's decision on the open case, and the case's history."""

from dataclasses import dataclass

from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.ListWidgets import fillRow, fitColumns
from OrganIncrementLib.Panels.Permission import allow
from OrganIncrementLib.Translation import _


@dataclass(frozen=True, kw_only=True)
class ReviewDecisionState:
    """What the panel shows. Texts that begin with `no` say why a button cannot work, empty where it can.

    steps: when and who, step, comment; the newest first.
    """

    noApprove: str = ""
    noFlag: str = ""
    noTakeBack: str = ""
    noCorrect: str = ""
    message: str = ""
    isWarning: bool = False
    who: str = ""
    steps: tuple[tuple[str, str, str], ...] = ()


class ReviewDecisionPanel:
    """Shows what can be decided; says what was."""

    def __init__(self, ui):
        self.ui = ui
        self.approveWanted = Intent()
        self.flagWanted = Intent()
        self.takeBackWanted = Intent()
        self.correctWanted = Intent()
        self.whoGiven = Intent()  # name
        ui.approveButton.connect("clicked(bool)", self._onApprove)
        ui.flagButton.connect("clicked(bool)", self._onFlag)
        ui.takeBackButton.connect("clicked(bool)", self._onTakeBack)
        ui.correctButton.connect("clicked(bool)", self._onCorrect)
        ui.whoLineEdit.connect("editingFinished()", self._onWho)
        fitColumns(ui.historyTable, stretched=2)

    @property
    def comment(self) -> str:
        """What was typed, in one line, as the history keeps it."""
        return " ".join(str(self.ui.commentTextEdit.plainText).split())

    @property
    def who(self) -> str:
        """The reviewer's name as it stands there now."""
        return " ".join(str(self.ui.whoLineEdit.text).split())

    def clearComment(self) -> None:
        """The comment is recorded."""
        self.setComment("")

    def setComment(self, text: str) -> None:
        """Show a comment that was begun earlier."""
        self.ui.commentTextEdit.setPlainText(text)

    def show(self, state: ReviewDecisionState) -> None:
        """Show a state; a comment that is being typed stays."""
        ui = self.ui
        allow(ui.approveButton, state.noApprove, _("The label is right: training may use it (key A)"))
        allow(ui.flagButton, state.noFlag, _("The label needs work; the comment tells the annotator what (key F)"))
        allow(ui.takeBackButton, state.noTakeBack, _("Put the case among those to review again"))
        allow(ui.correctButton, state.noCorrect, _("Open this case in the annotator's module and change its label"))
        ui.decisionMessageLabel.text = state.message
        ui.decisionMessageLabel.visible = bool(state.message)
        ui.decisionMessageLabel.styleSheet = "color: #b35900;" if state.isWarning else ""
        if str(ui.whoLineEdit.text) != state.who and not ui.whoLineEdit.focus:
            ui.whoLineEdit.text = state.who
        ui.historyTable.setRowCount(len(state.steps))
        for row, cells in enumerate(state.steps):
            fillRow(ui.historyTable, row, cells)
        ui.historyTable.resizeRowsToContents()
        title = _("History of the case")
        ui.historyCollapsibleButton.text = f"{title} ({len(state.steps)})" if state.steps else title

    def _onApprove(self):
        self.approveWanted()

    def _onFlag(self):
        self.flagWanted()

    def _onTakeBack(self):
        self.takeBackWanted()

    def _onCorrect(self):
        self.correctWanted()

    def _onWho(self):
        self.whoGiven(self.who)
