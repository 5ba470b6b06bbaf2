"""Section 2, upper part: the list of datasets, the chosen one's cases, and the first problem in it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from OrganIncrementLib.Controllers.BackgroundTask import BackgroundTask
from OrganIncrementLib.Controllers.CaseOpener import openCase
from OrganIncrementLib.Controllers.EntryChoices import entryChoice, withChosen
from OrganIncrementLib.Controllers.FolderOpener import openFolder
from OrganIncrementLib.Controllers.Planner import filesMark
from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.DatasetPanel import DatasetPanel, DatasetState
from OrganIncrementLib.Panels.OrganChips import chipsOf
from OrganIncrementLib.Workspace import WorkspaceError
from OrganIncrementLib.WorkspaceEntries import DatasetEntry


class DatasetController:
    """`entry`: the chosen dataset as the workspace lists it, None where none is. Intent: loaded(), a longer list."""

    def __init__(self, ui, services) -> None:
        self.panel = DatasetPanel(ui)
        self.loaded = Intent()
        self.entry: DatasetEntry | None = None
        self.engineHindrance: Callable[[], str] = str
        self._services, self._parameters, self._entries, self._shownPath = services, None, [], None
        self._check = BackgroundTask(self._onChecked)
        self._findings: dict[str, Any] | None = None
        self._checkFailed, self._checkedState = "", None
        self.panel.datasetChosen.connect(self.choose)
        self.panel.openWanted.connect(self._onOpen)
        self.panel.problemWanted.connect(self._onProblem)

    @property
    def path(self) -> str:
        """The chosen dataset's folder; "" where none is chosen."""
        return self._parameters.datasetPath if self._parameters is not None else ""

    @property
    def hindrance(self) -> str:
        """Why nothing can be done with the chosen dataset, "" when it can."""
        if not self.path:
            return _("choose a dataset with the new organ (section 2)")
        return self._entryProblem()

    def attach(self, parameters: Any) -> None:
        """Follow a parameter node."""
        self._parameters, self._shownPath = parameters, None
        self.refresh()

    def detach(self) -> None:
        """The parameter node goes."""
        self._parameters = None

    def parametersModified(self) -> None:
        """Another dataset may be chosen."""
        if self.path != self._shownPath:
            self.refresh()

    def tick(self) -> None:
        """Look after the check."""
        if self._check.tick():
            self._show()

    def close(self) -> None:
        """The module goes."""
        self._check.close()

    def choose(self, path: Path | str) -> None:
        """Take a dataset; parametersModified follows."""
        if self._parameters is not None and self.path != str(path):
            self._parameters.datasetPath = str(path)

    def refresh(self) -> None:
        """Read the list of datasets again, check the chosen one, and show it; without a parameter node, later."""
        if self._parameters is None:
            return
        self._shownPath = path = self.path
        self.entry = self._services.workspace.dataset(Path(path)) if path else None
        self._entries = withChosen(self._services.workspace.datasets(), self.entry)
        self._checkUnlessDone()
        self._show()

    def add(self, path: Path | str) -> None:
        """List a dataset folder from now on, and choose it; a dialog says why it is none."""
        try:
            entry = self._services.workspace.addDataset(Path(path))
        except WorkspaceError as error:
            self._services.dialogs.error(_("This is not a dataset that can be opened. {reason}").format(reason=error))
            return
        self.choose(entry.path)
        self.refresh()
        self.loaded()

    def _checkUnlessDone(self) -> None:
        """Have the files checked, where they are others than those that were checked last."""
        state = (self.path, filesMark(Path(self.path)) if self.path else (0, 0), self._services.engine.python)
        if state == self._checkedState:
            return
        self._checkedState, self._findings, self._checkFailed = state, None, ""
        self._check.drop()
        if self.entry is not None and self.entry.manifest is not None:
            command = self._services.engine.run("dataset", "check", self.path, "--json")
            self._check.start(command, _("Checking the dataset"))

    def _onOpen(self) -> None:
        chosen = self._services.dialogs.folder(_("Open a dataset folder (it holds dataset.json)"))
        if chosen is not None:
            self.add(chosen)

    def _onChecked(self, command: Any) -> None:
        try:
            self._findings = json.loads(command.output)
        except ValueError:
            self._checkFailed = command.message

    def _onProblem(self) -> None:
        finding = self._firstProblem()
        if finding is None:
            return
        problem = openCase(self.path, finding["case"]) if finding.get("case") else ""
        if problem or not finding.get("case"):
            folder = Path(self.path) / (finding.get("file") or ".")
            openFolder(folder.parent if finding.get("file") else folder)
        if problem:
            self._services.dialogs.error(problem)

    def _firstProblem(self) -> dict[str, Any] | None:
        findings = (self._findings or {}).get("findings", ())
        return next((finding for finding in findings if finding["kind"] == "problem"), None)

    def _entryProblem(self) -> str:
        return self.entry.problem if self.entry is not None else ""

    def _show(self) -> None:
        entry, finding = self.entry, self._firstProblem()
        manifest = entry.manifest if entry is not None else None
        self.panel.show(
            DatasetState(
                choices=tuple(map(entryChoice, self._entries)),
                chosen=self.path,
                placeholder=_("Choose a dataset…") if self._entries else _("No dataset on this computer yet"),
                organs=chipsOf(manifest.organs) if manifest else (),
                cases=_casesText(entry.counts) if manifest else self._hint(),
                problem=self._entryProblem() or (_problemText(finding) if finding else ""),
                problemOpens=finding is not None and not self._entryProblem(),
                checked=self._checkedText(),
            )
        )

    def _hint(self) -> str:
        if self.path or self._entries:
            return ""
        return _("There is no dataset on this computer yet: import one, make one in OrganAnnotate, or use sample data.")

    def _checkedText(self) -> str:
        if self._check.running:
            return _("The files are being checked…")
        if self._checkFailed:
            if self.engineHindrance():  # the row at the top says it already
                return ""
            return _("The files could not be checked. {reason}").format(reason=self._checkFailed)
        return _("✓ No problem found in the files.") if self._findings is not None else ""


def _casesText(counts: dict[str, int]) -> str:
    words = {
        "submitted": _("{count} waiting for review"),
        "flagged": _("{count} flagged"),
        "draft": _("{count} still drafts"),
    }
    text = _("{approved} of {total} cases approved").format(
        approved=counts.get("approved", 0), total=sum(counts.values())
    )
    rest = [word.format(count=counts[status]) for status, word in words.items() if counts.get(status)]
    return " · ".join((text, *rest))


def _problemText(finding: dict[str, Any]) -> str:
    case = _("case {case}: ").format(case=finding["case"]) if finding.get("case") else ""
    return f"{case}{finding['message']}; {finding['what_to_do']}"
