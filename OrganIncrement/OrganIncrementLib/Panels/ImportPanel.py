"""Section 2, on request: from folders of scans and labels to a dataset."""

from dataclasses import dataclass

import qt
from slicer.i18n import tr as _

from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.BusyRow import BusyRow
from OrganIncrementLib.Panels.ChoiceBox import Choice, ChoiceBox
from OrganIncrementLib.Panels.Permission import allow
from OrganIncrementLib.Panels.TaskBar import TaskState


@dataclass(frozen=True, kw_only=True)
class ImportState:
    """What the part shows. `missing`: what is to be filled in before the import can start, "" when nothing."""

    open: bool = False
    format: str = "folders"
    missing: str = ""
    busy: TaskState | None = None


class ImportPanel:
    """Intents: toggled(open), folderWanted("images" or "labels"), formatChosen(key), importWanted(), cancelWanted()."""

    def __init__(self, ui, organNames=()) -> None:
        self.toggled, self.folderWanted, self.formatChosen, self.importWanted = (Intent() for _i in range(4))
        self._ui = ui
        self._formats = ChoiceBox(ui.importFormatComboBox, self.formatChosen)
        self._row = BusyRow(ui.importProgressBar, ui.importCancelButton)
        self.cancelWanted = self._row.cancelWanted
        completer = qt.QCompleter(list(organNames), ui.importOrganLineEdit)
        completer.setCaseSensitivity(qt.Qt.CaseInsensitive)
        if hasattr(completer, "setFilterMode"):
            completer.setFilterMode(qt.Qt.MatchContains)
        ui.importOrganLineEdit.setCompleter(completer)
        ui.importButton.connect("toggled(bool)", self._onToggled)
        ui.importImagesButton.connect("clicked(bool)", self._onImages)
        ui.importLabelsButton.connect("clicked(bool)", self._onLabels)
        ui.importStartButton.connect("clicked(bool)", self._onImport)

    def show(self, state: ImportState) -> None:
        """Show the state."""
        ui = self._ui
        ui.importFrame.visible = state.open
        if ui.importButton.checked != state.open:
            ui.importButton.checked = state.open
        self._formats.show(_formats(), state.format, "")
        self._row.show(state.busy)
        hindrance = _("An import is running.") if state.busy else state.missing
        allow(ui.importStartButton, hindrance, _("Check the scans and labels and copy them into a new dataset"))

    def _onToggled(self, checked) -> None:
        self.toggled(bool(checked))

    def _onImages(self) -> None:
        self.folderWanted("images")

    def _onLabels(self) -> None:
        self.folderWanted("labels")

    def _onImport(self) -> None:
        self.importWanted()


def _formats() -> tuple[Choice, ...]:
    return (
        Choice(value="folders", text=_("Two folders, same file names")),
        Choice(value="nnunet", text=_("nnU-Net folders")),
        Choice(value="decathlon", text=_("Decathlon folders")),
        Choice(value="dicom", text=_("DICOM folders")),
        Choice(value="csv", text=_("A list (CSV)")),
    )
