"""Exporting a package: whole or not at all, and only into a folder of its own."""

import pytest
import torch

from organincrement.models.errors import ModelError
from organincrement.models.package import load_package
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.export_model import EXPORTS, export_model


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_trained_student_is_written_as_an_nnunet_folder(tiny_student, tmp_path):
    done = export_model(tiny_student.student_path, "nnunet2", tmp_path / "out")
    assert left(done.folder) == ["dataset.json", "fold_0", "plans.json"] and left(tmp_path) == ["out"]
    stored = torch.load(done.folder / "fold_0" / "checkpoint_final.pth", weights_only=True)
    weights = load_package(tiny_student.student_path).network.state_dict()
    assert weights.keys() == stored["network_weights"].keys()
    assert all(torch.equal(weights[name], stored["network_weights"][name]) for name in weights)
    assert stored["init_args"]["dataset_json"]["labels"] == {"background": 0, "Liver": 1, "Spleen": 2, "Stomach": 3}


@pytest.mark.parametrize("form", ["nnunet2", "monai"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("[enforce fail at inline_c")])
def test_a_full_disk_on_the_way_leaves_nothing(tiny_student, tmp_path, monkeypatch, form, error):
    """torch speaks of the disk in words of its own."""

    def full(*arguments):
        raise error

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(WorkflowError, match=r"cannot be written \(.*\); free disk space") as refused:
        export_model(tiny_student.student_path, form, tmp_path / "new" / "out")
    assert "\n" not in str(refused.value) and left(tmp_path) == []


def test_only_an_empty_folder_outside_the_package_is_written_to(tiny_student, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    export_model(tiny_student.student_path, "nnunet2", out)
    before = (out / "plans.json").read_bytes()
    with pytest.raises(WorkflowError, match="is not empty"):
        export_model(tiny_student.student_path, "nnunet2", out)
    with pytest.raises(WorkflowError, match="exists already"):
        export_model(tiny_student.student_path, "nnunet2", out / "plans.json")
    with pytest.raises(WorkflowError, match="lies in the model"):
        export_model(tiny_student.student_path, "nnunet2", tiny_student.student_path / "export")
    assert (out / "plans.json").read_bytes() == before and left(tmp_path) == ["out"]


def test_an_unknown_format_is_refused_with_those_that_are_known(tiny_student, tmp_path):
    with pytest.raises(WorkflowError, match=", ".join(EXPORTS)):
        export_model(tiny_student.student_path, "keras", tmp_path / "out")


def test_what_cannot_be_loaded_cannot_be_exported(tmp_path):
    with pytest.raises((WorkflowError, ModelError, ValueError)) as refused:
        export_model(tmp_path / "nothing", "onnx", tmp_path / "out")
    assert "\n" not in str(refused.value) and left(tmp_path) == []
