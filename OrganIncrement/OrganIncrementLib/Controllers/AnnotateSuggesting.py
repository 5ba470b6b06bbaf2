"""Which scan next: the engine ranks a folder of scans, a click opens one."""

from pathlib import Path

from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.results import Suggestions
from OrganIncrementLib.Controllers.AnnotateSession import WHO_KEY
from OrganIncrementLib.Engine.Paths import isFolder
from OrganIncrementLib.Logics.CaseErrors import CaseError
from OrganIncrementLib.Logics.CaseScene import loadScan, showScan
from OrganIncrementLib.Panels.AnnotateNextPanel import AnnotateNextPanel, NextState, SuggestionRow
from OrganIncrementLib.Translation import _


class AnnotateSuggesting:
    """scanOpened: called when a ranked scan is in the scene and chosen as the volume to add."""

    def __init__(self, ui, session, starting, tasks, scanOpened) -> None:
        self._session, self._starting, self._tasks, self._scanOpened = session, starting, tasks, scanOpened
        self._rows: tuple[SuggestionRow, ...] = ()
        self._folder = ""  # that the rows were made for
        self._shownScan = ""
        self.panel = AnnotateNextPanel(ui)
        self.panel.folderWanted.connect(self._onFolder)
        self.panel.modelChosen.connect(self._onModel)
        self.panel.suggestWanted.connect(self._onSuggest)
        self.panel.scanChosen.connect(self._onScan)
        self.panel.userNamed.connect(self._onNamed)

    def show(self) -> None:
        """Show the present state."""
        session = self._session
        rows = self._rows if session.parameters and session.parameters.candidateFolder == self._folder else ()
        self.panel.show(
            NextState(
                models=self._starting.models(), model=session.parameters.modelPath if session.parameters else "",
                rows=rows, noSuggest=self._noSuggest(), userName=session.who,
            )
        )  # fmt: skip

    def _noSuggest(self) -> str:
        parameters = self._session.parameters
        if parameters is None or not parameters.candidateFolder:
            return _("Choose a folder of scans first.")
        if not isFolder(parameters.candidateFolder):
            return _("This folder is not there: choose another.")
        if not parameters.modelPath:
            return _("Choose a model first.")
        return self._session.services.workspace.model(parameters.modelPath).problem or self._session.busy

    def _onFolder(self) -> None:
        parameters = self._session.parameters
        chosen = self._session.services.dialogs.folder(_("A folder of scans to choose from"))
        if chosen is not None and parameters is not None:
            parameters.candidateFolder = str(chosen)

    def _onModel(self, path: str) -> None:
        if self._session.parameters is not None:
            self._session.parameters.modelPath = path

    def _onSuggest(self) -> None:
        session = self._session
        if self._noSuggest():
            return
        parameters = session.parameters
        folder = parameters.candidateFolder
        command = session.services.engine.run(
            "suggest", "--model", parameters.modelPath, "--images", folder, "--count", parameters.suggestCount, "--json"
        )

        def ended(command) -> None:
            self._take(command, folder)

        self._tasks.start(command, _("Looking at the scans of {folder}").format(folder=Path(folder).name), ended)

    def _take(self, command, folder: str) -> None:
        if command.state != "finished":
            return
        try:
            found = codec.loads(Suggestions, command.output.encode(), where="suggest")
        except ContractError as error:
            self._session.services.dialogs.error(_("The engine's answer cannot be read: {reason}").format(reason=error))
            return
        self._folder = folder
        self._rows = tuple(
            SuggestionRow(path=image.path, uncertainty=image.uncertainty, gain=100 * image.coverage_gain)
            for image in found.images
        )

    def _onScan(self, path: str) -> None:
        session = self._session
        if session.parameters is None:
            return
        present = session.parameters.inputVolume
        if self._shownScan == path and present is not None:
            return
        try:
            node = loadScan(Path(self._folder) / path, _("suggested scan"))
        except CaseError as error:
            session.services.dialogs.error(str(error))
            return
        self._shownScan = path
        session.parameters.inputVolume = node
        showScan(node)
        self._scanOpened()

    def _onNamed(self, name: str) -> None:
        self._session.services.settings.set(WHO_KEY, name)
        self._session.changed()
