"""Windows cover the scan evenly, and what they say is averaged with a weight that is highest in their middle."""

import itertools

import numpy as np
import pytest
import torch

from organincrement.inference.windows import Windows, average_windows

CPU = torch.device("cpu")
GRIDS = [
    Windows(shape=shape, patch=patch, step=step)
    for shape, patch, step in [
        ((8, 8, 8), (8, 8, 8), 0.5),
        ((9, 30, 17), (8, 8, 8), 0.5),
        ((20, 33, 41), (5, 8, 16), 0.75),
        ((10, 25, 13), (4, 7, 13), 1.0),
        ((7, 12, 9), (3, 3, 3), 0.1),
    ]
]
every_grid = pytest.mark.parametrize("windows", GRIDS, ids=lambda w: f"{w.shape}-{w.patch}-{w.step}")


def whole(windows: Windows) -> tuple[slice, slice, slice]:
    return tuple(slice(0, n) for n in windows.shape)  # type: ignore[return-value]


def average(windows, predict, channels=2, box=None, image=None, between=lambda: None):
    image = torch.zeros(windows.shape) if image is None else image
    return average_windows(image, windows, box or whole(windows), predict, channels, CPU, between)


@every_grid
def test_every_voxel_lies_in_a_window_and_every_window_in_the_scan(windows):
    covered = np.zeros(windows.shape, int)
    for _, start in windows.over(whole(windows)):
        assert all(s >= 0 and s + p <= n for s, p, n in zip(start, windows.patch, windows.shape, strict=True))
        covered[tuple(slice(s, s + p) for s, p in zip(start, windows.patch, strict=True))] += 1
    assert covered.min() >= 1


@every_grid
def test_neighbours_are_evenly_spread_and_no_further_apart_than_asked(windows):
    for starts, size, patch in zip(windows.starts, windows.shape, windows.patch, strict=True):
        assert starts[0] == 0 and starts[-1] == size - patch
        gaps, widest = np.diff(starts), max(patch * windows.step, 1) + 1e-9
        if len(gaps):
            assert gaps.min() >= 1 and gaps.max() - gaps.min() <= 1 and gaps.mean() <= widest
        if len(gaps) > 1:  # and no more windows than that takes
            assert (size - patch) / (len(gaps) - 1) > widest - 2e-9


@every_grid
def test_the_average_of_windows_that_say_the_same_is_what_they_say(windows):
    says = torch.tensor([3.5, -2.0]).reshape(2, 1, 1, 1)
    found = average(windows, lambda x, _: says.expand(2, *x.shape[2:]))
    torch.testing.assert_close(found, says.expand(2, *windows.shape))


@every_grid
def test_windows_see_their_own_part_of_the_scan(windows):
    image = torch.randn(windows.shape, generator=torch.Generator().manual_seed(0))
    found = average(windows, lambda x, _: torch.cat([x[0], -x[0]]), image=image)
    torch.testing.assert_close(found, torch.stack([image, -image]))


def test_overlapping_windows_are_weighted_by_their_gaussian():
    windows = Windows(shape=(4, 4, 12), patch=(4, 4, 8), step=0.5)
    assert windows.starts[2] == (0, 4)
    found = average(windows, lambda x, number: torch.full((1, *x.shape[2:]), float(number)), channels=1)[0]
    gauss = np.exp(-0.5 * ((np.arange(8) - 3.5) / 1.0) ** 2)
    expected = gauss[:4] / (gauss[:4] + gauss[4:])
    np.testing.assert_allclose(found[2, 2, 4:8], expected, atol=1e-3)
    assert (found[..., :4] == 0).all() and (found[..., 8:] == 1).all()


@every_grid
def test_weights_are_highest_in_the_middle_symmetric_and_never_0(windows):
    weight = windows.weight_DHW
    assert weight.shape == windows.patch and weight.min() > 0 and weight.max() <= 1
    torch.testing.assert_close(weight, weight.flip((0, 1, 2)))
    assert weight[tuple(p // 2 for p in windows.patch)] == weight.max()


def test_a_box_holds_what_the_whole_scan_holds_there():
    windows = Windows(shape=(20, 33, 41), patch=(5, 8, 16), step=0.6)
    image = torch.randn(windows.shape, generator=torch.Generator().manual_seed(0))

    def predict(x, number):
        return torch.cat([x[0] * (1 + number % 3), x[0].cumsum(-1)])

    everything = average(windows, predict, image=image)
    for box in itertools.product(
        (slice(0, 7), slice(19, 20)), (slice(3, 30),), (slice(0, 41), slice(11, 12), slice(40, 41))
    ):
        assert torch.equal(average(windows, predict, box=box, image=image), everything[(slice(None), *box)])


def test_a_step_of_almost_nothing_gives_no_more_windows_than_voxels():
    assert Windows(shape=(8, 8, 20), patch=(8, 8, 8), step=1e-12).starts[2] == tuple(range(13))


def test_only_windows_that_touch_the_box_are_run_and_each_asks_whether_to_stop():
    windows, ran, asked = Windows(shape=(8, 8, 64), patch=(8, 8, 8), step=1.0), [], []
    average(
        windows,
        lambda x, number: ran.append(number) or torch.zeros(2, *x.shape[2:]),
        box=(slice(0, 8), slice(0, 8), slice(15, 25)),
        between=lambda: asked.append(len(ran)),
    )
    assert ran == [1, 2, 3] and asked == [0, 1, 2]


def test_numbers_of_windows_do_not_depend_on_the_box():
    windows = Windows(shape=(20, 33, 41), patch=(5, 8, 16), step=0.6)
    numbers = {start: number for number, start in windows.over(whole(windows))}
    assert sorted(numbers.values()) == list(range(len(numbers)))
    for number, start in windows.over((slice(10, 12), slice(30, 33), slice(0, 3))):
        assert numbers[start] == number
