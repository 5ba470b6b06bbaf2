from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from organincrement.contract import codec
from organincrement.contract.dataset import Case, Dataset, DatasetFolder
from organincrement.contract.errors import ContractError
from organincrement.contract.files import sha256_file
from organincrement.contract.organs import organ_from_name


@pytest.fixture
def folder(tmp_path: Path) -> DatasetFolder:
    manifest = Dataset(name="site-b", modality="CT", organs=(organ_from_name("mandible"),))
    return DatasetFolder.create(tmp_path / "site-b", manifest)


def add(folder: DatasetFolder, case_id: str) -> Case:
    (folder.path / "images" / f"{case_id}.nii.gz").write_bytes(b"image " + case_id.encode())
    (folder.path / "labels" / f"{case_id}.nii.gz").write_bytes(b"label " + case_id.encode())
    case = Case(
        id=case_id,
        group=case_id,
        image=f"images/{case_id}.nii.gz",
        label=f"labels/{case_id}.nii.gz",
        annotated=("mandible",),
        image_sha256=sha256_file(folder.path / "images" / f"{case_id}.nii.gz"),
    )
    folder.save_case(case)
    return case


def approve(folder: DatasetFolder, case_id: str) -> Case:
    folder.move(case_id, "submitted", "Ana", "")
    return folder.move(case_id, "approved", "Ben", "good")


def test_a_dataset_opens_as_it_was_made_with_its_cases_by_id(folder: DatasetFolder) -> None:
    for case_id in ("pt_9", "pt_12", "pt_10"):
        add(folder, case_id)
    opened = DatasetFolder.open(folder.path)
    assert opened.manifest == folder.manifest
    assert opened.label_space.ids == ("mandible",)
    assert [case.id for case in opened.cases()] == ["pt_10", "pt_12", "pt_9"]
    assert opened.image_path(opened.case("pt_9")).read_bytes() == b"image pt_9"
    assert opened.label_path(opened.case("pt_9")).read_bytes() == b"label pt_9"


def test_a_second_dataset_in_the_same_folder_is_refused(folder: DatasetFolder) -> None:
    with pytest.raises(ContractError, match="is a dataset already"):
        DatasetFolder.create(folder.path, folder.manifest)


def test_ignore_value_may_not_be_a_label(folder: DatasetFolder) -> None:
    with pytest.raises(ContractError, match="ignore_value 1 must lie above every label"):
        replace(folder.manifest, ignore_value=1)


def test_an_approval_is_recorded_and_pins_the_label(folder: DatasetFolder) -> None:
    add(folder, "pt_1")
    case = approve(folder, "pt_1")
    assert case.status == "approved"
    assert case.label_sha256 == sha256_file(folder.label_path(case))
    assert folder.case("pt_1") == case
    assert [(e.seq, e.who, e.from_, e.to, e.comment) for e in folder.history()] == [
        (0, "Ana", "draft", "submitted", ""),
        (1, "Ben", "submitted", "approved", "good"),
    ]
    assert folder.check_history() == folder.check_files() == []


def test_steps_that_the_contract_does_not_know_are_refused(folder: DatasetFolder) -> None:
    add(folder, "pt_1")
    with pytest.raises(ContractError, match="pt_1 cannot go from draft to approved, but to submitted"):
        folder.move("pt_1", "approved", "Ben", "")
    approve(folder, "pt_1")
    with pytest.raises(ContractError, match="from approved to flagged"):
        folder.move("pt_1", "flagged", "Ben", "")
    assert folder.move("pt_1", "submitted", "Ana", "label changed").status == "submitted"
    assert len(folder.history()) == 3


def test_a_label_that_changed_since_the_reviewer_looked_is_not_approved(folder: DatasetFolder) -> None:
    case = add(folder, "pt_1")
    seen = sha256_file(folder.label_path(case))
    folder.move("pt_1", "submitted", "Ana", "", label_sha256=seen)
    folder.label_path(case).write_bytes(b"another label")
    with pytest.raises(ContractError, match="has changed since it was looked at"):
        folder.move("pt_1", "approved", "Ben", "", label_sha256=seen)
    assert folder.case("pt_1").status == "submitted"
    assert len(folder.history()) == 1


def test_a_case_without_a_label_cannot_be_submitted(folder: DatasetFolder) -> None:
    folder.save_case(replace(add(folder, "pt_1"), label=None))
    with pytest.raises(ContractError, match="pt_1 has no label; draw one"):
        folder.move("pt_1", "submitted", "Ana", "")


def test_files_that_changed_or_vanished_are_reported_with_what_to_do(folder: DatasetFolder) -> None:
    for case_id in ("pt_1", "pt_2", "pt_3"):
        add(folder, case_id)
        approve(folder, case_id)
    folder.label_path(folder.case("pt_1")).write_bytes(b"changed")
    folder.image_path(folder.case("pt_2")).unlink()
    changed, missing = folder.check_files()
    assert "the label of case pt_1 has changed; submit the case again" in changed
    assert "case pt_2: " in missing
    assert "cannot be read" in missing


def test_edited_history_and_statuses_changed_behind_its_back_are_reported(folder: DatasetFolder) -> None:
    for case_id in ("pt_1", "pt_2"):
        add(folder, case_id)
        approve(folder, case_id)
    text = folder.history_path.read_text(encoding="utf-8")
    folder.history_path.write_text(
        text.replace('"who": "Ana", "case": "pt_1"', '"who": "Eve", "case": "pt_1"'), encoding="utf-8"
    )
    assert folder.check_history() == [
        f"{folder.history_path} line 2: does not follow from the line before; restore the file from a backup"
    ]
    lines = text.splitlines(keepends=True)
    folder.history_path.write_text("".join(lines[:1] + lines[2:]), encoding="utf-8")
    assert any("line 2: does not follow" in problem for problem in folder.check_history())
    folder.history_path.write_text(text, encoding="utf-8")
    codec.write(replace(folder.case("pt_2"), status="flagged"), folder.path / "cases" / "pt_2.json")
    (folder.path / "cases" / "pt_1.json").unlink()
    gone, flagged = folder.check_history()
    assert "case pt_1 has a history but no file" in gone
    assert "case pt_2 is flagged but its history ends with approved" in flagged


def test_a_case_approved_without_a_history_is_reported(folder: DatasetFolder) -> None:
    case = add(folder, "pt_1")
    codec.write(replace(case, status="approved", label_sha256="0" * 64), folder.path / "cases" / "pt_1.json")
    assert ["case pt_1 is approved but its history ends with draft" in p for p in folder.check_history()] == [True]


def test_a_move_interrupted_between_its_two_writes_is_completed_by_the_next(folder: DatasetFolder) -> None:
    add(folder, "pt_1")
    before = folder.case("pt_1")
    folder.move("pt_1", "submitted", "Ana", "")
    folder.save_case(before)
    with folder.history_path.open("ab") as file:
        file.write(b'{"seq": 1, "ti')
    assert "its history ends with submitted" in folder.check_history()[0]
    folder.move("pt_1", "submitted", "Ana", "")
    assert folder.check_history() == []
    assert len(folder.history()) == 1


def test_people_at_work_at_once_share_one_unbroken_history(folder: DatasetFolder) -> None:
    ids = [f"pt_{i}" for i in range(8)]
    for case_id in ids:
        add(folder, case_id)
    with ThreadPoolExecutor(4) as people:
        moved = list(people.map(lambda case_id: approve(DatasetFolder.open(folder.path), case_id), ids))
    assert {case.status for case in moved} == {"approved"}
    assert [entry.seq for entry in folder.history()] == list(range(16))
    assert folder.check_history() == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"image": "/data/x.nii.gz"}, "not allowed"),
        ({"image": "../x.nii.gz"}, "not allowed"),
        ({"label": "labels/../../x.nii.gz"}, "not allowed"),
        ({"id": "../pt"}, "not allowed"),
        ({"status": "approved", "label_sha256": None}, "approved without a label"),
    ],
)
def test_a_case_that_breaks_the_contract_is_refused(
    folder: DatasetFolder, changes: dict[str, object], says: str
) -> None:
    case = add(folder, "pt_1")
    with pytest.raises(ContractError, match=says):
        replace(case, **changes)  # type: ignore[arg-type]


def test_a_case_may_not_name_organs_that_the_dataset_has_not(folder: DatasetFolder) -> None:
    case = add(folder, "pt_1")
    with pytest.raises(ContractError, match=r"pt_1.json: annotated: dataset.json has no organ 'liver'"):
        folder.save_case(replace(case, annotated=("liver",)))


def test_only_a_referenced_image_may_lie_outside_the_folder(folder: DatasetFolder) -> None:
    case = add(folder, "pt_1")
    outside = replace(case, image="../scans/a.nii.gz", image_source="reference")
    assert folder.image_path(outside).resolve() == folder.path.parent / "scans" / "a.nii.gz"
    (folder.path / "images" / "link.nii.gz").symlink_to(folder.path.parent / "secret")
    with pytest.raises(ContractError, match="leads out of the folder through a link"):
        folder.image_path(replace(case, image="images/link.nii.gz"))


def test_the_dataset_hash_follows_every_hash_and_status(folder: DatasetFolder) -> None:
    case = add(folder, "pt_1")
    hashes = {folder.sha256()}
    assert hashes == {DatasetFolder.open(folder.path).sha256()}
    folder.move("pt_1", "submitted", "Ana", "")
    hashes.add(folder.sha256())
    folder.save_case(replace(folder.case("pt_1"), image_sha256="0" * 64))
    hashes.add(folder.sha256())
    add(folder, "pt_2")
    hashes.add(folder.sha256())
    assert len(hashes) == 4
    assert case.status == "draft"
