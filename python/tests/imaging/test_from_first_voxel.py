"""Resampling from the first voxel on, against MONAI's Spacing and its inverse."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Spacing

from organincrement.imaging.first_voxel import (
    nearest_from_first,
    places_from_first,
    resample_from_first_voxel,
    shape_from_first_voxel,
)

SPACINGS = [(0.75, 1.5), (4.0, 2.0), (1.0, 2.0), (1.2, 1.5), (3.3, 2.0), (5.0, 0.7)]


def spaced(array_DHW: np.ndarray, spacing_mm: float, target_mm: float, mode: str) -> tuple[Spacing, MetaTensor]:
    affine = torch.diag(torch.tensor([spacing_mm, spacing_mm, spacing_mm, 1], dtype=torch.float64))
    transform = Spacing([target_mm] * 3, mode=mode)
    return transform, transform(MetaTensor(torch.from_numpy(array_DHW)[None], affine=affine))


@pytest.mark.parametrize("mode, kind", [("bilinear", "linear"), ("nearest", "nearest")])
@pytest.mark.parametrize("spacing_mm, target_mm", SPACINGS)
def test_a_scan_is_resampled_as_by_monai(spacing_mm, target_mm, mode, kind):
    array_DHW = np.random.default_rng(0).normal(size=(19, 23, 17)).astype(np.float32)
    _, expected = spaced(array_DHW, spacing_mm, target_mm, mode)
    shape = shape_from_first_voxel(array_DHW.shape, [spacing_mm] * 3, [target_mm] * 3)
    found = resample_from_first_voxel(array_DHW, shape, kind, (target_mm / spacing_mm,) * 3)
    assert found.shape == tuple(expected.shape[1:])
    assert np.allclose(found, expected[0].numpy(), atol=1e-5)


@pytest.mark.parametrize("spacing_mm, target_mm", SPACINGS)
def test_ties_on_the_way_back_fall_as_in_monai(spacing_mm, target_mm):
    transform, grid = spaced(np.zeros((41, 41, 41), np.float32), spacing_mm, target_mm, "nearest")
    numbered = grid.clone()
    numbered[:] = torch.arange(grid.shape[1])[None, :, None, None]
    expected = transform.inverse(numbered)[0, :, 0, 0].numpy()
    assert np.array_equal(nearest_from_first(grid.shape[1], 41, spacing_mm / target_mm), expected)


def test_places_start_at_the_first_voxel_and_end_at_the_last():
    assert places_from_first(4, 6, 0.75).tolist() == [0, 0.75, 1.5, 2.25, 3, 3]


def test_a_cubic_is_refused():
    with pytest.raises(ValueError, match="cubic"):
        resample_from_first_voxel(np.zeros((2, 2, 2)), (3, 3, 3), "cubic", (0.5, 0.5, 0.5))
