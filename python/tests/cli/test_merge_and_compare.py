"""`merge` and `compare` as they are typed."""

import json
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from command_line import ENGINE, assert_refused, run
from tiny_world import Order, write_plan

from organincrement.contract import codec
from organincrement.contract.job import JobFolder
from organincrement.contract.labels import LabelSpace
from organincrement.contract.organs import organ_from_name
from organincrement.contract.results import Conflicts, SegmentReport
from organincrement.imaging.safe_read import read_image, read_labels
from organincrement.imaging.volume import Volume
from organincrement.imaging.writing import write_nifti, write_segmentation, write_volume
from organincrement.training.signals import PauseRequested
from organincrement.workflows import compare as comparing
from organincrement.workflows import merge_models as merging_models
from organincrement.workflows.errors import WorkflowError


@pytest.fixture
def two(tmp_path):
    """A segmentation with names, and a label file without."""
    first, second = np.zeros((2, 4, 5, 6), np.uint8)
    first[1:3, 1:4, 1:4], second[1:3, 1:4, 3:5] = 1, 2
    grid = (2.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3)
    write_segmentation(tmp_path / "a.seg.nrrd", Volume(first, *grid), LabelSpace((organ_from_name("liver"),)))
    write_nifti(tmp_path / "b.nii.gz", Volume(second, *grid))
    return tmp_path / "a.seg.nrrd", f"{tmp_path / 'b.nii.gz'}:stomach=2"


def plan_of(world, path, steps=4):
    overrides = {"training.steps": steps, "validation.every_steps": steps // 2}
    return write_plan(Order(dataset=world.site_b.path, out=path, teacher=world.teacher, overrides=overrides))


def test_merge_says_in_words_what_came_of_it(two, tmp_path, capsys):
    done = run(capsys, "merge", *two, "--out", tmp_path / "out")
    assert done.code == 0 and done.out.splitlines() == [
        "2 of 2 organs found",
        "they disagree in 1 place, 0.01 ml in all; the largest first:",
        "  Liver over Stomach: 0.01 ml at R -3, A -2, S 3 mm; both equally certain: the one named first stands",
        str(tmp_path / "out"),
    ]


def test_merge_takes_an_order_and_prints_json(two, tmp_path, capsys):
    done = run(capsys, "merge", *two, "--out", tmp_path / "out", "--order", 2, 1, "--json")
    (conflict,) = codec.loads(Conflicts, done.out, where="stdout").conflicts
    assert (conflict.winner, conflict.volume_mm3) == ("stomach", 12.0)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--uncertainty", "none", "none", "none"], "give 2, one for each"),
        (["--order", "1"], "each of the 2"),
        (["--image", "scan.nii.gz"], "--model segments the scan of --image: give both"),
    ],
)
def test_merge_refuses_what_cannot_be_meant(two, tmp_path, capsys, more, says):
    assert_refused(run(capsys, "merge", *two, "--out", tmp_path / "out", *more), says)
    assert not (tmp_path / "out").exists()


def test_merge_refuses_a_label_without_its_organ(two, tmp_path, capsys):
    path = two[1].rpartition(":")[0]
    assert_refused(run(capsys, "merge", two[0], path, "--out", tmp_path / "out"), "which value is which organ")
    assert_refused(run(capsys, "merge", two[0], f"{path}:liver=x", "--out", tmp_path / "out"), "not of the form")


def test_merge_takes_143_organs_of_a_file_without_names(two, tmp_path, capsys):
    organs = ",".join(f"organ_{number}={number}" for number in range(1, 144))
    done = run(capsys, "merge", two[0], two[1].replace("stomach=2", organs), "--out", tmp_path / "out")
    assert done.code == 0 and done.out.startswith("2 of 144 organs found\n"), done


def test_merge_never_writes_over_a_map_of_uncertainty_that_it_was_given(two, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    own = tmp_path / "mine" / "uncertainty.nrrd"
    write_volume(own, Volume(np.full((4, 5, 6), 7, np.uint8), (2.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3)))
    before = own.read_bytes()
    done = run(capsys, "merge", *two, "--uncertainty", own, "none", "--out", own.parent)
    assert_refused(done, "mine: holds a map of uncertainty; write to another folder")
    assert own.read_bytes() == before and list(own.parent.iterdir()) == [own]


def test_merge_refuses_the_same_model_twice_and_a_damaged_one_before_it_segments(tiny_world, tmp_path, capsys):
    scan = tiny_world.test.image_path(tiny_world.test.cases()[0])
    copy, damaged = (shutil.copytree(tiny_world.teacher, tmp_path / name) for name in ("copy", "damaged"))
    manifest = damaged / "model.json"
    manifest.write_text(manifest.read_text(encoding="utf-8") + "\n", encoding="utf-8")  # another hash
    (weights,) = damaged.glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    for other, says in ((copy, "is there twice; name each model once"), (damaged, "get the package again")):
        done = run(capsys, "merge", "--model", tiny_world.teacher, other, "--image", scan, "--out", tmp_path / "out")
        assert_refused(done, says)
        assert not (tmp_path / "out").exists()


def test_merge_of_models_that_fails_at_the_end_leaves_no_new_folder(
    tiny_world, tiny_student, tmp_path, capsys, monkeypatch
):
    def refused(request):
        assert len(list((request.out / "parts").glob("*/*/report.json"))) == 2
        raise WorkflowError("the disk is full")

    monkeypatch.setattr(merging_models, "merge", refused)
    scan, out = tiny_world.test.image_path(tiny_world.test.cases()[0]), tmp_path / "out"
    packages = [tiny_world.teacher, tiny_student.student_path]
    assert_refused(run(capsys, "merge", "--model", *packages, "--image", scan, "--out", out), "the disk is full")
    assert not out.exists()


def test_merge_of_models_segments_the_scan_with_each_first(tiny_world, tiny_student, tmp_path, capsys):
    scan = tiny_world.test.image_path(tiny_world.test.cases()[0])
    packages = [tiny_world.teacher, tiny_student.student_path]
    done = run(capsys, "merge", "--model", *packages, "--image", scan, "--out", tmp_path, "--device", "cpu")
    assert done.code == 0, done
    parts = sorted((tmp_path / "parts").glob("*/*/report.json"))
    assert len(parts) == 2
    report = codec.read(SegmentReport, tmp_path / "report.json")
    assert report.input_sha256 == codec.read(SegmentReport, parts[0]).input_sha256
    assert [organ.id for organ in report.organs] == ["liver", "spleen", "stomach"]
    assert (tmp_path / "uncertainty.nrrd").is_file() and (tmp_path / "regions.json").is_file()
    labels = read_labels(tmp_path / "segmentation.seg.nrrd", allowed=range(1, 4), like=read_image(scan))
    assert labels.array_DHW.any()


def test_compare_prints_a_table_the_verdict_and_the_page(tiny_world, tmp_path, capsys, monkeypatch):
    plans = [plan_of(tiny_world, tmp_path / f"{name}.json") for name in ("one", "two")]
    request = comparing.CompareRequest
    monkeypatch.setattr(comparing, "CompareRequest", lambda **given: request(**given, own_process=False))
    done = run(capsys, "compare", *plans, "--dataset", tiny_world.test.path, "--out", tmp_path / "out", "--seeds", 1, 2)
    lines = done.out.splitlines()
    assert done.code == 0 and [line.split()[0] for line in lines[:3]] == ["plan", "one", "two"]
    assert lines[3].startswith("No clear winner: ") and "2 cases are too few" in lines[3]
    assert lines[4] == str(tmp_path / "out" / "comparison.html")


@pytest.mark.parametrize("stop", [KeyboardInterrupt, PauseRequested])
def test_a_comparison_that_is_stopped_ends_with_4_and_the_way_on(tiny_world, tmp_path, capsys, monkeypatch, stop):
    def stopped(*_, **__):
        raise stop

    monkeypatch.setattr(comparing, "finish", stopped)
    plan = plan_of(tiny_world, tmp_path / "one.json")
    done = run(capsys, "compare", plan, "--dataset", tiny_world.test.path, "--out", tmp_path / "out")
    assert done.code == 4 and done.out == f"{tmp_path / 'out'}: stopped; run the same command to go on.\n"


def test_compare_refuses_a_test_set_that_is_none(tiny_world, tmp_path, capsys):
    plan = plan_of(tiny_world, tmp_path / "one.json")
    assert_refused(run(capsys, "compare", plan, "--dataset", tmp_path, "--out", tmp_path / "out"), "dataset")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no interrupt to one process")
def test_ctrl_c_pauses_the_training_in_its_own_process_and_the_same_command_goes_on(tiny_world, tmp_path):
    plan = plan_of(tiny_world, tmp_path / "one.json", steps=100_000)
    command = [sys.executable, "-m", "organincrement", "compare", plan, "--dataset", tiny_world.test.path]
    command = [*map(str, command), "--out", str(tmp_path / "out"), "--device", "cpu"]
    job = JobFolder(tmp_path / "out" / "jobs" / "one-0")
    for start in (1, 2):
        process = subprocess.Popen(
            command, cwd=ENGINE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8"
        )
        wait_for(lambda start=start: starts_of(job) == start and job.status().step > 0)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[0]
        assert process.returncode == 4 and "run the same command to go on" in said
        assert job.status().state == "paused" and job.process() is None
    events = [json.loads(line) for line in job.events_path.read_text(encoding="utf-8").splitlines()]
    assert [event["resumed_from"] is None for event in events if event["type"] == "started"] == [True, False]


def starts_of(job: JobFolder) -> int:
    lines = job.events_path.read_text(encoding="utf-8").splitlines() if job.events_path.exists() else []
    return sum('"started"' in line for line in lines)


def wait_for(holds) -> None:
    end_s = time.monotonic() + 90
    while not holds() and time.monotonic() < end_s:
        time.sleep(0.1)
    assert holds()
