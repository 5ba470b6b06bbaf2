"""Section 5 where something goes wrong: odd scans, engines that die, full disks, closed scenes; one sentence each."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import slicer
import vtk

from fixtures.phantoms import addPhantom, obliqueDirections
from harness import records
from organincrement.contract import codec
from organincrement.contract.model import ModelManifest
from OrganIncrementLib.Logics.ResultNodes import resultsOf, uncertaintyOf

COPYING = """#!/bin/sh
# stands in for the engine: after a moment, the result is one that was made before
while [ $# -gt 1 ]; do [ "$1" = --out ] && out=$2; shift; done
name=$(basename "$1" .nrrd)
echo "segment: 0 of 1 ($name) 3 of 8" >&2
sleep 0.6
mkdir -p "$out/$name" && cp {result}/* "$out/$name/"
"""


@pytest.fixture
def engineScript(tmp_path, setting):
    """A function: this shell script is the engine's Python from now on."""

    def use(text):
        path = tmp_path / "engine.sh"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        for key in ("engine/python", "OrganIncrement/engine/python"):
            setting(key, str(path))

    return use


@pytest.fixture
def start(openModule, workFolder, engineWorld):
    """A function: opens the module, with a teacher, its student and the scan "CT" chosen."""
    shutil.copytree(engineWorld.teacher, workFolder / "models" / "teacher")
    shutil.copytree(engineWorld.studentJob, workFolder / "jobs" / "student-job")

    def open_(model="teacher"):
        module = openModule("OrganIncrement")
        module.ui.inputVolumeSelector.setCurrentNode(slicer.util.loadVolume(str(engineWorld.scan), {"name": "CT"}))
        paths = {
            "teacher": workFolder / "models" / "teacher",
            "student": workFolder / "jobs" / "student-job" / "student",
        }
        module._parameterNode.segmentModel = str(paths[model])
        return module

    return open_


def over(module):
    return lambda: not module.ui.segmentCancelButton.visible


def written(path):
    return lambda: path.exists() and path.read_text(encoding="utf-8").endswith("\n")


def nothingLeft(workFolder):
    """Neither half a result nor a copy of the scan stays."""
    kept = [path for path in (workFolder / "results").glob("*/*") if not path.name.startswith(".")]
    return not kept and not list(Path(slicer.app.temporaryPath).glob("OrganIncrement-*"))


def onlyError():
    (text,) = records.texts("error")
    assert "Traceback" not in text and "\n" not in text.strip() and len(text) < 400, text
    return text


def test_apply_says_what_is_missing(openModule, workFolder):
    module = openModule("OrganIncrement")
    assert not module.ui.applyButton.enabled
    assert "choose a volume" in module.ui.applyButton.toolTip and "package" in module.ui.applyButton.toolTip


def test_odd_volumes_are_refused_in_one_sentence_each(start, engineScript):
    engineScript("#!/bin/sh\nexit 1\n")
    module = start()

    def refusal(node):
        records.reset()
        module._parameterNode.inputVolume = node
        module.ui.applyButton.click()
        assert over(module)()
        return onlyError()

    assert "no voxels" in refusal(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Nothing"))
    odd = addPhantom("Odd")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 0, float("nan"))
    odd.SetIJKToRASMatrix(matrix)
    assert "spacing" in refusal(odd)
    bent = addPhantom("Bent")
    grid = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "Breathing")
    grid.SetAndObserveTransformToParent(vtk.vtkThinPlateSplineTransform())
    bent.SetAndObserveTransformNodeID(grid.GetID())
    assert "non-linear transform Breathing" in refusal(bent)
    labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
    slicer.util.updateVolumeFromArray(labels, np.ones((4, 5, 6), np.uint8))
    assert "holds labels" in refusal(labels)
    hole = addPhantom("Hole")
    array = slicer.util.arrayFromVolume(hole).astype(np.float32)
    array[3, 4, 5] = np.nan
    slicer.util.updateVolumeFromArray(hole, array)
    assert "NaN" in refusal(hole)


def test_half_copied_package_is_refused(start, engineScript, workFolder):
    engineScript("#!/bin/sh\nexit 1\n")
    module = start()
    weights = workFolder / "models" / "teacher" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    module.controller.segment.modelsChanged()
    module.ui.applyButton.click()
    assert "not whole" in onlyError()


def test_engine_that_dies_is_told_and_leaves_nothing(start, engineScript, settle, workFolder):
    engineScript('#!/bin/sh\necho "segment: 0 of 1 (CT) 1 of 8" >&2\nmkdir -p x\nkill -9 $$\n')
    module = start()
    module.ui.applyButton.click()
    settle(until=over(module), seconds=30)
    assert "CT was not segmented. The engine was ended" in onlyError()
    assert nothingLeft(workFolder) and resultsOf(module._parameterNode.inputVolume) == []
    assert module.ui.applyButton.enabled


def test_cancel_ends_the_engine_and_leaves_nothing(start, engineScript, settle, workFolder, tmp_path):
    engineScript(f'#!/bin/sh\ncase "$*" in *segment*) echo $$ > {tmp_path}/pid;; esac\nexec sleep 60\n')
    module = start()
    module.ui.applyButton.click()
    settle(until=written(tmp_path / "pid"), seconds=30)
    module.ui.segmentCancelButton.click()
    settle(until=over(module), seconds=10)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text(encoding="utf-8")), 0)
    assert module.ui.segmentStatusLabel.text.startswith("Cancelled") and records.texts("error") == []
    assert nothingLeft(workFolder)


def test_full_disk_is_told_and_leaves_nothing(start, engineScript, settle, workFolder):
    engineScript(f'#!/bin/bash\nulimit -f 1\nexec {sys.executable} "$@"\n')
    module = start()
    module.ui.applyButton.click()
    settle(until=over(module), seconds=200)
    assert "free disk space" in onlyError()
    assert nothingLeft(workFolder)


def test_closed_scene_gets_no_result_and_the_result_is_kept(start, engineScript, engineWorld, settle, workFolder):
    engineScript(COPYING.format(result=engineWorld.result))
    module = start()
    module.ui.applyButton.click()
    settle(until=lambda: "Segmenting" in module.ui.segmentStatusLabel.text, seconds=30)
    slicer.mrmlScene.Clear(False)
    other = addPhantom("Other patient")  # it gets the id of the first one
    settle(until=over(module), seconds=30)
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []
    assert resultsOf(other) == [] and records.texts("error") == []
    assert "scene was closed" in module.ui.segmentStatusLabel.text
    assert (workFolder / "results").rglob("report.json")
    assert not list(Path(slicer.app.temporaryPath).glob("OrganIncrement-*"))


def test_result_arrives_while_another_module_is_shown(start, engineScript, engineWorld, settle):
    engineScript(COPYING.format(result=engineWorld.result))
    module = start()
    scan = module._parameterNode.inputVolume
    module.ui.applyButton.click()
    module.exit()
    settle(until=lambda: resultsOf(scan), seconds=30)
    module.enter()
    assert module.ui.teacherRadioButton.checked and module.ui.nextRegionButton.enabled


def test_student_that_is_not_recommended_asks_first(start, engineScript, settle, workFolder):
    engineScript("#!/bin/sh\nexec sleep 60\n")
    package = workFolder / "jobs" / "student-job" / "student" / "model.json"
    data = codec.to_json(codec.read(ModelManifest, package))
    data["metrics"]["recommended"] = False
    package.write_text(codec.dumps(codec.from_json(ModelManifest, data, where="test")), encoding="utf-8")
    module = start("student")
    records.answer("confirmYesNo", False)
    module.ui.applyButton.click()
    assert "NOT recommended" in records.texts("confirmYesNo")[0] and over(module)()
    records.answer("confirmYesNo", True)
    module.ui.applyButton.click()
    assert not over(module)()
    module.ui.segmentCancelButton.click()
    settle(until=over(module), seconds=10)


def test_closing_the_module_ends_the_engine(start, engineScript, settle, tmp_path):
    engineScript(f'#!/bin/sh\ncase "$*" in *segment*) echo $$ > {tmp_path}/pid;; esac\nexec sleep 60\n')
    module = start()
    module.ui.applyButton.click()
    settle(until=written(tmp_path / "pid"), seconds=30)
    module.controller.segment.close()
    told = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/cmdline")
    settle(until=lambda: not told.exists() or not told.read_bytes(), seconds=10)  # gone, or a zombie
    assert not list(Path(slicer.app.temporaryPath).glob("OrganIncrement-*"))


def test_oblique_scan_under_a_transform_is_segmented_where_it_lies(start, settle):
    module = start()
    scan = addPhantom("Oblique", obliqueDirections())
    shift = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Shift")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 40.0)
    shift.SetMatrixTransformToParent(matrix)
    scan.SetAndObserveTransformNodeID(shift.GetID())
    module.ui.inputVolumeSelector.setCurrentNode(scan)
    module.ui.applyButton.click()
    settle(until=over(module), seconds=200)
    assert records.texts("error") == []
    (result,) = resultsOf(scan)
    places = []
    for node in (scan, uncertaintyOf(result)):
        bounds = [0.0] * 6
        node.GetRASBounds(bounds)
        places.append(bounds)
    assert places[0] == pytest.approx(places[1], abs=0.01)
    bounds = [0.0] * 6
    result.GetRASBounds(bounds)
    assert all(places[0][i] - 10 <= bounds[i] <= places[0][i + 1] + 10 for i in (0, 2, 4))
