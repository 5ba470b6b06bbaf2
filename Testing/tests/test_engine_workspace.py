"""The user's folder: what is in it, what is damaged, what cannot be written; cheap to ask, never an exception."""

import json
import shutil
import time
import zipfile
from pathlib import Path

import pytest
from engine_jobs import newJob, writeStart

from organincrement.contract import codec
from organincrement.contract.dataset import DatasetFolder
from OrganIncrementLib.Settings import DictStore, Settings
from OrganIncrementLib.Workspace import Workspace, WorkspaceError, safeName


@pytest.fixture
def settings():
    return Settings(DictStore())


@pytest.fixture
def workspace(tmp_path, settings):
    return Workspace(tmp_path / "home", settings)


@pytest.fixture
def filled(workspace, engineWorld):
    """With the teacher in models/ and the dataset in datasets/."""
    engineWorld.copiedTo(workspace.root)
    return workspace


def test_a_folder_that_is_not_there_yet_is_empty_and_not_made_by_looking(workspace):
    assert (workspace.models(), workspace.datasets(), workspace.jobFolders()) == ([], [], [])
    assert workspace.problem == "" and not workspace.root.exists()


def test_the_folder_of_the_settings_or_one_at_home(settings, tmp_path):
    assert Workspace.fromSettings(settings).root == Path.home() / "OrganIncrement"
    settings.set("OrganIncrement/folder", tmp_path)
    assert Workspace.fromSettings(settings).root == tmp_path


def test_models_and_datasets_that_lie_there_are_listed(filled, engineWorld):
    (model,) = filled.models()
    assert (model.name, model.problem) == (model.manifest.name, "") and len(model.sha256) == 64
    (dataset,) = filled.datasets()
    assert (dataset.name, dataset.problem) == ("stomach", "")
    assert dataset.counts == {"approved": 4, "submitted": 1, "draft": 1}


def test_a_package_in_one_file_is_listed_and_one_cut_off_says_so(filled, workspace):
    folder = workspace.modelsFolder / "teacher"
    whole = workspace.modelsFolder / "whole.oimodel"
    with zipfile.ZipFile(whole, "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    half = workspace.modelsFolder / "half.oimodel"
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    (workspace.modelsFolder / "notes.txt").touch()
    entries = {entry.path.name: entry for entry in workspace.models()}
    assert set(entries) == {"teacher", "whole.oimodel", "half.oimodel"}
    assert entries["whole.oimodel"].sha256 == entries["teacher"].sha256 and not entries["whole.oimodel"].problem
    assert "may still be being copied" in entries["half.oimodel"].problem and entries["half.oimodel"].manifest is None


@pytest.mark.parametrize("damage", ["no weights", "short weights", "no model.json", "half a model.json"])
def test_a_half_copied_package_says_so_until_it_is_whole(filled, damage):
    folder = filled.modelsFolder / "teacher"
    name = "weights.safetensors" if "weights" in damage else "model.json"
    content = (folder / name).read_bytes()
    if damage.startswith("no "):
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content[:100])
    (entry,) = filled.models()
    assert entry.problem and "\n" not in entry.problem and str(filled.root) not in entry.problem
    assert ("teacher" in entry.problem) and ("copy" in entry.problem.lower() or "model.json" in entry.problem)
    (folder / name).write_bytes(content)
    assert filled.models()[0].problem == ""


def test_the_student_of_a_finished_job_is_a_model(filled, engineWorld):
    shutil.copytree(engineWorld.studentJob, filled.jobsFolder / "one")
    running = newJob(filled.jobsFolder / "two")
    writeStart(running)
    (running.path / "student.partial").mkdir()
    assert [entry.path.parent.name for entry in filled.models()] == ["models", "one"]
    assert [path.name for path in filled.jobFolders()] == ["one", "two"]


def test_the_ancestors_of_a_student_are_found_or_named(filled, engineWorld):
    shutil.copytree(engineWorld.studentJob, filled.jobsFolder / "one")
    teacher, student = filled.models()
    assert filled.ancestors(student.manifest)[-1] == teacher
    shutil.rmtree(filled.modelsFolder / "teacher")
    step = filled.ancestors(student.manifest)[-1]
    assert (step.sha256, step.name) == (teacher.sha256, teacher.name)
    assert len(filled.ancestors(student.manifest)) == len(student.manifest.lineage)


def test_what_is_added_from_elsewhere_is_remembered_once(workspace, settings, engineWorld):
    for _ in range(2):
        assert workspace.addModel(engineWorld.teacher).problem == ""
    assert workspace.addModel(engineWorld.teacher / "model.json").path == engineWorld.teacher
    workspace.addDataset(engineWorld.dataset / "dataset.json")
    later = Workspace(workspace.root, settings)
    assert [entry.path for entry in later.models()] == [engineWorld.teacher]
    assert [entry.path for entry in later.datasets()] == [engineWorld.dataset]


def test_what_was_added_and_then_deleted_is_listed_with_the_reason(workspace, engineWorld, tmp_path):
    shutil.copytree(engineWorld.teacher, tmp_path / "mine")
    shutil.copytree(engineWorld.dataset, tmp_path / "data")
    workspace.addModel(tmp_path / "mine")
    workspace.addDataset(tmp_path / "data")
    shutil.rmtree(tmp_path / "mine")
    shutil.rmtree(tmp_path / "data")
    assert workspace.models()[0].problem == "mine was moved or deleted."
    assert "data is no dataset, or was deleted" in workspace.datasets()[0].problem


@pytest.mark.parametrize("act", ["addModel", "addDataset"])
def test_what_is_none_is_refused_and_not_remembered(workspace, tmp_path, act):
    (tmp_path / "folder").mkdir()
    with pytest.raises(WorkspaceError, match="folder"):
        getattr(workspace, act)(tmp_path / "folder")
    assert workspace.models() == [] and workspace.datasets() == []


def test_a_dataset_with_damaged_cases_is_listed_with_the_first_and_the_rest_counted(filled):
    folder = filled.datasetsFolder / "stomach"
    first, second, *_ = sorted((folder / "cases").iterdir())
    text = first.read_text(encoding="utf-8")
    first.write_text("{", encoding="utf-8")
    (entry,) = filled.datasets()
    assert entry.problem.startswith("One case cannot be read: stomach/cases/") and sum(entry.counts.values()) == 5
    second.write_text("{}", encoding="utf-8")
    assert filled.datasets()[0].problem.startswith("2 cases cannot be read; the first: stomach/cases/")
    first.write_text(text, encoding="utf-8")
    assert filled.datasets()[0].problem.startswith("One case")


def test_a_damaged_dataset_is_listed_with_the_reason(filled):
    (filled.datasetsFolder / "stomach" / "dataset.json").write_text("[]", encoding="utf-8")
    (filled.datasetsFolder / "empty").mkdir()
    problems = {entry.path.name: entry.problem for entry in filled.datasets()}
    assert problems["stomach"].startswith("stomach/dataset.json: expected an object")
    assert "no dataset" in problems["empty"]


def test_a_review_shows_in_the_counts_at_once(filled):
    assert filled.datasets()[0].counts["approved"] == 4
    folder = DatasetFolder.open(filled.datasetsFolder / "stomach")
    case = next(case for case in folder.cases() if case.status == "submitted")
    folder.move(case.id, "approved", "reviewer", "fine")
    assert filled.datasets()[0].counts == {"approved": 5, "draft": 1}


def test_asking_again_reads_nothing_again(filled):
    folder = DatasetFolder.open(filled.datasetsFolder / "stomach")
    case = codec.to_json(folder.cases()[0])
    for number in range(500):
        text = json.dumps({**case, "id": f"more_{number:03}"})
        (folder.path / "cases" / f"more_{number:03}.json").write_text(text, encoding="utf-8")
    first = filled.datasets()[0]
    assert sum(first.counts.values()) == 506
    took_s = []
    for _ in range(5):
        before_s = time.thread_time()
        assert filled.datasets()[0] is first
        filled.models()
        took_s.append(time.thread_time() - before_s)
    assert min(took_s) < 0.02


@pytest.mark.parametrize("act", ["newJobFolder", "newDatasetFolder", "resultFolder", "planFile"])
def test_a_root_that_is_a_file_is_said_in_words(tmp_path, act):
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    workspace = Workspace(tmp_path / "file")
    assert (workspace.models(), workspace.datasets(), workspace.jobFolders()) == ([], [], [])
    assert "is a file, not a folder: rename it" in workspace.problem
    with pytest.raises(WorkspaceError, match="is a file, not a folder"):
        getattr(workspace, act)(*{"resultFolder": ("0" * 64, "x"), "planFile": ()}.get(act, ("x",)))
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


def test_a_folder_that_may_not_be_written_is_said_in_words(workspace, monkeypatch):
    def refuse(self, *args, **named):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "touch", refuse)  # even root, who may write anywhere
    with pytest.raises(WorkspaceError, match=r"cannot be written \(permission denied\): make it writable"):
        workspace.newJobFolder("one")


def test_a_full_disk_is_said_in_words(workspace, monkeypatch):
    def full(self, *args, **named):
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(WorkspaceError, match="no space left on device"):
        workspace.resultFolder("a" * 64, "scan")


def test_names_of_new_folders_are_free_and_plain(workspace):
    first = workspace.newJobFolder("Liver + Stomach / 2026")
    assert first == workspace.jobsFolder / "Liver-Stomach-2026" and not first.exists()
    newJob(first)
    assert workspace.newJobFolder("Liver + Stomach / 2026").name == "Liver-Stomach-2026-2"
    assert workspace.resultFolder("abcdef0123456789", "CT 1").relative_to(workspace.root).parts == (
        "results", "abcdef01", "CT-1",
    )  # fmt: skip
    assert workspace.planFile().parent.is_dir()
    assert [safeName(name) for name in ("", "...", "../..", "ä" * 3, "a" * 100)] == ["unnamed"] * 4 + ["a" * 60]
