"""Sections 4 and 5: a student for other tools, a result for other programs, by the real engine."""

import json
import os
import shutil
import subprocess
import sys

import pytest
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
write_scan(Path(sys.argv[1]), shape=(6, 5, 7), voxels_DHW=np.zeros((6, 5, 7), int))
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
    from types import SimpleNamespace

    folder = workFolder / "results" / "aaaaaaaa" / "CT-abdomen"
    shutil.copytree(engineWorld.result, folder)
    entry = module.controller.segment._services.workspace.model(workFolder / "models" / "teacher")
    volume = module._parameterNode.inputVolume
    run = SimpleNamespace(folder=folder, volume=volume, volumeName="CT abdomen", entry=entry)
    module.controller.segment.view.take(run)
    module.controller.resultExport.parametersModified()
    return folder


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
    assert json.loads((taken / "report.json").read_text())


def test_dicom_needs_the_series_and_refuses_another_one(module, taken, settle, tmp_path):
    ui = module.ui
    choose(ui.resultFormatComboBox, "DICOM")
    assert ui.seriesLineEdit.visible
    ui.exportResultButton.click()
    assert "Choose the folder" in ui.resultExportStatusLabel.text
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ENGINE), str(ENGINE / "tests")))}
    subprocess.run([sys.executable, "-c", _DICOM, str(tmp_path / "series")], env=environment, check=True, timeout=60)
    records.answer("getExistingDirectory", str(tmp_path / "series"))
    ui.seriesButton.click()
    assert ui.seriesLineEdit.text == str(tmp_path / "series")
    (tmp_path / "out").mkdir()
    export(module, settle, tmp_path / "out")
    assert ui.resultExportStatusLabel.text.startswith("⚠ ") and "\n" not in ui.resultExportStatusLabel.text
    assert list((tmp_path / "out").iterdir()) == []


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
