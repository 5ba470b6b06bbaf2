"""`model export` and `dataset export` as a user types them: what they say, and how they refuse."""

import json

from command_line import assert_refused, files_under, run


def test_a_student_is_exported_with_notes_on_how_to_run_it(tiny_student, tmp_path, capsys):
    done = run(
        capsys, "model", "export", tiny_student.student_path, "--format", "nnunet2", "--out", tmp_path / "out"
    )  # fmt: skip
    assert done.code == 0 and done.out.splitlines()[-1] == str(tmp_path / "out")
    assert "note: run it with: nnUNetv2_predict_from_modelfolder" in done.out
    done = run(capsys, "model", "export", tiny_student.student_path, "--format", "onnx", "--out", tmp_path / "onnx")
    assert done.code == 0 and sorted(files_under(tmp_path / "onnx"))[-1].endswith("network.onnx")


def test_a_folder_in_use_is_refused_and_left_alone(tiny_student, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    before = files_under(tmp_path)
    refused = run(capsys, "model", "export", tiny_student.student_path, "--format", "onnx", "--out", tmp_path)
    assert_refused(refused, "is not empty; choose another folder")
    assert files_under(tmp_path) == before


def test_what_is_no_package_is_refused(tmp_path, capsys):
    refused = run(capsys, "model", "export", tmp_path / "nothing", "--format", "nnunet2", "--out", tmp_path / "out")
    assert_refused(refused)
    assert not (tmp_path / "out").exists()


def test_a_dataset_is_exported_and_its_labels_are_printed(tiny_world, tmp_path, capsys):
    dataset = tiny_world.test.path
    done = run(capsys, "dataset", "export", dataset, "--format", "decathlon", "--out", tmp_path / "Task01")
    assert done.code == 0 and done.out == f"{tmp_path / 'Task01'}: 2 cases of Liver=1 Spleen=2 Stomach=3\n"
    assert json.loads((tmp_path / "Task01" / "dataset.json").read_text(encoding="utf-8"))["numTraining"] == 2
    refused = run(capsys, "dataset", "export", dataset, "--format", "nnunet", "--out", tmp_path / "Task01")
    assert_refused(refused, "is not empty")
    refused = run(
        capsys, "dataset", "export", dataset, "--format", "nnunet", "--out", tmp_path / "a", "--include", "draft"
    )  # fmt: skip
    assert_refused(refused, "no case with a label that is draft")
    assert not (tmp_path / "a").exists()
