"""Slices of a report: window, crop, outlines and uncertainty colours."""

import base64
import dataclasses
import io
import re

import numpy as np
import pytest
from matplotlib.image import imread

from organincrement.contract.labels import Organ
from organincrement.evaluation.errors import EvaluationError
from organincrement.evaluation.slice_pictures import body_box, outlines, picture_rows, windowed
from organincrement.evaluation.story import SlicePicture, Story

OLD = (Organ(id="liver", name="Liver", color=(221, 130, 101)),)
NEW = (Organ(id="spleen", name="Spleen", color=(157, 108, 162)),)


def scan(**changes: object) -> SlicePicture:
    image = np.full((60, 80), -1000.0)
    image[10:50, 20:70] = 40.0
    labels = np.zeros((60, 80), np.uint8)
    labels[20:30, 30:40] = 1
    labels[20:30, 50:60] = 2
    return dataclasses.replace(SlicePicture(title="Level L1", image_HW=image, labels_HW=labels), **changes)


def story(*slices: SlicePicture) -> Story:
    return Story(title="t", intro=["i"], old=OLD, new=NEW, slices=slices)


def pixels(address: str) -> np.ndarray:
    return imread(io.BytesIO(base64.b64decode(address.removeprefix("data:image/png;base64,"))), format="png")


def corners(path: str) -> np.ndarray:
    return np.array([[float(v) for v in point.split()] for point in re.split("[MLZ]", path) if point])


def test_the_window_runs_from_minus_160_to_240_hu():
    np.testing.assert_allclose(windowed(np.array([-1000.0, -160.0, 40.0, 240.0, 3000.0])), [0, 0, 0.5, 1, 1])


def test_the_picture_is_cut_to_the_body_with_a_margin():
    assert body_box(scan().image_HW) == (slice(7, 53), slice(17, 73))


def test_an_empty_slice_is_shown_whole():
    assert body_box(np.full((5, 6), -1000.0)) == (slice(0, 5), slice(0, 6))


def test_an_outline_runs_between_the_organ_and_its_neighbours():
    labels = np.zeros((6, 8), np.uint8)
    labels[2:4, 3:6] = 1
    (outline,) = outlines(labels, OLD)
    points = corners(outline.path)
    assert outline.organ.id == "liver"
    # pixel i covers i..i+1 and its centre is i + 1/2; the line is half way to the neighbour's centre
    assert points.min(0).tolist() == [3.0, 2.0]
    assert points.max(0).tolist() == [6.0, 4.0]


def test_an_organ_at_the_edge_of_the_slice_has_a_closed_outline():
    (outline,) = outlines(np.ones((3, 4), np.uint8), OLD)
    assert outline.path.count("M") == outline.path.count("Z") == 1
    assert corners(outline.path).max(0).tolist() == [4.0, 3.0]


def test_a_label_without_an_organ_is_refused():
    with pytest.raises(EvaluationError, match="label 3"):
        picture_rows(story(scan(labels_HW=np.full((60, 80), 3, np.uint8))))


def test_panels_show_reference_then_overlays_then_uncertainty():
    student = np.zeros((60, 80), np.uint8)
    student[20:30, 30:40] = 1
    picture = scan(overlays=[("Student", student)], uncertainty_HW=np.zeros((60, 80), np.uint8), spacing_mm=(3.0, 2.0))
    (row,), _ = picture_rows(story(picture))
    assert [panel.name for panel in row.panels] == ["Reference", "Student", "Uncertainty"]
    assert [outline.organ.id for outline in row.panels[0].outlines] == ["liver", "spleen"]
    assert [outline.organ.id for outline in row.panels[1].outlines] == ["liver"]
    assert row.panels[1].reference == row.panels[0].outlines
    assert (row.width_mm, row.height_mm) == (56 * 2.0, 46 * 3.0)
    assert "Liver" in row.panels[1].alt and "Spleen" not in row.panels[1].alt


def test_tissue_is_grey_and_air_is_black_in_the_drawn_picture():
    (row,), _ = picture_rows(story(scan()))
    grey = pixels(row.png)
    height, width = grey.shape[:2]
    assert height / width == pytest.approx(46 / 56)
    assert grey[height // 2, width // 2, :3] == pytest.approx(0.5, abs=0.02)
    assert grey[2, 2, :3] == pytest.approx(0.0, abs=0.02)


def test_certain_tissue_stays_grey_and_uncertain_tissue_takes_the_colour_at_the_top_of_the_scale():
    uncertainty = np.zeros((60, 80))
    uncertainty[25:45, 30:60] = 57.0
    (row,), bar = picture_rows(story(scan(uncertainty_HW=uncertainty)))
    assert bar is not None and bar.top_percent == 60
    heat = pixels(row.panels[-1].png or "")
    scale = heat.shape[0] / 46
    certain, uncertain = (heat[int((y - 7) * scale), int((x - 17) * scale), :3] for y, x in ((12, 40), (35, 45)))
    assert np.ptp(certain) < 0.01
    assert uncertain[0] > 0.9 and uncertain[0] - uncertain[2] > 0.3
    assert bar.stops[0][1] == "#000004" and bar.stops[-1][0] == 100


def test_one_scale_serves_all_slices():
    low, high = scan(uncertainty_HW=np.full((60, 80), 12.0)), scan(uncertainty_HW=np.full((60, 80), 93.0))
    assert picture_rows(story(low))[1].top_percent == 20
    assert picture_rows(story(low, high))[1].top_percent == 100


def test_arrays_of_another_shape_are_refused_by_name():
    with pytest.raises(EvaluationError, match=r"'Level L1'.*Student"):
        picture_rows(story(scan(overlays=[("Student", np.zeros((60, 79), np.uint8))])))
    with pytest.raises(EvaluationError, match="3 axes"):
        picture_rows(story(scan(image_HW=np.zeros((2, 60, 80)))))
