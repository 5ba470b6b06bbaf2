"""The review history of a dataset as the reviewer sees it: per case, read on from where it ended, and checked."""

from collections.abc import Iterable, Mapping

from organincrement.contract import codec
from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.errors import ContractError
from organincrement.contract.files import open_regular
from organincrement.contract.history import HistoryEntry
from organincrement.contract.history_check import Recorded, history_faults
from OrganIncrementLib.Translation import _


class ReviewRecord:
    """Every case's recorded steps. `problem`: why the history cannot be trusted, in words; "" where it can be."""

    def __init__(self, dataset: DatasetFolder) -> None:
        self.problem = ""
        self._dataset = dataset
        self._steps: dict[str, list[HistoryEntry]] = {}
        self._stamp: tuple[int, int] | None = None
        self._end = 0
        self._lines = 0

    def changed(self) -> bool:
        """Whether the history file is another than when it was read last; one question to the disk."""
        return self._fileStamp() != self._stamp

    def readOn(self) -> set[str]:
        """Read what was added. Returns: the ids of cases with new steps. A line that is no step is a `problem`."""
        self._stamp = self._fileStamp()
        if self._stamp is None:
            return self._forget()
        if self._stamp[1] < self._end:
            forgotten = self._forget()
            return forgotten | self.readOn()
        try:
            with open_regular(self._dataset.history_path) as file:
                file.seek(self._end)
                new = file.read(codec.MAX_JSON_BYTES)
        except ContractError as error:
            self.problem = str(error)
            return set()
        return self._add(new)

    def steps(self, caseId: str) -> tuple[HistoryEntry, ...]:
        """One case's steps, oldest first."""
        return tuple(self._steps.get(caseId, ()))

    def comments(self, caseId: str) -> int:
        """How many steps of a case came with a comment."""
        return sum(bool(step.comment.strip()) for step in self._steps.get(caseId, ()))

    def check(self, statuses: Mapping[str, str], labels: Mapping[str, str | None], unread: Iterable[str]) -> None:
        """Look for edits and losses, given the cases' status and label hash, and the cases that cannot be read.

        Faults of one case alone are not among `problem`: reviewing the case again mends them.
        """
        self.problem = ""
        recorded = Recorded(
            statuses=statuses,
            label_sha256=labels,
            unread=tuple(unread),
            organs=self._dataset.label_space.ids,
        )
        for fault in history_faults(self._dataset.history_path, recorded):
            ofOneCase = fault.case is not None and fault.line is None
            if fault.kind == "problem" and not ofOneCase:
                line = _(" line {number}").format(number=fault.line) if fault.line else ""
                self.problem = f"{fault.file}{line}: {fault.text}"
                return

    def _add(self, new: bytes) -> set[str]:
        whole = new[: new.rfind(b"\n") + 1]
        self._end += len(whole)
        cases = set()
        for line in whole.splitlines():
            self._lines += 1
            try:
                entry = codec.loads(HistoryEntry, line, where=f"history.jsonl line {self._lines}")
            except ContractError as error:
                self.problem = self.problem or str(error)
                continue
            self._steps.setdefault(entry.case, []).append(entry)
            cases.add(entry.case)
        return cases

    def _forget(self) -> set[str]:
        cases = set(self._steps)
        self._steps.clear()
        self._end = self._lines = 0
        return cases

    def _fileStamp(self) -> tuple[int, int] | None:
        try:
            facts = self._dataset.history_path.stat()
        except OSError:
            return None
        return facts.st_mtime_ns, facts.st_size
