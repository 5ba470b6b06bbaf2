"""Teachers of other tools: what does not fit is said before training, and what resolves it."""

import io
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_world import QUICK, SHAPE, Order, copied, write_plan

from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.model import ModelManifest, Network, TorchScriptHead, TrainedOn
from organincrement.contract.package import read_manifest
from organincrement.contract.results import Audit
from organincrement.imaging.geometry import to_orientation
from organincrement.imaging.phantom.scan import SITES
from organincrement.imaging.safe_read import read_stored
from organincrement.imaging.writing import write_nifti
from organincrement.methods.protocol import MethodError
from organincrement.models import program as programs
from organincrement.models.confirmed_code import confirm
from organincrement.models.package import load_package
from organincrement.models.program import save_program
from organincrement.networks.build import PROGRAM
from organincrement.networks.errors import NetworkError
from organincrement.networks.sizing import network_for_patch, patch_multiple
from organincrement.workflows.audit import AuditRequest, audit
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.make_plan import PlanRequest, make_plan
from organincrement.workflows.phantom_dataset import write_phantom_dataset
from organincrement.workflows.train import create_job, run_job


def changed_teacher(world, to, **changes):
    """The world's teacher with another manifest."""
    shutil.copytree(world.teacher, to)
    manifest = codec.read(ModelManifest, to / "model.json")
    codec.write(replace(manifest, **changes), to / "model.json")
    return to


def plan_notices(world, tmp_path, teacher, dataset=None, **changes):
    """What a plan says beside the plan."""
    said = []
    make_plan(
        PlanRequest(
            datasets=((dataset or world.site_b).path,), out=tmp_path / "plan.json", teachers=(teacher,), device="cpu",
            overrides=QUICK, notice=said.append, **changes,
        )
    )  # fmt: skip
    return said


def stored_otherwise(dataset, number, code):
    """Store one case of a dataset with other axes; the voxels stay where they are."""
    case = dataset.cases()[number]
    for path, kind in ((dataset.image_path(case), np.int16), (dataset.label_path(case), np.uint8)):
        turned = to_orientation(read_stored(path), code)
        write_nifti(path, turned.with_array(np.ascontiguousarray(turned.array_DHW).astype(kind)))
    return case.id


@pytest.fixture
def stored_teacher(tiny_world, tmp_path):
    """A teacher that takes a scan's axes as they are stored, as nnU-Net does."""
    manifest = read_manifest(tiny_world.teacher)
    preprocessing = replace(manifest.preprocessing, orientation="stored", convention="nnunet")
    return changed_teacher(tiny_world, tmp_path / "stored", preprocessing=preprocessing)


def test_a_plan_names_scans_that_lie_otherwise_than_most(tiny_world, tmp_path, stored_teacher):
    assert plan_notices(tiny_world, tmp_path, stored_teacher) == []
    mixed = copied(tiny_world.site_b, tmp_path / "mixed")
    name = stored_otherwise(mixed, 1, "RAS")
    said = plan_notices(tiny_world, tmp_path, stored_teacher, mixed)
    assert len(said) == 1 and "stored in different ways: 3 as LPS" in said[0]
    assert f"1 as RAS (such as {name})" in said[0] and "--orientation" in said[0]
    assert plan_notices(tiny_world, tmp_path, tiny_world.teacher, mixed) == []  # ours turns any scan by itself


def test_an_audit_names_the_scan_that_lies_otherwise(tiny_world, tmp_path, stored_teacher):
    mixed = copied(tiny_world.site_b, tmp_path / "mixed")
    name = stored_otherwise(mixed, 0, "RAS")
    result: Audit = audit(AuditRequest(teacher=stored_teacher, dataset=mixed.path, out=tmp_path / "out", device="cpu"))
    reasons = {case.id: case.reason for case in result.cases}
    assert "s stored as RAS, but 3 of 4 scans as LPS" in reasons[name] and "--orientation" in reasons[name]
    assert not any("stored as" in reason for case, reason in reasons.items() if case != name)


@pytest.mark.parametrize(("spacing_mm", "order"), [((3.0, 1.5, 1.5), (0, 1, 2)), ((1.5, 1.5, 3.0), (2, 1, 0))])
def test_a_plan_says_that_voxels_are_far_larger_than_the_teachers(tiny_world, tmp_path, spacing_mm, order):
    """Both as the axes of the scans lie, whatever the order of the network's."""
    manifest = read_manifest(tiny_world.teacher)
    trained = TrainedOn(modality="CT", cases=None, spacing_mm=None, intensity_percentiles={})
    fine = replace(manifest.preprocessing, spacing_mm=spacing_mm, axis_order=order)
    teacher = changed_teacher(tiny_world, tmp_path / "fine", preprocessing=fine, trained_on=trained)
    (said,) = plan_notices(tiny_world, tmp_path, teacher)
    assert "site-b: its voxels are" in said and "3 × 1.5 × 1.5 mm" in said and "coarser slices are filled in" in said


def test_another_modality_is_refused_with_both_named(tiny_world, tmp_path):
    manifest = read_manifest(tiny_world.teacher)
    teacher = changed_teacher(
        tiny_world, tmp_path / "mr", preprocessing=replace(manifest.preprocessing, channels=("MR",))
    )
    with pytest.raises(WorkflowError, match="site-b: holds CT, but the teacher was trained on MR"):
        plan_notices(tiny_world, tmp_path, teacher)


def test_an_old_organ_that_may_be_the_new_one_is_named_with_the_merge_to_give(tiny_world, tmp_path):
    manifest = read_manifest(tiny_world.teacher)
    spleen = replace(manifest.organs[1], id="stomach_wall", name="Stomach wall", type=None, category=None)
    teacher = changed_teacher(tiny_world, tmp_path / "alike", organs=(manifest.organs[0], spleen))
    (said,) = plan_notices(tiny_world, tmp_path, teacher)
    assert "'stomach_wall' may be, or hold, the dataset's 'stomach'" in said and "--merge stomach_wall=stomach" in said
    assert plan_notices(tiny_world, tmp_path, teacher, merges={"stomach_wall": "stomach"}) == []


@pytest.fixture(scope="module")
def spleen_again(tmp_path_factory):
    """A dataset of an organ that the teacher knows."""
    folder = tmp_path_factory.mktemp("again") / "spleen-again"
    return write_phantom_dataset(folder, SITES["b"], ("spleen",), (31, 32, 33), shape_DHW=SHAPE, name="spleen-again")


def test_an_organ_that_the_teacher_knows_can_be_learned_anew(tiny_world, tmp_path, spleen_again):
    with pytest.raises(ContractError, match="give --merge spleen=spleen"):
        plan_notices(tiny_world, tmp_path, tiny_world.teacher, spleen_again)
    plan_notices(tiny_world, tmp_path, tiny_world.teacher, spleen_again, merges={"spleen": "spleen"})
    job = create_job(tmp_path / "plan.json", tmp_path / "job")
    assert run_job(job) == "finished"
    student = load_package(job.student_path)
    assert student.organs.ids == ("liver", "spleen") and student.manifest.network.args["out_channels"] == 3


def test_a_method_that_keeps_decoders_refuses_to_learn_an_organ_anew(tiny_world, tmp_path, spleen_again):
    with pytest.raises(MethodError, match="'spleen' cannot count as a new organ"):
        plan_notices(
            tiny_world,
            tmp_path,
            tiny_world.teacher,
            spleen_again,
            merges={"spleen": "spleen"},
            method="continual-segment",
        )


@pytest.fixture
def program_teacher(tiny_world, tmp_path, monkeypatch):
    """The world's teacher as a confirmed TorchScript program."""
    monkeypatch.setattr(programs, "confine", lambda: True)  # it is for good, and other tests follow
    monkeypatch.setenv("ORGANINCREMENT_STATE", str(tmp_path / "state"))
    loaded = load_package(tiny_world.teacher)
    patch = loaded.manifest.inference.patch
    target = io.BytesIO()
    torch.jit.save(torch.jit.trace(loaded.network, torch.zeros(1, 1, *patch), check_trace=False), target)
    args = {"in_channels": 1, "out_channels": 3, "patch": list(patch)}
    manifest = replace(
        loaded.manifest, name="program", network=Network(kind=PROGRAM, args=args, parameters=1),
        head=TorchScriptHead(file="code.pt", confirmed=True),
    )  # fmt: skip
    save_program(tmp_path / "program", manifest, target.getvalue())
    confirm(target.getvalue())
    return tmp_path / "program"


@pytest.mark.parametrize("method", ["bla-uag", "ms-kd"])
def test_a_program_teaches_a_student_that_starts_fresh(tiny_world, tmp_path, program_teacher, method):
    changes = {"overrides": {**QUICK, "feature_weight": 0}} if method == "ms-kd" else {"overrides": QUICK}
    said = []
    make_plan(
        PlanRequest(
            datasets=(tiny_world.site_b.path,), out=tmp_path / "plan.json", teachers=(program_teacher,), device="cpu",
            method=method, notice=said.append, **changes,
        )
    )  # fmt: skip
    assert said == [
        "teacher 'program' is a program, of which no student can start: the student is a fresh network, and "
        "needs longer to learn"
    ]
    job = create_job(tmp_path / "plan.json", tmp_path / "job")
    assert run_job(job) == "finished"
    student = read_manifest(job.student_path)
    assert student.label_space.ids == ("liver", "spleen", "stomach") and student.network.kind == "PlainConvUNet"
    assert student.network.args["features"] == [8, 16, 32] and student.lineage[-1].name == "program"


def test_methods_that_build_on_the_teachers_weights_refuse_a_program(tiny_world, tmp_path, program_teacher):
    for method in ("continual-segment", "lwfseg"):
        with pytest.raises(MethodError, match="'torchscript'"):
            plan_notices(tiny_world, tmp_path, program_teacher, method=method)
    with pytest.raises(MethodError, match=r"a program for patches of \[16, 16, 16\]"):
        write_plan(
            Order(
                dataset=tiny_world.site_b.path, out=tmp_path / "plan.json", teacher=program_teacher,
                overrides={"training.patch": [8, 8, 8]},
            )
        )  # fmt: skip


def test_a_network_for_a_patch_halves_each_axis_as_far_as_it_goes():
    spec = network_for_patch((28, 256, 224), 5)
    assert spec.args["out_channels"] == 5 and spec.args["strides"][:2] == [[1, 1, 1], [2, 2, 2]]
    multiple = patch_multiple(spec)
    assert all(edge % by == 0 for edge, by in zip((28, 256, 224), multiple, strict=True)) and multiple[0] == 4
    flat = network_for_patch((1, 96, 96), 2)
    assert flat.args["kernels"][0] == [1, 3, 3] and patch_multiple(flat)[0] == 1
    with pytest.raises(NetworkError, match="no edge that a network could halve"):
        network_for_patch((7, 9, 11), 2)
