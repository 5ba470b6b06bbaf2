"""The uncertainty map over the scan: seen, legible, and gone again without a trace."""

import numpy as np
import pytest
import slicer

from OrganIncrementLib.Logics import UncertaintyColors
from OrganIncrementLib.Logics.UncertaintyColors import colors, toLab, toRgb
from OrganIncrementLib.Logics.UncertaintyDisplay import UncertaintyDisplay

VIEWS = ("Red", "Green", "Yellow")
# Machado, Oliveira and Fernandes 2009: what eyes without red, green or blue cones see, on linear RGB.
BLINDNESS = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.fixture
def uncertaintyVolume(phantomVolume):
    """0 to 100 per cent from left to right, on the phantom's grid."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Uncertainty")
    node.CopyOrientation(phantomVolume)
    shape = slicer.util.arrayFromVolume(phantomVolume).shape
    ramp = np.broadcast_to(np.linspace(0, 100, shape[2]).astype(np.uint8), shape)
    slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(ramp))
    return node


@pytest.fixture
def display():
    return UncertaintyDisplay()


def composites():
    return [slicer.app.layoutManager().sliceWidget(name).mrmlSliceCompositeNode() for name in VIEWS]


def layers():
    return [(c.GetBackgroundVolumeID(), c.GetForegroundVolumeID(), c.GetForegroundOpacity()) for c in composites()]


def pixels(name="Red"):
    return slicer.app.layoutManager().sliceWidget(name).sliceView().pixels().astype(int)


def colourful(name="Red"):
    """How much of a view is no grey."""
    return (np.ptp(pixels(name), axis=2) > 40).mean()


def nodeCount():
    return slicer.mrmlScene.GetNumberOfNodes()


def test_map_is_the_foreground_and_the_scan_stays_the_background(display, phantomVolume, uncertaintyVolume):
    display.show(uncertaintyVolume, phantomVolume)
    display.setOpacity(0.7)
    assert layers() == [(phantomVolume.GetID(), uncertaintyVolume.GetID(), 0.7)] * 3
    for name in VIEWS:
        assert colourful(name) > 0.05, name


def test_scan_is_seen_where_the_model_is_certain(display, phantomVolume, uncertaintyVolume):
    scan = pixels()
    slicer.util.updateVolumeFromArray(uncertaintyVolume, np.full((20, 28, 32), 3, np.uint8))
    display.show(uncertaintyVolume, phantomVolume)
    display.setOpacity(1.0)
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(uncertaintyVolume)
    legend.SetVisibility(False)
    assert np.abs(pixels() - scan).max() <= 2
    slicer.util.updateVolumeFromArray(uncertaintyVolume, np.full((20, 28, 32), 100, np.uint8))
    light = pixels()[80:120, 80:120].reshape(-1, 3).mean(axis=0)
    assert light == pytest.approx(colors()[-1, :3] * 255, abs=4)


def test_threshold_hides_what_is_less_uncertain(display, phantomVolume, uncertaintyVolume):
    display.show(uncertaintyVolume, phantomVolume)
    display.setOpacity(1.0)
    seen = []
    for percent in (0, 40, 80, 100):
        display.setThreshold(percent)
        seen.append(colourful())
    assert seen == sorted(seen, reverse=True)
    assert seen[0] > 2 * seen[2] > 0
    display.setThreshold(0)
    assert colourful() == pytest.approx(seen[0], abs=0.01)


def test_threshold_and_opacity_chosen_before_hold_for_the_next_map(display, phantomVolume, uncertaintyVolume):
    display.setOpacity(0.25)
    display.setThreshold(60)
    display.show(uncertaintyVolume, phantomVolume)
    assert layers()[0][2] == 0.25
    node = uncertaintyVolume.GetDisplayNode()
    assert node.GetApplyThreshold()
    assert (node.GetLowerThreshold(), node.GetUpperThreshold()) == (60, 100)
    assert (node.GetWindowLevelMin(), node.GetWindowLevelMax()) == (0, 100)


def test_values_out_of_range_are_clipped(display, phantomVolume, uncertaintyVolume):
    display.show(uncertaintyVolume, phantomVolume)
    display.setOpacity(7)
    assert layers()[0][2] == 1
    display.setThreshold(-3)
    assert not uncertaintyVolume.GetDisplayNode().GetApplyThreshold()


def test_legend_says_what_the_colours_mean(display, phantomVolume, uncertaintyVolume):
    plain = pixels()
    display.show(uncertaintyVolume, phantomVolume)
    display.setThreshold(100)
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(uncertaintyVolume)
    assert legend.GetTitleText() == "Uncertainty (%)"
    assert "%%" not in legend.GetLabelFormat()
    assert legend.GetVisibility()
    assert not legend.GetVisibility3D()
    display.setVisible(False)
    assert not legend.GetVisibility()
    assert np.abs(pixels() - plain).max() <= 2


def test_map_can_be_taken_away_for_a_look_and_brought_back(display, phantomVolume, uncertaintyVolume):
    before = layers()
    display.show(uncertaintyVolume, phantomVolume)
    shown = layers()
    display.setVisible(False)
    assert [layer[:2] for layer in layers()] == [layer[:2] for layer in before]
    display.setOpacity(0.3)
    display.setVisible(True)
    assert [layer[:2] for layer in layers()] == [layer[:2] for layer in shown]
    assert layers()[0][2] == 0.3


def test_hide_brings_back_what_was_there_before(display, phantomVolume, uncertaintyVolume):
    pet = slicer.util.addVolumeFromArray(np.zeros((4, 4, 4), np.int16), name="PET")
    slicer.util.setSliceViewerLayers(foreground=pet, foregroundOpacity=0.35)
    before = layers()
    display.show(uncertaintyVolume, phantomVolume)
    display.show(uncertaintyVolume, phantomVolume)
    display.setOpacity(0.9)
    display.hide()
    assert layers() == before
    display.hide()
    assert layers() == before


def test_hide_leaves_what_the_user_has_chosen_since(display, phantomVolume, uncertaintyVolume):
    display.show(uncertaintyVolume, phantomVolume)
    pet = slicer.util.addVolumeFromArray(np.zeros((4, 4, 4), np.int16), name="PET")
    slicer.util.setSliceViewerLayers(foreground=pet, background=pet)
    display.hide()
    assert [layer[:2] for layer in layers()] == [(pet.GetID(), pet.GetID())] * 3


def test_hide_after_the_map_was_removed(display, phantomVolume, uncertaintyVolume):
    before = layers()
    display.show(uncertaintyVolume, phantomVolume)
    slicer.mrmlScene.RemoveNode(uncertaintyVolume)
    display.setOpacity(0.4)
    display.setThreshold(10)
    display.setVisible(True)
    display.hide()
    assert layers() == before


def test_second_map_replaces_the_first_and_piles_up_nothing(display, phantomVolume, uncertaintyVolume):
    display.show(uncertaintyVolume, phantomVolume)
    display.hide()
    clean = nodeCount()
    other = slicer.modules.volumes.logic().CloneVolume(slicer.mrmlScene, uncertaintyVolume, "Other")
    display.show(uncertaintyVolume, phantomVolume)
    withOne = nodeCount()
    for node in (other, uncertaintyVolume, other, other):
        display.show(node, phantomVolume)
        assert layers()[0][1] == node.GetID()
        assert nodeCount() <= withOne + 1  # the clone's own display node, made once
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLColorLegendDisplayNode") == 1
    display.hide()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLColorLegendDisplayNode") == 0
    slicer.mrmlScene.RemoveNode(other.GetDisplayNode())
    slicer.mrmlScene.RemoveNode(other)
    assert nodeCount() <= clean + 1


def test_two_displays_share_one_hidden_colour_table(phantomVolume, uncertaintyVolume):
    for _time in range(2):
        UncertaintyDisplay().show(uncertaintyVolume, phantomVolume)
    tables = [
        node
        for node in slicer.util.getNodesByClass("vtkMRMLColorTableNode")
        if node.GetAttribute(UncertaintyColors.TABLE_ATTRIBUTE)
    ]
    assert len(tables) == 1
    assert tables[0].GetHideFromEditors()


def test_scene_closed_meanwhile_leaves_nothing_behind(display, phantomVolume, uncertaintyVolume):
    display.show(uncertaintyVolume, phantomVolume)
    slicer.mrmlScene.Clear(False)
    other = slicer.util.addVolumeFromArray(np.zeros((4, 4, 4), np.int16), name="Other")
    slicer.util.setSliceViewerLayers(background=other)
    display.setOpacity(0.5)
    display.hide()
    assert not display.isShown
    assert [layer[:2] for layer in layers()] == [(other.GetID(), None)] * 3


def test_saved_scene_keeps_the_colours(display, phantomVolume, uncertaintyVolume, tmp_path):
    display.show(uncertaintyVolume, phantomVolume)
    assert slicer.mrmlScene.WriteToMRB(str(tmp_path / "scene.mrb"), None)
    slicer.mrmlScene.Clear(False)
    assert slicer.mrmlScene.ReadFromMRB(str(tmp_path / "scene.mrb"), False)
    again = slicer.util.getNode("Uncertainty")
    table = again.GetDisplayNode().GetColorNode()
    color = [0.0] * 4
    table.GetColor(255, color)
    assert color == pytest.approx(colors()[255], abs=0.01)
    table.GetColor(0, color)
    assert color[3] == 0


def test_colours_are_evenly_spaced_to_the_eye_and_grow_lighter():
    lab = toLab(colors()[:, :3])
    steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    assert steps.std() / steps.mean() < 0.05
    assert (np.diff(lab[:, 0]) > 0.1).all()
    assert lab[-1, 0] - lab[0, 0] > 60


def test_colours_are_never_the_grey_of_a_scan():
    lab = toLab(colors()[:, :3])
    assert np.linalg.norm(lab[:, 1:], axis=1).min() > 35


@pytest.mark.parametrize("kind", BLINDNESS)
def test_colour_blind_eyes_see_the_same_order(kind):
    rgb = colors()[:, :3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(BLINDNESS[kind]).T, 0, 1)
    seen = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    lab = toLab(seen)
    assert (np.diff(lab[::8, 0]) > 0).all()
    assert np.linalg.norm(np.diff(lab[::16], axis=0), axis=1).min() > 2.3  # a just noticeable difference


def test_certain_is_transparent_and_the_rest_is_not():
    opacity = colors()[:, 3]
    assert (np.diff(opacity) >= 0).all()
    assert (opacity[:13] == 0).all()
    assert (opacity[64:] == 1).all()


def test_lab_and_back_again():
    rgb = np.random.default_rng(3).random((500, 3))
    assert np.abs(toRgb(toLab(rgb)) - rgb).max() < 1e-6
    assert toLab(np.array([[1.0, 1, 1], [0, 0, 0]])) == pytest.approx(np.array([[100, 0, 0], [0, 0, 0]]), abs=0.01)
