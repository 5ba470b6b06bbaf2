"""Section 5, below: what the engine wrote of a scan, for other programs: NIfTI with its labels, or DICOM."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from organincrement.contract.errors import ContractError
from organincrement.contract.files import resolve_inside
from OrganIncrementLib.Controllers.BackgroundTask import BackgroundTask
from OrganIncrementLib.Controllers.FolderOpener import openFolder
from OrganIncrementLib.Controllers.ModelWords import plainText
from OrganIncrementLib.Controllers.SeriesWords import otherSeriesText
from OrganIncrementLib.Engine.Paths import isFile, isThere
from OrganIncrementLib.Logics.DicomOrigin import isSeriesOf, seriesFolderOf
from OrganIncrementLib.Logics.ResultNodes import storedIn
from OrganIncrementLib.Panels.ResultExportPanel import DICOM, NIFTI, ResultExportPanel, ResultExportState
from OrganIncrementLib.Workspace import safeName


class ResultExportController:
    """Joins ResultExportPanel and the engine. shownResult: asked for the segmentation node that is shown, or None."""

    def __init__(self, ui, services, shownResult: Callable[[], Any], engineHindrance: Callable[[], str]) -> None:
        self.panel = ResultExportPanel(ui)
        self._services, self._shownResult, self._engineHindrance = services, shownResult, engineHindrance
        self._parameters, self._task = None, BackgroundTask(self._onEnded)
        self._volumeId, self._message, self._target, self._written = None, "", None, None
        self._form, self._doubted = NIFTI, ""  # of the export that runs; the series that the engine refused
        self.panel.formatChosen.connect(self._onFormat)
        self.panel.seriesWanted.connect(self._onSeries)
        self.panel.exportWanted.connect(self.export)
        self.panel.cancelWanted.connect(self._task.cancel)
        self.panel.showWanted.connect(self._onShow)

    def attach(self, parameters: Any) -> None:
        """Follow a parameter node."""
        self._parameters, self._volumeId = parameters, None
        self.parametersModified()

    def detach(self) -> None:
        """The parameter node goes; an export goes on."""
        self._parameters = None

    def parametersModified(self) -> None:
        """Another volume may be chosen: its series is another one."""
        if self._parameters is None:
            return
        volume = self._parameters.inputVolume
        volumeId = volume.GetID() if volume is not None else ""
        if volumeId != self._volumeId:
            self._volumeId = volumeId
            self.panel.setSeries(seriesFolderOf(volume) if volume is not None else "")
            if not self._task.running:
                self._message, self._written = "", None
        self._show()

    def tick(self) -> None:
        """Look after it."""
        if self._task.tick():
            self._show()

    def close(self) -> None:
        """The module goes."""
        self._task.close()

    def export(self) -> None:
        """Ask where to, and let the engine write."""
        if self._parameters is None or self._missing() or self._task.running:
            return
        form, series = self._parameters.resultFormat, self.panel.series()
        if form == DICOM and not (series and isThere(series)):
            self._message, self._written = _("⚠ Choose the folder of the scan's DICOM series first."), None
            self._show()
            return
        isOther = form == DICOM and (series == self._doubted or not isSeriesOf(self._parameters.inputVolume, series))
        if isOther and not self._services.dialogs.allow(*otherSeriesText(Path(series).name)):
            self._message, self._written = _("Not exported: this series may be another patient's."), None
            self._show()
            return
        parent = self._services.dialogs.folder(_("Export the result into this folder"))
        if parent is not None:
            self._start(form, parent, ("--dicom", series, *(["--other-series"] if isOther else [])))
        self._show()

    def _start(self, form: str, parent: Path, series: tuple[str, ...]) -> None:
        folder = self._folder()
        if folder is None:  # deleted while the dialogs were open; the button says so
            return
        self._form, self._target = form, _free(parent, f"{folder.name}-{form}")
        self._message, self._written = "", None
        given = series if form == DICOM else ()
        command = self._services.engine.run(
            "results", "export", folder, "--format", form, *given, "--out", self._target
        )  # fmt: skip
        self._task.start(command, _("Exporting {name}").format(name=self._target.name))

    def _onEnded(self, command: Any) -> None:
        if command.state == "cancelled":
            self._message = _("Cancelled; nothing was written.")
        elif command.state != "finished":
            self._message = f"⚠ {plainText(command.message)}"
            if "--other-series" in command.message:  # then the next try asks
                self._doubted = self.panel.series()
        else:
            self._written = self._target
            names = ", ".join(Path(line).name for line in command.output.splitlines() if line.strip())
            lines = [_("✓ Written into {folder}: {files}").format(folder=self._target, files=names)]
            lines += [f"• {plainText(line)}" for line in command.said]
            if self._form == DICOM:
                lines.append(_("• As DICOM requires, these files name the patient and the study."))
            self._message = "\n".join(lines)

    def _onFormat(self, form: str) -> None:
        if self._parameters is not None:
            self._parameters.resultFormat = form

    def _onSeries(self) -> None:
        chosen = self._services.dialogs.folder(_("The folder of the scan's DICOM series"), self.panel.series())
        if chosen is not None:
            self.panel.setSeries(str(chosen))

    def _onShow(self) -> None:
        if self._written is not None:
            openFolder(self._written)

    def _folder(self) -> Path | None:
        """Where the engine wrote what is shown; None where it is there no longer."""
        node = self._shownResult()
        stored = storedIn(node) if node is not None else ""
        try:
            folder = resolve_inside(self._services.workspace.resultsFolder, stored) if stored else None
        except ContractError:
            return None
        return folder if folder is not None and isFile(folder / "report.json") else None

    def _missing(self) -> str:
        if self._shownResult() is None:
            return _("Nothing to export yet: choose a volume and press Apply")
        if self._folder() is None:
            return _("The engine's files of this result are not on this computer: press Apply again")
        return self._engineHindrance()

    def _show(self) -> None:
        if self._parameters is None:
            return
        form = self._parameters.resultFormat
        self.panel.show(
            ResultExportState(
                form=form if form in (NIFTI, DICOM) else NIFTI, missing=self._missing(), task=self._task.state(),
                message=self._message, canShow=self._written is not None,
            )
        )  # fmt: skip


def _free(parent: Path, name: str) -> Path:
    number, plain = 1, safeName(name)
    path = Path(parent) / plain
    while isThere(path):
        number += 1
        path = Path(parent) / f"{plain}-{number}"
    return path
