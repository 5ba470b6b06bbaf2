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
    """What the part shows.

    `organs`: those that were added to the one that stands in the fields; `whyNoOrgan`: why that one cannot be added to
    them. `status`: what the cases count as. `missing`: what is to be filled in before the import can start, "" when
    nothing.
    """

    open: bool = False
    organs: tuple[Choice, ...] = ()
    whyNoOrgan: str = ""
    status: str = "approved"
    format: str = "folders"
    missing: str = ""
    busy: TaskState | None = None


class ImportPanel:
    """Intents: toggled(open), folderWanted("images" or "labels"), organAdded(), organRemoved(value), formatChosen(key),
    statusChosen(key), importWanted(), cancelWanted().
    """

    def __init__(self, ui, organNames=()) -> None:
        self.toggled, self.folderWanted, self.formatChosen, self.importWanted = (Intent() for _i in range(4))
        self.organAdded, self.organRemoved, self.statusChosen = Intent(), Intent(), Intent()
        self._organs: tuple[Choice, ...] | None = None
        self._statuses = ChoiceBox(ui.importStatusComboBox, self.statusChosen)
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
        ui.importAddOrganButton.connect("clicked(bool)", self._onAdd)
        ui.importRemoveOrganButton.connect("clicked(bool)", self._onRemove)

    def show(self, state: ImportState) -> None:
        """Show the state."""
        ui = self._ui
        ui.importFrame.visible = state.open
        if ui.importButton.checked != state.open:
            ui.importButton.checked = state.open
        self._formats.show(_formats(), state.format, "")
        self._statuses.show(_statuses(), state.status, "")
        self._showOrgans(state.organs)
        hint = _("Keep this organ and enter the next one: label files may show several")
        allow(ui.importAddOrganButton, state.whyNoOrgan, hint)
        self._row.show(state.busy)
        hindrance = _("An import is running.") if state.busy else state.missing
        allow(ui.importStartButton, hindrance, _("Check the scans and labels and copy them into a new dataset"))

    def _showOrgans(self, organs) -> None:
        organList, button = self._ui.importOrganList, self._ui.importRemoveOrganButton
        if organs != self._organs:
            self._organs = organs
            organList.clear()
            for organ in organs:
                organList.addItem(organ.text)
            organList.setCurrentRow(len(organs) - 1)
        organList.visible = button.visible = bool(organs)

    def _onAdd(self) -> None:
        self.organAdded()

    def _onRemove(self) -> None:
        row = self._ui.importOrganList.currentRow
        if self._organs and 0 <= row < len(self._organs):
            self.organRemoved(self._organs[row].value)

    def _onToggled(self, checked) -> None:
        self.toggled(bool(checked))

    def _onImages(self) -> None:
        self.folderWanted("images")

    def _onLabels(self) -> None:
        self.folderWanted("labels")

    def _onImport(self) -> None:
        self.importWanted()


def _statuses() -> tuple[Choice, ...]:
    return (
        Choice(value="approved", text=_("Approved already"), toolTip=_("They can be trained on at once")),
        Choice(value="submitted", text=_("Waiting for review"), toolTip=_("Looked at in OrganReview first")),
        Choice(value="draft", text=_("Drafts"), toolTip=_("Finished in OrganAnnotate first")),
    )


def _formats() -> tuple[Choice, ...]:
    return (
        Choice(value="folders", text=_("Two folders, same file names")),
        Choice(value="nnunet", text=_("nnU-Net folders")),
        Choice(value="decathlon", text=_("Decathlon folders")),
        Choice(value="dicom", text=_("DICOM folders")),
        Choice(value="csv", text=_("A list (CSV)")),
    )
