"""Bad input of every kind: exit code 3, one line that names the file or setting, nothing written."""

import shutil

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from command_line import assert_refused, files_under, run
from tiny_world import SHAPE

from organincrement.imaging.phantom.scan import SITES
from organincrement.imaging.safe_read import read_stored
from organincrement.imaging.volume import Volume
from organincrement.imaging.writing import write_nifti
from organincrement.workflows.phantom_dataset import write_phantom_dataset


@pytest.fixture
def sources(tiny_world, tmp_path):
    """Images and labels in two folders, as a user has them."""
    for name in ("images", "labels"):
        shutil.copytree(tiny_world.site_b.path / name, tmp_path / name)
    return tmp_path / "images", tmp_path / "labels"


@pytest.fixture
def refused(capsys, tmp_path):
    """Run a command that must be refused with these words, and leave everything as it was."""

    def check(*arguments, says=()):
        before = files_under(tmp_path)
        outcome = run(capsys, *arguments)
        assert_refused(outcome, *says)
        assert files_under(tmp_path) == before

    return check


@pytest.fixture
def out(tmp_path):
    return tmp_path / "new" / "out"


def importing(sources, out, *more):
    return (
        "dataset",
        "import",
        "--images",
        sources[0],
        "--labels",
        sources[1],
        "--organs",
        "stomach=1",
        "--out",
        out,
        *more,
    )


def change_label(sources, change):
    path = sorted(sources[1].iterdir())[1]
    labels = read_stored(path)
    write_nifti(path, change(labels))
    return path.name


def test_a_label_on_another_grid(sources, out, refused):
    name = change_label(
        sources, lambda v: Volume(v.array_DHW[:, :-1].copy(), v.spacing_mm, v.origin_mm, v.direction)
    )  # fmt: skip
    refused(*importing(sources, out), says=[name])


def test_a_label_that_lies_elsewhere(sources, out, refused):
    name = change_label(sources, lambda v: Volume(v.array_DHW, v.spacing_mm, (0.0, 0.0, 0.0), v.direction))
    refused(*importing(sources, out), says=[name])


def test_a_label_value_without_an_organ(sources, out, refused):
    def beyond(labels):
        labels.array_DHW[0, 0, :3] = 7
        return labels

    name = change_label(sources, beyond)
    refused(*importing(sources, out), says=[name, "label values 7"])


def test_an_empty_label(sources, out, refused):
    name = change_label(sources, lambda v: v.with_array(np.zeros_like(v.array_DHW)))
    refused(*importing(sources, out), says=[name, "no voxel of stomach"])


def test_an_image_without_its_label(sources, out, refused):
    label = sorted(sources[1].iterdir())[0]
    label.unlink()
    refused(*importing(sources, out), says=[label.name.removesuffix(".nii.gz")])


def test_folders_that_are_not_there(sources, out, refused):
    refused(*importing((sources[0] / "nowhere", sources[1]), out), says=["nowhere"])


def test_a_dataset_that_is_there_already(sources, tiny_world, refused):
    refused(*importing(sources, tiny_world.test.path), says=["exists already"])


@pytest.fixture
def four_dimensional(tmp_path):
    path = tmp_path / "perfusion.nii.gz"
    sitk.WriteImage(sitk.JoinSeries([sitk.Image(8, 8, 8, sitk.sitkInt16) for _ in range(3)]), str(path))
    return path


def test_an_image_of_four_dimensions(four_dimensional, tiny_student, out, refused):
    refused("segment", "--model", tiny_student.student_path, "--out", out, four_dimensional, says=["perfusion.nii.gz"])
    refused("inspect", four_dimensional, says=["perfusion.nii.gz"])


def test_a_truncated_image(tiny_world, tiny_student, tmp_path, out, refused):
    source = tiny_world.test.image_path(tiny_world.test.cases()[0])
    (tmp_path / "half.nii.gz").write_bytes(source.read_bytes()[:5000])
    refused(
        "segment", "--model", tiny_student.student_path, "--out", out, tmp_path / "half.nii.gz", says=["half.nii.gz"]
    )


def test_a_scan_that_is_not_there(tiny_student, out, refused):
    refused("segment", "--model", tiny_student.student_path, "--out", out, "gone.nii.gz", says=["gone.nii.gz"])
    refused("inspect", "gone.nii.gz", says=["gone.nii.gz"])


def test_a_model_that_is_none(tiny_world, tiny_student, tmp_path, out, refused):
    scan = tiny_world.test.image_path(tiny_world.test.cases()[0])
    refused("segment", "--model", tmp_path / "gone", "--out", out, scan, says=["gone"])
    shutil.copytree(tiny_student.student_path, tmp_path / "cut")
    weights = tmp_path / "cut" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    refused("segment", "--model", tmp_path / "cut", "--out", out, scan, says=["weights.safetensors"])
    (tmp_path / "cut" / "model.json").write_text("[]", encoding="utf-8")
    refused("segment", "--model", tmp_path / "cut", "--out", out, scan, says=["model.json"])


def test_an_evaluation_on_organs_that_the_model_does_not_know(tiny_student, tmp_path, out, refused):
    other = write_phantom_dataset(tmp_path / "other", SITES["a"], ("pancreas",), (1,), shape_DHW=SHAPE)
    refused(
        "evaluate", "--model", tiny_student.student_path, "--dataset", other.path, "--out", out,
        says=["other: has none of the model's organs"],
    )  # fmt: skip


def planning(world, out, *more):
    return ("plan", "--teacher", world.teacher, "--dataset", world.site_b.path, "--out", out / "plan.json", *more)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--method", "magic"], "method 'magic' is unknown; there are: bla-uag"),
        (["--merge", "gallbladder=liver"], "no organ 'gallbladder'"),
        (["--merge", "gallbladder"], "'gallbladder' is not of the form key=value"),
        (["--set", "lambda=3"], "setting 'lambda' is unknown"),
        (["--set", "training.epochs=3"], "setting 'training.epochs' is unknown"),
        (["--set", "smoothing=1.5"], "setting 'smoothing' is 1.5, but must be at most 0.9"),
        (["--set", "perturbations=0"], "must be at least 1"),
        (["--set", "distillation_weight=NaN"], "distillation_weight"),
        (["--set", "training.steps=0"], "setting 'training.steps' is 0, but must be at least 1"),
        (["--set", "training.optimizer.lr=-1"], "setting 'training.optimizer.lr' is -1, but must be a number above 0"),
        (["--set", "training.optimizer.lr=NaN"], "training"),
        (["--set", "training.patch=[15,16,16]"], "multiples of 2 x 2 x 2"),
        (["--set", "training.patch=[2,2,2]"], "larger along one axis, [2, 2, 4] at least"),
        (["--merge", "spleen=spleen"], "the dataset has no organ 'spleen' to learn it from"),
        (["--set", "seed=x"], "setting 'seed' is 'x'"),
        (["--method", "supervised"], "takes no teacher"),
        (["--include", "draft"], "no case is draft"),
    ],
)
def test_a_plan_that_cannot_be(tiny_world, out, refused, more, says):
    refused(*planning(tiny_world, out, *more), says=[says])


def test_the_help_of_a_merge_names_organs_of_the_dataset_too(capsys):
    with pytest.raises(SystemExit):
        run(capsys, "plan", "--help")
    said = " ".join(capsys.readouterr().out.split())
    assert "counts as another of its organs, or as one of the dataset that replaces it" in said


def test_a_dataset_of_an_organ_that_the_teacher_has_already(tiny_world, out, refused):
    refused(
        "plan", "--teacher", tiny_world.teacher, "--dataset", tiny_world.site_a.path, "--out", out / "plan.json",
        says=["'liver'", "known to the teacher already"],
    )  # fmt: skip


def test_inputs_of_a_plan_that_are_not_there(tiny_world, tmp_path, out, refused):
    plan = out / "plan.json"
    refused(
        "plan", "--teacher", tmp_path / "no-one", "--dataset", tiny_world.site_b.path, "--out", plan, says=["no-one"]
    )
    refused("plan", "--teacher", tiny_world.teacher, "--dataset", tmp_path / "none", "--out", plan, says=["none"])
    refused("plan", "--dataset", tiny_world.site_b.path, "--out", plan, says=["needs a teacher: give --teacher"])


@pytest.mark.skipif(torch.cuda.is_available(), reason="this computer has a GPU")
def test_a_gpu_that_is_not_there(tiny_world, tiny_student, tmp_path, out, refused):
    scan, model = tiny_world.test.image_path(tiny_world.test.cases()[0]), tiny_student.student_path
    says = ["no CUDA device was found: use --device cpu"]
    refused(*planning(tiny_world, out, "--device", "cuda"), says=says)
    refused("segment", "--model", model, "--out", out, "--device", "cuda", scan, says=says)
    refused(
        "evaluate", "--model", model, "--dataset", tiny_world.test.path, "--out", out, "--device", "cuda", says=says
    )
    refused("train", tiny_world.root / "teacher.json", "--job", out, "--device", "cuda", says=says)


def test_a_plan_or_job_that_is_none(tmp_path, out, refused):
    refused("train", tmp_path / "gone.json", "--job", out, says=["gone.json"])
    (tmp_path / "torn.json").write_text('{"schema": "organincrement/plan/1",', encoding="utf-8")
    refused("train", tmp_path / "torn.json", "--job", out, says=["torn.json", "not valid JSON"])
    for action in ("status", "pause", "resume", "cancel", "run"):
        refused("job", action, tmp_path, says=["holds no job"])


def test_a_job_folder_that_is_taken(tiny_world, tiny_student, tmp_path, refused):
    shutil.copytree(tiny_student.path, tmp_path / "job")
    refused("train", tiny_world.root / "teacher.json", "--job", tmp_path / "job", says=["holds a job already"])


def test_a_finished_job_is_over(tiny_student, tmp_path, refused):
    shutil.copytree(tiny_student.path, tmp_path / "job")
    for action in ("pause", "resume", "cancel", "run"):
        refused("job", action, tmp_path / "job", says=["job is finished"])


def test_points_that_are_no_array_of_points(tiny_world, tmp_path, refused):
    scan = tiny_world.test.image_path(tiny_world.test.cases()[0])
    np.save(tmp_path / "flat.npy", np.zeros(3))
    np.save(tmp_path / "code.npy", np.array([{}], object), allow_pickle=True)
    for name in ("flat.npy", "code.npy", "gone.npy"):
        refused("inspect", scan, "--points", tmp_path / name, says=[name])


def test_a_dataset_whose_label_changed_does_not_pass_its_check(tiny_world, tmp_path, capsys):
    shutil.copytree(tiny_world.site_b.path, tmp_path / "ward-7")
    labels = sorted((tmp_path / "ward-7" / "labels").iterdir())
    shutil.copy(labels[0], labels[1])
    outcome = run(capsys, "dataset", "check", tmp_path / "ward-7")
    assert outcome.code == 3 and outcome.err == "" and "has changed" in outcome.out and "problems: 1" in outcome.out
