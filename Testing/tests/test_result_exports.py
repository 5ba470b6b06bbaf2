"""Sections 4 and 5: a student for other tools, a result for other programs, by the real engine."""

import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
import qt
import slicer

from fixtures.engine_world import ENGINE
from harness import records
from organincrement.contract import codec
from organincrement.contract.results import LabelTable

_DICOM = """
import sys
from pathlib import Path
import numpy as np
from dicom_scan import write_scan
from organincrement.contract.labels import LabelSpace
from organincrement.imaging.safe_read import read_image, read_stored
from organincrement.imaging.writing import write_segmentation
from organincrement.workflows.merge_inputs import MergeInput, open_input
folder, results = Path(sys.argv[1]), [Path(path) for path in sys.argv[2:]]
labels = [read_stored(result / "segmentation.seg.nrrd") for result in results]
shape = labels[0].shape_DHW if labels else (6, 5, 7)
write_scan(folder, shape=shape, voxels_DHW=np.zeros(shape, int))
for result, found in zip(results, labels):
    space = LabelSpace(tuple(open_input(MergeInput(path=result)).organs.values()))
    image = read_image(folder)
    write_segmentation(result / "segmentation.seg.nrrd", image.with_array(found.array_DHW), space)
    (result / "uncertainty.nrrd").unlink(missing_ok=True)
"""


@pytest.fixture
def module(openModule, workFolder, engineWorld):
    """The module on a workspace with a teacher and its student, and a scan in the scene."""
    shutil.copytree(engineWorld.teacher, workFolder / "models" / "teacher")
    shutil.copytree(engineWorld.studentJob, workFolder / "jobs" / "student-job")
    scan = slicer.util.loadVolume(str(engineWorld.scan), {"name": "CT abdomen"})
    widget = openModule("OrganIncrement")
    widget.ui.inputVolumeSelector.setCurrentNode(scan)
    return widget


@pytest.fixture
def taken(module, workFolder, engineWorld):
    """The teacher's result of the scan, as after Apply."""
    folder = workFolder / "results" / "aaaaaaaa" / "CT-abdomen"
    shutil.copytree(engineWorld.result, folder)
    entry = module.controller.segment._services.workspace.model(workFolder / "models" / "teacher")
    volume = module._parameterNode.inputVolume
    run = SimpleNamespace(folder=folder, volume=volume, volumeName="CT abdomen", entry=entry)
    module.controller.segment.view.take(run)
    module.controller.resultExport.parametersModified()
    return folder


def makeSeries(folder, *results):
    """A DICOM series; results that are given are put onto its grid."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ENGINE), str(ENGINE / "tests")))}
    subprocess.run(
        [sys.executable, "-c", _DICOM, str(folder), *map(str, results)], env=environment, check=True, timeout=60
    )
    return folder


def answerBox(given):
    """Answer the next question with leave; notes its default button and its text."""
    seen = []

    def answer(record):
        seen.append((str(record["widget"].defaultButton().text), str(record["text"])))
        return qt.QMessageBox.Yes if given else qt.QMessageBox.No

    records.answer("messageBox", answer)
    return seen


def choose(box, text):
    box.currentIndex = next(i for i in range(box.count) if text in box.itemText(i))


def export(module, settle, folder):
    records.answer("getExistingDirectory", str(folder))
    module.ui.exportResultButton.click()
    settle(until=lambda: not module.ui.resultExportCancelButton.visible, seconds=100)


@pytest.mark.parametrize(("form", "file"), [("nnU-Net", "plans.json"), ("ONNX", ".onnx")])
def test_student_goes_out_to_other_tools_with_what_should_be_known(module, settle, tmp_path, form, file):
    ui = module.ui
    choose(ui.exportFormatComboBox, form)
    records.answer("getExistingDirectory", str(tmp_path))
    ui.exportButton.click()
    settle(until=lambda: not ui.resultCancelButton.visible, seconds=150)
    assert records.texts("error") == []
    (written,) = [path for path in tmp_path.iterdir() if path.name.startswith("organs")]
    assert any(path.name.endswith(file) for path in written.rglob("*"))
    assert str(written) in ui.resultStatusLabel.text and "•" in ui.resultStatusLabel.text
    ui.showExportButton.click()
    assert records.texts("openUrl") == [f"file://{written}"]


def test_folder_that_is_there_is_not_written_into(module, tmp_path):
    choose(module.ui.exportFormatComboBox, "nnU-Net")
    name = f"{module.controller.result._student().manifest.name}-nnunet2".replace("+", "-")
    (tmp_path / name).mkdir()
    records.answer("getExistingDirectory", str(tmp_path))
    module.ui.exportButton.click()
    assert len(records.texts("error")) == 1 and "there already" in records.texts("error")[0]
    assert list((tmp_path / name).iterdir()) == []


def test_result_is_written_as_nifti_with_its_labels(module, taken, settle, tmp_path):
    ui = module.ui
    assert not ui.seriesLineEdit.visible and not ui.showResultFilesButton.visible
    (tmp_path / "out").mkdir()
    export(module, settle, tmp_path / "out")
    assert records.texts("error") == []
    (written,) = (tmp_path / "out").iterdir()
    assert sorted(path.name for path in written.iterdir()) == ["labels.json", "segmentation.nii.gz"]
    assert [label.organ.id for label in codec.read(LabelTable, written / "labels.json").labels] == ["liver", "spleen"]
    assert "segmentation.nii.gz" in ui.resultExportStatusLabel.text
    ui.showResultFilesButton.click()
    assert records.texts("openUrl") == [f"file://{written}"]
    assert json.loads((taken / "report.json").read_text(encoding="utf-8"))


def test_dicom_needs_the_series_and_refuses_another_one(module, taken, settle, tmp_path):
    ui = module.ui
    choose(ui.resultFormatComboBox, "DICOM")
    assert ui.seriesLineEdit.visible
    ui.exportResultButton.click()
    assert "Choose the folder" in ui.resultExportStatusLabel.text
    makeSeries(tmp_path / "series")
    records.answer("getExistingDirectory", str(tmp_path / "series"))
    ui.seriesButton.click()
    assert ui.seriesLineEdit.text == str(tmp_path / "series")
    (tmp_path / "out").mkdir()
    answerBox(True)
    export(module, settle, tmp_path / "out")
    assert ui.resultExportStatusLabel.text.startswith("⚠ ") and "\n" not in ui.resultExportStatusLabel.text
    assert list((tmp_path / "out").iterdir()) == []


def test_series_that_may_be_another_patient_s_is_taken_only_with_leave(
    module, taken, settle, tmp_path, monkeypatch
):  # fmt: skip
    ui = module.ui
    series = makeSeries(tmp_path / "series", taken)
    choose(ui.resultFormatComboBox, "DICOM")
    ui.seriesLineEdit.text = str(series)
    (tmp_path / "out").mkdir()
    seen = answerBox(False)
    ui.exportResultButton.click()
    assert len(seen) == 1 and "No" in seen[0][0] and "Is series the series of the scan" in seen[0][1]
    assert "another patient" in ui.resultExportStatusLabel.text and list((tmp_path / "out").iterdir()) == []
    assert not records.texts("getExistingDirectory")
    # what the scan was loaded from, as Slicer knows it, needs no leave
    volume = module._parameterNode.inputVolume
    volume.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    database = SimpleNamespace(fileForInstance=lambda uid: str(series / "IM1.dcm"))
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    for _times in range(2):
        export(module, settle, tmp_path / "out")
        assert "name the patient" in ui.resultExportStatusLabel.text, ui.resultExportStatusLabel.text
    assert len(seen) == 1 and len(list((tmp_path / "out").iterdir())) == 2
    # what the engine knows to be of other files needs leave all the same
    report = json.loads((taken / "report.json").read_text(encoding="utf-8"))
    (taken / "report.json").write_text(json.dumps({**report, "input_is_dicom": True}), encoding="utf-8")
    export(module, settle, tmp_path / "out")
    assert "perhaps of another patient" in ui.resultExportStatusLabel.text
    assert "--" not in ui.resultExportStatusLabel.text and len(list((tmp_path / "out").iterdir())) == 2
    seen = answerBox(True)
    export(module, settle, tmp_path / "out")
    assert len(seen) == 1 and len(list((tmp_path / "out").iterdir())) == 3


def test_names_as_long_as_can_be_are_counted_on(module, taken, tmp_path):
    from OrganIncrementLib.Controllers.ResultExportController import _free

    name = "x" * 90
    made = set()
    for _times in range(3):
        folder = _free(tmp_path, name)
        folder.mkdir()
        made.add(folder)
    assert len(made) == 3


def test_export_can_be_cancelled_and_leaves_nothing(module, taken, settle, tmp_path):
    ui = module.ui
    (tmp_path / "out").mkdir()
    records.answer("getExistingDirectory", str(tmp_path / "out"))
    ui.exportResultButton.click()
    ui.resultExportCancelButton.click()
    settle(until=lambda: not ui.resultExportCancelButton.visible, seconds=30)
    assert "nothing was written" in ui.resultExportStatusLabel.text
    assert list((tmp_path / "out").iterdir()) == []


def test_without_a_result_or_its_files_the_button_says_why(module, workFolder):
    ui = module.ui
    assert not ui.exportResultButton.enabled and "press Apply" in ui.exportResultButton.toolTip


def test_result_whose_files_are_gone_is_applied_again(module, taken):
    shutil.rmtree(taken)
    module.controller.resultExport.parametersModified()
    assert not module.ui.exportResultButton.enabled
    assert "not on this computer" in module.ui.exportResultButton.toolTip
