"""Without a teacher, network and voxel size follow from the memory and the scans."""

import math

import pytest

from organincrement.networks.sizing import LADDER, SLICE_LADDER, activation_bytes
from organincrement.planning.first_model import ScanFacts, network_size, network_spacing_mm, slice_patch

GIB = 2**30


def test_more_gpu_memory_gives_a_larger_network_that_fits():
    sizes = [network_size(memory, batch=2, on_gpu=True) for memory in (GIB // 4, 4 * GIB, 12 * GIB, 80 * GIB)]
    rungs = [LADDER.index(size) for size in sizes]
    assert rungs == sorted(rungs) and rungs[-1] == len(LADDER) - 1 and len(set(rungs)) > 2
    assert all(
        activation_bytes(size, 2) <= memory
        for size, memory in zip(sizes[1:], (4 * GIB, 12 * GIB, 80 * GIB), strict=True)
    )


def test_a_cpu_gets_no_network_that_takes_it_days_however_much_memory_it_has():
    assert network_size(512 * GIB, batch=2, on_gpu=False) == LADDER[1]
    assert network_size(0, batch=2, on_gpu=False) == LADDER[0]


def test_small_scans_keep_their_median_spacing():
    scans = [ScanFacts(shape=(60, 60, 60), spacing_mm=(z, 1.0, 1.0)) for z in (2.0, 3.0, 5.0)]
    assert network_spacing_mm(scans, (64, 64, 64)) == (3.0, 1.0, 1.0)


def test_large_scans_are_made_coarser_alike_until_a_patch_sees_an_eighth():
    scan = ScanFacts(shape=(400, 512, 512), spacing_mm=(1.5, 0.8, 0.8))
    spacing_mm = network_spacing_mm([scan], (64, 64, 64))
    assert spacing_mm[0] / spacing_mm[1] == pytest.approx(1.5 / 0.8, abs=0.01)
    voxels = math.prod(n * have / want for n, have, want in zip(scan.shape, scan.spacing_mm, spacing_mm, strict=True))
    assert voxels == pytest.approx(8 * 64**3, rel=0.01)


def test_slices_keep_their_distance_and_are_made_coarser_within_the_plane_until_a_patch_sees_a_quarter():
    scan = ScanFacts(shape=(100, 512, 512), spacing_mm=(5.0, 0.8, 0.8))
    assert network_spacing_mm([scan], (1, 512, 512)) == (5.0, 0.8, 0.8)
    depth_mm, height_mm, width_mm = network_spacing_mm([scan], (1, 128, 128))
    assert (depth_mm, height_mm, width_mm) == (5.0, pytest.approx(1.6, abs=0.01), pytest.approx(1.6, abs=0.01))


def test_a_patch_of_a_slice_is_no_larger_than_the_slice():
    scan = ScanFacts(shape=(100, 200, 120), spacing_mm=(5.0, 1.0, 1.0))
    assert slice_patch([scan], (5.0, 1.0, 1.0), (1, 512, 512), multiple=16) == (1, 208, 128)
    assert slice_patch([scan], (5.0, 1.0, 1.0), (1, 96, 96), multiple=16) == (1, 96, 96)


def test_a_cpu_gets_a_network_of_slices_that_it_can_train():
    assert network_size(512 * GIB, batch=4, on_gpu=False, slices=True) == SLICE_LADDER[1]
    assert network_size(80 * GIB, batch=4, on_gpu=True, slices=True) == SLICE_LADDER[-1]
