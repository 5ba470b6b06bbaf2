"""Writing cases: what two people, a full disk and a missing permission do to a dataset, and do not."""

import errno
import threading

import numpy as np
import pytest
from annotate_clicks import findings, writeLabel, writtenDataset

from fixtures.phantoms import liverMask, phantomArray
from organincrement.contract.files import locked, sha256_file
from OrganIncrementLib.Logics import ImageFile, ReplacedFile
from OrganIncrementLib.Logics.CaseErrors import CaseError
from OrganIncrementLib.Logics.CaseWriter import CaseConflictError, CaseWriter, listCases, nextCaseId
from OrganIncrementLib.Logics.Grid import Grid

GRID = Grid((20, 28, 32), np.diag([6.0, 7.0, 9.0, 1.0]))
LABEL = liverMask().astype(np.uint8)


@pytest.fixture
def dataset(slicerApp, tmp_path):
    return writtenDataset(tmp_path / "liver")


def save(dataset, opened, label=LABEL, **options):
    return CaseWriter(dataset).saveLabel(opened, label, GRID, ["liver"], "", **options)


def left(dataset):
    """Every file of the dataset with its hash."""
    files = [path for path in dataset.path.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return {str(path): sha256_file(path) for path in files}


def test_a_saved_label_is_what_the_case_names_and_nothing_else_lies_about(dataset):
    saved = save(dataset, dataset.case("pt_1"))
    assert (saved.status, saved.annotated) == ("draft", ("liver",))
    assert (ImageFile.read(dataset.label_path(saved)).array_KJI == LABEL).all()
    assert sha256_file(dataset.label_path(saved)) == saved.label_sha256
    assert findings(dataset.path) == []


def test_a_label_that_somebody_else_saved_meanwhile_is_not_overwritten_unasked(dataset):
    opened = dataset.case("pt_1")
    writeLabel(dataset, "pt_1", np.roll(LABEL, 1, 0), ["liver"])
    before = left(dataset)
    with pytest.raises(CaseConflictError, match="somebody else"):
        save(dataset, opened)
    assert left(dataset) == before
    save(dataset, opened, overOthers=True)
    assert (ImageFile.read(dataset.label_path(dataset.case("pt_1"))).array_KJI == LABEL).all()


def test_a_changed_label_of_an_approved_case_is_submitted_again(dataset):
    approved = writeLabel(dataset, "pt_1", np.roll(LABEL, 1, 0), ["liver"], status="approved")
    saved = save(dataset, approved)
    assert saved.status == "submitted"
    assert [entry.to for entry in dataset.history()] == ["submitted", "approved", "submitted"]
    assert findings(dataset.path) == []


def test_saving_the_same_label_leaves_an_approval_as_it_is(dataset):
    approved = writeLabel(dataset, "pt_1", LABEL, ["liver"], status="approved")
    assert save(dataset, approved).status == "approved"


def test_a_lock_that_is_held_is_said_at_once(dataset):
    opened, held, over = dataset.case("pt_1"), threading.Event(), threading.Event()

    def hold():
        with locked(dataset.lock_path):
            held.set()
            over.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert held.wait(5)
        before = left(dataset)
        with pytest.raises(CaseError, match="Somebody else is writing"):
            save(dataset, opened)
        assert left(dataset) == before
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "disk is full"), (errno.EACCES, "may not be"), (errno.EIO, "cannot be")]
)
def test_what_the_disk_does_not_take_leaves_the_dataset_as_it_was(dataset, monkeypatch, number, words):
    opened = save(dataset, dataset.case("pt_1"))
    before = left(dataset)

    def refuse(descriptor):
        raise OSError(number, "refused")

    monkeypatch.setattr(ReplacedFile.os, "fsync", refuse)
    with pytest.raises(CaseError, match=words):
        save(dataset, opened, np.roll(LABEL, 1, 0))
    with pytest.raises(CaseError, match=words):
        CaseWriter(dataset).addCase("pt_9", "", phantomArray(seed=9), GRID)
    monkeypatch.undo()
    assert left(dataset) == before
    assert findings(dataset.path) == [] or all(row["kind"] == "note" for row in findings(dataset.path))


def test_a_label_of_another_kind_of_file_is_replaced(dataset):
    from dataclasses import replace

    path = dataset.path / "labels" / "pt_1.nrrd"
    ImageFile.write(path, LABEL, GRID)
    case = replace(dataset.case("pt_1"), label="labels/pt_1.nrrd", label_sha256=sha256_file(path), annotated=("liver",))
    dataset.save_case(case)
    save(dataset, case, np.roll(LABEL, 1, 0))
    assert not path.exists()
    assert findings(dataset.path) == []


@pytest.mark.parametrize(
    ("caseId", "words"), [("pt_1", "already"), ("PT_1", "already"), ("a/b", "file.s name"), ("", "file.s name")]
)
def test_ids_that_cannot_be(dataset, caseId, words):
    with pytest.raises(CaseError, match=words):
        CaseWriter(dataset).addCase(caseId, "", phantomArray(seed=9), GRID)


def test_the_same_scan_is_noticed(dataset):
    writer = CaseWriter(dataset)
    first = writer.addCase("pt_9", "", phantomArray(seed=9), GRID)
    asked = []
    assert writer.addCase("pt_10", "", phantomArray(seed=9), GRID, lambda other: asked.append(other)) is None
    assert asked == [first.id]
    assert writer.addCase("pt_10", "pt_9", phantomArray(seed=9), GRID, lambda other: True).group == "pt_9"


def test_damaged_cases_are_listed_with_their_reason(dataset):
    (dataset.path / "cases" / "pt_2.json").write_text('{"schema": "organincrement/case/1"', encoding="utf-8")
    dataset.image_path(dataset.case("pt_1")).unlink()
    listed = {one.id: one for one in listCases(dataset)}
    assert listed["pt_2"].case is None and listed["pt_2"].problem
    assert "missing" in listed["pt_1"].problem


def test_free_ids_tell_nobodys_name():
    assert nextCaseId([]) == "case_0001"
    assert nextCaseId(["case_0001", "Case_0002", "pt_1"]) == "case_0003"


@pytest.mark.parametrize("links", [True, False])
def test_a_disk_that_is_full_after_the_label_puts_the_label_back(dataset, monkeypatch, links):
    approved = writeLabel(dataset, "pt_1", np.roll(LABEL, 1, 0), ["liver"], status="approved")
    before = left(dataset)

    def full(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(dataset, "save_case", full)
    if not links:
        monkeypatch.setattr(type(dataset.path), "hardlink_to", full)
    with pytest.raises(CaseError, match="disk is full"):
        save(dataset, approved)
    assert left(dataset) == before, "the approved label and its case are what they were"


def test_a_disk_that_is_full_after_a_first_label_leaves_none(dataset, monkeypatch):
    before = left(dataset)

    def full(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(dataset, "save_case", full)
    with pytest.raises(CaseError, match="disk is full"):
        save(dataset, dataset.case("pt_1"))
    assert left(dataset) == before
