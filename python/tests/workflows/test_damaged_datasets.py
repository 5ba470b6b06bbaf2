"""What sync tools, half-done copies, people and accidents do to a dataset folder: each is found and named."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dataset_damage import (
    GRID,
    HALF_COPIED,
    HEAD,
    HISTORY,
    OTHER_THINGS,
    TAMPERED,
    TWO_PEOPLE,
    copy,
    edit,
    history,
    label,
    relabel,
    replaced,
)

from organincrement.cli.main import main
from organincrement.contract import codec
from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.errors import ContractError
from organincrement.contract.files import locked
from organincrement.contract.history import read_head
from organincrement.contract.organs import organ_from_name
from organincrement.imaging.volume import Volume
from organincrement.imaging.writing import write_nifti
from organincrement.workflows import check_dataset, dataset_books
from organincrement.workflows.check_dataset import check
from organincrement.workflows.import_dataset import import_dataset


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Three approved cases, only to be copied."""
    root = tmp_path_factory.mktemp("sources")
    for index in range(3):
        hu = np.random.default_rng(index).integers(-1000, 1000, (4, 5, 6)).astype(np.int16)
        for name, volume in (("images", Volume(hu, *GRID)), ("labels", label())):
            (root / name).mkdir(exist_ok=True)
            write_nifti(root / name / f"pt_{index}.nii.gz", volume)
    return import_dataset(root / "images", root / "labels", {"mandible": 1}, root / "ward-7").path


@pytest.fixture
def folder(sound, tmp_path):
    return Path(shutil.copytree(sound, tmp_path / "ward-7"))


@pytest.mark.parametrize(
    ("damage", "kind", "file", "words"), [row[1:] for row in TWO_PEOPLE + HALF_COPIED + OTHER_THINGS],
    ids=[row[0] for row in TWO_PEOPLE + HALF_COPIED + OTHER_THINGS],
)  # fmt: skip
def test_damage_is_named_with_its_file_and_what_to_do(folder, damage, kind, file, words):
    damage(folder)
    found = check(folder)
    fitting = [line for line in found if (line.kind, line.file) == (kind, file) and words in str(line)]
    assert fitting, "\n".join(map(str, found))
    for line in found:
        assert line.what_to_do and "\n" not in str(line) and str(folder.parent) not in str(line)
    if kind == "note":
        assert {line.kind for line in found} == {"note"}


@pytest.mark.parametrize(("change", "line", "words"), [row[1:] for row in TAMPERED], ids=[row[0] for row in TAMPERED])
def test_a_tampered_history_is_found_in_its_line(folder, change, line, words):
    history(folder, change)
    found = [fault for fault in check(folder) if fault.kind == "problem"]
    assert any(fault.file == HISTORY and fault.line == line and words in str(fault) for fault in found), found


def test_a_sound_copy_has_nothing_to_say(folder):
    assert check(folder) == []


def test_times_that_run_backwards_are_a_note(folder):
    chained = []
    for index, line in enumerate((folder / HISTORY).read_bytes().splitlines()):
        values = json.loads(line) | {"time": f"2026-11-21T08:30:0{9 - index}.000Z"}
        values["previous_sha256"] = hashlib.sha256(chained[-1]).hexdigest() if chained else None
        chained.append(json.dumps(values).encode())
    (folder / HISTORY).write_bytes(b"\n".join(chained) + b"\n")
    (folder / HEAD).unlink()
    found = check(folder)
    assert {line.kind for line in found} == {"note"}
    assert sum("check the clocks" in str(line) for line in found) == 5


def test_a_process_that_ended_between_the_line_and_the_head_leaves_no_problem_behind(folder):
    dataset = DatasetFolder.open(folder)
    before = (folder / HEAD).read_bytes()
    dataset.move("pt_1", "submitted", "Ana", "")
    (folder / HEAD).write_bytes(before)
    assert check(folder) == []
    dataset.move("pt_0", "submitted", "Ana", "")
    assert read_head(folder / HISTORY).lines == 8
    assert check(folder) == []


@pytest.mark.parametrize("status", ["draft", "submitted", "flagged"])
def test_reviewing_again_mends_a_lost_update(folder, status):
    dataset = DatasetFolder.open(folder)
    edit(folder, "pt_1", status=status)
    write_nifti(folder / "labels/pt_1.nii.gz", label().with_array(np.ones((4, 5, 6), np.uint8)))
    if status != "submitted":
        dataset.move("pt_1", "submitted", "Ana", "")
    dataset.move("pt_1", "approved", "Ben", "good")
    assert check(folder) == []
    steps = [(entry.from_, entry.to) for entry in dataset.history() if entry.case == "pt_1"]
    assert steps[-2:] == [("approved", "submitted"), ("submitted", "approved")]


def test_labels_that_changed_places_are_named(folder):
    one, other = folder / "labels/pt_0.nii.gz", folder / "labels/pt_1.nii.gz"
    write_nifti(one, label().with_array(np.ones((4, 5, 6), np.uint8)))
    for status in ("submitted", "approved"):
        DatasetFolder.open(folder).move("pt_0", status, "Ana", "")
    content = one.read_bytes(), other.read_bytes()
    one.write_bytes(content[1])
    other.write_bytes(content[0])
    assert "it is that of case pt_0 now" in " ".join(map(str, check(folder)))


def organs(folder, change):
    manifest = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    (folder / "dataset.json").write_text(
        json.dumps(manifest | {"organs": change(manifest["organs"])}), encoding="utf-8"
    )


def test_organs_put_before_reviewed_ones_are_found_and_behind_them_they_are_welcome(folder):
    added = codec.to_json(organ_from_name("liver"))
    organs(folder, lambda known: [*known, added])
    assert check(folder) == []
    DatasetFolder.open(folder).move("pt_1", "submitted", "Ana", "")
    organs(folder, lambda known: known[::-1])
    for case_id in ("pt_0", "pt_2"):
        found = [line.message for line in check(folder) if line.file == "dataset.json"]
        assert len(found) == 1 and "organs were mandible, liver, in this order" in found[0]
        DatasetFolder.open(folder).move(case_id, "submitted", "Ana", "")  # A step does not hide it.


def test_line_ends_of_windows_are_one_finding(folder):
    (folder / HISTORY).write_bytes((folder / HISTORY).read_bytes().replace(b"\n", b"\r\n"))
    (line,) = check(folder)
    assert line.kind == "problem" and "convert them back to LF" in line.what_to_do


def test_a_last_line_without_its_end_is_one_finding_and_the_next_step_keeps_it(folder):
    whole = (folder / HISTORY).read_bytes()
    (folder / HISTORY).write_bytes(whole[:-1])
    (line,) = check(folder)
    assert line.kind == "problem" and "last line has lost its line end" in line.message
    DatasetFolder.open(folder).move("pt_1", "submitted", "Ana", "")
    assert (folder / HISTORY).read_bytes().startswith(whole) and check(folder) == []


def test_a_byte_order_mark_is_one_finding(folder):
    (folder / HISTORY).write_bytes(b"\xef\xbb\xbf" + (folder / HISTORY).read_bytes())
    (line,) = check(folder)
    assert line.kind == "problem" and "begins with a byte order mark" in line.message


@pytest.mark.parametrize("ended", ["before the head", "before the case"])
@pytest.mark.parametrize("status", ["submitted", "approved"])
def test_a_step_that_was_cut_short_is_found_and_completed_by_the_next_try(folder, ended, status):
    dataset = DatasetFolder.open(folder)
    if status == "approved":
        dataset.move("pt_1", "submitted", "Ana", "")
    case, head = (folder / "cases/pt_1.json").read_bytes(), (folder / HEAD).read_bytes()
    dataset.move("pt_1", status, "Ben", "")
    lines = len(dataset.history())
    (folder / "cases/pt_1.json").write_bytes(case)
    if ended == "before the head":
        (folder / HEAD).write_bytes(head)
    (line,) = check(folder)
    assert f"its history ends with {status}" in line.message
    DatasetFolder.open(folder).move("pt_1", status, "Ben", "")
    assert check(folder) == [] and len(dataset.history()) == lines


def test_no_step_is_added_to_a_history_whose_end_is_gone(folder):
    history(folder, lambda lines: lines[:-1])
    edit(folder, "pt_2", status="submitted")
    with pytest.raises(ContractError, match=r"does not end as history.head says.*restore the file"):
        DatasetFolder.open(folder).move("pt_1", "submitted", "Ana", "")
    assert len((folder / HISTORY).read_bytes().splitlines()) == 5


def test_an_older_dataset_without_a_head_gets_one_with_its_next_step(folder):
    (folder / HEAD).unlink()
    DatasetFolder.open(folder).move("pt_1", "submitted", "Ana", "")
    assert read_head(folder / HISTORY).lines == 7 and check(folder) == []


def test_one_broken_thing_hides_no_other(folder):
    (folder / "dataset.json").write_text("{", encoding="utf-8")
    (folder / "cases/pt_0.json").write_text("{", encoding="utf-8")
    (folder / "images/pt_1.nii.gz").unlink()
    relabel(folder, "pt_2", label().with_array(np.full((4, 5, 6), -1, np.int16)))
    history(folder, lambda lines: replaced(lines, 1, b"imported", b"seen"))
    files = {line.file for line in check(folder) if line.kind == "problem"}
    assert files >= {"dataset.json", "cases/pt_0.json", "images/pt_1.nii.gz", "labels/pt_2.nii.gz", HISTORY}


def test_the_label_is_looked_at_even_when_the_image_is_gone(folder):
    (folder / "images/pt_1.nii.gz").unlink()
    relabel(folder, "pt_1", label(7))
    found = " ".join(map(str, check(folder)))
    assert "image is missing" in found and "undeclared label values 7" in found


def test_checking_writes_nothing_not_even_a_lock(folder):
    (folder / "history.lock").unlink()
    before = {path: (path.lstat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}
    check(folder)
    after = {path: (path.lstat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}
    assert after == before


def test_a_label_and_its_case_that_are_written_under_the_lock_are_never_seen_apart(folder, monkeypatch):
    monkeypatch.setattr(dataset_books, "PATIENCE_S", 0.05)
    with locked(folder / "history.lock"):
        assert [line.code for line in check(folder)] == ["busy"]
    assert check(folder) == []


def test_a_case_that_changes_while_it_is_checked_is_looked_at_again(folder, monkeypatch):
    dataset, looks = DatasetFolder.open(folder), []
    real = check_dataset.check_case

    def while_somebody_saves(books, case):
        looks.append(case.id)
        found = real(books, case)
        if looks == ["pt_0", "pt_1"]:
            (folder / "labels/pt_1.nii.gz").write_bytes((folder / "labels/pt_0.nii.gz").read_bytes())
            dataset.save_case(replace(dataset.case("pt_1"), flags=("looked at",)))
        return found

    monkeypatch.setattr(check_dataset, "check_case", while_somebody_saves)
    assert check(folder) == []
    assert looks == ["pt_0", "pt_1", "pt_2", "pt_1"]


def test_json_is_for_programs_and_the_exit_code_tells_problems_from_notes(folder, capsys):
    def run():
        code = main(["dataset", "check", "--json", str(folder)])
        text = capsys.readouterr().out
        assert str(folder) not in text
        return code, json.loads(text)

    assert run() == (0, {"problems": 0, "notes": 0, "findings": []})
    copy(folder, "images/pt_1.nii.gz", "images/visitor.nii.gz")
    code, said = run()
    assert (code, said["problems"], said["notes"]) == (0, 0, 1)
    (folder / "images/pt_1.nii.gz").unlink()
    code, said = run()
    assert (code, said["problems"], said["notes"]) == (3, 1, 1)
    assert said["findings"][0] == {
        "kind": "problem", "code": "missing", "case": "pt_1", "file": "images/pt_1.nii.gz", "line": None,
        "message": "the image is missing", "what_to_do": "restore it from a backup, or import the case again",
    }  # fmt: skip


def test_a_folder_that_is_no_dataset_is_refused_in_one_line(tmp_path, capsys):
    assert main(["dataset", "check", str(tmp_path)]) == 3
    said = capsys.readouterr()
    assert said.out == "" and "dataset.json" in said.err and said.err.count("\n") == 1
