"""Section 5, below: a result for other programs."""

from dataclasses import dataclass

from slicer.i18n import tr as _

from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.ChoiceBox import Choice, ChoiceBox
from OrganIncrementLib.Panels.Permission import allow
from OrganIncrementLib.Panels.TaskBar import TaskBar, TaskState

NIFTI, DICOM = "nifti", "dicom-seg"


@dataclass(frozen=True, kw_only=True)
class ResultExportState:
    """What the part shows. `missing`: why nothing can be exported, "" when it can. `canShow`: files were written."""

    form: str = NIFTI
    missing: str = ""
    task: TaskState | None = None
    message: str = ""
    canShow: bool = False


class ResultExportPanel:
    """Intents: formatChosen(key), seriesWanted(), exportWanted(), cancelWanted(), showWanted()."""

    def __init__(self, ui) -> None:
        self.formatChosen, self.seriesWanted, self.exportWanted = Intent(), Intent(), Intent()
        self.cancelWanted, self.showWanted = Intent(), Intent()
        self._ui = ui
        self._formats = ChoiceBox(ui.resultFormatComboBox, self.formatChosen)
        self._bar = TaskBar(ui.resultExportProgressBar, ui.resultExportCancelButton, ui.resultExportStatusLabel)
        for button, slot in (
            (ui.seriesButton, self._onSeries), (ui.exportResultButton, self._onExport),
            (ui.resultExportCancelButton, self._onCancel), (ui.showResultFilesButton, self._onShow),
        ):  # fmt: skip
            button.connect("clicked(bool)", slot)
        self.show(ResultExportState())

    def show(self, state: ResultExportState) -> None:
        """Show the state."""
        ui = self._ui
        formats = (
            Choice(value=NIFTI, text=_("NIfTI + labels"), toolTip=_("A label map, and what each of its values is")),
            Choice(
                value=DICOM, text=_("DICOM SEG"),
                toolTip=_("segmentation.dcm and, where there is uncertainty, uncertainty.dcm, for the archive"),
            ),
        )  # fmt: skip
        self._formats.show(formats, state.form, "")
        for widget in (ui.seriesLabel, ui.seriesLineEdit, ui.seriesButton):
            widget.visible = state.form == DICOM
        self._bar.show(state.task, state.message)
        missing = _("Wait for what is running, or cancel it") if state.task else state.missing
        hint = _("Write what the engine found, without later changes by hand, into a new folder")
        allow(ui.exportResultButton, missing, hint)
        ui.showResultFilesButton.visible = state.canShow and state.task is None

    def series(self) -> str:
        """The folder of the scan's DICOM series, as typed or chosen."""
        return str(self._ui.seriesLineEdit.text).strip()

    def setSeries(self, folder: str) -> None:
        """A folder was chosen, or another volume."""
        self._ui.seriesLineEdit.text = folder

    def _onSeries(self) -> None:
        self.seriesWanted()

    def _onExport(self) -> None:
        self.exportWanted()

    def _onCancel(self) -> None:
        self.cancelWanted()

    def _onShow(self) -> None:
        self.showWanted()
