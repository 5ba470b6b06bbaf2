"""Every command does its work, says it in plain lines or JSON, and ends with the exit code that the design names."""

import json
import re
import shutil

import numpy as np
import pytest
from command_line import run
from tiny_world import student_job

from organincrement.cli.main import main
from organincrement.contract import codec
from organincrement.contract.plan import Plan
from organincrement.contract.results import Evaluation
from organincrement.imaging.safe_read import read_image
from organincrement.methods.fine_tune import FineTune
from organincrement.methods.protocol import LossTerms
from organincrement.methods.registry import METHODS
from organincrement.training.reporting import Reporter

SHORT = ["training.steps=4", "validation.every_steps=2", "training.workers=0", "training.precision=fp32"]


def test_the_whole_way_from_images_to_an_evaluation(tiny_world, tmp_path, capsys):
    source = tiny_world.site_b.path
    imported = run(
        capsys, "dataset", "import", "--images", source / "images", "--labels", source / "labels",
        "--organs", "stomach=1", "--out", tmp_path / "ward-7",
    )  # fmt: skip
    assert imported.code == 0 and imported.out.endswith("ward-7: 4 cases of stomach\n") and imported.err == ""
    assert run(capsys, "dataset", "check", tmp_path / "ward-7").out.endswith("no problem found\n")
    planned = run(
        capsys, "plan", "--teacher", tiny_world.teacher, "--dataset", tmp_path / "ward-7", "--method", "mib",
        "--device", "cpu", "--set", *SHORT, "--set", "distillation_weight=5", "--out", tmp_path / "plan.json",
    )  # fmt: skip
    assert planned.code == 0 and "mib (practical), 4 steps, validation on 1 case\n" in planned.out
    assert re.search(r"about \d+ s on cpu", planned.out) and "GiB of memory" in planned.out
    assert planned.out.count("\n") == 2
    assert codec.read(Plan, tmp_path / "plan.json").settings["distillation_weight"] == 5.0
    trained = run(capsys, "train", tmp_path / "plan.json", "--job", tmp_path / "job")
    assert trained.code == 0 and trained.out.endswith(f"finished; the student is {tmp_path / 'job' / 'student'}\n")
    evaluated = run(
        capsys, "evaluate", "--model", tmp_path / "job" / "student", "--dataset", tiny_world.test.path,
        "--out", tmp_path / "evaluation",
    )  # fmt: skip
    assert evaluated.code == 0
    lines = evaluated.out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["liver", "spleen", "stomach"]
    shown = codec.read(Evaluation, tmp_path / "evaluation" / "evaluation.json").summary[0]
    assert lines[1].split()[1:3] == [str(shown.n), f"{shown.dice:.3f}"]


def test_segment_prints_the_folder_of_each_scan(tiny_world, tiny_student, tmp_path, capsys):
    scans = [tiny_world.test.image_path(case) for case in tiny_world.test.cases()]
    done = run(capsys, "segment", "--model", tiny_student.student_path, "--out", tmp_path, *scans)
    assert done.code == 0 and done.err == ""
    assert done.out.splitlines() == [str(tmp_path / scan.name.removesuffix(".nii.gz")) for scan in scans]
    assert all((tmp_path / path.name.removesuffix(".nii.gz") / "uncertainty.nrrd").is_file() for path in scans)


def test_methods_tells_every_method_with_settings_as_json(capsys):
    described = json.loads(run(capsys, "methods", "--json").out)
    assert [method["name"] for method in described] == list(METHODS)
    settings = {setting["name"]: setting for setting in described[0]["settings"]}
    about = {"name": "smoothing", "help": "", "unit": "", "low": 0, "high": 0.9, "choices": []}
    assert settings["smoothing"] | {"help": ""} == about | {"default": METHODS["bla-uag"].Config().smoothing}
    assert all(setting["help"] for method in described for setting in method["settings"])
    assert [method["name"] for method in described if method["needs"]["old_data"]] == ["self-training"]


def test_methods_for_people_has_a_line_for_each_method_and_setting(capsys):
    lines = run(capsys, "methods").out.splitlines()
    assert len(lines) == 1 + sum(2 + len(method.Config.__dataclass_fields__) for method in METHODS.values())
    assert lines[lines.index(next(line for line in lines if line.startswith("aeiseg"))) + 1] == (
        "    needs: one teacher, new labels, a vault of old images"
    )
    assert "training.steps" in lines[-1]


def test_status_as_json_is_the_last_event_with_the_state_in_one_line(tiny_student, capsys):
    said = run(capsys, "job", "status", "--json", tiny_student.path)
    status = json.loads(said.out)
    assert said.code == 0 and said.out.count("\n") == 1
    assert status["state"] == "finished" and status["type"] == "finished" and status["package"] == "student"


def test_status_of_a_job_that_never_ran_is_created(tiny_world, tmp_path, capsys):
    job = student_job(tiny_world, tmp_path)
    assert json.loads(run(capsys, "job", "status", "--json", job.path).out) == {"state": "created"}
    assert run(capsys, "job", "status", job.path).out == "created\n"


def test_status_for_people_tells_steps_and_figures(tiny_student, capsys):
    said = run(capsys, "job", "status", tiny_student.path).out
    assert said.startswith("finished · step 6 of 6 · stomach ") and "liver (as teacher)" in said


def test_inspect_tells_shape_spacing_and_direction_of_an_image(tiny_world, capsys):
    path = tiny_world.test.image_path(tiny_world.test.cases()[0])
    facts, image = json.loads(run(capsys, "inspect", path).out), read_image(path)
    assert facts["kind"] == "image" and facts["shape"] == list(image.shape_DHW) and facts["orientation"] == "LPS"
    assert facts["spacing"] == pytest.approx(image.spacing_mm) and facts["direction"] == image.direction.tolist()


def test_inspect_samples_the_nearest_voxel_and_null_outside(tiny_world, tmp_path, capsys):
    path = tiny_world.test.image_path(tiny_world.test.cases()[0])
    image = read_image(path)
    index = np.array([[0, 0, 0], [3, 4, 5], [23, 27, 31]])
    inside = np.array(image.origin_mm) + index[:, ::-1] * image.spacing_mm[::-1]
    points = np.vstack([inside + 0.4 * np.array(image.spacing_mm[::-1]) * (1, -1, 1) * [[1], [1], [-1]], [[9e3, 0, 0]]])
    np.save(tmp_path / "points.npy", np.hstack([points, np.ones((4, 1))]))
    said = run(capsys, "inspect", path, "--points", tmp_path / "points.npy", "--json", tmp_path / "facts.json")
    assert (said.code, said.out) == (0, "")
    samples = json.loads((tmp_path / "facts.json").read_text(encoding="utf-8"))["samples"]
    assert samples == [*(float(image.array_DHW[tuple(i)]) for i in index), None]


def test_inspect_knows_datasets_models_and_jobs(tiny_world, tiny_student, capsys):
    def facts(path):
        return json.loads(run(capsys, "inspect", path).out)

    assert facts(tiny_world.test.path) == {
        "kind": "dataset", "name": "test", "organs": ["liver", "spleen", "stomach"], "cases": {"approved": 2},
    }  # fmt: skip
    model = facts(tiny_student.student_path)
    assert (model["kind"], model["network"], model["lineage"]) == ("model", "PlainConvUNet", ["organs-2-supervised"])
    assert model["organs"] == ["liver", "spleen", "stomach"] and model["parameters"] > 1000
    assert isinstance(model["recommended"], bool)
    assert facts(tiny_student.path) == {"kind": "job", "state": "finished", "step": 6, "total_steps": 6}


def test_a_cancelled_job_ends_with_4(tiny_world, tmp_path, capsys, monkeypatch):
    job = student_job(tiny_world, tmp_path)
    stepped = Reporter.stepped
    monkeypatch.setattr(Reporter, "stepped", lambda self, *rest: (stepped(self, *rest), job.request_cancel()))
    done = run(capsys, "job", "run", job.path)
    assert done.code == 4 and done.out == f"{job.path}: cancelled\n"


def test_a_resume_says_at_which_step_and_a_second_one_that_it_goes_on_already(tiny_world, tmp_path, capsys):
    job = student_job(tiny_world, tmp_path)
    first, second = (run(capsys, "job", "resume", job.path) for _ in range(2))
    pid = re.fullmatch(re.escape(str(job.path)) + r": goes on at step 0 as process (\d+)\n", first.out)[1]
    assert (first.code, second.code, second.out) == (0, 3, "")
    assert second.err == (f"organincrement: job: process {pid} runs the job already; see `organincrement job status`\n")
    assert run(capsys, "job", "cancel", job.path).out == f"{job.path}: cancelled\n"


def test_a_resume_says_the_step_of_the_newest_checkpoint(tiny_world, tmp_path, capsys, monkeypatch):
    job = student_job(tiny_world, tmp_path)
    stepped = Reporter.stepped
    monkeypatch.setattr(
        Reporter, "stepped", lambda self, step, *rest: (stepped(self, step, *rest), step == 3 and job.request_pause())
    )
    assert run(capsys, "job", "run", job.path).out == f"{job.path}: paused\n"
    assert re.search(r": goes on at step 3 as process \d+\n$", run(capsys, "job", "resume", job.path).out)
    run(capsys, "job", "cancel", job.path)


def test_a_refused_pause_or_cancel_says_what_can_be_done(tiny_world, tiny_student, tmp_path, capsys):
    job = student_job(tiny_world, tmp_path)

    def refused(action: str, path) -> str:
        said = run(capsys, "job", action, path)
        assert (said.code, said.out, said.err.count("\n")) == (3, "", 1)
        return said.err.removeprefix(f"organincrement: {path.name}: the job is ").rstrip("\n")

    assert refused("pause", job.path) == "created, not running; `organincrement job resume` starts it"
    job.request_pause()
    run(capsys, "job", "run", job.path)
    assert refused("pause", job.path) == "paused, not running; `organincrement job resume` goes on"
    run(capsys, "job", "cancel", job.path)
    again = "to start again, delete its folder, or make a job in another one"
    assert refused("pause", job.path) == f"cancelled, not running; {again}"
    assert refused("cancel", job.path) == f"cancelled already; {again}"
    assert refused("resume", job.path) == f"cancelled; {again}"
    done = f"nothing is left to do; its package is {tiny_student.path.name}/student"
    assert refused("pause", tiny_student.path) == f"finished, not running; {done}"
    assert refused("cancel", tiny_student.path) == f"finished already; {done}"
    assert refused("resume", tiny_student.path) == f"finished; {done}"


def test_an_interrupted_command_ends_with_4(tiny_world, tmp_path, capsys, monkeypatch):
    def interrupt(self, *rest):
        raise KeyboardInterrupt

    job = student_job(tiny_world, tmp_path)
    monkeypatch.setattr(Reporter, "stepped", interrupt)
    done = run(capsys, "job", "run", job.path)
    assert (done.code, done.out, done.err) == (4, "", "cancelled\n")
    assert job.status().state == "interrupted"


def test_a_job_that_fails_ends_with_1_and_one_line(tiny_world, tmp_path, capsys, monkeypatch):
    job = student_job(tiny_world, tmp_path)
    loss = FineTune.loss

    def spoilt(self, student, batch):
        return LossTerms(terms={name: term * np.nan for name, term in loss(self, student, batch).terms.items()})

    monkeypatch.setattr(FineTune, "loss", spoilt)
    done = run(capsys, "job", "run", job.path)
    assert done.code == 1 and done.out == "" and done.err.count("\n") == 1
    assert done.err.startswith("organincrement: the loss is not a number at step 0 (cases phantom_b_")
    assert run(capsys, "job", "status", job.path).out.startswith("failed · step 0 of 6 · the loss is not a number")


def test_debug_shows_where_an_error_arose(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        main(["--debug", "inspect", str(tmp_path / "gone.nii")])


def test_a_paused_job_says_paused_and_is_done(tiny_world, tmp_path, capsys):
    job = student_job(tiny_world, tmp_path)
    job.request_pause()
    done = run(capsys, "job", "run", job.path)
    assert done.code == 0 and done.out == f"{job.path}: paused\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [], ["dance"], ["job"], ["plan"], ["train", "plan.json"], ["segment", "--model", "m", "--out", "o"],
        ["plan", "--dataset", "--out", "o"], ["methods", "--device", "cpu"],
        ["dataset", "import", "--images", "i", "--labels", "l", "--out", "o", "--organs", "mandible"],
        ["dataset", "import", "--images", "i", "--labels", "l", "--out", "o", "--organs", "mandible=0"],
    ],
)  # fmt: skip
def test_wrong_usage_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2 and "usage: organincrement" in capsys.readouterr().err


def test_a_first_model_is_planned_from_the_scans_alone(tiny_world, tmp_path, capsys):
    done = run(
        capsys, "plan", "--method", "supervised", "--dataset", tiny_world.site_a.path, "--device", "cpu",
        "--set", "training.steps=1", "training.patch=[16,16,16]", "features=[4,8]", "--out", tmp_path / "plan.json",
    )  # fmt: skip
    assert done.code == 0
    plan = codec.read(Plan, tmp_path / "plan.json")
    assert plan.settings["blocks"] == [1, 2] and plan.settings["spacing_mm"] == pytest.approx(
        [8.8, 9.429, 9.9], abs=0.01
    )
    assert len(plan.inputs) == 1


def test_a_dataset_copied_into_place_is_planned_with_by_its_own_path(tiny_world, tmp_path, capsys, monkeypatch):
    shutil.copytree(tiny_world.site_b.path, tmp_path / "deep" / "ward-7")
    shutil.copytree(tiny_world.teacher, tmp_path / "teacher")
    monkeypatch.chdir(tmp_path / "deep")
    done = run(
        capsys, "plan", "--teacher", "../teacher", "--dataset", "ward-7", "--device", "cpu", "--out", "../plan.json"
    )
    assert done.code == 0
    assert {i.path for i in codec.read(Plan, tmp_path / "plan.json").inputs} == {"teacher", "deep/ward-7"}
