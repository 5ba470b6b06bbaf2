"""Importing: pairs found, labels renumbered, images kept exactly, and nothing left behind when something is refused."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from organincrement.imaging.errors import ImageError
from organincrement.imaging.geometry import grid_difference
from organincrement.imaging.safe_read import label_counts, read_labels, read_stored
from organincrement.imaging.volume import Volume
from organincrement.imaging.writing import write_nifti, write_volume
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.import_dataset import import_dataset

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"
ORGANS = {"larynx": 6, "mandible": 2}


def scan(seed, shape=(6, 7, 8)):
    hu = np.random.default_rng(seed).integers(-1000, 1000, shape).astype(np.int16)
    return Volume(hu, (3.0, 0.75, 1.25), (-11.5, 22.25, 7.0), np.eye(3))


def label(counts, shape=(6, 7, 8)):
    values = np.zeros(np.prod(shape), np.uint8)
    start = 0
    for value, count in counts.items():
        values[start : start + count] = value
        start += count
    return scan(0, shape).with_array(values.reshape(shape))


@pytest.fixture
def sources(tmp_path):
    """Two cases: pt_1 with both organs, pt_2 without larynx."""
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.mkdir()
    labels.mkdir()
    write_nifti(images / "pt_1.nii.gz", scan(1))
    write_volume(images / "pt_2.nrrd", scan(2))
    write_nifti(labels / "pt_1.nii.gz", label({6: 5, 2: 9}))
    write_volume(labels / "pt_2.seg.nrrd", label({2: 4}))
    return images, labels


def refused(tmp_path, sources, match, organs=ORGANS, error=WorkflowError, **settings):
    """Import must fail with one line, and leave the folder as it was."""
    before = sorted(path for path in tmp_path.rglob("*"))
    with pytest.raises(error, match=match) as refusal:
        import_dataset(*sources, organs, tmp_path / "new" / "dataset", **settings)
    assert "\n" not in str(refusal.value) and ";" in str(refusal.value)
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_images_stay_the_same_and_labels_are_numbered_in_the_order_asked_for(tmp_path, sources):
    seen = []
    folder = import_dataset(*sources, ORGANS, tmp_path / "dataset", progress=lambda *step: seen.append(step))
    assert seen == [(0, 2, "pt_1"), (1, 2, "pt_2"), (2, 2, "")]
    assert folder.label_space.ids == ("larynx", "mandible")
    assert [case.id for case in folder.cases()] == ["pt_1", "pt_2"]
    for case, original in zip(folder.cases(), (scan(1), scan(2)), strict=True):
        stored = read_stored(folder.image_path(case))
        np.testing.assert_array_equal(stored.array_DHW, original.array_DHW)
        assert stored.array_DHW.dtype == np.int16 and grid_difference(stored, original) is None
    first, second = (read_labels(folder.label_path(case), allowed=[1, 2], like=scan(0)) for case in folder.cases())
    assert label_counts(first.array_DHW) == {0: 322, 1: 5, 2: 9}
    assert label_counts(second.array_DHW) == {0: 332, 2: 4}
    assert first.array_DHW.dtype == np.uint8


def test_a_clean_image_is_copied_byte_for_byte(tmp_path, sources):
    folder = import_dataset(*sources, ORGANS, tmp_path / "dataset")
    assert (folder.path / "images/pt_1.nii.gz").read_bytes() == (sources[0] / "pt_1.nii.gz").read_bytes()


def test_cases_are_approved_with_hashes_and_a_history_that_explains_it(tmp_path, sources):
    folder = import_dataset(*sources, ORGANS, tmp_path / "dataset", who="A. Reader")
    assert {case.status for case in folder.cases()} == {"approved"}
    assert folder.check_history() == [] and folder.check_files() == []
    assert [(step.case, step.to, step.who) for step in folder.history()] == [
        (case, status, "A. Reader") for case in ("pt_1", "pt_2") for status in ("submitted", "approved")
    ]


def test_drafts_have_no_history(tmp_path, sources):
    folder = import_dataset(*sources, ORGANS, tmp_path / "dataset", status="draft")
    assert {case.status for case in folder.cases()} == {"draft"}
    assert folder.history() == []


def test_an_organ_without_voxels_counts_as_looked_for_only_when_the_caller_says_so(tmp_path, sources):
    assert import_dataset(*sources, ORGANS, tmp_path / "a").case("pt_2").annotated == ("mandible",)
    said = import_dataset(*sources, ORGANS, tmp_path / "b", allow_empty=True)
    assert said.case("pt_2").annotated == ("larynx", "mandible")


def test_values_not_asked_for_are_refused_or_become_background_on_request(tmp_path, sources):
    refused(tmp_path, sources, r"pt_1\.nii\.gz: has label values 6", organs={"mandible": 2})
    folder = import_dataset(*sources, {"mandible": 2}, tmp_path / "dataset", ignore_other_labels=True)
    labels = read_labels(folder.label_path(folder.case("pt_1")), allowed=[1])
    assert label_counts(labels.array_DHW) == {0: 327, 1: 9}


def test_an_empty_label_is_refused_or_kept_on_request(tmp_path, sources):
    write_volume(sources[1] / "pt_2.seg.nrrd", label({}))
    refused(tmp_path, sources, r"pt_2\.seg\.nrrd: has no voxel of larynx, mandible")
    assert import_dataset(*sources, ORGANS, tmp_path / "dataset", allow_empty=True).case("pt_2").annotated == (
        "larynx",
        "mandible",
    )


def test_an_organ_that_no_label_file_has_is_refused(tmp_path, sources):
    refused(tmp_path, sources, "value 9 of spleen", organs={**ORGANS, "spleen": 9})


@pytest.mark.parametrize(
    ("organs", "reason"),
    [
        ({}, "0 organs"),
        ({"mandible": 0}, "whole number"),
        ({"mandible": -1}, "whole number"),
        ({"mandible": True}, "whole number"),
        ({"mandible": 1.0}, "whole number"),
        ({"mandible": 1, "larynx": 1}, "two organs"),
    ],
)
def test_organs_and_values_that_make_no_sense_are_refused(tmp_path, sources, organs, reason):
    refused(tmp_path, sources, reason, organs=organs)


def test_one_organ_under_two_names_is_refused(tmp_path, sources):
    with pytest.raises(ValueError, match="same organ"):
        import_dataset(*sources, {"parotid_right": 6, "RightParotid": 2}, tmp_path / "dataset")


def test_a_missing_counterpart_is_refused_on_either_side(tmp_path, sources):
    (sources[1] / "pt_3.nii.gz").write_bytes((sources[1] / "pt_1.nii.gz").read_bytes())
    refused(tmp_path, sources, "pt_3.*has no image")
    (sources[1] / "pt_3.nii.gz").unlink()
    (sources[1] / "pt_1.nii.gz").unlink()
    refused(tmp_path, sources, "pt_1.*has no label")


def test_two_images_of_one_name_and_names_that_differ_in_case_are_refused(tmp_path, sources):
    write_volume(sources[0] / "pt_1.nrrd", scan(3))
    refused(tmp_path, sources, "same name")
    (sources[0] / "pt_1.nrrd").unlink()
    write_nifti(sources[0] / "pt 1.nii.gz", scan(3))
    write_nifti(sources[1] / "pt 1.nii.gz", label({2: 1}))
    refused(tmp_path, sources, "case id pt_1")


def test_a_label_on_another_grid_is_refused_before_anything_is_copied(tmp_path, sources):
    write_volume(sources[1] / "pt_2.seg.nrrd", label({2: 4}, (6, 7, 9)))
    refused(tmp_path, sources, r"pt_2\.seg\.nrrd: is not on the grid of its image", error=ImageError)


def test_a_damaged_image_in_the_middle_leaves_nothing_behind(tmp_path, sources):
    data = bytearray((sources[0] / "pt_2.nrrd").read_bytes())
    data[-40] ^= 1
    (sources[0] / "pt_2.nrrd").write_bytes(data)
    refused(tmp_path, sources, r"pt_2\.nrrd: is cut off or damaged", error=ImageError)


def test_a_4d_image_is_refused(tmp_path, sources):
    sitk.WriteImage(sitk.JoinSeries([scan(1).to_sitk()] * 2), str(sources[0] / "pt_1.nii.gz"))
    refused(tmp_path, sources, r"pt_1\.nii\.gz: is 4-D", error=ImageError)


def test_an_existing_folder_is_refused_even_when_empty(tmp_path, sources):
    (tmp_path / "dataset").mkdir()
    with pytest.raises(WorkflowError, match="exists already"):
        import_dataset(*sources, ORGANS, tmp_path / "dataset")
    assert list((tmp_path / "dataset").iterdir()) == []


def test_a_missing_or_empty_image_folder_is_refused(tmp_path, sources):
    (tmp_path / "nothing").mkdir()
    refused(tmp_path, (tmp_path / "gone", sources[1]), "not a folder")
    refused(tmp_path, (tmp_path / "nothing", tmp_path / "nothing"), "holds no images")


def test_no_name_path_or_header_text_of_the_source_is_kept(tmp_path, sources):
    packed = sources[0] / "pt_1.nii.gz"
    data = bytearray(gzip.decompress(packed.read_bytes()))
    data[148:162] = b"Doe^Jane, 1950"
    with gzip.open(sources[0] / "pt_1.nii.gz", "wb") as file:
        file.write(data)
    folder = import_dataset(*sources, ORGANS, tmp_path / "dataset")
    for path in (path for path in folder.path.rglob("*") if path.is_file()):
        content = path.read_bytes()
        content += gzip.decompress(content) if path.suffix == ".gz" else b""
        assert b"Doe" not in content and str(tmp_path).encode() not in content
    np.testing.assert_array_equal(read_stored(folder.path / "images/pt_1.nii.gz").array_DHW, scan(1).array_DHW)


def test_nnunet_names_lose_their_channel_and_a_second_channel_is_refused(tmp_path):
    for part in ("imagesTr", "labelsTr"):
        (tmp_path / "Dataset007" / part).mkdir(parents=True)
    root = tmp_path / "Dataset007"
    write_nifti(root / "imagesTr/neck_001_0000.nii.gz", scan(1))
    write_nifti(root / "labelsTr/neck_001.nii.gz", label({1: 3}))
    folder = import_dataset(root, root, {"mandible": 1}, tmp_path / "dataset", source="nnunet")
    assert [case.id for case in folder.cases()] == ["neck_001"]
    write_nifti(root / "imagesTr/neck_001_0001.nii.gz", scan(2))
    refused(tmp_path, (root, root), "one-channel", organs={"mandible": 1}, source="nnunet")


def test_decathlon_folders_are_read_without_the_hidden_files_of_their_archives(tmp_path):
    for part in ("imagesTr", "labelsTr"):
        (tmp_path / "Task" / part).mkdir(parents=True)
        (tmp_path / "Task" / part / "._liver_1.nii.gz").write_bytes(b"\0\5\x16\7")
    write_nifti(tmp_path / "Task/imagesTr/liver_1.nii.gz", scan(1))
    write_nifti(tmp_path / "Task/labelsTr/liver_1.nii.gz", label({1: 3}))
    task = tmp_path / "Task"
    folder = import_dataset(task, task, {"liver": 1}, tmp_path / "dataset", source="decathlon")
    assert [case.id for case in folder.cases()] == ["liver_1"]


def test_a_csv_names_files_ids_and_patients(tmp_path, sources):
    table = tmp_path / "cases.csv"
    rows = "image,label,id,group\nimages/pt_1.nii.gz,pt_1.nii.gz,a,anna\nimages/pt_2.nrrd,pt_2.seg.nrrd,b,anna\n"
    table.write_text("\ufeff" + rows, encoding="utf-8")
    folder = import_dataset(table, sources[1], ORGANS, tmp_path / "dataset", source="csv")
    # A group that may be a person's name is numbered, though the ids are codes; the list beside it says whose it is.
    assert [(case.id, case.group) for case in folder.cases()] == [("a", "patient_0001"), ("b", "patient_0001")]
    assert "anna" in (tmp_path / "dataset" / "names.private.csv").read_text(encoding="utf-8")
    table.write_text(rows.replace("anna", "site_1"), encoding="utf-8")
    coded = import_dataset(table, sources[1], ORGANS, tmp_path / "coded", source="csv")
    assert [(case.id, case.group) for case in coded.cases()] == [("a", "site_1"), ("b", "site_1")]
    table.write_text("image,label\nimages/pt_1.nii.gz,gone.nii.gz\n", encoding="utf-8")
    refused(tmp_path, (table, sources[1]), "line 2: .*gone.nii.gz is not there", source="csv")
    table.write_text("image;label\nimages/pt_1.nii.gz;pt_1.nii.gz\n", encoding="utf-8")
    refused(tmp_path, (table, sources[1]), "line 2: needs an image and a label", source="csv")


def test_dicom_folders_become_nifti_with_whole_hu(tmp_path, sources):
    series = tmp_path / "dicom" / "pt_1"
    series.mkdir(parents=True)
    image = scan(1).to_sitk()
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for index in range(6):
        one = image[:, :, index]
        position = image.TransformIndexToPhysicalPoint((0, 0, index))
        tags = {
            "0008|0060": "CT",
            "0010|0010": "Doe^Jane",
            "0020|000e": "1.2.3",
            "0020|0032": "\\".join(map(str, position)),
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0028|1052": "-1024",
            "0028|1053": "1",
        }
        for key, value in tags.items():
            one.SetMetaData(key, value)
        writer.SetFileName(str(series / f"{9 - index}.dcm"))
        writer.Execute(one)
    (sources[1] / "pt_2.seg.nrrd").unlink()
    folder = import_dataset(tmp_path / "dicom", sources[1], ORGANS, tmp_path / "dataset", source="dicom")
    stored = read_stored(folder.image_path(folder.case("pt_1")))
    assert stored.array_DHW.dtype == np.int16
    np.testing.assert_array_equal(stored.array_DHW, scan(1).array_DHW)
    assert b"Doe" not in gzip.decompress((folder.path / "images/pt_1.nii.gz").read_bytes())


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real data are not at {DATA}")
def test_a_real_single_organ_site_is_imported(tmp_path):
    images, labels = tmp_path / "images", tmp_path / "labels"
    for folder, name in ((images, "images"), (labels, "labels")):
        folder.mkdir()
        for case in ("pt_2", "pt_9"):
            (folder / f"{case}.nii.gz").symlink_to(DATA / f"headneck/site_b/{name}/{case}.nii.gz")
    dataset = import_dataset(images, labels, {"Mandible": 1}, tmp_path / "dataset", name="mandible-site-b")
    assert [case.annotated for case in dataset.cases()] == [("mandible",)] * 2
    manifest = json.loads((dataset.path / "dataset.json").read_text(encoding="utf-8"))
    assert manifest["name"] == "mandible-site-b" and manifest["organs"][0]["type"]["value"] == "91609006"
    assert not (dataset.path / "images/pt_2.nii.gz").is_symlink()
