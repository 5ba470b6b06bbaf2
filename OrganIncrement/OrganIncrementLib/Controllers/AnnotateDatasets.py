"""Section 1: which dataset, a new one, one more organ."""

import os
from dataclasses import replace
from pathlib import Path

from organincrement.contract import codec
from organincrement.contract.dataset import Dataset, DatasetFolder
from organincrement.contract.errors import ContractError
from organincrement.contract.files import locked
from organincrement.contract.labels import LabelSpace, Organ
from organincrement.contract.organs import organ_from_name, search_organs
from OrganIncrementLib.Engine.Paths import isFolder
from OrganIncrementLib.Logics.CaseChecks import sideOf
from OrganIncrementLib.Logics.CaseErrors import CaseError, inWords
from OrganIncrementLib.Logics.CaseWriter import LOCK_WAIT_S
from OrganIncrementLib.Panels.AnnotateDatasetPanel import AnnotateDatasetPanel, DatasetState, OrganChip
from OrganIncrementLib.Translation import _
from OrganIncrementLib.Workspace import WorkspaceError, safeName

MOST_MATCHES = 40


class AnnotateDatasets:
    """Opens and makes datasets. leave: asked before another dataset is opened; False keeps the present one."""

    def __init__(self, ui, session, leave) -> None:
        self._session, self._leave = session, leave
        self._frame, self._search = "", ""
        self._matches: list[Organ] = []
        self._newOrgans: list[Organ] = []
        self.panel = AnnotateDatasetPanel(ui)
        self.panel.datasetChosen.connect(self.open)
        self.panel.newWanted.connect(self._onNew)
        self.panel.openWanted.connect(self._onOpen)
        self.panel.organsWanted.connect(self._onOrgans)
        self.panel.frameClosed.connect(self._onClosed)
        self.panel.searched.connect(self._onSearched)
        self.panel.organAdded.connect(self._onAdded)
        self.panel.organRemoved.connect(self._onRemoved)
        self.panel.createWanted.connect(self._onCreate)

    def open(self, path) -> bool:
        """Open a dataset, if what is drawn may be left. Returns: whether it is open now."""
        session = self._session
        if not path:
            return False
        if session.folder is not None and Path(path) == session.folder.path:
            return True
        if not self._leave():
            session.changed()
            return False
        try:
            session.openDataset(path)
            session.services.workspace.addDataset(path)
        except (CaseError, WorkspaceError) as error:
            session.services.dialogs.error(str(error))
        session.changed()
        return session.folder is not None and session.folder.path == Path(path)

    def show(self) -> None:
        """Show the present state."""
        session = self._session
        folder = session.folder
        entries = [(str(entry.path), entry.name) for entry in session.services.workspace.datasets() if entry.manifest]
        current = str(folder.path) if folder else ""
        if current and current not in [path for path, _name in entries]:
            entries.insert(0, (current, folder.manifest.name))
        self.panel.show(
            DatasetState(
                choices=tuple(entries), current=current, info=self._info(),
                organs=tuple(chipOf(organ) for organ in session.organs), frame=self._frame,
                matches=tuple(chipOf(organ, self._note(organ)) for organ in self._matches),
                newOrgans=tuple(chipOf(organ) for organ in self._newOrgans),
            )
        )  # fmt: skip

    def _info(self) -> str:
        session = self._session
        if session.folder is None:
            return _("Open a dataset, or make a new one: it holds scans and what is drawn on them.")
        counts = {}
        for listed in session.cases:
            key = listed.case.status if listed.case else "damaged"
            counts[key] = counts.get(key, 0) + 1
        shown = ", ".join(f"{count} {statusText(key)}" for key, count in counts.items())
        modality = session.folder.manifest.modality
        text = f"{modality} · {shown}. " if shown else _("{modality}, no case yet. ").format(modality=modality)
        text += _("Only approved cases are offered to training.")
        if readOnly(session.folder.path):
            text += " " + _("⚠ This folder may not be written: nothing can be saved in it.")
        return text

    def _note(self, organ: Organ) -> str:
        if organ.type is None:
            return _("not in the terminology")
        isPair = organ.modifier is None and any(
            other.modifier is not None and other.type is not None and other.type.same_as(organ.type)
            for other in self._matches
        )
        return _("both sides as one") if isPair else ""

    def _onNew(self) -> None:
        self._openFrame("new")

    def _onOrgans(self) -> None:
        self._openFrame("organs")

    def _openFrame(self, frame: str) -> None:
        self._frame, self._newOrgans, self._search = frame, [], ""
        self.panel.clearForm()
        self._find()

    def _onClosed(self) -> None:
        self._frame = ""
        self._session.changed()

    def _onOpen(self) -> None:
        chosen = self._session.services.dialogs.folder(_("Open a dataset's folder"))
        if chosen is not None:
            self.open(chosen)

    def _onSearched(self, text: str) -> None:
        self._search = text
        self._find()

    def _find(self) -> None:
        self._matches = search_organs(self._search)[:MOST_MATCHES]
        named = self._named()
        if named is not None and not any(named.same_as(organ) for organ in self._matches):
            self._matches.append(named)
        self._session.changed()

    def _named(self) -> Organ | None:
        """The organ that the typed words mean by themselves, known to the terminology or not."""
        try:
            return organ_from_name(self._search) if len(self._search.strip()) > 2 else None
        except ContractError:
            return None

    def _onAdded(self, organId: str) -> None:
        organ = next((organ for organ in self._matches if organ.id == organId), None)
        if organ is None:
            return
        present = [*self._newOrgans, *(self._session.organs if self._frame == "organs" else ())]
        if any(organ.same_as(other) for other in present):
            self._session.services.dialogs.info(_("{organ} is in the list already.").format(organ=organ.name))
            return
        self._newOrgans.append(organ)
        self._session.changed()

    def _onRemoved(self, organId: str) -> None:
        self._newOrgans = [organ for organ in self._newOrgans if organ.id != organId]
        self._session.changed()

    def _onCreate(self, name: str, modality: str) -> None:
        try:
            done = self._create(name, modality) if self._frame == "new" else self._addOrgans()
        except (CaseError, WorkspaceError) as error:
            self._session.services.dialogs.error(str(error))
            return
        if done:
            self._frame = ""
        self._session.changed()

    def _create(self, name: str, modality: str) -> bool:
        services = self._session.services
        parent = services.dialogs.folder(_("Where to keep the dataset “{name}”").format(name=name), self._startFolder())
        if parent is None:
            return False
        with inWords(parent):
            target = parent if isFolder(parent) and not any(parent.iterdir()) else parent / safeName(name)
            if target.exists() and any(target.iterdir()):
                raise CaseError(_("{path} holds files already: choose an empty folder.").format(path=target))
            DatasetFolder.create(target, Dataset(name=name, modality=modality, organs=tuple(self._newOrgans)))
        return self.open(target)

    def _startFolder(self) -> Path | str:
        """Where datasets usually lie, made when it can be; the dialog starts anywhere else when not."""
        folder = self._session.services.workspace.datasetsFolder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            return ""
        return folder

    def _addOrgans(self) -> bool:
        """Put the organs behind those that are there, so that labels drawn before keep their meaning."""
        folder = self._session.folder
        with inWords(folder.path):
            LabelSpace((*folder.manifest.organs, *self._newOrgans))
            with locked(folder.lock_path, LOCK_WAIT_S):
                now = DatasetFolder.open(folder.path).manifest
                organs = (*now.organs, *self._newOrgans)
                codec.write(replace(now, organs=organs), folder.path / "dataset.json")
        self._session.readCases()
        return True


def chipOf(organ: Organ, note: str = "") -> OrganChip:
    """An organ as the panels show it."""
    return OrganChip(id=organ.id, name=organ.name, color=tuple(organ.color), side=sideOf(organ), note=note)


def statusText(status: str) -> str:
    """A status as people say it."""
    return {
        "draft": _("draft"), "submitted": _("handed in"), "approved": _("approved"), "flagged": _("flagged"),
        "damaged": _("damaged"),
    }.get(status, status)  # fmt: skip


def readOnly(path: Path) -> bool:
    """Whether a folder cannot be written; not certain on Windows, where writing tells."""
    follows = os.access in os.supports_effective_ids
    return isFolder(path) and not os.access(path, os.W_OK, effective_ids=follows)
