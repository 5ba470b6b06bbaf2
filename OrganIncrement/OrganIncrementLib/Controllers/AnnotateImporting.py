"""Section 2: a folder of scans and labels, imported by the engine and moved into the dataset; checking it."""

import json
import secrets
import shutil
from pathlib import Path

from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.errors import ContractError
from OrganIncrementLib.Logics.CaseErrors import CaseError, inWords
from OrganIncrementLib.Logics.DatasetMerge import mergeDataset
from OrganIncrementLib.Panels.AnnotateImportPanel import AnnotateImportPanel, ImportState, ImportWanted
from OrganIncrementLib.Translation import _


class AnnotateImporting:
    """The engine imports into a hidden folder of the dataset, so that the cases are only renamed at the end."""

    def __init__(self, ui, session, tasks) -> None:
        self._session, self._tasks, self._isOpen = session, tasks, False
        self.panel = AnnotateImportPanel(ui)
        self.panel.imagesWanted.connect(self._onImages)
        self.panel.labelsWanted.connect(self._onLabels)
        self.panel.importWanted.connect(self._onImport)
        self.panel.closed.connect(self._onClosed)

    def show(self) -> None:
        """Show the present state."""
        organs = tuple((organ.id, organ.name) for organ in self._session.organs)
        visible = self._isOpen and self._session.folder is not None
        self.panel.show(ImportState(visible=visible, organs=organs, busy=self._session.busy))

    def open(self) -> None:
        """Show the frame."""
        self._isOpen = True
        self._session.changed()

    def checkAll(self) -> None:
        """Let the engine read every file of the dataset."""
        session = self._session
        if session.folder is None or session.busy:
            return
        path = session.folder.path

        def ended(command) -> None:
            self._takeFindings(command, path)

        text = _("Checking {dataset}").format(dataset=session.folder.manifest.name)
        self._tasks.start(
            session.services.engine.run("dataset", "check", path, "--json"), text, ended, saysErrors=False
        )

    def _takeFindings(self, command, path: Path) -> None:
        session = self._session
        if command.state == "cancelled" or session.folder is None or session.folder.path != path:
            return
        try:
            rows = json.loads(command.output)["findings"]
            findings: dict[str, list[str]] = {}
            for row in rows:
                sign = "✗" if row["kind"] == "problem" else "·"
                text = f"{sign} {row['file'] or ''} {row['message']}; {row['what_to_do']}"
                findings.setdefault(row["case"] or "", []).append(" ".join(text.split()))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            session.services.dialogs.error(
                _("The dataset could not be checked. {reason}").format(reason=command.message)
            )
            return
        session.findings = findings
        session.readCases()
        general = findings.get("", [])
        problems = sum(line.startswith("✗") for lines in findings.values() for line in lines)
        if general:
            session.services.dialogs.warn("\n".join(general))
        elif not problems:
            session.services.dialogs.info(_("No problem was found in the dataset's files."))

    def _onImages(self, kind: str) -> None:
        dialogs = self._session.services.dialogs
        if kind == "csv":
            chosen = dialogs.openFile(_("The table of scans and labels"), _("Tables (*.csv)"))
        else:
            chosen = dialogs.folder(_("The folder of the scans"))
        if chosen is not None:
            self.panel.setImages(str(chosen))

    def _onLabels(self) -> None:
        chosen = self._session.services.dialogs.folder(_("The folder of the labels"))
        if chosen is not None:
            self.panel.setLabels(str(chosen))

    def _onClosed(self) -> None:
        self._isOpen = False
        self._session.changed()

    def _onImport(self, wanted: ImportWanted) -> None:
        session = self._session
        if session.folder is None or session.busy:
            return
        target = session.folder.path
        partial = target / f".import.{secrets.token_hex(4)}.partial"
        labels = wanted.labels or str(Path(wanted.images).parent)
        options = ["--images", wanted.images, "--labels", labels, "--from", wanted.kind, "--out", partial]
        options += ["--organs", *(f"{organ}={value}" for organ, value in wanted.values), "--status", "draft"]
        options += ["--allow-empty"] if wanted.absent else []
        options += ["--ignore-other-labels"] if wanted.leaveOthers else []

        def ended(command) -> None:
            self._merge(command, partial, target, wanted)

        text = _("Adding scans to {dataset}").format(dataset=session.folder.manifest.name)
        self._tasks.start(session.services.engine.run("dataset", "import", *options), text, ended)

    def _merge(self, command, partial: Path, target: Path, wanted: ImportWanted) -> None:
        session, dialogs = self._session, self._session.services.dialogs
        try:
            if command.state != "finished":
                return
            organIds = [organ for organ, _value in wanted.values]
            with inWords(target):
                source, folder = DatasetFolder.open(partial), DatasetFolder.open(target)
                merged = mergeDataset(source, folder, organIds, wanted.status, session.who)
            text = _("{count} cases were added.").format(count=len(merged.added))
            if merged.known:
                text += " " + _("{count} scans were in the dataset already and were left out.").format(
                    count=len(merged.known)
                )
            dialogs.info(text)
            self._isOpen = False
        except (CaseError, ContractError) as error:
            dialogs.error(_("Not all scans were added. {reason}").format(reason=error))
        finally:
            for folder in (partial, *target.glob(f".{partial.name}.*")):  # an engine that was killed left its own
                shutil.rmtree(folder, ignore_errors=True)
            session.readCases()
