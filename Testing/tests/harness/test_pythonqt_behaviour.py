"""The PythonQt behaviour that the stand-ins promise."""

import ctk
import pytest
import qt
import slicer

from harness import records


def test_properties_are_attributes():
    button = qt.QPushButton("Go")
    assert button.text == "Go" and button.enabled is True
    button.enabled = False
    assert not button.enabled
    with pytest.raises(TypeError):
        button.text()  # in PythonQt a string, not a method


def test_unknown_attributes_are_refused():
    for widget in (qt.QLabel(), ctk.ctkSliderWidget(), slicer.qMRMLNodeComboBox()):
        with pytest.raises(AttributeError):
            widget.tooltip = "the property is called toolTip"


def test_string_connections():
    button, calls = qt.QPushButton(), []
    button.checkable = True
    button.connect("clicked()", lambda *args: calls.append(args))
    button.connect("clicked(bool)", calls.append)
    button.connect("toggled(bool)", lambda: calls.append("none wanted"))
    button.click()
    assert calls == ["none wanted", (), True]
    button.disconnect("clicked()")
    with pytest.raises(AttributeError):
        button.connect("pressed(QString)", print)


def test_enums_are_unscoped_integers():
    assert qt.Qt.Checked == 2 and int(qt.QMessageBox.Ok) == 0x400
    assert qt.Qt.AlignLeft | qt.Qt.AlignTop == 0x21


def test_dialogs_are_answered_from_the_records():
    records.answer("getOpenFileName", "/data/a.nrrd")
    assert qt.QFileDialog.getOpenFileName(None, "Open") == "/data/a.nrrd"
    assert qt.QFileDialog.getOpenFileName(None, "Open") == ""
    slicer.util.errorDisplay("Too bad")
    assert records.texts("error") == ["Too bad"]
    records.answer("confirmYesNo", False)
    assert slicer.util.confirmYesNoDisplay("Really?") is False


def test_node_selector_follows_the_scene():
    box, seen = slicer.qMRMLNodeComboBox(), []
    box.nodeTypes = ["vtkMRMLModelNode"]
    box.setMRMLScene(slicer.mrmlScene)
    box.connect("currentNodeChanged(vtkMRMLNode*)", seen.append)
    first = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", "First")
    assert box.currentNode() is None  # nothing is selected by itself
    box.choose("First")
    second = box.addNode()
    slicer.mrmlScene.RemoveNode(second)
    assert seen == [first, second, None]
    assert box.nodeTypes == ("vtkMRMLModelNode",)


def test_sitk_round_trip():
    import numpy as np
    import sitkUtils

    node = slicer.util.addVolumeFromArray(np.arange(24.0).reshape(2, 3, 4))
    node.SetSpacing(1, 2, 3)
    node.SetOrigin(5, 6, 7)
    back = sitkUtils.PushVolumeToSlicer(sitkUtils.PullVolumeFromSlicer(node))
    assert back.GetSpacing() == pytest.approx((1, 2, 3)) and back.GetOrigin() == pytest.approx((5, 6, 7))
    assert (slicer.util.arrayFromVolume(back) == slicer.util.arrayFromVolume(node)).all()


def test_layouts():
    manager = slicer.app.layoutManager()
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    assert manager.sliceWidget("Red").isVisible()
    assert not manager.sliceWidget("Green").isVisible()
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    assert manager.sliceWidget("Green").isVisible()
    assert manager.threeDViewCount == 1


def test_save_and_load(tmp_path):
    import numpy as np

    node = slicer.util.addVolumeFromArray(np.arange(60, dtype=np.int16).reshape(3, 4, 5), name="V")
    path = str(tmp_path / "v.nrrd")
    assert slicer.util.saveNode(node, path)
    assert (slicer.util.arrayFromVolume(slicer.util.loadVolume(path)) == slicer.util.arrayFromVolume(node)).all()
