"""The colours of uncertainty: from a dark violet over red to a light yellow.

Lightness grows evenly, so that the order is seen by everybody, also without red or green; each step is equally large
to the eye (CIELAB, D65). Grey, which scans are made of, does not occur, and low values let the scan shine through.
"""

import functools

import numpy as np
import slicer

from OrganIncrementLib.Translation import _

TABLE_ATTRIBUTE = "OrganIncrement.UncertaintyTable"
COUNT = 256
TRANSPARENT_BELOW = 5  # per cent
OPAQUE_FROM = 25
# Our own points in CIELAB (lightness, a: red, b: yellow), within what a screen shows.
CONTROL_LAB = ((24, 36, -46), (37, 58, -40), (50, 62, -6), (63, 50, 34), (77, 24, 62), (92, -6, 72))
_D65 = np.array([0.95047, 1.0, 1.08883])
_XYZ_TO_RGB = np.array(
    [[3.2404542, -1.5371385, -0.4985314], [-0.9692660, 1.8760108, 0.0415560], [0.0556434, -0.2040259, 1.0572252]]
)


@functools.cache
def colors() -> np.ndarray:
    """(256, 4): red, green, blue, opacity in 0..1 for 0 to 100 per cent."""
    fine = np.linspace(0, 1, 4096)
    knots = np.linspace(0, 1, len(CONTROL_LAB))
    lab = np.stack([_smooth(fine, knots, np.array(part)) for part in zip(*CONTROL_LAB, strict=True)], axis=1)
    # Equal steps to the eye: walk the curve by its length.
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(toLab(toRgb(lab)), axis=0), axis=1))])
    even = np.interp(np.linspace(0, length[-1], COUNT), length, fine)
    rgb = toRgb(np.stack([np.interp(even, fine, lab[:, part]) for part in range(3)], axis=1))
    percent = np.linspace(0, 100, COUNT)
    opacity = np.clip((percent - TRANSPARENT_BELOW) / (OPAQUE_FROM - TRANSPARENT_BELOW), 0, 1)
    return np.column_stack([rgb, opacity])


def tableNode():
    """The scene's colour table of uncertainty, made where there is none."""
    scene = slicer.mrmlScene
    for n in range(scene.GetNumberOfNodesByClass("vtkMRMLColorTableNode")):
        node = scene.GetNthNodeByClass(n, "vtkMRMLColorTableNode")
        if node.GetAttribute(TABLE_ATTRIBUTE):
            return node
    node = slicer.vtkMRMLColorTableNode()
    node.SetName(_("Uncertainty in per cent"))
    node.SetTypeToUser()
    node.SetNumberOfColors(COUNT)
    for index, (red, green, blue, opacity) in enumerate(colors()):
        node.SetColor(index, f"{100 * index / (COUNT - 1):.0f} %", red, green, blue, opacity)
    node.SetAttribute(TABLE_ATTRIBUTE, "1")
    node.SetHideFromEditors(True)
    return scene.AddNode(node)


def toRgb(lab: np.ndarray) -> np.ndarray:
    """CIELAB (n, 3) to sRGB in 0..1, clipped to what a screen shows."""
    y = (lab[:, 0] + 16) / 116
    f = np.stack([y + lab[:, 1] / 500, y, y - lab[:, 2] / 200], axis=1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * _D65
    linear = np.clip(xyz @ _XYZ_TO_RGB.T, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def toLab(rgb: np.ndarray) -> np.ndarray:
    """sRGB in 0..1 (n, 3) to CIELAB."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = linear @ np.linalg.inv(_XYZ_TO_RGB).T / _D65
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def _smooth(at: np.ndarray, knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Through the points without corners: cubic Hermite with the slopes of the neighbours."""
    slopes = np.gradient(values.astype(float), knots)
    left = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(knots) - 2)
    width = knots[left + 1] - knots[left]
    t = (at - knots[left]) / width
    return (
        (1 + 2 * t) * (1 - t) ** 2 * values[left]
        + t * (1 - t) ** 2 * width * slopes[left]
        + t**2 * (3 - 2 * t) * values[left + 1]
        + t**2 * (t - 1) * width * slopes[left + 1]
    )
