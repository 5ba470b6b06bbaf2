"""LwfSeg step after step: each student is the next one's teacher, and has one head more."""

import pytest
import torch
from tiny_world import QUICK, SHAPE, Order, write_plan

from organincrement.cli.main import main
from organincrement.contract import codec
from organincrement.contract.job import JobFolder
from organincrement.contract.package import read_manifest
from organincrement.contract.plan import Plan
from organincrement.imaging.phantom.scan import SITES
from organincrement.imaging.safe_read import read_stored
from organincrement.methods.protocol import MethodError
from organincrement.models.package import load_package
from organincrement.workflows.make_plan import PlanRequest, make_plan
from organincrement.workflows.phantom_dataset import write_phantom_dataset
from organincrement.workflows.train import create_job, run_job


@pytest.fixture(scope="module")
def steps(tiny_world, tmp_path_factory):
    """The stomach, then the pancreas: two students, and the datasets of both."""
    root = tmp_path_factory.mktemp("steps")
    third = write_phantom_dataset(root / "third", SITES["b"], ("pancreas",), (31, 32, 33), shape_DHW=SHAPE)
    students, teacher = [], tiny_world.teacher
    for number, dataset in enumerate((tiny_world.site_b.path, third.path)):
        plan = write_plan(Order(dataset=dataset, out=root / f"{number}.json", teacher=teacher, method="lwfseg"))
        job = create_job(plan, root / f"job-{number}")
        assert run_job(job) == "finished"
        students.append(job.student_path)
        teacher = job.student_path
    return students, third


def test_each_student_has_one_head_more_and_its_teachers_heads_as_they_were(tiny_world, steps):
    first, second = (read_manifest(student) for student in steps[0])
    assert [head.organs for head in first.head.heads] == [("liver", "spleen"), ("stomach",)]
    assert second.head.heads[:2] == first.head.heads and second.head.heads[2].organs == ("pancreas",)
    assert [manifest.network.args["out_channels"] for manifest in (first, second)] == [5, 7]
    weights = load_package(steps[0][1]).network.state_dict()
    for head in second.head.heads:
        assert weights[f"{head.prefix}.weight"].shape[0] == 7
    assert second.metrics.agreement_with_teacher and len(second.lineage) == 2


def test_a_student_with_three_heads_segments_like_any_other(tiny_world, steps, tmp_path, capsys):
    case = tiny_world.test.cases()[0]
    image = tiny_world.test.image_path(case)
    for kind in ("entropy", "perturbation"):
        out = tmp_path / kind
        arguments = ["segment", "--model", steps[0][1], "--out", out, image, "--uncertainty", kind, "--device", "cpu"]
        assert main([str(argument) for argument in arguments]) == 0
        folder = next(out.iterdir())
        labels = read_stored(folder / "segmentation.seg.nrrd").array_DHW
        assert labels.shape == read_stored(image).shape_DHW and labels.max() <= 4
        assert (folder / "uncertainty.nrrd").exists()


def planned(teacher, dataset, out, **changes):
    return make_plan(
        PlanRequest(
            datasets=(dataset,), out=out, teachers=(teacher,), method="lwfseg", device="cpu", overrides=QUICK, **changes
        )
    )


def test_organs_of_one_head_can_be_merged_and_those_of_two_cannot(tiny_world, steps, tmp_path):
    students, third = steps
    planned(students[0], third.path, tmp_path / "plan.json", merges={"spleen": "liver"})
    job = create_job(tmp_path / "plan.json", tmp_path / "job")
    assert run_job(job) == "finished"
    manifest = read_manifest(job.student_path)
    assert [head.organs for head in manifest.head.heads] == [("liver",), ("stomach",), ("pancreas",)]
    with pytest.raises(MethodError, match="different heads") as refused:
        planned(students[0], third.path, tmp_path / "other.json", merges={"stomach": "liver"})
    assert "\n" not in str(refused.value) and not (tmp_path / "other.json").exists()


def test_the_organ_of_a_whole_head_can_be_learned_anew(tiny_world, steps, tmp_path):
    planned(steps[0][0], tiny_world.site_b.path, tmp_path / "plan.json", merges={"stomach": "stomach"})
    job = create_job(tmp_path / "plan.json", tmp_path / "job")
    assert run_job(job) == "finished"
    manifest = read_manifest(job.student_path)
    assert [head.organs for head in manifest.head.heads] == [("liver", "spleen"), ("stomach",)]
    assert manifest.network.args["out_channels"] == 5


def test_an_exemplar_vault_of_the_first_model_serves_its_grandchild(tiny_world, steps, tmp_path):
    students, third = steps
    vault = tmp_path / "vault"
    few = ["--keep", "2", "--most-certain", "2", "--passes", "2", "--device", "cpu"]
    select = ["exemplars", "select", "--model", str(tiny_world.teacher), "--dataset", str(tiny_world.site_a.path)]
    assert main([*select, "--out", str(vault), *few]) == 0
    plan = tmp_path / "plan.json"
    make_plan(
        PlanRequest(
            datasets=(third.path,), out=plan, teachers=(students[0],), exemplars=vault, method="aeiseg", device="cpu",
            overrides=QUICK,
        )
    )  # fmt: skip
    assert codec.read(Plan, plan).inputs[-1].role == "exemplars"
    assert run_job(create_job(plan, tmp_path / "job")) == "finished"
    weights = load_package(JobFolder.open(tmp_path / "job").student_path).network.state_dict()
    assert all(torch.isfinite(weight).all() for weight in weights.values())
