"""Dice and HD95 of two segmentations: the engine's figures, without the engine."""

import time

import numpy as np
import pytest
import slicer

from fixtures.phantoms import addPhantom, obliqueDirections
from organincrement.contract.organs import organ_from_name
from organincrement.evaluation.metrics import dice, hd95_mm
from OrganIncrementLib.Logics.Grid import localGrid
from OrganIncrementLib.Logics.LogicError import LogicError
from OrganIncrementLib.Logics.SegmentMasks import addSegments
from OrganIncrementLib.Logics.SegmentOverlap import measured, overlap

SPACING_MM = (2.5, 0.9, 1.3)


def blobs(shape, seed):
    """A random smooth shape."""
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 3)
    return noise > np.quantile(noise, 0.8)


@pytest.mark.parametrize("seed", range(6))
def test_figures_are_the_engines(seed):
    a, b = blobs((20, 30, 40), seed), blobs((20, 30, 40), seed + (100 if seed % 2 else 0))
    if not seed % 2:
        b = np.roll(b, (1, 2, 3), (0, 1, 2))
    mine = measured(a, b, SPACING_MM)
    assert mine[0] == pytest.approx(dice(a, b), abs=1e-9)
    assert mine[1] == pytest.approx(hd95_mm(a, b, SPACING_MM), abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_stray_voxels_and_the_end_of_the_scan(seed):
    a, b = blobs((20, 30, 40), seed), blobs((20, 30, 40), seed + 7)
    a[0, 0, 0] = b[-1, -1, -1] = True
    assert measured(a, b, SPACING_MM)[1] == pytest.approx(hd95_mm(a, b, SPACING_MM), abs=1e-6)


def test_the_same_shape_agrees_fully():
    a = blobs((20, 30, 40), 1)
    assert measured(a, a.copy(), SPACING_MM) == (1.0, 0.0)


def test_single_voxels():
    a, b = np.zeros((5, 6, 7), bool), np.zeros((5, 6, 7), bool)
    a[1, 2, 3] = b[3, 2, 3] = True
    assert measured(a, b, SPACING_MM) == (0.0, pytest.approx(5.0))


def test_what_is_empty_has_no_figure():
    a, nothing = blobs((20, 30, 40), 1), np.zeros((20, 30, 40), bool)
    assert measured(nothing, nothing, SPACING_MM) == (None, None)
    assert measured(a, nothing, SPACING_MM) == (0.0, None)
    assert measured(nothing, a, SPACING_MM) == (0.0, None)


def segmentation(volume, label_KJI, names, name):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    addSegments(node, label_KJI, localGrid(volume).ijkToRas, [organ_from_name(one) for one in names])
    return node


def labels(seed, count=3):
    label_KJI = np.zeros((20, 28, 32), np.uint8)
    for value in range(1, count + 1):
        label_KJI[blobs(label_KJI.shape, seed + value)] = value
    return label_KJI


def test_organs_are_matched_by_what_they_are_not_by_their_order(slicerApp):
    volume = addPhantom(directions=obliqueDirections())
    a_KJI, b_KJI = labels(1), labels(2)
    a = segmentation(volume, a_KJI, ("liver", "spleen", "stomach"), "A")
    b = segmentation(volume, b_KJI, ("stomach", "pancreas", "liver"), "B")
    found = overlap(a, b, volume)
    assert set(found) == {"liver", "stomach"}
    spacing = (9.0, 7.0, 6.0)
    for organ, (value, other) in {"liver": (1, 3), "stomach": (3, 1)}.items():
        one, two = a_KJI == value, b_KJI == other
        assert found[organ] == pytest.approx((dice(one, two), hd95_mm(one, two, spacing)), abs=1e-6)


def test_segmentation_of_another_grid_is_refused(slicerApp):
    volume, other = addPhantom(), addPhantom(directions=obliqueDirections())
    a = segmentation(volume, labels(1), ("liver",), "A")
    b = segmentation(other, labels(1), ("liver",), "B")
    with pytest.raises(LogicError, match="Liver"):
        overlap(a, b, volume)


def test_two_organs_of_a_whole_scan_take_less_than_three_seconds(slicerApp):
    z, y, x = np.ogrid[:100, :512, :512]
    label_KJI = np.zeros((100, 512, 512), np.uint8)
    label_KJI[((z - 50) / 40) ** 2 + ((y - 200) / 110) ** 2 + ((x - 180) / 120) ** 2 < 1] = 1
    label_KJI[((z - 55) / 30) ** 2 + ((y - 330) / 60) ** 2 + ((x - 400) / 60) ** 2 < 1] = 2
    volume = slicer.util.addVolumeFromArray(label_KJI.astype(np.int16))
    a = segmentation(volume, label_KJI, ("liver", "spleen"), "A")
    b = segmentation(volume, np.roll(label_KJI, (1, 3, 2), (0, 1, 2)), ("liver", "spleen"), "B")
    started = time.process_time()  # other programs may have the processor meanwhile
    found = overlap(a, b, volume)
    seconds = time.process_time() - started
    assert 0.9 < found["liver"][0] < 1
    assert seconds < 3
