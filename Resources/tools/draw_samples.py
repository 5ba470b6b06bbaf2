"""Draw the pictures of the sample data for Slicer's Sample Data module: `python Resources/tools/draw_samples.py`.

A coronal slice of the phantom: the scan alone, with the organ that the dataset labels, with those that the teacher
knows. Colours are those of the organs everywhere.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from organincrement.contract.organs import organ_from_name
from organincrement.imaging.phantom.scan import SITES, Phantom, make_phantom
from organincrement.workflows.sample_data import NEW_ORGANS, OLD_ORGANS

FOLDER = Path(__file__).resolve().parents[2] / "OrganIncrement/OrganIncrementLib/Resources/SampleData"
SEED, SHAPE_DHW = 403, (160, 132, 240)
SIZE = (240, 160)
_WINDOW_HU = (-150.0, 240.0)


def main() -> None:
    """Write the three pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    phantom = make_phantom(SEED, SITES["a"], SHAPE_DHW)
    for name, organs in (("scan", ()), ("dataset", NEW_ORGANS), ("teacher", OLD_ORGANS)):
        picture(phantom, organs).save(FOLDER / f"{name}.png", optimize=True)


def picture(phantom: Phantom, organs: Sequence[str]) -> Image.Image:
    """One slice, where the most of all organs is seen, head up, the patient's left at the right."""
    labels_DHW = phantom.labels.array_DHW
    shown = [phantom.organs.index(organ) + 1 for organ in (*OLD_ORGANS, *NEW_ORGANS)]
    row = int(np.argmax(sum(np.sqrt((labels_DHW == value).sum(axis=(0, 2))) for value in shown)))
    low, high = _WINDOW_HU
    grey_DW = np.clip((phantom.image.array_DHW[::-1, row] - low) / (high - low), 0, 1)
    rgb_DWC = np.repeat(grey_DW[..., None] * 255, 3, axis=2)
    for organ in organs:
        mask_DW = labels_DHW[::-1, row] == phantom.organs.index(organ) + 1
        rgb_DWC = _painted(rgb_DWC, mask_DW, np.array(organ_from_name(organ).color, float))
    image = Image.fromarray(rgb_DWC.round().astype(np.uint8))
    return image.resize(SIZE, Image.Resampling.LANCZOS)


def _painted(rgb_DWC: np.ndarray, mask_DW: np.ndarray, color: np.ndarray) -> np.ndarray:
    """Tinted inside, solid at the border."""
    border_DW = mask_DW & ~ndimage.binary_erosion(mask_DW)
    alpha_DW = np.where(border_DW, 1.0, np.where(mask_DW, 0.35, 0.0))
    return rgb_DWC * (1 - alpha_DW[..., None]) + color * alpha_DW[..., None]


if __name__ == "__main__":
    main()
