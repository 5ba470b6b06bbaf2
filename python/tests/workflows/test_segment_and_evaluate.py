"""Applying a package to scans: on the scan's own grid, with uncertainty; and measuring it against labels."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from tiny_world import NEW, OLD, SHAPE, copied

from organincrement.contract import codec
from organincrement.contract.files import sha256_file
from organincrement.contract.package import manifest_sha256, read_manifest
from organincrement.contract.results import Evaluation, Regions, SegmentReport
from organincrement.imaging.errors import ImageError
from organincrement.imaging.geometry import grid_difference, to_orientation
from organincrement.imaging.phantom.scan import SITES
from organincrement.imaging.preprocessing import tissue_box
from organincrement.imaging.safe_read import read_image, read_labels, read_stored
from organincrement.imaging.volume import Volume
from organincrement.imaging.writing import write_nifti, write_volume
from organincrement.models.package import load_package, save_package, shared_state
from organincrement.training.signals import CancelRequested
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.evaluate import evaluate
from organincrement.workflows.phantom_dataset import write_phantom_dataset
from organincrement.workflows.segment import SegmentRequest, segment

ORGANS = OLD + NEW


@pytest.fixture(scope="module")
def scan(tiny_world):
    return tiny_world.test.image_path(tiny_world.test.cases()[0])


@pytest.fixture(scope="module")
def segmented(tiny_student, scan, tmp_path_factory):
    out = tmp_path_factory.mktemp("segmented")
    (folder,) = segment(SegmentRequest(model=tiny_student.student_path, out=out, images=[scan], device="cpu"))
    return folder


@pytest.fixture(scope="module")
def evaluation(tiny_world, tiny_student, tmp_path_factory):
    out = tmp_path_factory.mktemp("evaluated")
    return out, evaluate(tiny_student.student_path, tiny_world.test.path, out, "cpu")


def labels_of(folder) -> Volume:
    return read_labels(folder / "segmentation.seg.nrrd", allowed=range(1, 1 + len(ORGANS)))


def segment_one(model, image, out, **settings) -> Volume:
    (folder,) = segment(SegmentRequest(model=model, out=out, images=[image], device="cpu", **settings))
    return labels_of(folder)


def test_four_files_lie_in_a_folder_named_after_the_scan(segmented, scan):
    assert segmented.name == scan.name.removesuffix(".nii.gz")
    names = {path.name for path in segmented.iterdir()}
    assert names == {"segmentation.seg.nrrd", "uncertainty.nrrd", "regions.json", "report.json"}


def test_labels_and_uncertainty_lie_on_the_scans_grid(segmented, scan):
    image, labels, uncertainty = read_image(scan), labels_of(segmented), read_stored(segmented / "uncertainty.nrrd")
    assert grid_difference(labels, image) is None and grid_difference(uncertainty, image) is None
    assert labels.array_DHW.dtype == np.uint8 and set(np.unique(labels.array_DHW)) <= set(range(4))
    assert uncertainty.array_DHW.dtype == np.uint8 and 0 < uncertainty.array_DHW.max() <= 100


def test_segments_carry_the_organs_names_in_label_order(segmented):
    image = sitk.ReadImage(str(segmented / "segmentation.seg.nrrd"))
    told = [(image.GetMetaData(f"Segment{i}_ID"), image.GetMetaData(f"Segment{i}_LabelValue")) for i in range(3)]
    assert told == [("liver", "1"), ("spleen", "2"), ("stomach", "3")]


def test_the_report_names_model_and_scan_by_hash_and_measures_every_organ(segmented, scan, tiny_student):
    report = codec.read(SegmentReport, segmented / "report.json")
    assert report.model_sha256 == manifest_sha256(tiny_student.student_path)
    assert report.input_sha256 == sha256_file(scan)
    labels, voxel_mm3 = labels_of(segmented), np.prod(read_image(scan).spacing_mm)
    assert [(organ.id, organ.volume_mm3) for organ in report.organs] == [
        (organ, pytest.approx((labels.array_DHW == i).sum() * voxel_mm3, rel=1e-4)) for i, organ in enumerate(ORGANS, 1)
    ]
    assert str(scan.parent) not in (segmented / "report.json").read_text(encoding="utf-8")


def test_uncertain_regions_are_largest_first_and_inside_the_scan(segmented, scan):
    regions = codec.read(Regions, segmented / "regions.json").regions
    volumes = [region.volume_mm3 for region in regions]
    assert regions and volumes == sorted(volumes, reverse=True)
    image = read_image(scan)
    corners = [np.array(image.origin_mm), np.array(image.origin_mm)]
    corners[1] = corners[1] + image.direction @ ((np.array(image.shape_DHW[::-1]) - 1) * image.spacing_mm[::-1])
    for region in regions:
        centre_lps = np.array(region.center_ras_mm) * (-1, -1, 1)
        assert (centre_lps >= np.minimum(*corners) - 10).all() and (centre_lps <= np.maximum(*corners) + 10).all()


def test_where_nothing_is_resampled_labels_are_what_the_network_says_of_each_voxel(scan, tiny_student, tmp_path):
    model, image = load_package(tiny_student.student_path), read_image(scan)
    manifest = replace(
        model.manifest,
        preprocessing=replace(model.manifest.preprocessing, spacing_mm=image.spacing_mm),
        inference=replace(model.manifest.inference, patch=SHAPE),
    )
    save_package(tmp_path / "whole", manifest, shared_state(model.network), model.provenance)
    labels = segment_one(tmp_path / "whole", scan, tmp_path / "out", uncertainty="none")
    scaling = manifest.preprocessing.normalisation
    x_DHW = ((np.clip(image.array_DHW, *scaling.clip_hu) - scaling.mean) / scaling.std).astype(np.float32)
    box = tuple(slice(a, b) for a, b in zip(*tissue_box(x_DHW), strict=True))
    short = [n - (s.stop - s.start) for n, s in zip(SHAPE, box, strict=True)]
    seen_DHW = np.pad(x_DHW[box], [(s // 2, s - s // 2) for s in short], constant_values=x_DHW.min())
    with torch.inference_mode():
        answer_DHW = model.network(torch.from_numpy(seen_DHW[None, None]))[0].argmax(0).numpy()
    said_DHW = np.zeros(SHAPE, answer_DHW.dtype)  # around the box of tissue is background
    said_DHW[box] = answer_DHW[tuple(slice(s // 2, n - (s - s // 2)) for s, n in zip(short, SHAPE, strict=True))]
    # a CPU that computes in bfloat16 rounds
    assert len(np.unique(said_DHW)) > 1 and (labels.array_DHW == said_DHW).mean() > 0.99


def test_a_scan_stored_the_other_way_round_is_segmented_alike(segmented, scan, tiny_student, tmp_path):
    turned = to_orientation(read_image(scan), "RAS")
    write_nifti(tmp_path / "turned.nii.gz", turned.with_array(np.ascontiguousarray(turned.array_DHW)))
    labels = segment_one(tiny_student.student_path, tmp_path / "turned.nii.gz", tmp_path, uncertainty="none")
    assert grid_difference(labels, read_image(tmp_path / "turned.nii.gz")) is None
    np.testing.assert_array_equal(to_orientation(labels, "LPS").array_DHW, labels_of(segmented).array_DHW)


def test_without_uncertainty_there_are_labels_and_a_report(scan, tiny_student, tmp_path):
    labels = segment_one(tiny_student.student_path, scan, tmp_path, uncertainty="none")
    (folder,) = tmp_path.iterdir()
    assert {path.name for path in folder.iterdir()} == {"segmentation.seg.nrrd", "report.json"}
    report = codec.read(SegmentReport, folder / "report.json")
    assert {organ.mean_uncertainty for organ in report.organs} == {None} and labels.array_DHW.shape == SHAPE


def test_the_kind_of_uncertainty_does_not_change_the_labels(segmented, scan, tiny_student, tmp_path):
    labels = segment_one(tiny_student.student_path, scan, tmp_path, uncertainty="entropy")
    np.testing.assert_array_equal(labels.array_DHW, labels_of(segmented).array_DHW)


def test_a_temperature_changes_the_uncertainty_and_not_the_labels(segmented, scan, tiny_student, tmp_path):
    model = load_package(tiny_student.student_path)
    inference = replace(model.manifest.inference, temperature=model.manifest.inference.temperature * 50)
    hot = tmp_path / "hot"
    save_package(hot, replace(model.manifest, inference=inference), shared_state(model.network), model.provenance)
    labels = segment_one(hot, scan, tmp_path / "out", uncertainty="entropy")
    (folder,) = (tmp_path / "out").iterdir()
    np.testing.assert_array_equal(labels.array_DHW, labels_of(segmented).array_DHW)
    tissue = read_image(scan).array_DHW > -300
    assert np.median(read_stored(folder / "uncertainty.nrrd").array_DHW[tissue]) > 90


def test_the_largest_component_of_each_organ_is_kept(scan, tiny_student, tmp_path):
    labels = segment_one(tiny_student.student_path, scan, tmp_path, uncertainty="none", largest_component=True)
    for value in np.unique(labels.array_DHW[labels.array_DHW > 0]):
        component = sitk.ConnectedComponent(sitk.GetImageFromArray((labels.array_DHW == value).astype(np.uint8)), True)
        assert sitk.GetArrayFromImage(component).max() == 1


def test_two_scans_of_one_name_and_a_scan_that_is_not_there_are_refused_before_anything_is_written(
    scan, tiny_student, tmp_path
):
    shutil.copy(scan, tmp_path / scan.name)
    for images, match in (([scan, tmp_path / scan.name], "same name"), ([scan, tmp_path / "x.nii"], "no such file")):
        with pytest.raises(WorkflowError, match=match):
            list(segment(SegmentRequest(model=tiny_student.student_path, out=tmp_path / "out", images=images)))
    assert not (tmp_path / "out").exists()


def test_a_stop_between_windows_leaves_no_folder(scan, tiny_student, tmp_path):
    def stop():
        raise CancelRequested

    request = SegmentRequest(model=tiny_student.student_path, out=tmp_path / "out", images=[scan], between=stop)
    with pytest.raises(CancelRequested):
        list(segment(request))
    assert not (tmp_path / "out").exists()


def test_an_evaluation_is_written_as_json_csv_and_a_page_of_its_own(evaluation, tiny_student):
    out, result = evaluation
    assert {path.name for path in out.iterdir()} == {"evaluation.json", "evaluation.csv", "evaluation.html"}
    assert codec.read(Evaluation, out / "evaluation.json") == result
    assert result.model == read_manifest(tiny_student.student_path).name and result.reference == "truth"
    rows = list(csv.DictReader((out / "evaluation.csv").open(encoding="utf-8")))
    assert {(row["case"], row["organ"]) for row in rows} >= {
        (case.id, row.organ) for case in result.cases for row in case.organs
    }
    page = (out / "evaluation.html").read_text(encoding="utf-8")
    assert "Stomach" in page and "http://" not in page.replace("http://www.w3.org", "") and "<script src" not in page


def test_an_evaluations_dice_is_that_of_the_segmentation(evaluation, segmented, tiny_world):
    case = tiny_world.test.cases()[0]
    truth = read_labels(tiny_world.test.label_path(case), allowed=range(1, 4)).array_DHW
    predicted = labels_of(segmented).array_DHW
    found = {row.organ: row for row in next(c for c in evaluation[1].cases if c.id == case.id).organs}
    for value, organ in enumerate(ORGANS, 1):
        a, b = predicted == value, truth == value
        expected = 2 * (a & b).sum() / (a.sum() + b.sum())
        assert found[organ].dice == pytest.approx(expected, abs=1e-6)
        assert found[organ].status == ("measured" if a.any() and b.any() else "missed" if b.any() else "spurious")


def test_an_organ_that_only_the_model_knows_is_not_held_against_it(tiny_world, tiny_student, tmp_path):
    result = evaluate(tiny_student.student_path, tiny_world.site_b.path, tmp_path / "out", "cpu")
    statuses = {row.organ: row.status for row in result.cases[0].organs}
    assert statuses["liver"] == statuses["spleen"] == "not_annotated" and statuses["stomach"] != "not_annotated"


def test_an_organ_that_is_left_here_and_right_there_is_told_and_not_compared(tiny_world, tiny_student, tmp_path):
    model, dataset = tmp_path / "model", copied(tiny_world.test, tmp_path / "data")
    shutil.copytree(tiny_student.student_path, model)
    for path, side in ((model / "model.json", "Right"), (dataset.path / "dataset.json", "Left")):
        written = json.loads(path.read_text(encoding="utf-8"))
        (stomach,) = (organ for organ in written["organs"] if organ["id"] == "stomach")
        stomach["modifier"] = {"scheme": "99TEST", "value": side, "meaning": side}
        path.write_text(json.dumps(written), encoding="utf-8")
    lines = []
    result = evaluate(model, dataset.path, tmp_path / "out", "cpu", notice=lines.append)
    (line,) = lines
    assert line.startswith("organ 'stomach' is left here and right there") and "not compared" in line
    assert {row.organ: row.status for row in result.cases[0].organs}["stomach"] == "not_annotated"


def test_progress_is_told_case_by_case(tiny_world, tiny_student, tmp_path):
    told = []
    evaluate(tiny_student.student_path, tiny_world.test.path, tmp_path / "out", "cpu", lambda *step: told.append(step))
    assert told == [(n, 2, case.id) for n, case in enumerate(tiny_world.test.cases(), 1)]


def test_a_dataset_without_any_organ_of_the_model_is_refused_and_nothing_written(tiny_student, tmp_path):
    other = write_phantom_dataset(tmp_path / "other", SITES["a"], ("pancreas",), (1,), shape_DHW=SHAPE)
    with pytest.raises(WorkflowError, match=r"other: has none of the model's organs \(liver, spleen, stomach\)"):
        evaluate(tiny_student.student_path, other.path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("fault", ["label beyond the organs", "another grid"])
def test_a_label_that_does_not_fit_is_refused_by_name_and_nothing_written(tiny_world, tiny_student, tmp_path, fault):
    dataset = copied(tiny_world.test, tmp_path / "bad")
    path = dataset.label_path(dataset.cases()[1])
    labels = read_stored(path)
    if fault == "another grid":
        write_nifti(path, Volume(labels.array_DHW[:-1].copy(), labels.spacing_mm, labels.origin_mm, labels.direction))
    else:
        labels.array_DHW[0, 0, 0] = 9
        write_nifti(path, labels)
    with pytest.raises(ImageError, match=path.name):
        evaluate(tiny_student.student_path, dataset.path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_scan_with_a_nan_is_refused_by_name(scan, tiny_student, tmp_path):
    image = read_image(scan)
    image.array_DHW[3, 3, 3] = np.nan
    write_volume(tmp_path / "holed.nrrd", image)
    with pytest.raises(ImageError, match=r"holed\.nrrd"):
        segment_one(tiny_student.student_path, tmp_path / "holed.nrrd", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_figures_in_json_are_never_nan(evaluation):
    json.loads(
        (evaluation[0] / "evaluation.json").read_text(encoding="utf-8"), parse_constant=lambda name: pytest.fail(name)
    )
