"""Paths that users type, settings keep and scenes name: none of them may raise in a window."""

import json
from pathlib import Path

import pytest
import slicer

from harness import mouse, records
from OrganIncrementLib.Controllers.MethodList import keptMethods
from OrganIncrementLib.Engine.EngineEnvironment import EngineEnvironment
from OrganIncrementLib.Engine.JobRunner import JobError, JobRunner
from OrganIncrementLib.Engine.Paths import isFile, isFolder, isThere
from OrganIncrementLib.Settings import DictStore, Settings
from OrganIncrementLib.Workspace import Workspace

TOO_LONG, NO_NAME = "x" * 400, "a\0b"


@pytest.mark.parametrize("path", [TOO_LONG, NO_NAME, f"/tmp/{TOO_LONG}/y"])
def test_what_cannot_be_looked_at_is_not_there(path):
    assert not isThere(path)
    assert not isFolder(path)
    assert not isFile(path)


def test_a_drive_that_is_gone_or_kept_from_us_is_not_there(monkeypatch):
    def refuse(*_arguments, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refuse)
    assert not isThere("/mnt/ward/scans")
    assert not isFolder("/mnt/ward/scans")
    assert not isFile("/mnt/ward/scans")


@pytest.mark.parametrize("key", ["models", "datasets"])
def test_what_is_kept_in_the_settings_is_listed_with_a_problem_whatever_it_is(tmp_path, key):
    settings = Settings(DictStore())
    settings.set(key, [TOO_LONG, NO_NAME])
    listed = getattr(Workspace(tmp_path, settings), key)()
    assert len(listed) == 2
    assert all(entry.problem and entry.manifest is None for entry in listed)


@pytest.mark.parametrize("folder", [TOO_LONG, NO_NAME])
def test_a_workspace_that_no_system_has_is_empty(folder):
    workspace = Workspace(Path(folder))
    assert (workspace.models(), workspace.datasets(), workspace.jobFolders()) == ([], [], [])


@pytest.mark.parametrize("key", ["OrganIncrement/models", "OrganIncrement/datasets"])
@pytest.mark.parametrize("name", ["OrganIncrement", "OrganAnnotate", "OrganReview"])
def test_modules_open_whatever_the_settings_hold(openModule, filledWorkFolder, setting, settle, name, key):
    setting(key, json.dumps([TOO_LONG, NO_NAME, "5"]))
    openModule(name)
    settle(seconds=0.3)
    assert records.texts("error") == []


def test_typed_folders_that_cannot_be_are_missing(openModule, filledWorkFolder):
    ui = openModule("OrganIncrement").ui
    mouse.click(ui.importButton)
    for lineEdit in (ui.importImagesLineEdit, ui.importLabelsLineEdit):
        lineEdit.setText(TOO_LONG)
        lineEdit.editingFinished.emit()
    assert not ui.importStartButton.enabled
    assert "is not there" in ui.importStartButton.toolTip


def test_a_folder_of_candidates_that_cannot_be_is_not_there(openModule, filledWorkFolder):
    ui = openModule("OrganAnnotate").ui
    ui.candidateFolderLineEdit.setText(TOO_LONG)
    ui.candidateFolderLineEdit.editingFinished.emit()
    assert not ui.suggestButton.enabled
    assert "not there" in ui.suggestButton.toolTip


def test_a_list_of_methods_that_was_spoilt_is_asked_for_again(tmp_path):
    for text in ('{"engine": ' + "[" * 100_000, '{"engine": ' + "9" * 6000 + "}", "[]", ""):
        (tmp_path / "methods.json").write_text(text, encoding="utf-8")
        assert keptMethods(tmp_path) == ()


@pytest.mark.parametrize("said", ["[" * 100_000, "[]", '{"ok": true, "packages": "x"}', "garbage", '{"packages": [1]}'])
def test_an_engine_that_answers_nonsense_is_said_to_give_no_answer(said):
    class Command:
        output, message = said, ""

    engine = EngineEnvironment(Settings(DictStore()), "python", dict)
    facts = engine.facts(Command())
    assert not facts.ok
    assert facts.message == "The engine gave no answer."


@pytest.mark.parametrize("name", ["OrganAnnotate", "OrganReview"])
def test_a_folder_without_a_dataset_is_named_and_no_system_message_is_shown(openModule, workFolder, tmp_path, name):
    ui = openModule(name).ui
    (tmp_path / "scans").mkdir()
    records.answer("getExistingDirectory", str(tmp_path / "scans"))
    ui.openDatasetButton.click()
    (said,) = records.texts("error")
    assert said.endswith("scans holds no file dataset.json. Choose the folder that does.")
    assert "Errno" not in said
    assert "No such file" not in said


def test_the_folder_of_a_new_dataset_that_may_not_be_read_is_said(openModule, workFolder, tmp_path, monkeypatch):
    ui = openModule("OrganAnnotate").ui
    ui.newDatasetButton.click()
    ui.datasetNameLineEdit.text = "liver"
    ui.organSearchLineEdit.text = "liver"
    ui.addOrganButton.click()

    def refuse(_folder):
        raise PermissionError(13, "Permission denied")

    records.answer("getExistingDirectory", str(tmp_path))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "iterdir", refuse)
        ui.createDatasetButton.click()
    slicer.app.runOnce()
    (said,) = records.texts("error")
    assert "may not be written" in said


def test_a_job_whose_folder_was_deleted_is_not_said_to_lack_permission(tmp_path):
    runner = JobRunner(EngineEnvironment(Settings(DictStore()), "python", dict))
    with pytest.raises(JobError, match="gone was moved or deleted: put it back"):
        runner.cancel(tmp_path / "gone")
