"""Numbers that no training could run with are refused by name, and those that can run pass."""

from dataclasses import replace

import pytest

from organincrement.contract.dataset import Case
from organincrement.contract.plan import Training, Validation
from organincrement.networks.sizing import NetworkSpec
from organincrement.planning.errors import PlanningError
from organincrement.planning.limits import check_norms, check_patch, check_seed, check_training, check_validation

SOUND = Training(
    steps=100, batch=2, patch=(64, 48, 32), optimizer={"name": "adamw", "lr": 1e-3},
    schedule={"name": "poly", "power": 0.9, "warmup_steps": 3}, ema=0.99,
)  # fmt: skip
CASES = [
    Case(id=name, group=group, image=f"images/{name}.nii", image_sha256="0" * 64)
    for name, group in (("a1", "a"), ("a2", "a"), ("b", "b"), ("c", "c"))
]


def test_sound_settings_pass():
    check_training(SOUND, (16, 16, 16))
    check_validation(Validation(cases=("a1", "a2"), every_steps=1, recommended_above=0.0), CASES)
    check_patch([64, 64, 64])
    assert check_seed(5) == 5


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"steps": 0}, r"training\.steps' is 0.*at least 1"),
        ({"batch": 0}, "training.batch"),
        ({"accumulation": 0}, "training.accumulation"),
        ({"accumulation": 3}, "at most the batch"),
        ({"workers": -1}, "training.workers"),
        ({"ema": 1.0}, "training.ema"),
        ({"ema": 0.0}, "training.ema"),
        ({"patch": (64, 64)}, "training.patch"),
        ({"patch": (64, 64, 0)}, "training.patch"),
        ({"patch": (64, 64, 40)}, "multiples of 16 x 16 x 16"),
        ({"schedule": {"name": "cosine"}}, "cosine"),
        ({"schedule": {"name": "poly", "power": "steep"}}, "training.schedule"),
        ({"schedule": {"name": "poly", "cycles": 2}}, "'cycles', but must be one of name, power, warmup_steps"),
        ({"schedule": {"name": "poly", "ema_first": 1.0}}, "training.schedule.ema_first"),
        ({"schedule": {"name": "poly", "ema_first": "often"}}, "training.schedule.ema_first"),
    ],
)
def test_what_no_training_runs_with_is_refused_by_name(change, named):
    with pytest.raises(PlanningError, match=named) as refusal:
        check_training(replace(SOUND, **change), (16, 16, 16))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"every_steps": 0}, "validation.every_steps"),
        ({"recommended_above": 90}, "between 0 and 1"),
        ({"cases": ("a1", "a2", "z")}, "'z', but must be a case"),
        ({"cases": ("a1",)}, "a2 is of a patient held back"),
    ],
)
def test_held_back_cases_must_be_there_and_whole_patients(change, named):
    with pytest.raises(PlanningError, match=named):
        check_validation(replace(Validation(cases=("b",), every_steps=5), **change), CASES)


@pytest.mark.parametrize("patch", [64, "64", [64, 64], [64, 64, 64.0], [True, 64, 64], [-8, 8, 8], None])
def test_a_patch_is_three_whole_numbers(patch):
    with pytest.raises(PlanningError, match="three whole numbers"):
        check_patch(patch)


def network(kind, **more):
    return NetworkSpec(kind=kind, args={"in_channels": 1, "out_channels": 2, "features": [4, 8, 8], **more})


PLAIN = {"blocks": [1, 1, 1], "decoder_blocks": [1, 1]}
BATCH_NORM = network("PlainConvUNet", norm="batch", **PLAIN)


@pytest.mark.parametrize(
    ("spec", "smallest"),
    [
        (network("PlainConvUNet", **PLAIN), [4, 4, 8]),
        (network("MultiDecoder", **PLAIN), [4, 4, 8]),
        (network("PlainConvUNet", strides=[[1, 1, 1], [1, 2, 2], [1, 2, 2]], **PLAIN), [1, 4, 8]),
        (network("DynUNet"), [4, 4, 8]),
    ],
)
def test_a_patch_that_shrinks_to_one_voxel_is_refused_with_the_smallest_that_will_do(spec, smallest):
    patch = (*smallest[:2], 4)
    with pytest.raises(PlanningError, match=r"training\.patch' is .*larger along one axis.*no variance") as refusal:
        check_norms(replace(SOUND, patch=patch), spec)
    assert f"{list(patch)}" in str(refusal.value) and f"{smallest} at least" in str(refusal.value)
    check_norms(replace(SOUND, patch=tuple(smallest)), spec)


@pytest.mark.parametrize(
    "spec", [network("PlainConvUNet", norm="none", **PLAIN), network("DoDNet", blocks=[1, 1, 1]), BATCH_NORM]
)
def test_one_voxel_will_do_where_no_norm_needs_more(spec):
    check_norms(replace(SOUND, patch=(4, 4, 4)), spec)


@pytest.mark.parametrize("change", [{"batch": 1}, {"accumulation": 2}, {"batch": 3, "accumulation": 2}])
def test_one_voxel_will_not_do_for_a_norm_over_a_part_of_one_patch(change):
    with pytest.raises(PlanningError, match="no variance"):
        check_norms(replace(SOUND, patch=(4, 4, 4), **change), BATCH_NORM)


@pytest.mark.parametrize("seed", [-1, 1.5, "one", True, None])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(PlanningError, match="seed"):
        check_seed(seed)
