"""What changed after the plan was made is refused by name: the dataset, its files, the teacher, the plan itself."""

import json
import shutil

import pytest
from job_stories import at_step
from tiny_world import Order, copied, student_job, write_plan

from organincrement.contract.errors import ContractError
from organincrement.training.signals import PlanChanged
from organincrement.workflows import jobs
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.train import create_job, run_job


def test_a_dataset_that_changed_after_planning_is_refused_by_name(tiny_world, tmp_path):
    dataset = copied(tiny_world.site_b, tmp_path / "ward-7")
    plan = write_plan(Order(dataset=dataset.path, out=tmp_path / "plan.json", teacher=tiny_world.teacher))
    job = create_job(plan, tmp_path / "job")
    dataset.move(dataset.cases()[0].id, "submitted", "me", "look again")
    with pytest.raises(WorkflowError, match=r"^ward-7: has changed since the plan was made: make a new plan"):
        run_job(job)
    assert job.status().failure.code == "bad_input"


@pytest.mark.parametrize("kind", ["image", "label"])
def test_a_file_that_is_not_the_one_approved_is_refused_by_name(tiny_world, tmp_path, kind):
    dataset = copied(tiny_world.site_b, tmp_path / "ward-7")
    plan = write_plan(Order(dataset=dataset.path, out=tmp_path / "plan.json", teacher=tiny_world.teacher))
    first, second = dataset.cases()[:2]
    path_of = dataset.image_path if kind == "image" else dataset.label_path
    shutil.copy(path_of(second), path_of(first))
    job = create_job(plan, tmp_path / "job")
    with pytest.raises(WorkflowError, match="has changed since the dataset recorded it") as refusal:
        run_job(job)
    assert str(refusal.value).startswith(path_of(first).name)


@pytest.mark.parametrize("part", ["model.json", "weights.safetensors"])
def test_a_teacher_that_changed_after_planning_is_refused_by_name(tiny_world, tmp_path, part):
    teacher = tmp_path / "head-neck-4"
    shutil.copytree(tiny_world.teacher, teacher)
    plan = write_plan(Order(dataset=tiny_world.site_b.path, out=tmp_path / "plan.json", teacher=teacher))
    job = create_job(plan, tmp_path / "job")
    if part == "model.json":
        manifest = json.loads((teacher / part).read_text(encoding="utf-8"))
        (teacher / part).write_text(json.dumps({**manifest, "licence": "another"}), encoding="utf-8")
    else:
        data = bytearray((teacher / part).read_bytes())
        data[-1] ^= 1
        (teacher / part).write_bytes(bytes(data))
    said = "has changed since the plan was made" if part == "model.json" else f"{part} is not the file"
    with pytest.raises((WorkflowError, ContractError), match="head-neck-4") as refusal:
        run_job(job)
    assert said in str(refusal.value) and "\n" not in str(refusal.value)
    assert job.status().failure.code == "bad_input"


def test_a_plan_that_was_edited_after_the_start_is_refused(tiny_world, tmp_path, monkeypatch):
    job = student_job(tiny_world, tmp_path)
    at_step(monkeypatch, 3, job.request_pause)
    assert run_job(job) == "paused"
    plan = json.loads(job.plan_path.read_text(encoding="utf-8"))
    plan["training"]["steps"] = 7
    job.plan_path.write_text(json.dumps(plan), encoding="utf-8")
    jobs.resume(job)
    with pytest.raises(PlanChanged, match=r"plan\.json: has changed since the job started"):
        run_job(job)
