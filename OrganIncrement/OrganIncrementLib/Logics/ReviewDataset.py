"""A dataset under review: its cases, each read by itself, with results, history, and the decisions on them."""

import os
from dataclasses import dataclass
from pathlib import Path

from organincrement.contract.dataset import Case, DatasetFolder
from organincrement.contract.errors import ContractError
from organincrement.contract.files import locked, sha256_file
from organincrement.contract.labels import Organ
from OrganIncrementLib.Engine.Paths import isFile
from OrganIncrementLib.Logics.CaseErrors import noDatasetText, systemWords
from OrganIncrementLib.Logics.ReviewOrder import CaseRow
from OrganIncrementLib.Logics.ReviewRecord import ReviewRecord
from OrganIncrementLib.Logics.ReviewResults import CaseResults, ResultSet, caseResults, resultSets
from OrganIncrementLib.Translation import _

# Which recorded steps a decision takes; a change of mind goes through "submitted", as the contract has it.
STEPS = {
    ("submitted", "approved"): ("approved",),
    ("submitted", "flagged"): ("flagged",),
    ("flagged", "approved"): ("submitted", "approved"),
    ("flagged", "submitted"): ("submitted",),
    ("approved", "flagged"): ("submitted", "flagged"),
    ("approved", "submitted"): ("submitted",),
    ("approved", "approved"): ("submitted", "approved"),  # the label was changed since, and looked at again
}
LOCK_WAIT_S = 0.3  # a reviewer's window must not stand still while a colleague's writes


class ReviewError(ValueError):
    """Why a decision was not taken, or a dataset not opened, in words for the reviewer."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a reviewer decided on: the status it shall get, and the status and label (SHA-256) that were looked at."""

    case: str
    to: str
    who: str
    comment: str
    seenStatus: str
    seenLabel: str | None


class ReviewDataset:
    """Rows for the table, one model's results at a time; cases that cannot be read are rows too."""

    def __init__(self, path: Path | str) -> None:
        """Raises: ReviewError where the folder is no dataset."""
        try:
            self.folder = DatasetFolder.open(path)
        except ContractError as error:
            text = _("This folder is no dataset that can be opened: {reason}")
            raise ReviewError(text.format(reason=noDatasetText(error, Path(path)))) from None
        self.path = self.folder.path
        self.record = ReviewRecord(self.folder)
        self.resultKey = ""
        self._cases: dict[str, Case] = {}
        self._problems: dict[str, str] = {}
        self._results: dict[str, CaseResults] = {}
        self._sets: list[ResultSet] = []
        self.readAgain()

    @property
    def name(self) -> str:
        """The dataset's name."""
        return self.folder.manifest.name

    @property
    def organs(self) -> tuple[Organ, ...]:
        """The dataset's organs, in label order."""
        return self.folder.manifest.organs

    @property
    def isGone(self) -> bool:
        """Whether the folder is not there any longer: deleted, renamed, or on a drive that was taken away."""
        return not isFile(self.path / "dataset.json")

    @property
    def readOnly(self) -> bool:
        """Whether decisions cannot be written here; not certain on Windows, where writing tells."""
        follows = os.access in os.supports_effective_ids
        return not os.access(self.path, os.W_OK, effective_ids=follows)

    def readAgain(self) -> None:
        """Read all case files and the history, and check the history."""
        self._cases.clear()
        self._problems.clear()
        self._results.clear()
        files = sorted(path.stem for path in (self.path / "cases").glob("*.json") if not path.name.startswith("."))
        for caseId in files:
            self._readCase(caseId)
        self.record = ReviewRecord(self.folder)
        self.record.readOn()
        self._checkRecord()
        self._sets = resultSets(self.path)
        sets = [one.key for one in self._sets]
        if self.resultKey not in sets:
            self.resultKey = sets[0] if sets else ""

    def readNews(self) -> set[str]:
        """Read on when somebody else has decided. Returns: the cases that are another than before."""
        if not self.record.changed():
            return set()
        changed = self.record.readOn()
        for caseId in changed:
            self._readCase(caseId)
        return changed

    def resultSets(self) -> list[ResultSet]:
        """The models that left results here."""
        return self._sets

    def useResults(self, key: str) -> None:
        """Order and show by this model's results from now on."""
        self.resultKey = key
        self._results.clear()

    def case(self, caseId: str) -> Case | None:
        """A case as it was read last; None where it cannot be read."""
        return self._cases.get(caseId)

    def results(self, caseId: str) -> CaseResults:
        """The chosen model's results for a case."""
        if caseId not in self._cases:
            return CaseResults(problem=_("no results yet"))
        if caseId not in self._results:
            self._results[caseId] = caseResults(self.folder, self._cases[caseId], self.resultKey)
        return self._results[caseId]

    def forgetResults(self) -> None:
        """Results were written meanwhile."""
        self._results.clear()
        self._sets = resultSets(self.path)

    def rows(self) -> list[CaseRow]:
        """One row a case, by id."""
        return [self.row(caseId) for caseId in sorted({*self._cases, *self._problems})]

    def row(self, caseId: str) -> CaseRow:
        """One case's row."""
        case = self._cases.get(caseId)
        if case is None:
            return CaseRow(id=caseId, status="", problem=self._problems.get(caseId, _("the case is gone")))
        results = self.results(caseId)
        return CaseRow(
            id=caseId,
            status=case.status,
            flags=case.flags,
            comments=self.record.comments(caseId),
            uncertainty=results.uncertainty,
            absent=results.absent,
            resultsProblem=results.problem,
        )

    def readCase(self, caseId: str) -> Case | None:
        """Read one case file again, before it is shown or decided on."""
        self._readCase(caseId)
        return self._cases.get(caseId)

    def labelSha256(self, case: Case) -> str | None:
        """The label file's hash now; None where the case has no label. Raises: ReviewError where it cannot be read."""
        if case.label is None:
            return None
        try:
            return sha256_file(self.folder.label_path(case))
        except ContractError as error:
            raise ReviewError(_("The label cannot be read: {reason}").format(reason=error)) from None

    def decide(self, decision: Decision) -> Case:
        """Record a decision, on the label that was looked at. Raises: ReviewError, in words; nothing is changed."""
        if self.record.changed() or self.record.problem:
            self.readNews()
            self._checkRecord()
        if self.record.problem:
            raise ReviewError(tamperedText(self.record.problem))
        case = self.readCase(decision.case)
        if case is None:
            raise ReviewError(self._problems.get(decision.case, _("The case is gone.")))
        if case.status != decision.seenStatus:
            raise ReviewError(self._meanwhile(case))
        steps = STEPS.get((case.status, decision.to))
        if steps is None:
            raise ReviewError(_("A case that is {from_} cannot become {to}.").format(from_=case.status, to=decision.to))
        try:
            with locked(self.folder.lock_path, LOCK_WAIT_S):
                pass  # only asked whether it is free: `move` takes it, and would wait long
            for step in steps:
                comment = decision.comment if step == decision.to else ""
                case = self.folder.move(decision.case, step, decision.who, comment, decision.seenLabel)
        except (ContractError, OSError) as error:
            raise ReviewError(self._refused(error)) from error
        finally:
            self.record.readOn()
            self._readCase(decision.case)
        return case

    def _refused(self, error: Exception) -> str:
        text = str(error)
        if "has changed since it was looked at" in text:
            return _(
                "The label was changed by somebody else after you opened this case. Nothing was recorded: open the "
                "case again and look at the label as it is now."
            )
        if "another program has held it" in text:
            return _("Somebody else is writing in this dataset just now. Nothing was recorded: try again in a moment.")
        if isinstance(error, PermissionError):
            return _(
                "You may not write in this dataset's folder, so that nothing was recorded: {reason}. Ask its owner "
                "for permission, or copy the dataset."
            ).format(reason=text)
        if isinstance(error, OSError):
            text = systemWords(error, self.path)
        return _("The decision was not recorded: {reason}").format(reason=text)

    def _meanwhile(self, case: Case) -> str:
        self.record.readOn()
        last = self.record.steps(case.id)[-1:]
        who = next((step.who for step in last if step.who), "") or _("somebody else")
        return _('This case became "{status}" meanwhile, by {who}. Nothing was recorded: look at it again.').format(
            status=case.status, who=who
        )

    def _checkRecord(self) -> None:
        self.record.check(
            {case.id: case.status for case in self._cases.values()},
            {case.id: case.label_sha256 for case in self._cases.values()},
            self._problems,
        )

    def _readCase(self, caseId: str) -> None:
        self._cases.pop(caseId, None)
        self._problems.pop(caseId, None)
        self._results.pop(caseId, None)
        try:
            self._cases[caseId] = self.folder.case(caseId)
        except ContractError as error:
            self._problems[caseId] = str(error)


def goneText(path: Path) -> str:
    """Why a dataset that was open shows nothing, and what to do."""
    text = _("The dataset {name} is not there any longer: connect its drive or copy it back, then press “Read again”.")
    return text.format(name=path.name)


def tamperedText(problem: str) -> str:
    """Why nothing is approved in a dataset whose history was changed, and what to do."""
    return _(
        "The history of this dataset was changed outside OrganIncrement, so that nothing can be approved or flagged: "
        "{problem}"
    ).format(problem=problem)
