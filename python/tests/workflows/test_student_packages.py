"""What a job leaves behind: a calibrated package that says what it knows, where it comes from, and what it is worth."""

import json
from datetime import UTC, date, datetime

import pytest
import torch
from job_stories import weights_of
from tiny_world import QUICK, SHAPE, Order, student_job, write_plan

from organincrement.contract.package import manifest_sha256, read_manifest
from organincrement.imaging.phantom.scan import SITES
from organincrement.models.package import load_package
from organincrement.workflows import student_package
from organincrement.workflows.make_plan import PlanRequest, make_plan
from organincrement.workflows.phantom_dataset import write_phantom_dataset
from organincrement.workflows.setup import set_up
from organincrement.workflows.train import create_job, run_job


@pytest.fixture(scope="module")
def grandchild(tiny_student, tmp_path_factory):
    """A student of the student, with a left kidney more; and the dataset it learned from."""
    folder = tmp_path_factory.mktemp("grandchild")
    dataset = write_phantom_dataset(folder / "site-c", SITES["a"], ("kidney_left",), (31, 32, 33), shape_DHW=SHAPE)
    plan = write_plan(
        Order(dataset=dataset.path, out=folder / "plan.json", teacher=tiny_student.student_path, method="mib")
    )
    job = create_job(plan, folder / "job")
    assert run_job(job) == "finished"
    return dataset, job


def test_a_student_has_the_teachers_organs_first_and_the_new_one_last(tiny_student):
    model = load_package(tiny_student.student_path)
    assert model.organs.ids == ("liver", "spleen", "stomach")
    assert model.manifest.network.args["out_channels"] == 4
    assert model.manifest.network.parameters == sum(weight.numel() for weight in model.network.parameters())


def test_a_student_works_on_its_teachers_grid_and_patch(tiny_world, tiny_student):
    student, teacher = read_manifest(tiny_student.student_path), read_manifest(tiny_world.teacher)
    assert student.preprocessing == teacher.preprocessing
    assert student.inference.patch == teacher.inference.patch and student.network.kind == teacher.network.kind


@pytest.mark.parametrize(
    ("teachers", "students"),
    [
        ([], "research use only"),
        (["", ""], "research use only"),
        (["CC BY 4.0"], "CC BY 4.0"),
        (["CC BY 4.0", "CC BY 4.0"], "CC BY 4.0"),
        (["CC BY 4.0", "CC BY-NC-ND 4.0"], "CC BY 4.0; CC BY-NC-ND 4.0"),
    ],
)
def test_a_student_is_under_the_licences_of_all_its_teachers(teachers, students):
    assert student_package.licence_of(teachers) == students


def test_a_first_model_has_no_ancestors(tiny_world):
    assert read_manifest(tiny_world.teacher).lineage == ()


def test_a_students_ancestors_are_told_oldest_first_with_the_hashes_of_their_packages(
    tiny_world, tiny_student, grandchild
):
    _, job = grandchild
    told = read_manifest(job.student_path).lineage
    assert [(step.method, step.sha256, step.dataset_sha256) for step in told] == [
        ("supervised", manifest_sha256(tiny_world.teacher), tiny_world.site_a.sha256()),
        ("bla-uag", manifest_sha256(tiny_student.student_path), tiny_world.site_b.sha256()),
    ]
    assert [step.name for step in told] == ["organs-2-supervised", "organs-3-bla-uag"]
    assert all(date.fromisoformat(step.made) <= datetime.now(UTC).date() for step in told)
    assert read_manifest(job.student_path).label_space.ids == ("liver", "spleen", "stomach", "kidney_left")


def test_a_student_of_a_student_agrees_with_both_generations(grandchild):
    _, job = grandchild
    metrics = job.status().last_event.metrics
    assert set(metrics["agreement"]) == {"liver", "spleen", "stomach"} and set(metrics["dice"]) == {"kidney_left"}


def test_the_temperature_is_fitted_and_stored(tiny_student):
    temperature = read_manifest(tiny_student.student_path).inference.temperature
    assert temperature > 0 and temperature != 1.0
    assert tiny_student.status().last_event.metrics["temperature"] == temperature


def test_the_package_says_what_it_was_trained_on(tiny_world, tiny_student):
    trained_on = read_manifest(tiny_student.student_path).trained_on
    assert (trained_on.modality, trained_on.cases) == ("CT", len(tiny_world.site_b.cases()))
    expected = [round(extent / n, 1) for extent, n in zip((211.2, 264.0, 316.8), SHAPE, strict=True)]
    assert [round(mm, 1) for mm in trained_on.spacing_mm.median] == expected
    low, middle, high = (trained_on.intensity_percentiles[key] for key in ("0.5", "50", "99.5"))
    assert -500 < low < middle < high < 2000


def test_metrics_are_those_of_the_held_back_case(tiny_student):
    metrics = read_manifest(tiny_student.student_path).metrics
    assert [(row.organ, row.n) for row in metrics.validation] == [("stomach", 1)]
    assert [(row.organ, row.n) for row in metrics.agreement_with_teacher] == [("liver", 1), ("spleen", 1)]
    finished = tiny_student.status().last_event.metrics
    assert {row.organ: row.dice for row in metrics.agreement_with_teacher} == finished["agreement"]


def test_a_student_below_the_plans_threshold_on_one_old_organ_is_not_recommended(tiny_world, tmp_path):
    lenient = student_job(tiny_world, tmp_path / "lenient", validation__recommended_above=0.0)
    assert run_job(lenient) == "finished"
    manifest = read_manifest(lenient.student_path)
    agreements = sorted(row.dice for row in manifest.metrics.agreement_with_teacher)
    assert manifest.metrics.recommended is True and agreements[0] < agreements[1]
    strict = student_job(tiny_world, tmp_path / "strict", validation__recommended_above=sum(agreements) / 2)
    assert run_job(strict) == "finished"
    assert read_manifest(strict.student_path).metrics.recommended is False
    assert strict.status().last_event.metrics["recommended"] is False


def test_an_organ_that_is_merged_away_is_learned_as_the_one_it_counts_as(tiny_world, tmp_path):
    make_plan(
        PlanRequest(
            datasets=(tiny_world.site_b.path,), out=tmp_path / "plan.json", teachers=(tiny_world.teacher,),
            device="cpu", merges={"spleen": "liver"}, overrides=QUICK,
        )
    )  # fmt: skip
    job = create_job(tmp_path / "plan.json", tmp_path / "job")
    assert run_job(job) == "finished"
    model = load_package(job.student_path)
    assert model.organs.ids == ("liver", "stomach") and model.manifest.network.args["out_channels"] == 3
    assert set(job.status().last_event.metrics["agreement"]) == {"liver"}
    setup = set_up(job.plan(), job.plan_path)
    image = torch.randn(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        p = setup.teachers[0].network(image).softmax(1)
    asked = setup.frozen_teachers(torch.device("cpu"))[0](image).p_BKDHW
    torch.testing.assert_close(asked, torch.stack([p[:, 0], p[:, 1] + p[:, 2]], 1))


def test_a_student_without_a_held_back_case_is_not_recommended_for_nobody_looked(tiny_world, tmp_path):
    job = student_job(tiny_world, tmp_path, validation__cases=[])
    assert run_job(job) == "finished"
    manifest = read_manifest(job.student_path)
    assert manifest.metrics.recommended is False and manifest.inference.temperature == 1.0


def test_training_moves_every_weight_of_the_student(tiny_world, tiny_student):
    teacher, student = weights_of(tiny_world.teacher_job), weights_of(tiny_student)
    trunk = [name for name in teacher if teacher[name].shape == student[name].shape]
    still = [name for name in trunk if (teacher[name] == student[name]).all()]
    # a bias before an instance norm has no gradient
    assert len(trunk) > 10 and [name for name in still if not name.endswith("bias")] == []


def test_the_package_names_no_patient_and_no_folder(tiny_world, tiny_student):
    manifest = (tiny_student.student_path / "model.json").read_text(encoding="utf-8")
    header = (
        (tiny_student.student_path / "weights.safetensors").read_bytes().split(b"}}", 1)[0].decode(errors="replace")
    )
    for text in (manifest, header):
        assert str(tiny_world.root) not in text and "phantom_b" not in text and "site-b" not in text
    assert json.loads(manifest)["schema"] == "organincrement/model/1"


@pytest.mark.parametrize("method", ["fine-tune", "mib", "lwf", "self-training", "bla-uag"])
def test_every_method_with_a_teacher_makes_a_student(tiny_world, tmp_path, method):
    job = student_job(tiny_world, tmp_path, method, training__steps=2, validation__every_steps=1)
    assert run_job(job) == "finished"
    model = load_package(job.student_path)
    assert model.organs.ids == ("liver", "spleen", "stomach") and model.provenance.method == method
