"""Section 2, lower part: the audit of a teacher and a dataset, and opening what it found."""

from collections import Counter
from pathlib import Path
from typing import Any
from zlib import crc32

from slicer.i18n import tr as _

from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.results import Audit
from OrganIncrementLib.Controllers.BackgroundTask import BackgroundTask
from OrganIncrementLib.Controllers.CaseOpener import openCase
from OrganIncrementLib.Controllers.TeacherController import NO_TEACHER
from OrganIncrementLib.Panels.AuditPanel import AuditPanel, AuditRow, AuditState
from OrganIncrementLib.Workspace import WorkspaceError, safeName


class AuditController:
    """Asks the engine's `audit`; an earlier answer for the same teacher and dataset is shown again."""

    def __init__(self, ui, services, teacher, dataset, engineHindrance) -> None:
        self.panel = AuditPanel(ui)
        self._services, self._teacher, self._dataset = services, teacher, dataset
        self._engineHindrance, self._parameters = engineHindrance, None
        self._task = BackgroundTask(self._onEnded)
        self._audited: tuple[str, str] | None = None
        self._audit: Audit | None = None
        self.panel.auditWanted.connect(self._onAudit)
        self.panel.cancelWanted.connect(self._task.cancel)
        self.panel.caseWanted.connect(self._onCase)

    def attach(self, parameters: Any) -> None:
        """Follow a parameter node."""
        self._parameters = parameters
        self.parametersModified()

    def detach(self) -> None:
        """The parameter node goes; an audit that runs goes on."""
        self._parameters = None

    def parametersModified(self) -> None:
        """Teacher or dataset may be others."""
        pair = (self._teacher.path, self._dataset.path)
        if pair != self._audited and self._parameters is not None:
            if self._task.running:
                self._task.drop()
            self._audited, self._audit = pair, None
            self._readEarlier()
        self.show()

    def tick(self) -> None:
        """Look after the audit."""
        if self._task.tick():
            self.show()

    def close(self) -> None:
        """The module goes."""
        self._task.close()

    def show(self) -> None:
        """Show what is known."""
        rows = tuple(
            AuditRow(case=case.id, verdict=case.verdict, reason=case.reason)
            for case in (self._audit.cases if self._audit else ())
        )
        self.panel.show(
            AuditState(hindrance=self._hindrance(), busy=self._task.state(), rows=rows, summary=_summary(self._audit))
        )

    def _hindrance(self) -> str:
        missing = [text for text in (self._teacher.hindrance, self._dataset.hindrance) if text]
        if missing:
            return _("To check: {what}.").format(what="; ".join(missing))
        if self._teacher.path == NO_TEACHER:
            return _("Without a teacher there is nothing to compare the scans with.")
        return self._engineHindrance()

    def _onAudit(self) -> None:
        if self._hindrance() or self._parameters is None:
            return
        try:
            folder = self._services.workspace.resultFolder(self._teacher.entry.sha256, self._name())
        except WorkspaceError as error:
            self._services.dialogs.error(str(error))
            return
        command = self._services.engine.run(
            "audit", "--teacher", self._teacher.path, "--dataset", self._dataset.path, "--out", folder,
            "--device", self._parameters.device,
        )  # fmt: skip
        self._task.start(command, _("Looking at the scans"))
        self.show()

    def _onEnded(self, command: Any) -> None:
        if command.state == "finished":
            self._readEarlier()
        elif command.state == "failed":
            self._services.dialogs.error(_("The check did not work. {reason}").format(reason=command.message))

    def _onCase(self, caseId: str) -> None:
        problem = openCase(self._dataset.path, caseId)
        if problem:
            self._services.dialogs.error(problem)

    def _name(self) -> str:
        """Of the folder for the answers about this dataset; another one may have the same name elsewhere."""
        path = Path(self._dataset.path)
        return safeName(f"audit-{path.name}-{crc32(str(path).encode()):08x}")

    def _readEarlier(self) -> None:
        """The answer that lies on disk, where it is of the cases that the dataset has now."""
        entry, dataset = self._teacher.entry, self._dataset.entry
        if entry is None or not entry.sha256 or dataset is None or dataset.manifest is None:
            return
        folder = self._services.workspace.resultsFolder / entry.sha256[:8] / self._name()
        try:
            audit = codec.read(Audit, folder / "audit.json")
        except (ContractError, OSError):
            return
        if len(audit.cases) == sum(dataset.counts.values()):
            self._audit = audit


def _summary(audit: Audit | None) -> str:
    if audit is None:
        return ""
    counts = Counter(case.verdict for case in audit.cases)
    parts = [
        _("{count} fit").format(count=counts["fits"]),
        _("{count} doubtful").format(count=counts["doubtful"]) if counts["doubtful"] else "",
        _("{count} unusable").format(count=counts["unusable"]) if counts["unusable"] else "",
    ]
    return _("Of {total} scans: {parts}. Click one to see it.").format(
        total=len(audit.cases), parts=", ".join(filter(None, parts))
    )
