"""Exporting a dataset: imported again it has equal voxels, grids and organs; what other tools must know is said."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tiny_world import NEW, OLD, copied

from organincrement.contract.files import sha256_file
from organincrement.imaging.geometry import grid_difference
from organincrement.imaging.safe_read import label_counts, read_labels, read_stored
from organincrement.imaging.writing import write_nifti
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.export_dataset import DatasetExport, export_dataset
from organincrement.workflows.import_dataset import import_dataset

LAYOUTS = ("nnunet", "decathlon")


def export(dataset, out, layout="nnunet", **changes):
    return export_dataset(DatasetExport(dataset=dataset.path, out=out, layout=layout, **changes))


def change_label(dataset, case_id, change):
    """Draw on a case's label and hand it in again."""
    case = dataset.case(case_id)
    path = dataset.label_path(case)
    labels = read_labels(path, allowed=None)
    write_nifti(path, labels.with_array(change(labels.array_DHW.copy())))
    dataset.save_case(replace(case, label_sha256=sha256_file(path)))


def unseen_corner(array_DHW):
    array_DHW[:2, :2, :2] = 255
    return array_DHW


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_exported_dataset_comes_back_with_equal_voxels_grids_and_organs(layout, tiny_world, tmp_path):
    before = tiny_world.test
    done = export(before, tmp_path / "out", layout)
    after = import_dataset(
        tmp_path / "out", tmp_path / "out", done.labels, tmp_path / "again", source=layout, allow_empty=True
    )
    assert after.label_space == before.label_space and after.label_space.ids == OLD + NEW
    assert [case.id for case in after.cases()] == [case.id for case in before.cases()]
    for old, new in zip(before.cases(), after.cases(), strict=True):
        images = read_stored(before.image_path(old)), read_stored(after.image_path(new))
        labels = tuple(read_labels(d.label_path(c), allowed=None) for d, c in ((before, old), (after, new)))
        for one, other in (images, labels):
            assert one.array_DHW.dtype == other.array_DHW.dtype and grid_difference(one, other) is None
            assert np.array_equal(one.array_DHW, other.array_DHW)
        assert labels[0].array_DHW.any() and new.annotated == old.annotated


def test_nnunet_gets_its_names_and_its_dataset_json(tiny_world, tmp_path):
    done = export(tiny_world.test, tmp_path / "Dataset501_Test")
    told = json.loads((done.folder / "dataset.json").read_text(encoding="utf-8"))
    assert told["channel_names"] == {"0": "CT"} and told["file_ending"] == ".nii.gz" and told["numTraining"] == 2
    assert told["labels"] == {"background": 0, "Liver": 1, "Spleen": 2, "Stomach": 3}
    assert {path.name for path in (done.folder / "imagesTr").iterdir()} == {f"{c}_0000.nii.gz" for c in done.cases}
    assert {path.name for path in (done.folder / "labelsTr").iterdir()} == {f"{c}.nii.gz" for c in done.cases}
    assert done.notes == ()


def test_decathlon_gets_its_list_of_pairs(tiny_world, tmp_path):
    done = export(tiny_world.test, tmp_path / "Task01", "decathlon")
    told = json.loads((done.folder / "dataset.json").read_text(encoding="utf-8"))
    assert told["modality"] == {"0": "CT"} and (told["numTraining"], told["numTest"], told["test"]) == (2, 0, [])
    assert told["labels"] == {"0": "background", "1": "Liver", "2": "Spleen", "3": "Stomach"}
    for pair in told["training"]:
        assert (done.folder / pair["image"]).is_file() and (done.folder / pair["label"]).is_file()


def test_only_approved_cases_go_out_unless_more_are_asked_for(tiny_world, tmp_path):
    dataset = copied(tiny_world.test, tmp_path / "dataset")
    first, second = dataset.cases()
    dataset.move(first.id, "submitted", "", "")
    done = export(dataset, tmp_path / "out")
    assert done.cases == (second.id,) and "left out" in done.notes[0] and done.notes[0].endswith(": 1")
    assert len(export(dataset, tmp_path / "all", include=("approved", "submitted")).cases) == 2
    dataset.move(second.id, "submitted", "", "")
    with pytest.raises(WorkflowError, match="no case with a label that is approved"):
        export(dataset, tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_unseen_voxels_take_the_value_after_the_last_organ(layout, tiny_world, tmp_path):
    dataset = copied(tiny_world.test, tmp_path / "dataset")
    change_label(dataset, dataset.cases()[0].id, unseen_corner)
    done = export(dataset, tmp_path / "out", layout)
    values = label_counts(read_labels(done.folder / "labelsTr" / f"{done.cases[0]}.nii.gz", allowed=None).array_DHW)
    assert values[4] == 8 and set(values) == {0, 1, 2, 3, 4}
    assert done.labels == {"Liver": 1, "Spleen": 2, "Stomach": 3, "ignore": 4}
    assert "nobody has looked at" in done.notes[0]


def test_organs_that_were_not_looked_for_are_said(tiny_world, tmp_path):
    dataset = copied(tiny_world.test, tmp_path / "dataset")
    first = dataset.cases()[0]
    dataset.save_case(replace(first, annotated=("liver", "stomach")))
    done = export(dataset, tmp_path / "out")
    assert json.loads((done.folder / "dataset.json").read_text(encoding="utf-8"))["partly_annotated"] == {
        first.id: ["spleen"]
    }
    assert "1 cases (spleen)" in done.notes[0] and "background" in done.notes[0]


def test_a_changed_label_is_refused_and_nothing_is_left(tiny_world, tmp_path):
    dataset = copied(tiny_world.test, tmp_path / "dataset")
    path = dataset.label_path(dataset.cases()[1])
    labels = read_labels(path, allowed=None)
    write_nifti(path, labels.with_array(np.zeros_like(labels.array_DHW)))
    with pytest.raises(WorkflowError, match="has changed since") as refused:
        export(dataset, tmp_path / "new" / "out")
    assert "\n" not in str(refused.value) and not (tmp_path / "new").exists()


def test_a_folder_in_use_is_refused_and_an_empty_one_taken(tiny_world, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    export(tiny_world.test, out)
    with pytest.raises(WorkflowError, match="is not empty"):
        export(tiny_world.test, out)
    assert not [path.name for path in tmp_path.iterdir() if path.name.endswith(".partial")]
