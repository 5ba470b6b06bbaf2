"""What runs in a process of its own: GDCM, through SimpleITK, decodes JPEG in its various forms."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk


def decode(paths: list[str], out: str) -> int:
    """Write the values of each file, one frame each, as float32 to `out`; returns how many could be decoded in turn."""
    with Path(out).open("wb") as file:
        for done, path in enumerate(paths):
            try:
                image = sitk.ReadImage(path, sitk.sitkFloat32, "GDCMImageIO")
            except RuntimeError:
                return done
            values = np.asarray(sitk.GetArrayViewFromImage(image))
            values.tofile(file)
    return len(paths)
