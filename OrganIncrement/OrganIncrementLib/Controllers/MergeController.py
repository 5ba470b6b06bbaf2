"""Section 6: merges results of the volume of section 5, and models that are applied to it, into one segmentation."""

from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from organincrement.contract.errors import ContractError
from OrganIncrementLib.Controllers.ConflictWords import conflictRows
from OrganIncrementLib.Controllers.MergeRun import CANCELLED, DONE, MergeRun
from OrganIncrementLib.Controllers.PathList import pathsOf, textOf
from OrganIncrementLib.Controllers.StudentWords import modelChoices
from OrganIncrementLib.Logics.LogicError import LogicError
from OrganIncrementLib.Logics.RegionWalk import centreViews
from OrganIncrementLib.Logics.ResultNodes import conflictsOf, markConflicts, mergedOf
from OrganIncrementLib.Logics.StoredResults import StoredResults
from OrganIncrementLib.Logics.VolumeExport import problemOf
from OrganIncrementLib.Panels.ChoiceBox import Choice
from OrganIncrementLib.Panels.MergePanel import MergePanel, MergeState
from OrganIncrementLib.Workspace import WorkspaceError


class MergeController:
    """Joins MergePanel, the engine and section 5's view of results, which shows the merged one like any."""

    def __init__(self, ui, services, view) -> None:
        self.panel = MergePanel(ui)
        self._services, self._view, self._parameters = services, view, None
        self._stored = StoredResults(services.workspace.resultsFolder)
        self._results, self._models, self._shownOf = (), [], None
        self._run, self._message = None, ""
        self.panel.tickedChanged.connect(self._onTicked)
        self.panel.mergeWanted.connect(self.merge)
        self.panel.cancelWanted.connect(self._onCancel)
        self.panel.conflictWanted.connect(self._onConflict)

    def attach(self, parameters: Any) -> None:
        """Follow a parameter node."""
        self._parameters = parameters
        self.modelsChanged()

    def detach(self) -> None:
        """Follow none; a merge goes on."""
        self._parameters = None

    def parametersModified(self) -> None:
        """Another volume, or other parts."""
        if self._parameters is None:
            return
        volume = self._parameters.inputVolume
        if self._shownOf != (volume.GetID() if volume is not None else ""):
            self.modelsChanged()
        else:
            self._show()

    def tick(self) -> None:
        """Go on with what runs."""
        if self._run is None:
            return
        try:
            self._run.tick()
        except (LogicError, WorkspaceError) as error:  # the next package cannot be applied
            self._run.close()
            self._services.dialogs.error(str(error))
        if not self._run.running:
            run, self._run = self._run, None
            self._finish(run)
            self.modelsChanged()
        self._show()

    def close(self) -> None:
        """The module goes: what runs is ended."""
        if self._run is not None:
            self._run.close()
            self._run = None

    def modelsChanged(self) -> None:
        """Packages or results may have come or gone."""
        if self._parameters is None:
            return
        volume = self._parameters.inputVolume
        self._shownOf = volume.GetID() if volume is not None else ""
        self._results = self._stored.of(volume)
        models = self._services.workspace.models() if volume is not None else []
        self._models = [entry for entry in models if entry.manifest is not None and not entry.problem]
        self._show()

    def merge(self) -> None:
        """Merge what is ticked."""
        if self._run is not None or self._missing():
            return
        volume, ticked = self._parameters.inputVolume, self._ticked()
        problem = problemOf(volume)
        if problem:
            self._services.dialogs.error(problem)
            return
        kind = self._parameters.uncertaintyKind
        options = {
            "uncertaintyKind": "entropy" if kind == "none" else kind,  # it decides who wins
            "largestComponent": self._parameters.largestComponent,
        }
        parts = [result.folder for result in self._results if str(result.folder) in ticked]
        entries = [entry for entry in self._models if str(entry.path) in ticked]
        self._message = ""
        try:
            self._run = MergeRun(self._services, volume, parts, entries, options)
        except (LogicError, WorkspaceError) as error:
            self._services.dialogs.error(str(error))
        self._show()

    def _finish(self, run: MergeRun) -> None:
        if run.state == CANCELLED:
            self._message = run.message or _("Cancelled.")
        elif run.state != DONE:
            self._services.dialogs.error(
                _("{volume} was not merged. {reason}").format(volume=run.volumeName, reason=run.message)
            )
        elif run.volume is None:
            self._message = _("The scene was closed meanwhile; the result of {volume} is kept in {folder}.").format(
                volume=run.volumeName, folder=run.folder
            )
        else:
            self._take(run)

    def _take(self, run: MergeRun) -> None:
        try:
            conflicts = run.conflicts()
            segmentation = self._view.take(run)
        except (LogicError, ContractError, OSError) as error:
            self._services.dialogs.error(str(error))
            return
        markConflicts(segmentation, conflicts)
        self._view.parametersModified()
        self._message = _("{volume}: {model}.").format(volume=run.volumeName, model=run.entry.name)

    def _onTicked(self, values: tuple[str, ...]) -> None:
        if self._parameters is not None:
            self._parameters.mergeParts = textOf(values)

    def _onCancel(self) -> None:
        if self._run is not None:
            self._run.cancel()
            self._show()

    def _onConflict(self, index: int) -> None:
        merged = self._merged()
        conflicts = conflictsOf(merged) if merged is not None else ()
        if index < len(conflicts):
            centreViews(conflicts[index].center_ras_mm)

    def _merged(self):
        return mergedOf(self._parameters.inputVolume) if self._parameters is not None else None

    def _ticked(self) -> tuple[str, ...]:
        """Of what was ticked, what is still there."""
        there = {*(str(result.folder) for result in self._results), *(str(entry.path) for entry in self._models)}
        return tuple(path for path in pathsOf(self._parameters.mergeParts) if path in there)

    def _missing(self) -> str:
        if self._parameters.inputVolume is None:
            return _("To merge: choose a volume in section 5.")
        ticked = self._ticked()
        if len(ticked) < 2:
            return _("To merge: tick two or more.")
        if len({result.scan for result in self._results if str(result.folder) in ticked}) > 1:
            return _("The results that are ticked are of different scans: take one away.")
        return ""

    def _parts(self) -> tuple[Choice, ...]:
        results = (
            Choice(
                value=str(result.folder), toolTip=str(result.folder),
                text=_("{folder}: by {model}, {count} organs").format(
                    folder=Path(result.folder).name, model=result.model, count=result.organs
                ),
            )
            for result in self._results
        )  # fmt: skip
        apply = _("Apply {model}")
        models = (
            Choice(value=model.value, text=apply.format(model=model.text), toolTip=model.toolTip)
            for model in modelChoices(self._models)
        )
        return (*results, *models)

    def _show(self) -> None:
        if self._parameters is None:
            return
        merged = self._merged()
        self.panel.show(
            MergeState(
                parts=self._parts(), ticked=self._ticked(), missing=self._missing(),
                task=self._run.taskState() if self._run else None, message=self._message,
                conflicts=conflictRows(merged, conflictsOf(merged)) if merged is not None else None,
            )
        )  # fmt: skip
