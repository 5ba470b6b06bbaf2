"""An estimate is the sum of what was measured, each unit as often as the job pays it."""

import math
from dataclasses import replace

import pytest

from organincrement.planning.estimate import CaseSize, UnitCosts, Workload, checkpoint_files, estimate, seconds_by_part

MIB = 2**20
CASE = CaseSize(scan_voxels=64**3, grid=(32, 32, 32))
NOTHING = UnitCosts(
    start_s=0, prepare_s=0, first_step_s=0, step_s=(0.0,), window_s=0, voxel_s=0, teacher_window_s=0, teacher_voxel_s=0,
    fit_s=0, checkpoint_s=0, kept=(1.0, 1.0, 1.0), cache_bytes=0, first_checkpoint_bytes=0, checkpoint_bytes=0,
    resident_bytes=0, prepare_bytes=0, step_bytes=0, worker_bytes=0, validation_bytes=0, validated_voxels=32**3,
    gpu_bytes=None,
)  # fmt: skip


def workload(**changes):
    usual = {
        "cases": [CASE] * 5, "held": [CASE], "phases": [100], "every_steps": 20, "patch": (32, 32, 32),
        "window_step": 0.75, "tile_bytes": 256 * MIB, "channels": 3, "teachers": [], "asked_again": False,
    }  # fmt: skip
    return Workload(**{**usual, **changes})


def costs(**changes):
    return replace(NOTHING, **changes)


def seconds(work, **changes):
    return estimate(work, costs(**changes), "cpu").seconds


def test_the_parts_add_up_to_the_whole():
    every = costs(
        start_s=3, prepare_s=1e-6, first_step_s=1, step_s=(0.5,), window_s=0.2, voxel_s=1e-6, teacher_window_s=0.1,
        teacher_voxel_s=1e-7, fit_s=1e-5, checkpoint_s=0.25,
    )  # fmt: skip
    work = workload(teachers=[2], asked_again=True)
    parts = seconds_by_part(work, every)
    one_pass = 0.2 + 32**3 * 1e-6
    by_teacher = 0.1 + 32**3 * 1e-7
    assert parts == pytest.approx(
        {
            "start": 3, "cases": 5 * (64**3 + 32**3) * 1e-6, "teachers": by_teacher, "steps": 1 + 100 * 0.5,
            "validation": 5 * one_pass, "package": 2 * one_pass + by_teacher + 20_000 * 1e-5,
            "checkpoints": (2 + 2 * 5) * 0.25,
        }
    )  # fmt: skip
    assert estimate(work, every, "cpu").seconds == pytest.approx(sum(parts.values()), abs=0.05)


def test_each_phase_has_its_own_steps():
    assert seconds(workload(phases=[60, 40], held=[]), step_s=(1.0, 3.0)) == 60 + 120


def test_a_validation_is_at_every_so_many_steps_and_where_a_phase_ends():
    assert workload().validations == 5
    assert workload(every_steps=30).validations == 4  # 30, 60, 90 and the end
    assert workload(phases=[50, 50]).validations == 6
    assert workload(held=[]).validations == 0


def test_every_held_back_case_is_passed_over_at_each_validation_and_twice_for_the_package():
    one, three = (seconds(workload(held=[CASE] * n), window_s=1.0) for n in (1, 3))
    assert (one, three) == (7, 21)


def test_windows_are_those_of_the_case_without_its_air():
    large = CaseSize(scan_voxels=1, grid=(64, 64, 64))
    assert workload().windows((32, 32, 32), 3) == workload().windows((20, 20, 20), 3) == 1
    assert workload().windows((56, 56, 32), 3) == 4
    assert seconds(workload(held=[large]), window_s=1.0) == 7 * 3**3
    assert seconds(workload(held=[large]), window_s=1.0, kept=(0.5, 0.5, 0.5)) == 7


def test_windows_on_the_edge_of_two_tiles_are_computed_for_both():
    whole = workload().windows((64, 32, 32), 3)
    halves = workload(tile_bytes=4 * 3 * 32**3).windows((64, 32, 32), 3)
    assert (whole, halves) == (3, 4)


def test_teachers_answer_once_and_one_alone_again_for_the_temperature():
    assert seconds(workload(teachers=[2, 4]), teacher_window_s=1.0) == 2
    assert seconds(workload(teachers=[2], asked_again=True), teacher_window_s=1.0) == 2
    assert seconds(workload(held=[], teachers=[2], asked_again=True), teacher_window_s=1.0) == 0


def test_a_long_job_writes_a_checkpoint_every_minute():
    short, long = (checkpoint_files(workload(held=[]), s) for s in (59, 3600))
    assert (short, long) == (2, 62)


def test_memory_is_the_most_of_preparing_stepping_and_validating():
    least = {"resident_bytes": 100 * MIB, "step_bytes": 200 * MIB, "validation_bytes": 150 * MIB}
    assert estimate(workload(), costs(**least), "cpu").ram_bytes == 200 * MIB
    assert estimate(workload(), costs(**{**least, "validation_bytes": 300 * MIB}), "cpu").ram_bytes == 300 * MIB
    touched = CASE.touched
    heavy = estimate(workload(), costs(**least, prepare_bytes=400 * MIB / touched), "cpu").ram_bytes
    assert heavy == pytest.approx(500 * MIB, rel=1e-6)


def test_data_workers_come_on_top_of_the_steps():
    with_one = estimate(workload(), costs(step_bytes=200 * MIB, worker_bytes=80 * MIB), "cpu").ram_bytes
    assert with_one == 280 * MIB


def test_a_large_held_back_scan_takes_memory_for_its_arrays_and_no_more_sums_than_a_tile():
    large = CaseSize(scan_voxels=1, grid=(512, 256, 256))
    few = estimate(workload(held=[large]), costs(), "cpu").ram_bytes
    taught = estimate(workload(held=[large], teachers=[3]), costs(), "cpu").ram_bytes
    more_voxels = math.prod(large.grid) - 32**3
    assert few == pytest.approx(15 * more_voxels + 256 * MIB - 12 * 32**3, rel=1e-6)
    assert taught - few == 2 * math.prod(large.grid)  # the labels of every held-back scan are kept


def test_disk_holds_the_cache_and_as_many_checkpoints_as_there_are_at_once():
    sized = costs(cache_bytes=2.0, checkpoint_bytes=8 * MIB, first_checkpoint_bytes=4 * MIB)
    cache = 5 * 2 * 32**3
    assert estimate(workload(), sized, "cpu").disk_bytes == cache + 5 * 8 * MIB
    # the first one, which is smaller, is still there while the second validation is saved
    assert estimate(workload(every_steps=50), sized, "cpu").disk_bytes == cache + (4 + 3 * 8) * MIB + 2 * MIB
    assert estimate(workload(held=[], phases=[1]), sized, "cpu").disk_bytes == cache + (4 + 2) * MIB
    assert estimate(workload(remembered_bytes=MIB), sized, "cpu").disk_bytes == cache + 5 * 8 * MIB + MIB
