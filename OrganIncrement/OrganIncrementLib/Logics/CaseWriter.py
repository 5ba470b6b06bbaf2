"""Writing cases into a dataset: a new scan, a label, handing in. Every change is whole or did not happen."""

import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from organincrement.contract.dataset import Case, DatasetFolder
from organincrement.contract.errors import ContractError
from organincrement.contract.files import fsync_folder, locked, sha256_file
from organincrement.contract.labels import check_id
from OrganIncrementLib.Logics import ImageFile
from OrganIncrementLib.Logics.CaseErrors import CaseError, inWords
from OrganIncrementLib.Logics.Grid import Grid
from OrganIncrementLib.Translation import _

LOCK_WAIT_S = 0.5  # the window must not stand still while a colleague's writes


class CaseConflictError(CaseError):
    """Somebody else changed the case since it was opened."""


@dataclass(frozen=True)
class ListedCase:
    """A case of the folder as far as it can be read: `case` is None where it cannot, and `problem` says why."""

    id: str
    case: Case | None
    problem: str = ""


def listCases(folder: DatasetFolder) -> list[ListedCase]:
    """Every case file, also those that are damaged; images and labels that are not there are a problem."""
    listed = []
    for path in sorted((folder.path / "cases").glob("*.json")):
        if path.name.startswith("."):
            continue
        try:
            case = folder.case(path.stem)
            listed.append(ListedCase(case.id, case, _missingFiles(folder, case)))
        except ContractError as error:
            listed.append(ListedCase(path.stem, None, str(error)))
    return listed


def nextCaseId(taken: Sequence[str]) -> str:
    """The first free id of the form case_0001, which tells nobody's name."""
    used = {name.casefold() for name in taken}
    number = 1
    while f"case_{number:04d}" in used:
        number += 1
    return f"case_{number:04d}"


class CaseWriter:
    """Writes into one dataset. Raises CaseError, one sentence each, and then leaves the dataset as it was."""

    def __init__(self, folder: DatasetFolder) -> None:
        self.folder = folder

    def addCase(
        self, caseId: str, group: str, image_KJI: np.ndarray, grid: Grid,
        addTwice: Callable[[str], bool] = lambda caseId: True,
    ) -> Case | None:  # fmt: skip
        """Store a copy of a scan, without anything but its voxels and grid, as a new draft.

        addTwice: asked, with the case's id, where the same scan was added before; None comes back where it says no.
        Scans that came from other programs' files are compared by `dataset check`, which reads them all.
        """
        self._checkNew(caseId, group)
        target = self.folder.path / "images" / f"{caseId}.nrrd"
        with inWords(self.folder.path), self._partial(target) as partial:
            ImageFile.write(partial, image_KJI, grid)
            case = Case(
                id=caseId, group=group or caseId, image=f"images/{target.name}", image_sha256=sha256_file(partial)
            )
            same = [one.id for one in listCases(self.folder) if one.case and one.case.image_sha256 == case.image_sha256]
            if same and not addTwice(same[0]):
                return None
            with self._locked():
                self._checkNew(caseId, group)
                self._rename(partial, target)
                try:
                    self.folder.save_case(case)
                except BaseException:
                    target.unlink(missing_ok=True)
                    raise
        return case

    def saveLabel(
        self, opened: Case, label_KJI: np.ndarray, grid: Grid, annotated: Sequence[str], who: str,
        *, overOthers: bool = False,
    ) -> Case:  # fmt: skip
        """Replace a case's label; an approved case is submitted again, because what was approved is gone.

        opened: the case as it was when its label was loaded. Raises CaseConflictError where somebody else
        saved or reviewed it since, unless `overOthers`.
        """
        target = self.folder.path / "labels" / f"{opened.id}.nii.gz"
        with inWords(self.folder.path), self._partial(target) as partial:
            ImageFile.write(partial, label_KJI, grid)
            sha256 = sha256_file(partial)
            with self._locked():
                now = self.folder.case(opened.id)
                if not overOthers and _seen(now) != _seen(opened):
                    raise CaseConflictError(_conflictWords(now))
                saved = replace(
                    now, label=f"labels/{target.name}", label_sha256=sha256,
                    annotated=tuple(organ for organ in self.folder.label_space.ids if organ in set(annotated)),
                )  # fmt: skip
                with self._putBack(target):
                    self._rename(partial, target)
                    self.folder.save_case(saved)
                if now.label not in (None, saved.label):
                    self.folder.label_path(now).unlink(missing_ok=True)
            if now.status == "approved" and now.label_sha256 != sha256:
                saved = self.folder.move(opened.id, "submitted", who, "the label was changed after its approval")
        return saved

    def handIn(self, case: Case, who: str, comment: str) -> Case:
        """Give a draft, or a flagged case, to the reviewer. case: as it was saved last, whose label was looked at."""
        with inWords(self.folder.path):
            with self._locked():
                pass  # fails at once, in words, where somebody writes; move would wait for ten seconds
            return self.folder.move(case.id, "submitted", who, comment, case.label_sha256)

    def _checkNew(self, caseId: str, group: str) -> None:
        try:
            check_id(caseId)
        except ContractError:
            raise CaseError(_("The id “{id}” cannot be a file's name: use letters, digits, _ and -, at most 80."
                              ).format(id=caseId)) from None  # fmt: skip
        if len(group) > 80 or not group.isprintable():
            raise CaseError(_("The patient number may have at most 80 printable characters."))
        taken = {path.stem.casefold() for path in (self.folder.path / "cases").glob("*.json")}
        if caseId.casefold() in taken:
            raise CaseError(_("There is a case {id} already: choose another id.").format(id=caseId))

    @contextmanager
    def _partial(self, target: Path) -> Iterator[Path]:
        """A name beside `target` to write to, that does not stay."""
        target.parent.mkdir(exist_ok=True)
        partial = target.with_name(f".{secrets.token_hex(4)}.partial.{target.name}")
        try:
            yield partial
        finally:
            partial.unlink(missing_ok=True)

    @contextmanager
    def _putBack(self, target: Path) -> Iterator[None]:
        """Where what follows fails, the file is what it was: a label never differs from what its case says of it."""
        before = target.with_name(f".{secrets.token_hex(4)}.partial.{target.name}")
        if target.exists():
            try:
                before.hardlink_to(target)
            except OSError:  # a drive that knows no links
                shutil.copy2(target, before)
        try:
            yield
        except BaseException:
            before.replace(target) if before.exists() else target.unlink(missing_ok=True)
            raise
        finally:
            before.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with ExitStack() as held:
            try:
                held.enter_context(locked(self.folder.lock_path, LOCK_WAIT_S))
            except ContractError:
                text = _("Somebody else is writing into this dataset right now: try again in a moment.")
                raise CaseError(text) from None
            yield

    def _rename(self, partial: Path, target: Path) -> None:
        partial.replace(target)
        fsync_folder(target.parent)


def _seen(case: Case) -> tuple:
    return case.label, case.label_sha256, case.status


def _conflictWords(now: Case) -> str:
    return _("Case {id} was saved or reviewed by somebody else since you opened it (it is {status} now).").format(
        id=now.id, status=now.status
    )


def _missingFiles(folder: DatasetFolder, case: Case) -> str:
    """Which file of a case is not there; sizes and hashes are looked at by `dataset check`."""
    if not folder.image_path(case).is_file():
        return _("The image {file} is missing: copy the dataset again.").format(file=case.image)
    if folder.image_path(case).stat().st_size == 0:
        return _("The image {file} is empty: copy the dataset again.").format(file=case.image)
    if case.label is not None and not folder.label_path(case).is_file():
        return _("The label {file} is missing: copy the dataset again, or draw it anew.").format(file=case.label)
    return ""
