"""Everything that can be wrong with a dataset folder, one line each, with what to do about it."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from organincrement.contract.dataset import Case, DatasetFolder
from organincrement.workflows.check_case import CheckedCase, check_case, file_state
from organincrement.workflows.dataset_books import Books, read_books
from organincrement.workflows.fan_out import Crew, Line, Waiting, fan_out
from organincrement.workflows.fan_out_size import sized
from organincrement.workflows.findings import Finding, in_order
from organincrement.workflows.same_scan import CERTAINLY_ONE, PERHAPS_ONE, likeness
from organincrement.workflows.strange_files import strange_files

LOOKS = 3
_HERE, _NOBODY = Crew(), Waiting()


def check(dataset: DatasetFolder | Path, crew: Crew = _HERE, waiting: Waiting = _NOBODY) -> list[Finding]:
    """All findings: problems first, then notes; empty when there is nothing to say. Nothing is changed.

    Others may work on the dataset meanwhile: what changed since it was looked at is looked at again. Args: crew: who
    reads the cases. Raises ContractError when the path holds no dataset at all; every other damage is a finding.
    """
    path = crew.seen(dataset if isinstance(dataset, Path) else dataset.path)
    seen: dict[str, tuple[object, CheckedCase]] = {}
    for look in range(LOOKS + 1):
        books = read_books(path)
        states = {case.id: _state(books, case) for case in books.cases}
        stale = [case for case in books.cases if seen.get(case.id, (None,))[0] != states[case.id]]
        if not stale or look == LOOKS:
            break
        looking = sized(crew, [path / case.image for case in stale], model=None)
        for case_id, checked in fan_out(_Checking(books=books), {case.id: case for case in stale}, looking, waiting):
            seen[case_id] = (states[case_id], checked)
    return in_order(_all_findings(books, {case_id: checked for case_id, (_, checked) in seen.items()}, stale))


@dataclass(frozen=True, kw_only=True)
class _Checking:
    """Checking cases by what the dataset says of itself, wherever that is done."""

    books: Books

    def begin(self) -> Callable[[Case, Line], CheckedCase]:
        """Nothing is to be opened."""
        return lambda case, line: check_case(self.books, case)


def _all_findings(books: Books, checked: dict[str, CheckedCase], moving: Sequence[Case]) -> Iterator[Finding]:
    yield from books.findings
    unsettled = {case.id for case in moving}
    settled = [case for case in books.cases if case.id not in unsettled]
    for case in settled:
        yield from checked[case.id].findings
    for case in moving:
        yield Finding(
            kind="note", code="busy", case=case.id, file=f"cases/{case.id}.json", message="is being changed",
            what_to_do="check again when it is done",
        )  # fmt: skip
    yield from _shared_files(books.cases)
    yield from _same_scans(settled, checked)
    yield from _nearly_same_groups(books.cases)
    yield from strange_files(books.folder.path, books.cases, books.unread)
    if not books.cases and not books.unread:
        yield Finding(code="no-case", message="has no case that can be read", what_to_do="add images and labels")


def _state(books: Books, case: Case) -> object:
    """What must stay the same for a finding about the case to hold."""
    folder = books.folder.path
    return case, file_state(folder / case.image), case.label and file_state(folder / case.label), books.folder.manifest


def _shared_files(cases: Sequence[Case]) -> Iterator[Finding]:
    users: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        if case.label is not None:
            users[case.label].append(case.id)
    for label, ids in users.items():
        if len(ids) > 1:
            yield Finding(
                code="shared-label", file=label, message=f"is the label of cases {', '.join(ids)}",
                what_to_do="give each case a label file of its own",
            )  # fmt: skip


def _same_scans(cases: Sequence[Case], checked: dict[str, CheckedCase]) -> Iterator[Finding]:
    """Equal scans first; then those that look alike, one finding for each set of cases."""
    same, certain, equal = _Sets(), _Sets(), _Sets()
    by_content: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        scan = checked[case.id].scan
        for key in {case.image_sha256, *(scan.voxel_hashes if scan else ())}:
            by_content[key].append(case.id)
    for ids in by_content.values():
        for other in ids[1:]:
            for sets in (same, certain, equal):
                sets.join(ids[0], other)
    group = {case.id: case.group for case in cases}
    for a, b in combinations(group, 2):
        first, second = checked[a].scan, checked[b].scan
        if group[a] != group[b] and certain.of(a) != certain.of(b) and first and second:
            alike = likeness(first, second)
            if alike >= PERHAPS_ONE:
                same.join(a, b)
            if alike >= CERTAINLY_ONE:
                certain.join(a, b)
    ids_in_order = [case.id for case in cases]
    for ids in certain.groups(ids_in_order):
        yield _one_scan(ids, group, "are" if equal.has(ids) else "are, cropped or resampled,")
    for ids in same.groups(ids_in_order):
        if not certain.has(ids):
            yield _one_scan(ids, group, "are perhaps", is_certain=False)


def _one_scan(ids: Sequence[str], group: dict[str, str], how: str, *, is_certain: bool = True) -> Finding:
    names = ", ".join(ids)
    if len({group[case_id] for case_id in ids}) > 1:
        return Finding(
            kind="problem" if is_certain else "note", code="same-scan", file=f"cases/{ids[0]}.json",
            message=f"cases {names} {how} one scan in different groups",
            what_to_do="give them one group, or remove all but one",
        )  # fmt: skip
    return Finding(
        kind="note", code="same-scan", file=f"cases/{ids[0]}.json", message=f"cases {names} are one scan",
        what_to_do="remove all but one unless that is meant",
    )  # fmt: skip


def _nearly_same_groups(cases: Sequence[Case]) -> Iterator[Finding]:
    written: dict[str, dict[str, str]] = defaultdict(dict)
    for case in cases:
        written["".join(case.group.split()).casefold()].setdefault(case.group, case.id)
    for groups in written.values():
        if len(groups) > 1:
            shown = " and ".join(repr(group) for group in groups)
            ids = ", ".join(groups.values())
            yield Finding(
                kind="note", code="groups", file=f"cases/{next(iter(groups.values()))}.json",
                message=f"groups {shown} (cases {ids}) differ only in letter case or spaces",
                what_to_do="write them alike if that is one patient",
            )  # fmt: skip


class _Sets:
    """Which ids have been joined, directly or through others."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def of(self, member: str) -> str:
        """The one id that stands for the set of a member."""
        while (above := self._above.get(member, member)) != member:
            member = above
        return member

    def join(self, a: str, b: str) -> None:
        """Make the sets of two members one."""
        if self.of(a) != self.of(b):
            self._above[self.of(b)] = self.of(a)

    def has(self, members: Sequence[str]) -> bool:
        """Whether they are all in one set."""
        return len({self.of(member) for member in members}) == 1

    def groups(self, members: Sequence[str]) -> list[list[str]]:
        """The sets of more than one member, in the order of the members."""
        found: dict[str, list[str]] = defaultdict(list)
        for member in members:
            found[self.of(member)].append(member)
        return [ids for ids in found.values() if len(ids) > 1]
