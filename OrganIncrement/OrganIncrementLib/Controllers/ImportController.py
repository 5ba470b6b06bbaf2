"""Section 2, on request: the import of scans and labels as a dataset, in the background."""

from typing import Any

from slicer.i18n import tr as _

from organincrement.contract.errors import ContractError
from organincrement.contract.organs import organ_from_name, search_organs
from OrganIncrementLib.Controllers.BackgroundTask import BackgroundTask
from OrganIncrementLib.Controllers.PathList import pathsOf as textsOf
from OrganIncrementLib.Controllers.PathList import textOf
from OrganIncrementLib.Engine.Paths import isThere
from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.ChoiceBox import Choice
from OrganIncrementLib.Panels.ImportPanel import ImportPanel, ImportState
from OrganIncrementLib.Workspace import WorkspaceError


class ImportController:
    """Intent: imported(folder), when a dataset is there."""

    def __init__(self, ui, services, engineHindrance) -> None:
        self.panel = ImportPanel(ui, [organ.name for organ in search_organs("")])
        self.imported = Intent()
        self._services, self._engineHindrance, self._parameters = services, engineHindrance, None
        self._task = BackgroundTask(self._onEnded)
        self._isOpen, self._target = False, None
        self.panel.toggled.connect(self._onToggled)
        self.panel.folderWanted.connect(self._onFolder)
        self.panel.organAdded.connect(self._onOrganAdded)
        self.panel.organRemoved.connect(self._onOrganRemoved)
        self.panel.statusChosen.connect(self._onStatus)
        self.panel.formatChosen.connect(self._onFormat)
        self.panel.importWanted.connect(self._onImport)
        self.panel.cancelWanted.connect(self._task.cancel)

    def attach(self, parameters: Any) -> None:
        """Follow a parameter node."""
        self._parameters = parameters
        self.parametersModified()

    def detach(self) -> None:
        """The parameter node goes; an import that runs goes on."""
        self._parameters = None

    def parametersModified(self) -> None:
        """Something was filled in."""
        parameters = self._parameters
        if parameters is None:
            return
        missing = self._missing() if self._isOpen else ""  # it looks at the disk
        self.panel.show(
            ImportState(
                open=self._isOpen,
                organs=tuple(Choice(value=text, text=_shown(text)) for text in textsOf(parameters.importOrgans)),
                whyNoOrgan="" if parameters.importOrgan.strip() else _("Name an organ above first"),
                status=parameters.importStatus,
                format=parameters.importFormat,
                missing=missing,
                busy=self._task.state(),
            )
        )

    def tick(self) -> None:
        """Look after the import."""
        if self._task.tick():
            self.parametersModified()

    def close(self) -> None:
        """The module goes."""
        self._task.close()

    def _missing(self) -> str:
        parameters = self._parameters
        missing = []
        if not parameters.importImages.strip():
            missing.append(_("choose the folder with the scans"))
        elif not isThere(parameters.importImages.strip()):
            missing.append(_("the folder with the scans is not there"))
        if not parameters.importLabels.strip():
            missing.append(_("choose the folder with the label files"))
        elif not isThere(parameters.importLabels.strip()):
            missing.append(_("the folder with the label files is not there"))
        if not self._organs():
            missing.append(_("name the organ"))
        if missing:
            return _("To import: {what}.").format(what="; ".join(missing))
        return self._engineHindrance()

    def _organs(self) -> tuple[str, ...]:
        """ORGAN=VALUE of those added, and of the one in the fields."""
        p = self._parameters
        last = [f"{p.importOrgan.strip()}={p.importValue}"] if p.importOrgan.strip() else []
        return tuple(dict.fromkeys((*textsOf(p.importOrgans), *last)))

    def _onOrganAdded(self) -> None:
        p = self._parameters
        if p is not None:
            p.importOrgans = textOf(self._organs())
            p.importOrgan, p.importValue = "", min(p.importValue + 1, 65535)

    def _onOrganRemoved(self, organ: str) -> None:
        if self._parameters is not None:
            kept = (text for text in textsOf(self._parameters.importOrgans) if text != organ)
            self._parameters.importOrgans = textOf(kept)

    def _onStatus(self, key: str) -> None:
        if self._parameters is not None:
            self._parameters.importStatus = key

    def _onToggled(self, isOpen: bool) -> None:
        self._isOpen = isOpen
        self.parametersModified()

    def _onFolder(self, which: str) -> None:
        title = _("The folder with the scans") if which == "images" else _("The folder with the label files")
        chosen = self._services.dialogs.folder(title)
        if chosen is not None and self._parameters is not None:
            setattr(self._parameters, "importImages" if which == "images" else "importLabels", str(chosen))

    def _onFormat(self, key: str) -> None:
        if self._parameters is not None:
            self._parameters.importFormat = key

    def _onImport(self) -> None:
        parameters = self._parameters
        if parameters is None or self._missing():
            return
        try:
            named = [text.rpartition("=") for text in self._organs()]
            organs = [(organ_from_name(name.strip()), value) for name, _equals, value in named]
            name = "-".join(organ.id for organ, _value in organs[:3])
            target = self._services.workspace.newDatasetFolder(name)
        except (ContractError, WorkspaceError) as error:
            self._services.dialogs.error(_("The import cannot start. {reason}").format(reason=error))
            return
        self._target = target
        command = self._services.engine.run(
            "dataset", "import", "--images", parameters.importImages.strip(), "--labels",
            parameters.importLabels.strip(), "--organs", *(f"{organ.name}={value}" for organ, value in organs),
            "--from", parameters.importFormat, "--status", parameters.importStatus, "--out", target,
        )  # fmt: skip
        self._task.start(command, _("Importing"))
        self.parametersModified()

    def _onEnded(self, command: Any) -> None:
        if command.state == "finished":
            self._isOpen = False
            self.imported(self._target)
        elif command.state == "failed":
            self._services.dialogs.error(_("The scans were not imported. {reason}").format(reason=command.message))


def _shown(text: str) -> str:
    name, _equals, value = text.rpartition("=")
    return _("{organ}, label value {value}").format(organ=name, value=value)
