"""What is said of a job, in each of its states; times and sizes."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from organincrement.contract.codec import read
from organincrement.contract.events import Failed, Started, Step, Validated
from organincrement.contract.job import JobStatus
from organincrement.contract.model import (
    Decoder,
    DynamicHead,
    ModelManifest,
    MultiDecoderHead,
    MultiHead,
    OrganHead,
    SoftmaxHead,
)
from OrganIncrementLib.Controllers.Amounts import durationText, sizeText
from OrganIncrementLib.Controllers.HeadWords import headText
from OrganIncrementLib.Controllers.JobText import jobRow, progressState
from OrganIncrementLib.Engine.JobList import JobSummary
from OrganIncrementLib.Engine.JobWatcher import JobView
from OrganIncrementLib.Engine.ModelDescription import DescriptionError, DescriptionFields, writeDescription
from OrganIncrementLib.Engine.ModelFacts import factsOf
from OrganIncrementLib.Engine.ModelImport import Answers, importArguments

PATH = Path("/jobs/one")
STARTED = Started(
    seq=0, t="", pid=1, host="here", device="cuda: A4000", precision="fp16", batch=2, versions={}, total_steps=400,
    phases=("increment",), resumed_from=None,
)  # fmt: skip
STEP = Step(
    seq=1, t="", phase="increment", step=30, epoch=1.25, losses={}, total=0.5, lr=0.001, seconds_per_step=1.0,
    eta_s=370.0, data_wait=0.0, ram_bytes=1, gpu_bytes=None,
)  # fmt: skip
VALIDATED = Validated(
    seq=2, t="", step=30, dice={"stomach": 0.714}, agreement={"liver": 0.981, "spleen": None}, best=True
)


def shown(status, busyWith="", isSilent=False, **view):
    return progressState(PATH, JobView(status=status, **view), busyWith=busyWith, plotsShown=False, isSilent=isSilent)


def test_running_job_says_phase_epoch_time_left_and_dice():
    status = JobStatus(state="running", step=30, started=STARTED, progress=STEP, validated=VALIDATED)
    state = shown(status, series={"loss": ((30.0, 0.5),)})
    assert state.title == "one · ▶ running"
    assert state.phase == (
        "Increment · epoch 1.2 · about 6 min left · loss 0.5\n"
        "Dice on held-back scans: stomach 0.71 · same as the teacher: liver 0.98"
    )
    assert (state.step, state.totalSteps) == (30, 400)
    assert (state.pauseHindrance, state.cancelHindrance, state.plotsHindrance) == ("", "", "")
    assert "Only a paused" in state.resumeHindrance


def test_failed_job_says_why_and_what_to_do_and_can_be_resumed():
    failure = Failed(seq=3, t="", code="disk_full", message="The disk is full.", what_to_do="Free 2 GB, then resume.")
    state = shown(JobStatus(state="failed", step=30, started=STARTED, failure=failure))
    assert state.message == "The disk is full. Free 2 GB, then resume."
    assert state.resumeHindrance == ""


def test_job_of_another_application_has_no_buttons_here():
    state = shown(JobStatus(state="running", started=STARTED), readOnly=True)
    assert "only be watched" in state.message
    for hindrance in (state.pauseHindrance, state.resumeHindrance, state.cancelHindrance):
        assert "Another application" in hindrance


def test_interrupted_and_silent_jobs_say_how_to_go_on():
    assert "Resume" in shown(JobStatus(state="interrupted")).message
    assert shown(JobStatus(state="created")).resumeHindrance
    silent = shown(JobStatus(state="created"), isSilent=True)
    assert "has not reported" in silent.message
    assert silent.resumeHindrance == ""


def test_finished_job_points_to_the_next_section():
    state = shown(JobStatus(state="finished", step=400, started=STARTED, progress=STEP))
    assert "section 4" in state.message
    assert "finished" in state.cancelHindrance


def test_buttons_wait_while_something_is_on_its_way():
    assert shown(JobStatus(state="paused"), busyWith="Going on").resumeHindrance == "Going on"


def test_row_of_a_job_says_progress_or_else_the_reason():
    running = JobSummary(path=PATH, name="one", state="running", step=30, totalSteps=400, eta_s=60.0, method="bla-uag")
    assert jobRow(running).progress == "30 of 400, 60 s left"
    failed = JobSummary(path=PATH, name="one", state="failed", message="The disk is full.", step=30, totalSteps=400)
    assert jobRow(failed).progress == "The disk is full."
    assert "The disk is full." in jobRow(failed).hint


def test_times_and_sizes_are_short():
    assert [durationText(s) for s in (0.2, 45, 300, 11400)] == ["1 s", "45 s", "5 min", "3 h 10"]
    assert [sizeText(b) for b in (10, 35 * 2**20, 7.1 * 2**30)] == ["1 MB", "35 MB", "7.1 GB"]


HEADS = (
    (SoftmaxHead(), ""),
    (
        MultiHead(heads=(OrganHead(organs=("liver",), prefix="a"), OrganHead(organs=("spleen",), prefix="b"))),
        "2 heads on one network, each with its own background: Liver; Spleen",
    ),
    (
        DynamicHead(tasks=(("liver",), ("spleen",)), width=8, depth=3),
        "One head that is set anew for each of 2 tasks: Liver; Spleen",
    ),
    (
        MultiDecoderHead(
            decoders=(
                Decoder(organs=("liver",), temperature=1.0, range_mm=None, sparsity=0.9),
                Decoder(organs=("spleen",), temperature=1.0, range_mm=None, sparsity=0.0),
            )
        ),
        "2 decoders on one encoder: Liver (90 % of its weights pruned); Spleen",
    ),
)


@pytest.mark.parametrize(("head", "words"), HEADS, ids=[type(head).__name__ for head, _words in HEADS])
def test_head_of_a_package_is_said_where_it_is_not_the_usual_one(engineWorld, head, words):
    manifest = read(ModelManifest, engineWorld.teacher / "model.json")
    assert headText(replace(manifest, head=head)) == words


def test_very_many_decoders_are_one_line():
    decoders = tuple(Decoder(organs=(f"organ_{n}",), temperature=1.0, range_mm=None, sparsity=0.5) for n in range(143))
    text = headText(SimpleNamespace(organs=(), head=MultiDecoderHead(decoders=decoders)))
    assert text.startswith("143 decoders") and text.endswith("and 139 more") and len(text) < 250


def test_number_too_large_for_a_computer_is_asked_for_again(tmp_path):
    fields = DescriptionFields(organs="liver", spacing="1 1 1", patch="8 8 1e999", window="-200 300 80 120")
    with pytest.raises(DescriptionError, match="three whole numbers"):
        writeDescription(tmp_path / "description.json", fields)
    assert not list(tmp_path.iterdir())
    assert factsOf('{"networks": 1e999}') is None


def test_organ_s_name_is_never_an_option_of_the_engine():
    answers = Answers(name="--json", organs=(("--out", 1), ("-", 2)))
    said = importArguments(Path("/m"), Path("/out"), answers, False)
    assert said[said.index("--organs") :] == ["--organs", "out=1", "2=2"]
    assert "--name=--json" in said
