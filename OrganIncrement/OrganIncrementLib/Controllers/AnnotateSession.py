"""What the parts of the annotator's controller share: the dataset, the open case, what is known of it."""

from dataclasses import replace
from pathlib import Path

from organincrement.contract.dataset import Case, DatasetFolder
from organincrement.contract.errors import ContractError
from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Logics.CaseChecks import Check
from OrganIncrementLib.Logics.CaseErrors import CaseError, inWords, noDatasetText
from OrganIncrementLib.Logics.CaseWriter import ListedCase, listCases
from OrganIncrementLib.Translation import _

WHO_KEY = "user/name"  # shared with OrganReview
LAST_KEY = "annotate/dataset"


class AnnotateSession:
    """No node is kept here: the nodes of the open case are references of the parameter node.

    parameters: the attached parameter node wrapper, None while the module is detached. folder: the open dataset or
    None. opened: the case that is drawn, as it was when it was loaded or saved last, or None. absent: organs that the
    annotator says are not there. confirmed: keys of findings that are meant. checks: what was found last. stamp: of the
    segmentation when it was saved. findings: of the last check of the whole dataset, by case. changed: show all anew.
    """

    def __init__(self, services) -> None:
        self.services = services
        self.parameters = None
        self.folder: DatasetFolder | None = None
        self.cases: list[ListedCase] = []
        self.opened: Case | None = None
        self.absent: set[str] = set()
        self.confirmed: set[str] = set()
        self.checks: tuple[Check, ...] = ()
        self.stamp = -1
        self.findings: dict[str, list[str]] | None = None
        self.busy = ""
        self.changed = Intent()
        self.caseWanted = Intent()  # case id
        self._signature: tuple = ()

    @property
    def who(self) -> str:
        """The user's name for the history, may be empty."""
        return self.services.settings.get(WHO_KEY, "")

    @property
    def organs(self):
        """The dataset's organs in label order."""
        return self.folder.manifest.organs if self.folder else ()

    def organ(self, organId: str):
        """An organ of the dataset, None where it has none of that id."""
        return next((organ for organ in self.organs if organ.id == organId), None)

    def currentOrgan(self):
        """The organ that is drawn now: the chosen one, else the first."""
        chosen = self.organ(self.parameters.organId) if self.parameters else None
        return chosen or (self.organs[0] if self.organs else None)

    def openDataset(self, path: Path | str) -> None:
        """Work on a dataset from now on. Raises: CaseError where the folder is none."""
        with inWords(path):
            try:
                folder = DatasetFolder.open(path)
            except ContractError as error:
                reason = _("This folder is no dataset that can be opened: {reason}").format(
                    reason=noDatasetText(error, Path(path))
                )
                raise CaseError(reason) from error
        if self.folder is None or folder.path != self.folder.path:
            self.findings = None
        self.folder = folder
        self.services.settings.set(LAST_KEY, str(path))
        if self.parameters is not None and self.parameters.datasetFolder != str(path):
            self.parameters.datasetFolder = str(path)
        self.readCases()

    def readCases(self) -> None:
        """Read the dataset and its cases again."""
        if self.folder is None:
            self.cases = []
            return
        try:
            self.folder = DatasetFolder.open(self.folder.path)
            self._signature = self._fileSignature()
            self.cases = listCases(self.folder)
        except (ContractError, OSError):
            self.cases = []  # the drive may be gone for a moment; the list says so, and what is drawn stays

    def casesChangedOnDisk(self) -> bool:
        """Whether somebody added, removed or moved on a case since they were read; one question to the disk."""
        return self.folder is not None and self._fileSignature() != self._signature

    def takeCase(self, case: Case | None) -> None:
        """The case that is drawn is another, or none."""
        self.opened = case
        self.absent, self.confirmed, self.checks = set(), set(), ()
        self.stamp = -1

    def levelOf(self, check: Check) -> str:
        """A finding's level, the annotator's answer counted in."""
        return "confirmed" if check.level == "confirm" and check.key in self.confirmed else check.level

    def waiting(self) -> list[Check]:
        """The findings that hold the case back."""
        return [check for check in self.checks if self.levelOf(check) in ("problem", "confirm")]

    def rememberSaved(self, case: Case, digest: str, stamp: int) -> None:
        """What is drawn is what the dataset holds: note it here, and in the scene, which may be saved and loaded."""
        self.opened, self.stamp = case, stamp
        parameters = self.parameters
        parameters.caseId = case.id
        parameters.savedDigest = digest
        parameters.seenLabel = case.label_sha256 or ""
        parameters.seenStatus = case.status

    def recalled(self, case: Case) -> Case:
        """A case as it was when the scene was saved, to notice what others did since."""
        parameters = self.parameters
        status = parameters.seenStatus or case.status
        sha256 = parameters.seenLabel or None
        if status == "approved" and sha256 is None:
            return case
        return replace(case, status=status, label_sha256=sha256)

    def _fileSignature(self) -> tuple:
        signature = []
        for name in ("cases", "history.jsonl", "dataset.json"):
            try:
                found = (self.folder.path / name).stat()
                signature.append((found.st_mtime_ns, found.st_size))
            except OSError as error:
                signature.append((error.errno,))
        return tuple(signature)
