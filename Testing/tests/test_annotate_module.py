"""OrganAnnotate as a whole: every button, every reason, the Segment Editor, the picture for the documentation."""

from pathlib import Path

import numpy as np
import pytest
import slicer
from annotate_clicks import addOpenVolume, draw, makeDataset, openCase, writtenDataset

from fixtures.phantoms import addPhantom, liverMask, obliqueDirections
from harness import records, screenshot

OUTPUT = Path(__file__).resolve().parents[1] / "output"
BUTTONS = ("Button", "ComboBox", "SpinBox", "LineEdit", "Selector")


@pytest.fixture
def module(openModule, workFolder):
    return openModule("OrganAnnotate")


def buttonsOf(ui):
    """The push buttons of the module's own forms."""
    named = {name: widget for name, widget in vars(ui).items() if name.endswith("Button")}
    return {name: widget for name, widget in named.items() if not name.endswith("CollapsibleButton")}


def test_every_control_that_is_off_says_why(module):
    silent = [
        name for name, widget in vars(module.ui).items()
        if name.endswith(BUTTONS) and not widget.enabled and not widget.toolTip
    ]  # fmt: skip
    assert silent == []
    makeDataset(module, Path(module.controller.session.services.workspace.datasetsFolder) / "new", "liver")
    addOpenVolume(module, addPhantom("x"))
    silent = [
        name for name, widget in vars(module.ui).items()
        if name.endswith(BUTTONS) and not widget.enabled and not widget.toolTip
    ]  # fmt: skip
    assert silent == []


def test_every_button_does_something_and_nothing_fails(module, workFolder, tmp_path, settle):
    ui, clicked = module.ui, set()
    for name, button in buttonsOf(ui).items():
        button.connect("clicked(bool)", lambda checked=False, name=name: clicked.add(name))
    folder = makeDataset(module, workFolder / "datasets" / "new", "liver")
    ui.newDatasetButton.click()
    ui.addOrganButton.click()
    ui.removeOrganButton.click()
    ui.cancelDatasetButton.click()
    ui.moreOrgansButton.click()
    ui.organSearchLineEdit.text = "right parotid"
    ui.addOrganButton.click()
    ui.createDatasetButton.click()
    records.answer("getExistingDirectory", str(folder))
    ui.openDatasetButton.click()
    assert [organ.id for organ in module.controller.session.organs] == ["liver", "parotid_right"]
    ui.volumeSelector.setCurrentNode(addPhantom("x"))
    ui.addVolumeButton.click()
    ui.cancelCaseButton.click()
    addOpenVolume(module, slicer.util.getNode("x"))
    openCase(module, 0)
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "other")
    other.GetSegmentation().AddEmptySegment("s", "S")
    mask = liverMask()
    mask[16, 14, 22] = True
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), other, "s", slicer.util.getNode("x"))
    ui.segmentationSelector.setCurrentNode(other)
    ui.copySegmentButton.click()
    assert (module.controller.drawing.arrays().masks["liver"] == mask).all()
    ui.checkButton.click()
    ui.confirmCheckButton.click()
    ui.checksTable.selectRow(0)
    ui.mendCheckButton.click()
    ui.saveButton.click()
    ui.handInButton.click()
    assert module.controller.session.opened.status == "submitted"
    ui.addFolderButton.click()
    for button in (ui.imagesButton, ui.labelsButton, ui.candidateFolderButton):
        records.answer("getExistingDirectory", str(tmp_path))
        button.click()
    ui.importButton.click()
    ui.taskCancelButton.click()
    settle(until=lambda: not module.controller.session.busy, seconds=30)
    assert not list(folder.glob(".*partial*"))
    ui.cancelImportButton.click()
    ui.checkAllButton.click()
    ui.taskCancelButton.click()
    settle(until=lambda: not module.controller.session.busy, seconds=30)
    assert records.texts("error") == []
    needAModel = {"presegmentButton", "suggestButton"}  # clicked in test_annotate_engine.py
    assert set(buttonsOf(ui)) - clicked == needAModel


def test_the_editor_draws_the_chosen_organ_and_takes_its_keys_only_while_the_module_is_shown(
    module, openModule, workFolder
):
    makeDataset(module, workFolder / "datasets" / "new", "liver", "left kidney")
    addOpenVolume(module, addPhantom("x"))
    ui, parameters = module.ui, module.controller.session.parameters
    node = slicer.mrmlScene.GetSingletonNode("OrganAnnotate", "vtkMRMLSegmentEditorNode")
    assert node.GetSegmentationNode() is parameters.caseSegmentation
    assert node.GetSelectedSegmentID() == "liver"
    ui.organComboBox.currentIndex = 1
    ui.organComboBox.activated.emit(1)
    assert node.GetSelectedSegmentID() == "kidney_left"
    node.SetSelectedSegmentID("liver")
    module.controller.tick()
    assert ui.organComboBox.currentText == "Liver"
    assert module.controller.editor._isEntered
    openModule("OrganIncrement")
    assert not module.controller.editor._isEntered
    openModule("OrganAnnotate")
    assert module.controller.editor._isEntered


def test_without_a_segment_editor_the_label_can_still_be_drawn_and_saved(openModule, workFolder, monkeypatch):
    monkeypatch.delattr(slicer, "qMRMLSegmentEditorWidget")
    module = openModule("OrganAnnotate")
    assert not module.ui.noEditorLabel.isHidden()
    makeDataset(module, workFolder / "datasets" / "new", "liver")
    addOpenVolume(module, addPhantom("x"))
    draw(module, liverMask())
    module.ui.saveButton.click()
    assert records.texts("error") == []
    assert module.controller.session.opened.annotated == ("liver",)


def test_segments_carry_names_colours_and_codes(module, workFolder):
    makeDataset(module, workFolder / "datasets" / "new", "right parotid")
    addOpenVolume(module, addPhantom("x"))
    segment = module.controller.drawing.nodes[1].GetSegmentation().GetSegment("parotid_right")
    assert segment.GetName() == "Right parotid gland"
    assert np.allclose(segment.GetColor(), np.array([144, 238, 144]) / 255)


def test_an_organ_that_the_terminology_does_not_know_is_offered_as_it_is_typed(module, workFolder):
    ui = module.ui
    ui.newDatasetButton.click()
    ui.organSearchLineEdit.text = "Nervus vagus"
    assert "not in the terminology" in ui.organMatchesList.item(0).text()
    ui.organSearchLineEdit.text = "zzz§"
    ui.organSearchLineEdit.text = "parotid"
    texts = [ui.organMatchesList.item(row).text() for row in range(ui.organMatchesList.count)]
    assert texts == ["Left parotid gland", "Right parotid gland", "Parotid gland – both sides as one"]


def test_another_module_can_ask_for_a_case(module, workFolder):
    dataset = writtenDataset(workFolder / "datasets" / "liver", cases=2)
    assert module.controller.showCase(str(dataset.path), "pt_2")
    assert "pt_2" in module.ui.caseStateLabel.text


def test_what_others_do_on_the_disk_is_seen(module, workFolder, settle):
    folder = makeDataset(module, workFolder / "datasets" / "new", "liver")
    addOpenVolume(module, addPhantom("x"))
    (folder / "cases" / "case_0002.json").write_text("{", encoding="utf-8")
    settle(until=lambda: module.ui.caseTable.rowCount == 2, seconds=10)
    assert module.ui.caseTable.item(1, 2).text() == "damaged"


def test_a_quiet_tick_costs_next_to_nothing(module, workFolder):
    import time

    makeDataset(module, workFolder / "datasets" / "new", "liver")
    addOpenVolume(module, addPhantom("x"))
    module.controller.tick()
    started = time.process_time()
    for _tick in range(20):
        module.controller.tick()
    assert (time.process_time() - started) / 20 < 0.01


def test_picture(module, workFolder, settle):
    """Testing/output/annotate.png: a case with a finding that waits for an answer."""
    makeDataset(module, workFolder / "datasets" / "liver-site-b", "liver", "left kidney")
    for number, directions in enumerate((np.diag([-1.0, -1.0, 1.0]), obliqueDirections()), 1):
        volume = addPhantom(f"scan {number}", directions)
        addOpenVolume(module, volume)
        mask = liverMask()
        if number == 2:
            mask[15, 12:14, 21] = True
        draw(module, mask)
        module.ui.saveButton.click()
        if number == 1:
            module.ui.handInButton.click()
    module.ui.checkButton.click()
    settle(seconds=0.3)
    OUTPUT.mkdir(exist_ok=True)
    picture = OUTPUT / "annotate.png"
    screenshot.save(str(picture), size=(1400, 1240))
    assert picture.stat().st_size > 20000
    for name in ("Red", "Green", "Yellow"):
        pixels = slicer.app.layoutManager().sliceWidget(name).sliceView().pixels().astype(int)
        assert (pixels.max(axis=2) > 60).mean() > 0.1, f"{name}: the scan is not visible"
