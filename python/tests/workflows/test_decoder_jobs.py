"""Continual Segment as a job: pauses in the midst of pruning change nothing, its package is used like any other."""

import json

import pytest
import safetensors.torch
import torch
from job_stories import assert_same_student, at_step
from tiny_world import NEW, OLD, QUICK, SHAPE, Order, copied, student_job, write_plan

from organincrement.contract.events import read_events
from organincrement.contract.model import MultiDecoderHead
from organincrement.imaging.body_axis import places_along_body_mm
from organincrement.imaging.phantom.scan import SITES
from organincrement.imaging.safe_read import read_image
from organincrement.models.package import load_package
from organincrement.networks.pruning import prunable, sparsity_of
from organincrement.training.checkpoint import load_newest, save_checkpoint
from organincrement.workflows import jobs
from organincrement.workflows.make_plan import PlanRequest, make_plan
from organincrement.workflows.phantom_dataset import write_phantom_dataset
from organincrement.workflows.segment import SegmentRequest, segment
from organincrement.workflows.train import create_job, run_job

METHOD = "continual-segment"
# three phases of four steps each; whatever the Dice, the prunings are accepted
SETTINGS = {
    "targets": [0.5, 0.8], "retraining": 1.0, "recovery": 0.0, "drop": 1.0, "training__steps": 12,
    "validation__every_steps": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def uninterrupted(tiny_world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("decoders")
    job = student_job(tiny_world, folder, METHOD, **SETTINGS)
    assert run_job(job) == "finished"
    return folder / "plan.json", job


def test_a_decoder_is_added_pruned_to_the_last_target_and_calibrated(tiny_world, uninterrupted):
    model = load_package(uninterrupted[1].student_path)
    head = model.manifest.head
    assert isinstance(head, MultiDecoderHead) and [part.organs for part in head.decoders] == [OLD, NEW]
    assert head.decoders[1].sparsity == pytest.approx(0.8, abs=2e-3) and head.decoders[0].sparsity == 0.0
    assert sparsity_of(model.network.decoders[1]) == head.decoders[1].sparsity
    assert model.manifest.inference.temperature == 1.0 and head.decoders[1].range_mm is None
    started = next(event for event in read_events(uninterrupted[1].events_path) if event.type == "started")
    assert started.phases == ("decoder", "pruned-50", "pruned-80")


def test_the_old_decoder_is_the_teachers_bit_for_bit(tiny_world, uninterrupted):
    teacher, student = load_package(tiny_world.teacher), load_package(uninterrupted[1].student_path)
    image = torch.randn(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(student.network(image)[:, :3], teacher.network(image))


def test_what_is_pruned_is_stored_sparse(uninterrupted):
    stored = safetensors.torch.load_file(uninterrupted[1].student_path / "weights.safetensors")
    sparse = [name for name in stored if name.endswith(".indices")]
    assert sparse and all(name.startswith("decoders.1.") for name in sparse)
    network = load_package(uninterrupted[1].student_path).network
    kept = sum(int((weight != 0).sum()) for weight in prunable(network.decoders[1]))
    dense = sum(stored[name].numel() for name in stored if name.startswith("decoders.1.") and "stages" not in name)
    assert sum(stored[name].numel() for name in sparse) <= kept < kept + dense


# the first pruning begins at step 4, the second at 8
@pytest.mark.parametrize("step", [3, 4, 6, 8, 11])
def test_a_job_paused_in_any_phase_ends_with_the_same_student(uninterrupted, tmp_path, monkeypatch, step):
    plan, reference = uninterrupted
    job = create_job(plan, tmp_path / "job")
    at_step(monkeypatch, step, job.request_pause)
    assert run_job(job) == "paused"
    state = load_newest(job.checkpoint_path)[1]["student"]
    assert bool(state["pruned"]) == (step > 4)
    jobs.resume(job)
    assert run_job(job) == "finished"
    assert_same_student(job, reference)


def test_a_pruning_that_costs_too_much_ends_the_training(tiny_world, tmp_path, monkeypatch):
    from organincrement.evaluation import acceptance
    from organincrement.methods import decoder_student

    monkeypatch.setattr(decoder_student, "is_accepted", lambda *scores: False)
    job = student_job(tiny_world, tmp_path, METHOD, **SETTINGS)
    assert run_job(job) == "finished" and acceptance.is_accepted(0.5, 0.5, 0.0)
    assert job.status().step == 8, "the second pruning is not tried"
    model = load_package(job.student_path)
    assert model.manifest.head.decoders[1].sparsity == 0.0


def test_its_package_segments_and_takes_a_third_group_of_organs(tiny_world, uninterrupted, tmp_path):
    second = uninterrupted[1].student_path
    kidney = write_phantom_dataset(
        tmp_path / "site-c", SITES["b"], ("pancreas",), (31, 32, 33), shape_DHW=SHAPE, name="site-c"
    )
    plan = write_plan(
        Order(
            dataset=kidney.path, out=tmp_path / "plan.json", teacher=second, method=METHOD,
            overrides={"targets": [], "supporting": True, "training.steps": 4, "validation.every_steps": 2},
        )
    )  # fmt: skip
    job = create_job(plan, tmp_path / "job")
    assert run_job(job) == "finished"
    third = load_package(job.student_path)
    assert [part.organs for part in third.manifest.head.decoders] == [OLD, NEW, ("pancreas",)]
    assert third.manifest.head.decoders[:2] == load_package(second).manifest.head.decoders
    image = torch.randn(1, 1, 16, 16, 16)
    with torch.no_grad():
        assert torch.equal(third.network(image)[:, :5], load_package(second).network(image))
    scan = tiny_world.test.image_path(tiny_world.test.cases()[0])
    (folder,) = segment(SegmentRequest(model=job.student_path, out=tmp_path / "out", images=[scan], device="cpu"))
    assert (folder / "segmentation.seg.nrrd").is_file() and (folder / "report.json").is_file()


def test_ranges_along_the_body_are_stored_where_the_setting_asks_for_them(tiny_world, tmp_path):
    job = student_job(
        tiny_world, tmp_path, METHOD, body_range=True, targets=[], training__steps=2, validation__every_steps=2
    )
    assert run_job(job) == "finished"
    decoder = load_package(job.student_path).manifest.head.decoders[1]
    low, high = decoder.range_mm["stomach"]
    image = read_image(tiny_world.test.image_path(tiny_world.test.cases()[0]))
    places = places_along_body_mm(image, load_package(job.student_path).manifest.preprocessing)
    assert high - low > 0 and places.min() < high and low < places.max()
    scan = tiny_world.test.image_path(tiny_world.test.cases()[0])
    assert list(segment(SegmentRequest(model=job.student_path, out=tmp_path / "out", images=[scan], device="cpu")))


def told(job):
    """The `started` events."""
    return [event for event in read_events(job.events_path) if event.type == "started"]


def test_where_no_case_shows_the_new_organ_nothing_is_pruned(tiny_world, tmp_path):
    dataset = copied(tiny_world.site_b, tmp_path / "data")
    held = dataset.cases()[0].id
    path = dataset.path / "cases" / f"{held}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "annotated": []}))
    overrides = {key.replace("__", "."): value for key, value in SETTINGS.items()} | {"validation.cases": [held]}
    order = Order(
        dataset=dataset.path, out=tmp_path / "plan.json", teacher=tiny_world.teacher, method=METHOD, overrides=overrides
    )
    job = create_job(write_plan(order), tmp_path / "job")
    assert run_job(job) == "finished" and job.status().step == 12
    assert load_package(job.student_path).manifest.head.decoders[1].sparsity == 0.0
    assert any("all steps train it, and nothing is pruned" in warning for warning in job.status().warnings)


def test_where_the_new_organ_was_never_found_nothing_is_pruned(tiny_world, tmp_path, monkeypatch):
    from organincrement.training.validation import ValidationResult

    monkeypatch.setattr(ValidationResult, "labelled_dice", 0.0)
    job = student_job(tiny_world, tmp_path, METHOD, **SETTINGS)
    assert run_job(job) == "finished" and job.status().step == 12
    assert load_package(job.student_path).manifest.head.decoders[1].sparsity == 0.0


def test_without_held_back_cases_all_steps_train_the_whole_decoder(tiny_world, tmp_path):
    job = student_job(tiny_world, tmp_path, METHOD, **SETTINGS, validation__cases=[])
    assert run_job(job) == "finished" and job.status().step == 12
    assert [(event.total_steps, event.phases) for event in told(job)] == [(12, ("decoder",))]
    assert load_package(job.student_path).manifest.head.decoders[1].sparsity == 0.0


def test_a_plan_says_that_nothing_will_be_pruned_where_no_case_is_held_back(tiny_world, tmp_path):
    def said(**overrides):
        lines = []
        make_plan(
            PlanRequest(
                datasets=(tiny_world.site_b.path,), out=tmp_path / "plan.json", teachers=(tiny_world.teacher,),
                method=METHOD, device="cpu", notice=lines.append, overrides={**QUICK, **overrides},
            )
        )  # fmt: skip
        return [line for line in lines if "pruned" in line]

    (line,) = said(**{"validation.cases": []})
    assert line.startswith("no case is held back: nothing will be pruned") and "\n" not in line
    assert said() == [] and said(**{"validation.cases": [], "targets": []}) == []


# as jobs were before: at the end of what was then the first of three phases, and before it
@pytest.mark.parametrize(("ended", "last"), [(True, 4), (False, 12)])
def test_a_job_begun_when_half_of_its_steps_were_trained_is_finished(tiny_world, tmp_path, monkeypatch, ended, last):
    job = student_job(tiny_world, tmp_path, METHOD, **SETTINGS, validation__cases=[])
    at_step(monkeypatch, 4, job.request_pause)
    assert run_job(job) == "paused"
    step, state, _ = load_newest(job.checkpoint_path)
    state["progress"]["ended"] = ended
    save_checkpoint(job.checkpoint_path, step, state, best=False)
    jobs.resume(job)
    assert run_job(job) == "finished" and job.status().step == last
    assert [event.total_steps for event in told(job)] == [12, 12]
    assert load_package(job.student_path).manifest.head.decoders[1].sparsity == 0.0


def test_every_phase_is_validated_as_often_as_the_window_asks(tiny_world, tmp_path):
    def every_steps(**overrides):
        settings = {key: value for key, value in QUICK.items() if not key.startswith("validation")}
        request = PlanRequest(
            datasets=(tiny_world.site_b.path,), out=tmp_path / "plan.json", teachers=(tiny_world.teacher,),
            method=METHOD, device="cpu", overrides={**settings, "training.steps": 420, **overrides},
        )  # fmt: skip
        return make_plan(request).validation.every_steps

    assert every_steps() == every_steps(window=10, targets=[]) == 84
    assert every_steps(window=3) == 110 // 4, "the phases are of 200, 110 and 110 steps"
    assert every_steps(window=3, **{"validation.every_steps": 100}) == 100
    assert every_steps(window=3, **{"validation.cases": []}) == 84
