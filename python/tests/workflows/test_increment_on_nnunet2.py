"""From an nnU-Net folder to a student with one more organ: imported, planned, trained for some steps, applied."""

from pathlib import Path

import numpy as np
import pytest
from foreign_models.nnunet2_folder import Nnunet2, write_folder
from tiny_world import NEW, OLD, Order, write_plan

from organincrement.contract.job import JobFolder
from organincrement.contract.package import read_manifest
from organincrement.imaging.safe_read import read_image, read_labels
from organincrement.models.formats.foreign import ImportOptions
from organincrement.models.package import load_package
from organincrement.workflows.cases_cache import prepare_cases
from organincrement.workflows.import_model import ImportRequest, import_model
from organincrement.workflows.segment import SegmentRequest, segment
from organincrement.workflows.setup import set_up
from organincrement.workflows.train import create_job, run_job

TEACHER = Nnunet2(
    patch=(16, 16, 16), spacing_mm=(9.4, 9.0, 9.9), transpose=(1, 0, 2), mirror_axes=(0, 1, 2), folds=("0", "1")
)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("nnunet2")
    folder = write_folder(root / "nnUNetTrainer__nnUNetPlans__3d_fullres", TEACHER)
    import_model(ImportRequest(path=folder, out=root / "teacher", options=ImportOptions(name="from-nnunet")))
    return root / "teacher"


@pytest.fixture(scope="module")
def job(tiny_world, package, tmp_path_factory) -> JobFolder:
    root = tmp_path_factory.mktemp("increment")
    overrides = {"training.steps": 4, "validation.every_steps": 2, "training.patch": [16, 16, 16], "perturbations": 2}
    plan = write_plan(
        Order(
            dataset=tiny_world.site_b.path, out=root / "plan.json", teacher=package, method="bla-uag",
            overrides=overrides,
        )
    )  # fmt: skip
    done = create_job(plan, root / "job")
    run_job(done)
    return done


def test_the_student_keeps_its_teachers_rules_and_is_not_mirrored(job, package):
    teacher, student = read_manifest(package), read_manifest(job.student_path)
    assert teacher.inference.mirror_axes == (0, 1, 2)
    assert len(teacher.weights) == 2
    assert student.preprocessing == teacher.preprocessing
    assert student.preprocessing.convention == "nnunet"
    assert student.inference.mirror_axes == ()
    assert len(student.weights) == 1
    assert [organ.id for organ in student.organs] == [*OLD, *NEW]
    assert student.lineage[-1].name == "from-nnunet"


def test_the_student_starts_from_the_first_fold_and_has_learned_since(job, package):
    first, student = load_package(package).network.start, load_package(job.student_path).network
    before, after = (network.encoder.stages[0][0].convs[0].conv.weight.detach() for network in (first, student))
    assert before.shape == after.shape
    assert 0 < float((before - after).abs().max()) < 1


@pytest.mark.parametrize("which", ["teacher", "student"])
def test_both_segment_on_the_scans_own_grid_with_uncertainty(tiny_world, job, package, tmp_path, which):
    model = package if which == "teacher" else job.student_path
    scan = tiny_world.test.image_path(tiny_world.test.cases()[0])
    (folder,) = segment(SegmentRequest(model=model, out=tmp_path, images=[scan], device="cpu"))
    labels = read_labels(folder / "segmentation.seg.nrrd", allowed=range(1, 4))
    assert labels.shape_DHW == read_image(scan).shape_DHW
    assert len(np.unique(labels.array_DHW)) > 1
    assert (folder / "uncertainty.nrrd").exists()


def test_patches_reach_beyond_a_scan_into_what_nnunet_pads_with(tiny_world, job, tmp_path):
    setup = set_up(job.plan(), job.plan_path)
    prepared = prepare_cases(setup, job, tmp_path, lambda: None)
    assert {known.fill for _, known in prepared.values()} == {0.0}
    assert all(case.image_DHW().min() < 0 for case, _ in prepared.values())
