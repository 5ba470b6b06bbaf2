"""Clicks through the example module and takes a picture of the window."""

from pathlib import Path

import numpy as np
import pytest
import slicer

from harness import module_loader, records, screenshot

HERE = Path(__file__).resolve().parent


def phantom():
    """A head-like volume: a dim ellipsoid with a bright ball and a bright box inside."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in (60, 96, 96)), indexing="ij")
    values = np.random.default_rng(1).normal(0, 12, z.shape)
    values[(x / 0.8) ** 2 + (y / 0.9) ** 2 + (z / 0.9) ** 2 < 1] += 220
    ball = np.clip(1 - np.sqrt((x + 0.1) ** 2 + y**2 + z**2) / 0.3, 0, 1)
    values += 500 * np.sqrt(ball)
    values[(abs(x - 0.45) < 0.15) & (abs(y + 0.2) < 0.25) & (abs(z) < 0.3)] += 500
    node = slicer.util.addVolumeFromArray(values.astype(np.int16), name="Phantom")
    node.SetSpacing(2, 2, 3)
    node.SetOrigin(-95, -95, -88.5)
    node.CreateDefaultDisplayNodes()
    return node


@pytest.fixture(scope="module")
def module():
    return module_loader.load_scripted_module(HERE / "example" / "HelloOverlay" / "HelloOverlay.py")


@pytest.fixture
def panel(module):
    slicer.mrmlScene.Clear()
    slicer.util.selectModule("HelloOverlay")
    return slicer.util.getModuleWidget("HelloOverlay")


def test_apply_says_what_is_missing(panel):
    assert not panel.ui.applyButton.enabled
    assert "input volume" in panel.ui.applyButton.toolTip
    phantom()
    assert not panel.ui.applyButton.enabled  # a volume is there, but not chosen
    panel.ui.inputSelector.choose("Phantom")
    assert panel.ui.applyButton.enabled


def test_parameter_node_and_widgets_agree(panel):
    assert panel.ui.thresholdSlider.value == 400
    panel.ui.thresholdSlider.value = 350
    assert panel._parameterNode.threshold == 350
    panel._parameterNode.threshold = 420.0
    assert panel.ui.thresholdSlider.value == 420
    with pytest.raises(ValueError, match="5000"):
        panel._parameterNode.threshold = 5000.0


def test_click_through(panel, tmp_path):
    volume = phantom()
    panel.ui.inputSelector.choose("Phantom")
    panel.ui.applyButton.click()
    assert records.texts("error") == []
    overlay = slicer.util.getNode("Phantom overlay")
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == volume.GetID()
    assert composite.GetForegroundVolumeID() == overlay.GetID()
    assert panel.ui.segmentsTable.segmentCount == 1
    assert "mL" in panel.ui.resultLabel.text
    screenshot.save(tmp_path / "hello.png")
    assert (tmp_path / "hello.png").stat().st_size > 20_000
    for name in ("Red", "Green", "Yellow"):
        pixels = slicer.app.layoutManager().sliceWidget(name).sliceView().pixels().astype(int)
        assert (pixels.max(axis=2) > 60).mean() > 0.2, f"{name}: the volume is not visible"
        assert (np.ptp(pixels, axis=2) > 60).mean() > 0.005, f"{name}: no coloured overlay"
    pixels = slicer.app.layoutManager().threeDWidget(0).threeDView().pixels().astype(int)
    assert (pixels[..., 0] - pixels[..., 2] > 60).mean() > 0.01, "the orange surface is not visible in 3D"


def test_error_is_reported(panel):
    phantom()
    panel.ui.inputSelector.choose("Phantom")
    panel.ui.thresholdSlider.value = 1000
    panel.ui.applyButton.click()
    assert "No voxel reaches" in records.texts("error")[0]
    assert len(records.errors) == 1  # it is raised again, as in the application
    records.errors.clear()


def test_module_self_test(module):
    slicer.selfTests["HelloOverlay"]()
