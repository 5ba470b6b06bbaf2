"""A 2-D model: it sees axial slices one by one, and is planned, trained, packaged, applied and grown like any other."""

import numpy as np
import pytest
from tiny_world import QUICK, TinyWorld

from organincrement.contract.job import JobFolder
from organincrement.contract.package import read_manifest
from organincrement.contract.plan import Plan
from organincrement.imaging.safe_read import read_image, read_labels
from organincrement.workflows.make_plan import PlanRequest, make_plan
from organincrement.workflows.segment import SegmentRequest, segment
from organincrement.workflows.train import create_job, run_job

SMALL = {
    "dimensions": "2", "features": [8, 16, 16], "blocks": [1, 1, 1], "spacing_mm": [9.0, 9.4, 9.9], "norm": "batch",
    "nonlinearity": "relu", "bottleneck_dropout": 0.5, "training.batch": 4,
}  # fmt: skip


LEARNING = {
    "training.steps": 60, "validation.every_steps": 30, "training.ema": None, "training.optimizer.lr": 0.01,
    "training.schedule.warmup_steps": 0,
}  # fmt: skip


def run_of(folder, world: TinyWorld, dataset, method: str, settings, teachers=()) -> JobFolder:
    plan = folder / "plan.json"
    overrides = {**QUICK, **settings}
    make_plan(
        PlanRequest(
            datasets=(dataset.path,), out=plan, method=method, teachers=teachers, device="cpu", overrides=overrides
        )
    )
    job = create_job(plan, folder / "job")
    assert run_job(job) == "finished"
    return job


@pytest.fixture(scope="module")
def slices(tiny_world, tmp_path_factory) -> JobFolder:
    folder = tmp_path_factory.mktemp("slices")
    return run_of(folder, tiny_world, tiny_world.site_a, "supervised", {**SMALL, **LEARNING})


def planned(world: TinyWorld, folder, **request) -> Plan:
    return make_plan(
        PlanRequest(
            datasets=(world.site_a.path,), out=folder / "plan.json", method="supervised", device="cpu", **request
        )
    )


def test_the_patch_is_a_slice_no_larger_than_the_scans_are(slices):
    manifest = read_manifest(slices.student_path)
    assert manifest.inference.patch == (1, 28, 32)
    assert manifest.network.args["kernels"] == [[1, 3, 3]] * 3
    assert manifest.network.args["strides"] == [[1, 1, 1], [1, 2, 2], [1, 2, 2]]


def test_it_learns(slices):
    dice = slices.status().last_event.metrics["dice"]
    assert dice["liver"] > 0.6


def test_its_package_segments_a_scan_slice_by_slice(slices, tiny_world, tmp_path):
    case = tiny_world.site_a.cases()[0]
    scan = tiny_world.site_a.image_path(case)
    (folder,) = segment(SegmentRequest(model=slices.student_path, out=tmp_path, images=[scan], device="cpu"))
    found = read_labels(folder / "segmentation.seg.nrrd", allowed=range(3))
    truth = read_labels(tiny_world.site_a.label_path(case), allowed=range(3), like=read_image(scan))
    liver, expected = found.array_DHW == 1, truth.array_DHW == 1
    overlap = 2 * int((liver & expected).sum()) / int(liver.sum() + expected.sum())
    assert overlap > 0.6


@pytest.mark.parametrize("method", ["bla-uag", "ms-kd"])
def test_it_is_grown_by_an_organ_as_a_model_of_volumes_is(slices, tiny_world, tmp_path, method):
    job = run_of(tmp_path, tiny_world, tiny_world.site_b, method, {}, teachers=(slices.student_path,))
    student, teacher = (read_manifest(of.student_path) for of in (job, slices))
    assert student.label_space.ids == ("liver", "spleen", "stomach")
    assert student.inference.patch == teacher.inference.patch and student.preprocessing == teacher.preprocessing
    assert student.network.args["norm"] == "batch" and student.network.args["bottleneck_dropout"] == 0.5


def test_without_a_size_the_plan_finds_one_for_slices(tiny_world, tmp_path):
    plan = planned(tiny_world, tmp_path, overrides={**QUICK, "dimensions": "2"})
    depth, height, width = plan.training.patch
    assert (depth, height % 16, width % 16) == (1, 0, 0) and 32 <= width <= 48
    assert len(plan.settings["features"]) == 5 and plan.settings["spacing_mm"][0] == pytest.approx(8.8, abs=0.3)


def test_the_preset_of_slices_is_the_papers_network(tiny_world, tmp_path):
    settings = {**QUICK, "training.batch": 1, "features": [4, 8, 16, 32, 64]}
    plan = planned(tiny_world, tmp_path, preset="slices", overrides=settings)
    chosen = {name: plan.settings[name] for name in ("dimensions", "norm", "nonlinearity", "bottleneck_dropout")}
    assert chosen == {"dimensions": "2", "norm": "batch", "nonlinearity": "relu", "bottleneck_dropout": 0.5}
    low, high = ((bound - plan.settings["mean_hu"]) / plan.settings["std_hu"] for bound in plan.settings["clip_hu"])
    assert (low, high) == (-1.0, 1.0) and np.prod(plan.training.patch) == 32 * 32
