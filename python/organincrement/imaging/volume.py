"""A scan or label in memory: voxels and where they lie in the patient.

Voxels are indexed D, H, W (NumPy order), which are the image axes z, y, x of ITK. Positions are millimetres in LPS: x
grows to the patient's left, y to the back, z to the head.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

# Imported where it is used: what only looks at a file need not load it.
if TYPE_CHECKING:
    import SimpleITK as sitk


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels with their grid.

    array_DHW: any scalar type. spacing_mm: in array order (D, H, W). origin_mm: x, y, z of the centre of voxel 0, 0, 0.
    direction: 3×3, its columns are the unit vectors of the image axes x (W), y (H), z (D). Raises ValueError for shapes
    that do not fit.
    """

    array_DHW: np.ndarray
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: np.ndarray

    def __post_init__(self) -> None:
        direction = np.array(self.direction, dtype=np.float64) + 0.0  # no minus zero
        if self.array_DHW.ndim != 3 or direction.shape != (3, 3):
            raise ValueError(
                f"a volume has 3 axes and a 3×3 direction, not {self.array_DHW.shape} and {direction.shape}"
            )
        direction.setflags(write=False)
        object.__setattr__(self, "direction", direction)
        object.__setattr__(self, "spacing_mm", _three_numbers(self.spacing_mm))
        object.__setattr__(self, "origin_mm", _three_numbers(self.origin_mm))

    @property
    def shape_DHW(self) -> tuple[int, int, int]:
        """Number of voxels along D, H, W."""
        depth, height, width = self.array_DHW.shape
        return depth, height, width

    @property
    def affine(self) -> np.ndarray:
        """4×4 matrix from the index (x, y, z, 1) = (w, h, d, 1) to LPS millimetres."""
        return affine_matrix(self.spacing_mm, self.origin_mm, self.direction)

    def with_array(self, array_DHW: np.ndarray) -> "Volume":
        """The same grid with other voxels of the same shape; raises ValueError for another shape."""
        if array_DHW.shape != self.array_DHW.shape:
            raise ValueError(f"the new voxels are {array_DHW.shape}, the grid is {self.array_DHW.shape}")
        return replace(self, array_DHW=array_DHW)

    def to_sitk(self) -> "sitk.Image":
        """As a SimpleITK image; the voxels are copied, booleans become uint8."""
        import SimpleITK as sitk

        dtype = np.dtype(np.uint8) if self.array_DHW.dtype == bool else self.array_DHW.dtype.newbyteorder("=")
        image = sitk.GetImageFromArray(self.array_DHW.astype(dtype, copy=False))
        image.SetSpacing(self.spacing_mm[::-1])
        image.SetOrigin(self.origin_mm)
        image.SetDirection(self.direction.ravel().tolist())
        return image

    @staticmethod
    def from_sitk(image: "sitk.Image") -> "Volume":
        """From a 3-D scalar SimpleITK image; the voxels are copied. Raises ValueError for any other image."""
        if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
            raise ValueError("only 3-D images with one value per voxel become a Volume")
        import SimpleITK as sitk

        direction = np.array(image.GetDirection()).reshape(3, 3)
        return Volume(sitk.GetArrayFromImage(image), image.GetSpacing()[::-1], image.GetOrigin(), direction)


def affine_matrix(
    spacing_mm: tuple[float, float, float], origin_mm: tuple[float, float, float], direction: np.ndarray
) -> np.ndarray:
    """4×4 matrix from the index (x, y, z, 1) to LPS millimetres; spacing in array order D, H, W."""
    matrix = np.eye(4)
    matrix[:3, :3] = direction * np.array(spacing_mm[::-1])
    matrix[:3, 3] = origin_mm
    return matrix


def _three_numbers(values: tuple[float, float, float]) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third
