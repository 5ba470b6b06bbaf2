"""Scans of a modality that a model never saw are refused, whatever they are for, and the message says what it saw."""

from dataclasses import replace

import pytest
from tiny_world import FIRST_MODEL, QUICK, copied

from organincrement.contract import codec
from organincrement.contract.dataset import Dataset
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.evaluate import evaluate
from organincrement.workflows.make_plan import PlanRequest, make_plan
from organincrement.workflows.select_exemplars import SelectRequest, select_exemplars


def as_mr(dataset, folder):
    """A copy of a dataset that says that its scans are MR."""
    copied(dataset, folder)
    codec.write(replace(codec.read(Dataset, folder / "dataset.json"), modality="MR"), folder / "dataset.json")
    return folder


@pytest.fixture
def magnetic(tiny_world, tmp_path):
    return as_mr(tiny_world.site_a, tmp_path / "magnetic")


def refused(message):
    return pytest.raises(WorkflowError, match=f"^{message}$")


def test_a_dataset_that_the_teacher_cannot_see_makes_no_plan(tiny_world, tmp_path):
    magnetic = as_mr(tiny_world.site_b, tmp_path / "magnetic")
    asked = PlanRequest(
        method="bla-uag", datasets=(magnetic,), teachers=(tiny_world.teacher,), out=tmp_path / "plan.json",
        device="cpu", overrides=QUICK,
    )  # fmt: skip
    with refused("magnetic: holds MR, but the teacher was trained on CT"):
        make_plan(asked)


def test_datasets_of_two_modalities_make_no_plan(tiny_world, magnetic, tmp_path):
    asked = PlanRequest(
        method="tal", datasets=(tiny_world.site_b.path, magnetic), out=tmp_path / "plan.json", device="cpu",
        overrides={**QUICK, **FIRST_MODEL, "network": "PlainConvUNet"},
    )  # fmt: skip
    with refused(f"magnetic: holds MR, but {tiny_world.site_b.path.name} CT"):
        make_plan(asked)


def test_no_model_is_evaluated_on_scans_that_it_cannot_see(tiny_world, magnetic, tmp_path):
    with refused("magnetic: holds MR, but the model was trained on CT"):
        evaluate(tiny_world.teacher, magnetic, tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()


def test_no_exemplars_are_chosen_from_scans_that_the_model_cannot_see(tiny_world, magnetic, tmp_path):
    asked = SelectRequest(model=tiny_world.teacher, dataset=magnetic, by="aeiseg", out=tmp_path / "vault")
    with refused("magnetic: holds MR, but the model sees CT"):
        select_exemplars(asked)
    assert not (tmp_path / "vault").exists()
