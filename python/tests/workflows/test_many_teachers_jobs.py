"""Several teachers, or several data sets, of an organ each: one job, and one package that knows them all."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from job_stories import assert_same_student, at_step, weights_of
from tiny_world import FIRST_MODEL, QUICK, SHAPE

from organincrement.contract import codec
from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.job import JobFolder
from organincrement.contract.package import read_manifest
from organincrement.contract.plan import Plan
from organincrement.imaging.phantom.scan import SITES
from organincrement.imaging.safe_read import read_labels
from organincrement.methods.protocol import MethodError
from organincrement.models.package import load_package
from organincrement.training.checkpoint import load_newest
from organincrement.workflows import jobs
from organincrement.workflows.make_plan import PlanRequest, make_plan
from organincrement.workflows.phantom_dataset import write_phantom_dataset
from organincrement.workflows.segment import SegmentRequest, segment
from organincrement.workflows.setup import set_up
from organincrement.workflows.train import create_job, run_job

ORGANS = ("liver", "spleen", "stomach")


@dataclass(frozen=True, kw_only=True)
class Hospitals:
    """Three data sets of an organ each and a teacher of each; scans without labels; and a data set of a new organ."""

    datasets: tuple[DatasetFolder, ...]
    teachers: tuple[Path, ...]
    unlabelled: DatasetFolder
    kidneys: DatasetFolder


def planned_job(folder: Path, datasets: tuple[DatasetFolder, ...], method: str, **request: Any) -> JobFolder:
    """A job, not yet run, of few steps on the CPU."""
    overrides = {**QUICK, **request.pop("overrides", {})}
    plan = folder / "plan.json"
    paths = tuple(dataset.path for dataset in datasets)
    make_plan(PlanRequest(datasets=paths, out=plan, method=method, device="cpu", overrides=overrides, **request))
    return create_job(plan, folder / "job")


def first_model(folder: Path, dataset: DatasetFolder, **settings: Any) -> Path:
    job = planned_job(folder, (dataset,), "supervised", overrides={**FIRST_MODEL, **settings})
    assert run_job(job) == "finished"
    return job.student_path


def without_labels(dataset: DatasetFolder) -> DatasetFolder:
    """As drafts, which is what a scan is until somebody draws on it."""
    for case in dataset.cases():
        dataset.save_case(replace(case, label=None, label_sha256=None, annotated=()))
    return dataset


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory) -> Hospitals:
    root = tmp_path_factory.mktemp("hospitals")
    datasets = tuple(
        write_phantom_dataset(root / organ, SITES["a"], (organ,), (10 * n, 10 * n + 1), shape_DHW=SHAPE)
        for n, organ in enumerate(ORGANS, start=1)
    )
    scans = write_phantom_dataset(root / "scans", SITES["b"], ("liver",), (50, 51), shape_DHW=SHAPE, approved=False)
    kidneys = write_phantom_dataset(root / "kidneys", SITES["b"], ("kidney_left",), (60, 61), shape_DHW=SHAPE)
    teachers = tuple(first_model(root / f"teacher-{d.label_space.ids[0]}", d) for d in datasets)
    return Hospitals(datasets=datasets, teachers=teachers, unlabelled=without_labels(scans), kidneys=kidneys)


@pytest.fixture(scope="module")
def student(hospitals, tmp_path_factory) -> JobFolder:
    """Of three teachers, scans without labels, and labels of an organ that no teacher knows."""
    job = planned_job(
        tmp_path_factory.mktemp("ms-kd"), (hospitals.unlabelled, hospitals.kidneys), "ms-kd",
        teachers=hospitals.teachers, include=("approved", "draft"),
    )  # fmt: skip
    assert run_job(job) == "finished"
    return job


def test_a_student_of_three_teachers_has_their_organs_in_their_order_and_the_new_one_last(student, hospitals):
    manifest = read_manifest(student.student_path)
    assert manifest.label_space.ids == (*ORGANS, "kidney_left")
    assert manifest.network.args["out_channels"] == 5
    assert [step.method for step in manifest.lineage] == ["supervised"] * 3
    assert {step.sha256 for step in manifest.lineage} == {load_package(path).sha256 for path in hospitals.teachers}


def test_it_is_measured_by_its_agreement_with_all_teachers(student):
    metrics = student.status().last_event.metrics
    assert set(metrics["agreement"]) == set(ORGANS) and "kidney_left" in metrics["dice"]


def test_its_package_segments_a_scan(student, tiny_world, tmp_path):
    scan = tiny_world.test.image_path(tiny_world.test.cases()[0])
    (folder,) = segment(SegmentRequest(model=student.student_path, out=tmp_path, images=[scan], device="cpu"))
    assert read_labels(folder / "segmentation.seg.nrrd", allowed=range(5)).array_DHW.size > 0


def test_teachers_whose_features_cannot_be_compared_are_refused_by_name_and_taken_without_them(hospitals, tmp_path):
    larger = first_model(tmp_path / "larger", hospitals.datasets[1], features=[4, 16])
    request = {"teachers": (hospitals.teachers[0], larger), "include": ("draft",)}
    with pytest.raises(MethodError, match=r"has 16 feature maps at level 1, '.*' 8: set feature_weight to 0"):
        planned_job(tmp_path, (hospitals.unlabelled,), "ms-kd", **request)
    with pytest.raises(MethodError, match=r"'feature_level' is 3, but of teacher '.*' the network has no level 3"):
        planned_job(tmp_path, (hospitals.unlabelled,), "ms-kd", overrides={"feature_level": 3}, **request)
    planned_job(tmp_path, (hospitals.unlabelled,), "ms-kd", overrides={"feature_weight": 0}, **request)


def test_a_patch_that_another_teacher_than_the_first_cannot_see_is_refused_by_its_name(hospitals, tmp_path):
    deep = first_model(tmp_path / "deep", hospitals.datasets[1], features=[4, 8, 8], blocks=[1, 1, 1])
    asked = {"feature_weight": 0, "training.patch": [18, 18, 18]}
    with pytest.raises(MethodError, match=r"is \[18, 18, 18\], but teacher '.*' .* multiples of \[4, 4, 4\]"):
        planned_job(
            tmp_path, (hospitals.unlabelled,), "ms-kd", overrides=asked, teachers=(hospitals.teachers[0], deep),
            include=("draft",),
        )  # fmt: skip


def test_an_organ_that_counts_as_a_new_one_is_background_to_the_teacher_of_it(hospitals, tmp_path):
    job = planned_job(
        tmp_path, (hospitals.kidneys,), "ms-kd", teachers=hospitals.teachers[:2], merges={"spleen": "kidney_left"},
        overrides={"ground_truth": True},
    )  # fmt: skip
    plan = tmp_path / "plan.json"
    of_liver, of_spleen = set_up(codec.read(Plan, plan), plan).frozen_teachers(torch.device("cpu"))
    image = torch.randn(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    p_liver, p_spleen = of_liver(image).p_BKDHW, of_spleen(image).p_BKDHW
    torch.testing.assert_close(p_liver.sum(1), torch.ones(1, 16, 16, 16))
    torch.testing.assert_close(p_spleen[:, 0], torch.ones(1, 16, 16, 16))
    assert p_liver[:, 1].mean() > 0 and p_spleen[:, 1].max() == 0
    assert run_job(job) == "finished"
    assert read_manifest(job.student_path).label_space.ids == ("liver", "kidney_left")


@pytest.fixture(scope="module")
def co_trained(hospitals, tmp_path_factory) -> JobFolder:
    folder = tmp_path_factory.mktemp("co-training")
    job = planned_job(folder, hospitals.datasets, "co-training", overrides={**FIRST_MODEL, "ramp_steps": 2})
    assert run_job(job) == "finished"
    return job


def test_co_training_joins_data_sets_of_an_organ_each_and_packages_one_network(co_trained, hospitals):
    manifest = read_manifest(co_trained.student_path)
    assert manifest.label_space.ids == ORGANS
    assert set(co_trained.status().last_event.metrics["dice"]) == set(ORGANS)
    alone = read_manifest(hospitals.teachers[0]).network.parameters
    assert alone < manifest.network.parameters < 1.1 * alone
    assert not any("networks." in name or "means." in name for name in weights_of(co_trained))


def test_co_training_goes_on_after_a_pause_as_if_nothing_had_been(co_trained, tmp_path, monkeypatch):
    job = create_job(co_trained.path.parent / "plan.json", tmp_path / "job")
    at_step(monkeypatch, 4, job.request_pause)
    assert run_job(job) == "paused"
    jobs.resume(job)
    assert run_job(job) == "finished"
    assert_same_student(job, co_trained)


def test_the_two_networks_and_their_averages_differ_and_are_all_in_the_checkpoint(co_trained):
    state = load_newest(co_trained.checkpoint_path)[1]["student"]
    first = [
        state[f"{part}.{n}.encoder.stages.0.0.convs.0.conv.weight"] for part in ("networks", "means") for n in (0, 1)
    ]
    assert all(not torch.equal(a, b) for i, a in enumerate(first) for b in first[:i]) and int(state["updates"]) == 6
