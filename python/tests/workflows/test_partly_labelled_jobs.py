"""Several partly labelled data sets through plan, job and package to a segmentation; paused and gone on with."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from job_stories import assert_same_student, at_step
from tiny_models import organs, tiny_manifest
from tiny_world import FIRST_MODEL, NEW, OLD, QUICK

from organincrement.contract.channels import task_list
from organincrement.contract.model import DynamicHead, SoftmaxHead
from organincrement.contract.package import read_manifest
from organincrement.imaging.safe_read import read_labels
from organincrement.models.package import load_package, save_package, shared_state
from organincrement.networks.build import build_network
from organincrement.networks.dodnet import DoDNet
from organincrement.networks.preact_unet import Encoder
from organincrement.networks.sizing import NetworkSpec
from organincrement.workflows import make_plan as make_plan_module
from organincrement.workflows.make_plan import PlanRequest, make_plan
from organincrement.workflows.segment import SegmentRequest, segment
from organincrement.workflows.train import create_job, run_job

ORGANS = OLD + NEW


def partial_job(world, folder, method="dodnet", **overrides):
    settings = {**QUICK, **FIRST_MODEL, "training.steps": 4, "validation.every_steps": 2, **overrides}
    datasets = (world.site_a.path, world.site_b.path)
    folder.mkdir(parents=True, exist_ok=True)
    plan = folder / "plan.json"
    make_plan(PlanRequest(datasets=datasets, out=plan, method=method, device="cpu", overrides=settings))
    return create_job(plan, folder / "job")


@pytest.fixture(scope="module")
def finished(tiny_world, tmp_path_factory):
    job = partial_job(tiny_world, tmp_path_factory.mktemp("dodnet"), head_width=4, head_depth=2)
    assert run_job(job) == "finished"
    return job


def test_the_package_says_which_tasks_its_head_is_made_for(finished):
    head = read_manifest(finished.student_path).head
    assert head == DynamicHead(tasks=tuple((organ,) for organ in ORGANS), width=4, depth=2)
    model = load_package(finished.student_path)
    assert model.organs.ids == ORGANS and model.network.tasks == len(ORGANS)


@pytest.mark.parametrize("uncertainty", ["entropy", "perturbation"])
def test_a_package_of_tasks_segments_a_scan_with_one_pass_for_all_of_them(
    tiny_world, finished, tmp_path, uncertainty, monkeypatch
):
    seen = {DoDNet: 0, Encoder: 0}
    for part in seen:

        def counted(self, x, part=part, forward=part.forward):
            seen[part] += 1
            return forward(self, x)

        monkeypatch.setattr(part, "forward", counted)
    scan = tiny_world.test.image_path(tiny_world.test.cases()[0])
    (folder,) = segment(
        SegmentRequest(
            model=finished.student_path, out=tmp_path, images=[scan], device="cpu", uncertainty=uncertainty
        )
    )  # fmt: skip
    labels = read_labels(folder / "segmentation.seg.nrrd", allowed=range(1, 1 + len(ORGANS)))
    assert seen[DoDNet] == seen[Encoder] > 0
    assert np.isin(labels.array_DHW, range(1 + len(ORGANS))).all()


def test_a_paused_job_of_tasks_goes_on_to_the_same_weights(tiny_world, finished, tmp_path, monkeypatch):
    job = partial_job(tiny_world, tmp_path, head_width=4, head_depth=2)
    at_step(monkeypatch, 1, job.request_pause)
    assert run_job(job) == "paused"
    job.clear_pause()
    assert run_job(job) == "finished"
    assert_same_student(job, finished)


def test_the_paper_preset_plans_the_papers_size_patch_and_grid(tiny_world, tmp_path, monkeypatch):
    # to estimate it, two steps of 17 million weights are taken, which is minutes on a CPU
    monkeypatch.setattr(make_plan_module, "fitted_plan", lambda setup, *others: setup.plan)
    plan = make_plan(
        PlanRequest(
            datasets=(tiny_world.site_a.path, tiny_world.site_b.path), out=tmp_path / "plan.json", method="dodnet",
            preset="paper", device="cpu",
        )
    )  # fmt: skip
    assert tuple(plan.training.patch) == (64, 192, 192) and plan.training.batch == 2
    assert plan.training.optimizer["name"] == "sgd" and plan.training.optimizer["momentum"] == 0.99
    settings = {name: plan.settings[name] for name in ("features", "blocks", "spacing_mm", "clip_hu", "std_hu")}
    assert settings == {
        "features": [32, 64, 128, 256, 256], "blocks": [1, 2, 2, 2, 2], "spacing_mm": [1.5, 0.8, 0.8],
        "clip_hu": [-325.0, 325.0], "std_hu": 325.0,
    }  # fmt: skip


def test_an_anomaly_is_shown_over_its_organ_wherever_both_are_found(tiny_world, tmp_path):
    space = organs("liver", "liver tumour", "spleen")
    head = DynamicHead(tasks=task_list(space), width=8, depth=3)
    spec = NetworkSpec(kind="DoDNet", args={"in_channels": 1, "out_channels": 4, "features": [4, 8], "blocks": [1, 1]})
    network = build_network(spec.kind, spec.args)
    torch.nn.init.zeros_(network.controller.weight)
    torch.nn.init.zeros_(network.controller.bias)
    network.controller.bias.data[-2:] = torch.tensor([4.0, 0.5])  # of every task: the organ surely, the anomaly just
    manifest = replace(tiny_manifest(space, spec, spacing_mm=(9.0, 9.4, 9.9)), head=head)
    save_package(tmp_path / "package", manifest, shared_state(network), load_package(tiny_world.teacher).provenance)
    scan = tiny_world.test.image_path(tiny_world.test.cases()[0])
    (folder,) = segment(
        SegmentRequest(
            model=tmp_path / "package", out=tmp_path / "out", images=[scan], device="cpu", uncertainty="none"
        )
    )  # fmt: skip
    labels = read_labels(folder / "segmentation.seg.nrrd", allowed=range(4)).array_DHW
    found = labels[labels > 0]
    assert found.size > 1000 and (found == space.index("liver_tumour")).mean() > 0.95, "the liver is surer of it"


def test_tal_makes_a_package_of_one_softmax(tiny_world, tmp_path):
    job = partial_job(tiny_world, tmp_path, "tal")
    assert run_job(job) == "finished"
    manifest = read_manifest(job.student_path)
    assert manifest.head == SoftmaxHead() and manifest.network.kind == "PreActUNet"
    assert manifest.label_space.ids == ORGANS
