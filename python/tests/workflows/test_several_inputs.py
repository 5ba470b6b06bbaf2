"""What is given twice, or belongs together under two names, is noticed when a plan is made."""

from dataclasses import replace

import pytest
import torch
from tiny_models import tiny_manifest, tiny_network, tiny_spec
from tiny_world import FIRST_MODEL, QUICK, TinyWorld, copied

from organincrement.contract import codec
from organincrement.contract.dataset import Dataset, DatasetFolder
from organincrement.contract.errors import ContractError
from organincrement.contract.labels import Code, LabelSpace, Organ
from organincrement.models.package import Provenance, save_package
from organincrement.planning.errors import PlanningError
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.make_plan import PlanRequest, make_plan
from organincrement.workflows.setup import set_up
from organincrement.workflows.train import create_job


def planned(world: TinyWorld, folder, *datasets, **given):
    asked = {"method": "tal", "overrides": {**QUICK, **FIRST_MODEL, "network": "PlainConvUNet"}, **given}
    return make_plan(PlanRequest(datasets=datasets, out=folder / "plan.json", device="cpu", **asked))


def with_organ(dataset: DatasetFolder, **changes) -> DatasetFolder:
    manifest = codec.read(Dataset, dataset.path / "dataset.json")
    organs = (replace(manifest.organs[0], **changes), *manifest.organs[1:])
    codec.write(replace(manifest, organs=organs), dataset.path / "dataset.json")
    return DatasetFolder.open(dataset.path)


def test_a_dataset_or_its_copy_given_twice_is_refused(tiny_world, tmp_path):
    for twice in (tiny_world.site_a.path, copied(tiny_world.site_a, tmp_path / "copy").path):
        with pytest.raises(WorkflowError, match="is given twice as dataset"):
            planned(tiny_world, tmp_path, tiny_world.site_a.path, twice)


def test_a_teacher_given_twice_is_refused(tiny_world, tmp_path):
    with pytest.raises(WorkflowError, match="is given twice as teacher"):
        planned(
            tiny_world, tmp_path, tiny_world.site_b.path, method="ms-kd", teachers=(tiny_world.teacher,) * 2,
            overrides=QUICK,
        )  # fmt: skip


def test_scans_that_two_datasets_share_are_held_back_in_both_or_in_none(tiny_world, tmp_path):
    again = with_organ(copied(tiny_world.site_b, tmp_path / "again"), id="pancreas", name="Pancreas", type=None)
    for path in (again.path / "cases").glob("*.json"):
        path.write_text(path.read_text(encoding="utf-8").replace("stomach", "pancreas"), encoding="utf-8")
    plan = planned(tiny_world, tmp_path, tiny_world.site_b.path, again.path)
    held = {case.partition(".")[2] for case in plan.validation.cases}
    assert held and {f"{number}.{case}" for case in held for number in (1, 2)} == set(plan.validation.cases)


def with_labels(dataset: DatasetFolder, labelled: int) -> DatasetFolder:
    """The first so many cases keep their labels; the others are drafts without."""
    for number, case in enumerate(dataset.cases()):
        if number >= labelled:
            codec.write(
                replace(case, status="draft", label=None, label_sha256=None, annotated=()),
                dataset.path / "cases" / f"{case.id}.json",
            )
    return DatasetFolder.open(dataset.path)


@pytest.mark.parametrize(("labelled", "held"), [(3, 1), (2, 0)])
def test_a_method_without_a_teacher_holds_back_labelled_cases_alone(tiny_world, tmp_path, labelled, held):
    dataset = with_labels(copied(tiny_world.site_a, tmp_path / "data"), labelled)
    plan = planned(tiny_world, tmp_path, dataset.path, method="co-training", overrides={**QUICK, **FIRST_MODEL})
    assert len(plan.validation.cases) == held
    assert all(dataset.case(case).label for case in plan.validation.cases)


def test_it_is_said_why_no_case_is_held_back_where_every_patient_has_the_only_labels_of_an_organ(tiny_world, tmp_path):
    dataset, lines = copied(tiny_world.site_a, tmp_path / "data"), []
    for case, organ in zip(dataset.cases(), ("liver", "spleen"), strict=False):
        codec.write(replace(case, annotated=(organ,)), dataset.path / "cases" / f"{case.id}.json")
    for case in dataset.cases()[2:]:
        codec.write(replace(case, status="draft"), dataset.path / "cases" / f"{case.id}.json")
    planned(tiny_world, tmp_path, dataset.path, notice=lines.append)
    assert not any("held back" in line for line in lines), "of two patients none is, as ever"
    third = with_organ(copied(tiny_world.site_b, tmp_path / "other"))
    for case in third.cases()[1:]:
        codec.write(replace(case, status="draft"), third.path / "cases" / f"{case.id}.json")
    plan = planned(tiny_world, tmp_path, dataset.path, third.path, notice=lines.append)
    assert plan.validation.cases == ()
    assert [line for line in lines if "held back" in line] == [
        "no case is held back: each patient has the only labels of an organ, which the training needs"
    ]


def test_one_name_for_two_organs_is_refused(tiny_world, tmp_path):
    code = Code("SCT", "10200004", "Liver")
    other = with_organ(copied(tiny_world.site_b, tmp_path / "other"), type=code)
    with pytest.raises(ContractError, match="coded Stomach here and Liver there"):
        planned(tiny_world, tmp_path, tiny_world.site_b.path, other.path)


def test_a_dataset_without_a_case_among_others_is_named(tiny_world, tmp_path):
    manifest = codec.read(Dataset, tiny_world.site_b.path / "dataset.json")
    empty = DatasetFolder.create(tmp_path / "empty", manifest)
    with pytest.raises(PlanningError, match="empty: has no case at all"):
        planned(tiny_world, tmp_path, tiny_world.site_a.path, empty.path)


def test_a_job_in_a_dataset_is_refused_for_it_keeps_copies_of_scans(tiny_world, tmp_path):
    planned(tiny_world, tmp_path, tiny_world.site_a.path)
    dataset = copied(tiny_world.site_a, tmp_path / "dataset")
    with pytest.raises(WorkflowError, match="lies inside the dataset dataset"):
        create_job(tmp_path / "plan.json", dataset.path / "job")
    assert not (dataset.path / "job").exists()


@pytest.mark.parametrize(("setting", "value", "said"), [
    ("dimensions", 5, "must be one of 3, 2"), ("spacing_mm", [1e-6] * 3, "must be at least 0.05"),
    ("training.optimizer.lr", -1, "a number above 0"), ("training.schedule.power", -5, "at least 0"),
    ("training.workers", 100_000, "at most 64"), ("seed", 10**20, "below 2"), ("mean_hu", "a", "a finite number"),
])  # fmt: skip
def test_a_setting_that_no_training_can_run_with_is_refused_in_words(tiny_world, tmp_path, setting, value, said):
    with pytest.raises(ValueError, match=said) as refusal:
        planned(
            tiny_world, tmp_path, tiny_world.site_a.path, method="supervised",
            overrides={**QUICK, **FIRST_MODEL, setting: value},
        )  # fmt: skip
    assert "\n" not in str(refusal.value) and not (tmp_path / "plan.json").exists()


def teacher_of(folder, name: str, organ: str, anomaly: str):
    """A package that knows an organ and an anomaly in it, by their codes the same whatever they are called."""
    space = LabelSpace((
        Organ(id=organ, name=organ, color=(200, 80, 80), type=Code("SCT", "10200004", "Liver")),
        Organ(
            id=anomaly, name=anomaly, kind="anomaly", host=organ, color=(90, 90, 20),
            type=Code("SCT", "4147007", "Mass"),
        ),
    ))  # fmt: skip
    spec = tiny_spec(3)
    provenance = Provenance(method="supervised", dataset_sha256="", made="2026-11-21")
    manifest = replace(tiny_manifest(space, spec), name=name)
    save_package(folder / name, manifest, tiny_network(spec).state_dict(), provenance)
    return folder / name


def test_teachers_that_call_an_organ_and_its_anomaly_otherwise_are_taken_for_one(tiny_world, tmp_path):
    teachers = (teacher_of(tmp_path, "one", "liver", "tumour"), teacher_of(tmp_path, "other", "hepar", "mass"))
    plan = planned(
        tiny_world, tmp_path, tiny_world.site_b.path, method="ms-kd", teachers=teachers,
        overrides={**QUICK, "feature_weight": 0.0},
    )  # fmt: skip
    setup = set_up(plan, tmp_path / "plan.json")
    assert setup.organs.ids[:2] == ("liver", "tumour")
    assert [teacher.channel_of for teacher in setup.frozen_teachers(torch.device("cpu"))] == [(0, 1, 2), (0, 1, 2)]
