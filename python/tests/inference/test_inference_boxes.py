"""Cutting the output into boxes changes where the work is done, and nothing else."""

import numpy as np
import pytest
import torch

from organincrement.imaging.resampling import resample
from organincrement.inference.boxes import AxisMap, parts, split


def covered_by(boxes, shape):
    seen = np.zeros(shape, int)
    for box in boxes:
        seen[box] += 1
    return seen


@pytest.mark.parametrize("most", [1, 7, 100, 10**9])
@pytest.mark.parametrize(
    ("shape", "source"), [((9, 10, 11), (9, 10, 11)), ((30, 8, 8), (5, 16, 16)), ((1, 1, 5), (3, 3, 3))]
)
def test_boxes_tile_the_output_and_respect_the_budget(shape, source, most):
    boxes = list(split(shape, source, most))
    assert (covered_by(boxes, shape) == 1).all()
    for box in boxes:
        edges = [(b.stop - b.start) * s / n for b, s, n in zip(box, source, shape, strict=True)]
        assert np.prod(edges) <= most or all(b.stop - b.start == 1 for b in box)
    assert (len(boxes) == 1) == (np.prod(source) <= most)


def test_parts_tile_their_box():
    box = (slice(3, 9), slice(0, 5), slice(10, 30))
    found = list(parts(box, 50))
    seen = covered_by(found, (12, 12, 40))
    assert (seen[box] == 1).all() and seen.sum() == 6 * 5 * 20
    assert len(found) > 12 and max(np.prod([p.stop - p.start for p in part]) for part in found) <= 50
    assert list(parts(box, 10**6)) == [box]


SIZES = [(10, 10), (10, 23), (10, 40), (23, 10), (1, 6), (7, 1), (5, 6)]


@pytest.mark.parametrize(("source", "output"), SIZES)
def test_the_output_reads_the_source_linearly_with_aligned_edges(source, output):
    values = np.random.default_rng(0).normal(size=(source, 2, 2)).astype(np.float32)
    axis = AxisMap(source_size=source, output_size=output)
    found = axis.interpolate(torch.from_numpy(values), 0, slice(0, output), 0)
    expected = resample(values, (output, 2, 2), kind="linear", antialias=False)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("source", "output"), SIZES)
def test_a_part_of_the_output_needs_only_the_source_voxels_it_reads(source, output):
    values = torch.randn(3, source, 2, generator=torch.Generator().manual_seed(0))
    axis = AxisMap(source_size=source, output_size=output)
    whole = axis.interpolate(values, 1, slice(0, output), 0)
    for start in range(output):
        for stop in (start + 1, output):
            read = axis.source_range(slice(start, stop))
            assert 0 <= read.start < read.stop <= source
            part = axis.interpolate(values[:, read], 1, slice(start, stop), read.start)
            assert torch.equal(part, whole[:, start:stop])


def test_an_axis_that_is_not_resampled_is_passed_on_as_it_is():
    axis = AxisMap(source_size=9, output_size=9)
    assert axis.source_range(slice(2, 5)) == slice(2, 5)
    values = torch.arange(9.0)
    assert axis.interpolate(values[1:], 0, slice(2, 5), 1).tolist() == [2, 3, 4]
