"""A plan decides everything, estimates it, and refuses what cannot be trained, writing nothing then."""

from dataclasses import replace

import pytest
import torch
from tiny_world import FIRST_MODEL, QUICK, Order, copied, write_plan

from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.package import manifest_sha256, read_manifest
from organincrement.contract.plan import Plan, input_path
from organincrement.methods.protocol import MethodError
from organincrement.methods.registry import METHODS
from organincrement.planning.errors import PlanningError
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.make_plan import PlanRequest, make_plan
from organincrement.workflows.train import create_job, run_job

BEYOND = "bla-uag"


def planned(world, tmp_path, **changes) -> Plan:
    order = Order(dataset=world.site_b.path, out=tmp_path / "plan.json", teacher=world.teacher, method=BEYOND)
    return codec.read(Plan, write_plan(replace(order, **changes)))


def refused(world, tmp_path, match, error=PlanningError, **changes):
    with pytest.raises(error, match=match) as refusal:
        planned(world, tmp_path, **changes)
    assert "\n" not in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


def test_a_plan_names_its_inputs_by_where_they_lie_and_their_hashes(tiny_world, tmp_path):
    plan = planned(tiny_world, tmp_path)
    found = {i.role: (input_path(tmp_path / "plan.json", i), i.sha256) for i in plan.inputs}
    assert found == {
        "teacher": (tiny_world.teacher.resolve(), manifest_sha256(tiny_world.teacher)),
        "dataset": (tiny_world.site_b.path.resolve(), tiny_world.site_b.sha256()),
    }


def test_a_student_takes_patch_and_grid_from_its_teacher_and_holds_a_patient_back(tiny_world, tmp_path):
    plan = planned(tiny_world, tmp_path)
    assert plan.training.patch == read_manifest(tiny_world.teacher).inference.patch == (16, 16, 16)
    assert len(plan.validation.cases) == 1
    assert plan.validation.cases[0] in {case.id for case in tiny_world.site_b.cases()}


def test_every_setting_of_the_method_is_written_down(tiny_world, tmp_path):
    plan = planned(tiny_world, tmp_path, overrides={"distillation_weight": 3, "seed": 9, "training.optimizer.lr": 0.5})
    assert set(plan.settings) == set(METHODS[BEYOND].Config.__dataclass_fields__)
    assert plan.settings["distillation_weight"] == 3.0 and plan.seed == 9
    assert plan.training.optimizer["lr"] == 0.5 and plan.training.optimizer["name"] == "adamw"


def test_the_papers_preset_is_the_papers(tiny_world, tmp_path):
    request = PlanRequest(
        datasets=(tiny_world.site_b.path,),
        out=tmp_path / "plan.json",
        teachers=(tiny_world.teacher,),
        preset="paper",
        device="cpu",
    )
    plan = make_plan(request)
    chosen = {
        key: plan.settings[key] for key in ("distillation_weight", "new_organ_weight", "perturbations", "smoothing")
    }
    assert chosen == {"distillation_weight": 20.0, "new_organ_weight": 20.0, "perturbations": 6, "smoothing": 0.3}
    assert plan.training.optimizer == {"name": "adam", "lr": 3e-5, "weight_decay": 3e-5}


def test_estimates_are_of_the_right_size(tiny_world, tmp_path):
    short, long = (planned(tiny_world, tmp_path, overrides={"training.steps": steps}) for steps in (10, 100_000))
    assert 1 < short.estimate.seconds < 20
    assert 100_000 * 0.001 < long.estimate.seconds < 100_000 * 1.0
    assert 100 * 2**20 < long.estimate.ram_bytes < 16 * 2**30
    parameters = read_manifest(tiny_world.teacher).network.parameters
    assert 5 * 4 * 4 * parameters < long.estimate.disk_bytes < 10 * 2**20
    assert long.estimate.measured_on == f"cpu: {torch.get_num_threads()} threads" and long.estimate.gpu_bytes is None


def test_more_scans_take_more_disk(tiny_world, tmp_path):
    few = planned(tiny_world, tmp_path)
    dataset = copied(tiny_world.site_b, tmp_path / "fewer")
    for case in dataset.cases()[1:]:
        dataset.move(case.id, "submitted", "me", "look again")
    fewer = planned(tiny_world, tmp_path, dataset=dataset.path)
    assert fewer.validation.cases == () and fewer.estimate.disk_bytes < few.estimate.disk_bytes


def test_a_dataset_of_an_organ_that_the_teacher_has_is_refused_naming_it(tiny_world, tmp_path):
    refused(
        tiny_world, tmp_path, "'liver'.*known to the teacher already", ContractError, dataset=tiny_world.site_a.path
    )


def test_a_merge_of_an_organ_that_is_not_there_is_refused_naming_it(tiny_world, tmp_path):
    with pytest.raises(ContractError, match="no organ 'gallbladder'"):
        make_plan(
            PlanRequest(
                datasets=(tiny_world.site_b.path,), out=tmp_path / "plan.json", teachers=(tiny_world.teacher,),
                device="cpu",
                merges={"gallbladder": "liver"},
            )
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_a_merged_organ_leaves_the_student_one_organ_fewer(tiny_world, tmp_path):
    plan = make_plan(
        PlanRequest(
            datasets=(tiny_world.site_b.path,), out=tmp_path / "plan.json", teachers=(tiny_world.teacher,),
            device="cpu",
            merges={"spleen": "liver"},
        )
    )  # fmt: skip
    assert plan.merges == {"spleen": "liver"}


ALL_REPLACED = {"liver": "stomach", "spleen": "stomach"}
KEEPING = [name for name, method in METHODS.items() if method.needs.teachers != "none" and name != "fine-tune"]


@pytest.mark.parametrize("method", KEEPING)
def test_a_teacher_of_which_nothing_is_left_to_keep_is_refused(tiny_world, tmp_path, method):
    exemplars = None
    if METHODS[method].needs.exemplars:
        exemplars = tmp_path / "vault"
        exemplars.mkdir()
        (exemplars / "vault.json").write_text("{}", encoding="utf-8")
    request = PlanRequest(
        datasets=(tiny_world.site_b.path,), out=tmp_path / "plan.json", teachers=(tiny_world.teacher,), device="cpu",
        method=method, merges=ALL_REPLACED, exemplars=exemplars,
    )  # fmt: skip
    with pytest.raises(WorkflowError, match="nothing is left to keep; choose fine-tune or supervised") as refusal:
        make_plan(request)
    assert "\n" not in str(refusal.value) and not (tmp_path / "plan.json").exists()


def test_fine_tuning_goes_on_from_a_teacher_of_which_nothing_is_kept(tiny_world, tmp_path):
    make_plan(
        PlanRequest(
            datasets=(tiny_world.site_b.path,), out=tmp_path / "plan.json", teachers=(tiny_world.teacher,),
            device="cpu", method="fine-tune", merges=ALL_REPLACED, overrides=QUICK,
        )
    )  # fmt: skip
    job = create_job(tmp_path / "plan.json", tmp_path / "job")
    assert run_job(job) == "finished"
    assert read_manifest(job.student_path).label_space.ids == ("stomach",)


@pytest.mark.parametrize(
    ("overrides", "named", "error"),
    [
        ({"lambda": 3}, "setting 'lambda' is unknown", MethodError),
        ({"smoothing": 1.5}, "'smoothing' is 1.5, but must be at most 0.9", MethodError),
        ({"perturbations": "many"}, "'perturbations' is 'many'", MethodError),
        ({"uncertainty": "magic"}, "must be one of", MethodError),
        ({"training.epochs": 3}, "'training.epochs' is unknown", PlanningError),
        ({"training.steps": "many"}, "training", ContractError),
        ({"training.steps": 0}, "at least 1", PlanningError),
        ({"training.patch": [17, 16, 16]}, "multiples of 2 x 2 x 2", PlanningError),
        ({"training.patch": 16}, "training", ContractError),
        ({"training.optimizer.name": "lion"}, "lion", ValueError),
        ({"training.schedule.name": "cosine"}, "cosine", PlanningError),
        ({"training.precision": "fp8"}, "fp8", ValueError),
        ({"validation.cases": ["nobody"]}, "'nobody'", PlanningError),
        ({"seed": -3}, "seed", PlanningError),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_name(tiny_world, tmp_path, overrides, named, error):
    refused(tiny_world, tmp_path, named, error, overrides=overrides)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"training.patch": 16}, "three whole numbers"),
        ({"features": [4, 8], "blocks": [1]}, "PlainConvUNet"),
        ({"spacing_mm": [1.0, 1.0]}, "spacing_mm"),
        ({"spacing_mm": [0.0, 1.0, 1.0]}, "spacing_mm"),
        ({"clip_hu": [300, -200]}, "clip_hu"),
        ({"clip_hu": [300]}, "clip_hu"),
        ({"features": [-4, 8]}, "features"),
    ],
)
def test_a_first_models_size_that_cannot_be_is_refused(tiny_world, tmp_path, settings, named):
    refused(
        tiny_world, tmp_path, named, ValueError, dataset=tiny_world.site_a.path, teacher=None, method="supervised",
        overrides={**FIRST_MODEL, **settings},
    )  # fmt: skip


def test_a_method_must_exist_and_have_the_teacher_that_it_needs(tiny_world, tmp_path):
    refused(tiny_world, tmp_path, "method 'magic' is unknown; there are: bla-uag", MethodError, method="magic")
    refused(tiny_world, tmp_path, "needs a teacher: give --teacher", WorkflowError, teacher=None)
    refused(tiny_world, tmp_path, "takes no teacher", WorkflowError, method="supervised")


def test_only_approved_cases_are_planned_with(tiny_world, tmp_path):
    folder = tmp_path / "data"
    dataset = copied(tiny_world.site_b, folder)
    for case in dataset.cases():
        dataset.move(case.id, "submitted", "me", "look again")
    with pytest.raises((PlanningError, WorkflowError), match="no case is approved; have cases approved first"):
        planned(tiny_world, tmp_path, dataset=dataset.path)
    plan = make_plan(
        PlanRequest(
            datasets=(dataset.path,),
            out=tmp_path / "all.json",
            teachers=(tiny_world.teacher,),
            include=("submitted",),
            device="cpu",
        )
    )
    assert plan.include == ("submitted",)
