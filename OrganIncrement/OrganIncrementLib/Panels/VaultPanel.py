"""Section 3, Advanced: the vault of old images that some methods replay, and making one."""

from dataclasses import dataclass

from slicer.i18n import tr as _

from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.BusyRow import BusyRow
from OrganIncrementLib.Panels.ChoiceBox import Choice, ChoiceBox
from OrganIncrementLib.Panels.Permission import allow
from OrganIncrementLib.Panels.TaskBar import TaskState


@dataclass(frozen=True, kw_only=True)
class VaultState:
    """What the part shows. `missing`: what keeps a vault from being made, "" when nothing does."""

    vaults: tuple[Choice, ...] = ()
    vault: str = ""
    open: bool = False
    datasets: tuple[Choice, ...] = ()
    dataset: str = ""
    methods: tuple[Choice, ...] = ()
    method: str = ""
    missing: str = ""
    busy: TaskState | None = None


class VaultPanel:
    """Intents: vaultChosen(path), openWanted(), toggled(open), datasetChosen(path), methodChosen(name),
    makeWanted(), cancelWanted().
    """

    def __init__(self, ui) -> None:
        self.vaultChosen, self.openWanted, self.toggled, self.datasetChosen, self.makeWanted = (
            Intent() for _i in range(5)
        )
        self.methodChosen = Intent()
        self._ui = ui
        self._methods = ChoiceBox(ui.vaultMethodComboBox, self.methodChosen)
        self._vaults = ChoiceBox(ui.vaultComboBox, self.vaultChosen)
        self._datasets = ChoiceBox(ui.vaultDatasetComboBox, self.datasetChosen)
        self._row = BusyRow(ui.vaultProgressBar, ui.vaultCancelButton)
        self.cancelWanted = self._row.cancelWanted
        ui.openVaultButton.connect("clicked(bool)", self._onOpen)
        ui.makeVaultButton.connect("toggled(bool)", self._onToggled)
        ui.vaultStartButton.connect("clicked(bool)", self._onMake)
        self.show(VaultState())

    def show(self, state: VaultState) -> None:
        """Show the state."""
        ui = self._ui
        none = Choice(value="", text=_("No vault"), toolTip=_("No old images are replayed"))
        self._vaults.show((none, *state.vaults), state.vault, "")
        ui.vaultFrame.visible = state.open
        if ui.makeVaultButton.checked != state.open:
            ui.makeVaultButton.checked = state.open
        empty = _("No dataset on this computer yet")
        self._datasets.show(state.datasets, state.dataset, _("Choose a dataset…") if state.datasets else empty)
        self._methods.show(state.methods, state.method, _("The engine's own choice"))
        self._row.show(state.busy)
        missing = _("A vault is being made.") if state.busy else state.missing
        allow(ui.vaultStartButton, missing, _("Let the teacher choose the images worth keeping, and copy them"))

    def _onOpen(self) -> None:
        self.openWanted()

    def _onToggled(self, checked) -> None:
        self.toggled(bool(checked))

    def _onMake(self) -> None:
        self.makeWanted()
