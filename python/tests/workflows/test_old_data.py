"""Old data beside new: each scan keeps what was looked for in it, numbered as the student's channels."""

import numpy as np
import pytest
from tiny_world import QUICK

from organincrement.contract import codec
from organincrement.contract.model import ModelManifest
from organincrement.imaging.safe_read import read_image, read_labels
from organincrement.workflows.cases_cache import local_labels
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.make_plan import PlanRequest, make_plan
from organincrement.workflows.setup import set_up
from organincrement.workflows.train import create_job, run_job


def planned(world, out, **changes):
    request = {
        "datasets": (world.site_b.path,), "teachers": (world.teacher,), "method": "self-training", "device": "cpu",
        "old_datasets": (world.site_a.path,), "overrides": QUICK,
    }  # fmt: skip
    return make_plan(PlanRequest(out=out, **{**request, **changes}))


def labels_of(setup):
    """Of the first new and the first old case: what was looked for, and the values in the batch's labels."""
    found = {}
    for case in setup.cases:
        image = read_image(case.dataset.image_path(case.case))
        stored = read_labels(
            case.dataset.label_path(case.case), allowed=case.dataset.label_values, like=image
        ).array_DHW
        values = set(np.unique(local_labels(stored, case, setup)).tolist())
        found.setdefault(case.old, (setup.annotated_as(case), values))
    return found


def test_old_and_new_scans_are_numbered_as_the_students_channels(tiny_world, tmp_path):
    plan = planned(tiny_world, tmp_path / "plan.json")
    found = labels_of(set_up(plan, tmp_path / "plan.json"))
    assert found == {False: (("stomach",), {0, 3}), True: (("liver", "spleen"), {0, 1, 2})}


def test_an_old_organ_that_is_merged_away_is_labelled_as_what_it_counts_as(tiny_world, tmp_path):
    plan = planned(tiny_world, tmp_path / "plan.json", merges={"spleen": "liver"})
    found = labels_of(set_up(plan, tmp_path / "plan.json"))
    assert found == {False: (("stomach",), {0, 2}), True: (("liver",), {0, 1})}


def test_self_training_with_old_data_runs_to_a_package_and_reads_all_its_scans(tiny_world, tmp_path):
    planned(tiny_world, tmp_path / "plan.json")
    job = create_job(tmp_path / "plan.json", tmp_path / "job")
    assert run_job(job) == "finished"
    read = {line.split()[0].removeprefix("old1.") for line in job.reads_log.read_text(encoding="utf-8").splitlines()}
    assert read == {case.id for dataset in (tiny_world.site_a, tiny_world.site_b) for case in dataset.cases()}
    manifest = codec.read(ModelManifest, job.student_path / "model.json")
    assert manifest.trained_on.cases == len(read)


def test_without_old_data_nothing_is_said_of_old_organs_but_their_agreement(tiny_world, tmp_path):
    planned(tiny_world, tmp_path / "plan.json", old_datasets=())
    job = create_job(tmp_path / "plan.json", tmp_path / "job")
    assert run_job(job) == "finished"
    metrics = codec.read(ModelManifest, job.student_path / "model.json").metrics
    assert [row.organ for row in metrics.validation] == ["stomach"]
    assert [row.organ for row in metrics.agreement_with_teacher] == ["liver", "spleen"]


def test_a_data_free_method_is_not_given_old_data(tiny_world, tmp_path):
    with pytest.raises(WorkflowError, match="leave --old-dataset out"):
        planned(tiny_world, tmp_path / "plan.json", method="bla-uag")
