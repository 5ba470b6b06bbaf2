"""Section 3, Advanced: chooses a vault of old images, and has the engine make one, in the background."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.vault import Vault
from OrganIncrementLib.Controllers.BackgroundTask import BackgroundTask
from OrganIncrementLib.Controllers.EntryChoices import entryChoice, withChosen
from OrganIncrementLib.Controllers.MethodList import Method
from OrganIncrementLib.Controllers.TeacherController import NO_TEACHER
from OrganIncrementLib.Engine.VaultCommand import vaultArguments
from OrganIncrementLib.Panels.ChoiceBox import Choice
from OrganIncrementLib.Panels.VaultPanel import VaultPanel, VaultState
from OrganIncrementLib.Workspace import WorkspaceError


class VaultController:
    """The vault's path stands in the parameter node; the images in it stay where they are.

    methods: asked for the methods that replay a vault.
    """

    def __init__(self, ui, services, teacher, engineHindrance) -> None:
        self.panel = VaultPanel(ui)
        self.methods: Callable[[], tuple[Method, ...]] = tuple
        self._services, self._teacher, self._engineHindrance = services, teacher, engineHindrance
        self._parameters, self._isOpen, self._target, self._shownOf = None, False, None, None
        self._task = BackgroundTask(self._onEnded)
        self.panel.vaultChosen.connect(self.choose)
        self.panel.openWanted.connect(self._onOpen)
        self.panel.toggled.connect(self._onToggled)
        self.panel.datasetChosen.connect(self._onDataset)
        self.panel.methodChosen.connect(self._onMethod)
        self.panel.makeWanted.connect(self._onMake)
        self.panel.cancelWanted.connect(self._task.cancel)

    def attach(self, parameters: Any) -> None:
        """Follow a parameter node."""
        self._parameters = parameters
        self._show()

    def detach(self) -> None:
        """The parameter node goes; a vault that is being made is made on."""
        self._parameters = None

    def parametersModified(self) -> None:
        """Something else is chosen; only then it looks at the disk."""
        if self._parameters is not None and self._shownOf != self._choice():
            self._show()

    def tick(self) -> None:
        """Look after the vault that is being made."""
        if self._task.tick() and self._parameters is not None:
            self._show()

    def close(self) -> None:
        """The module goes."""
        self._task.close()

    def choose(self, path: Path | str) -> None:
        """Take a vault, or none; parametersModified follows."""
        if self._parameters is not None:
            self._parameters.vaultPath = str(path)

    def _onOpen(self) -> None:
        chosen = self._services.dialogs.folder(_("Open a vault of old images (a folder)"))
        if chosen is None:
            return
        try:
            self.choose(self._services.workspace.addVault(chosen))
        except WorkspaceError as error:
            self._services.dialogs.error(str(error))

    def _onToggled(self, isOpen: bool) -> None:
        self._isOpen = isOpen
        if self._parameters is not None:
            self._show()

    def _onDataset(self, path: str) -> None:
        if self._parameters is not None:
            self._parameters.vaultDataset = path

    def _onMethod(self, name: str) -> None:
        if self._parameters is not None:
            self._parameters.vaultMethod = name

    def _onMake(self) -> None:
        if self._parameters is None or self._missing():
            return
        dataset = self._services.workspace.dataset(Path(self._parameters.vaultDataset))
        try:
            self._target = self._services.workspace.newVaultFolder(dataset.name)
        except WorkspaceError as error:
            self._services.dialogs.error(str(error))
            return
        arguments = vaultArguments(
            self._teacher.path, dataset.path, self._target, method=self._method(),
            count=self._parameters.vaultCount, device=self._parameters.device,
        )  # fmt: skip
        self._task.start(self._services.engine.run(*arguments), _("Choosing images"))
        self._show()

    def _onEnded(self, command: Any) -> None:
        if command.state == "finished":
            self._isOpen = False
            self.choose(self._target)
        elif command.state == "failed":
            self._services.dialogs.error(_("The vault was not made. {reason}").format(reason=command.message))

    def _method(self) -> str:
        """The method that the vault is for; the chosen one where it replays, else the first that does."""
        names = [method.name for method in self.methods()]
        wanted = (name for name in (self._parameters.vaultMethod, self._parameters.method, *names) if name in names)
        return next(wanted, "")

    def _missing(self) -> str:
        missing = []
        if self._teacher.path in ("", NO_TEACHER):
            missing.append(_("choose a teacher in section 1, which chooses the images"))
        elif self._teacher.hindrance:
            missing.append(self._teacher.hindrance)
        if not self._parameters.vaultDataset:
            missing.append(_("choose the dataset that the images are taken from"))
        if missing:
            return _("To make a vault: {what}.").format(what="; ".join(missing))
        return self._engineHindrance()

    def _choice(self) -> tuple:
        p = self._parameters
        names = tuple(method.name for method in self.methods())
        return (
            self._teacher.path, p.vaultPath, p.vaultDataset, p.vaultMethod, p.method, names, self._engineHindrance()
        )  # fmt: skip

    def _show(self) -> None:
        self._shownOf = self._choice()
        workspace, parameters = self._services.workspace, self._parameters
        paths = list(workspace.vaults())
        if parameters.vaultPath and Path(parameters.vaultPath) not in paths:
            paths.append(Path(parameters.vaultPath))  # a loaded scene may name one that is in no list
        chosen = workspace.dataset(Path(parameters.vaultDataset)) if parameters.vaultDataset else None
        self.panel.show(
            VaultState(
                vaults=tuple(_choice(path) for path in paths),
                vault=parameters.vaultPath,
                open=self._isOpen,
                datasets=tuple(entryChoice(entry) for entry in withChosen(workspace.datasets(), chosen)),
                dataset=parameters.vaultDataset,
                methods=tuple(Choice(value=m.name, text=m.title, toolTip=m.summary) for m in self.methods()),
                method=self._method(),
                missing=self._missing() if self._isOpen else "",
                busy=self._task.state(),
            )
        )


def _choice(path: Path) -> Choice:
    try:
        vault = codec.read(Vault, path / "vault.json")
    except (ContractError, OSError):
        return Choice(value=str(path), text=_("{name} (damaged)").format(name=path.name), toolTip=str(path))
    text = _("{name} · {count} images").format(name=path.name, count=len(vault.exemplars))
    organs = ", ".join(vault.organs).replace("_", " ")
    hint = _("Of {organs}, chosen for {method}; in {path}").format(organs=organs, method=vault.by, path=path)
    return Choice(value=str(path), text=text, toolTip=hint)
