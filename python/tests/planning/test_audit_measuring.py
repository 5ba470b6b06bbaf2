"""Measuring scans: what a phantom's own figures are, and how a teacher's view changes when a scan is turned."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from audit_evidence import manifest as three_organs
from tiny_models import organs, tiny_manifest, tiny_spec
from torch import Tensor, nn

from organincrement.contract.labels import LabelSpace, Organ
from organincrement.contract.organs import organ_from_name
from organincrement.imaging.geometry import to_orientation
from organincrement.imaging.phantom.scan import SITES, make_phantom
from organincrement.imaging.volume import Volume
from organincrement.planning.audit import judge
from organincrement.planning.evidence import measure_scan, measured_with_label, picture_of
from organincrement.planning.geometry_check import STRETCH, recognition
from organincrement.planning.intensity_check import NOISE
from organincrement.planning.label_facts import label_conflicts
from organincrement.planning.scan_facts import body_mask, scan_facts
from organincrement.planning.teacher_view import Asked, on_model_grid

SHAPE = (32, 40, 48)


def facts_of(image: Volume):
    return scan_facts(image, body_mask(image.array_DHW, ct=True))


@pytest.mark.parametrize("site", ["a", "b"])
def test_a_phantom_is_a_body_in_proportion_without_noise(site):
    facts = facts_of(make_phantom(3, SITES[site], SHAPE).image)
    assert 5000 < facts.body_ml < 15000 and facts.roughness < NOISE / 2
    assert STRETCH[0] < facts.stretch < STRETCH[1]
    assert facts.body_mm[1] < facts.body_mm[2] <= facts.extent_mm[2]


def test_a_wrong_slice_spacing_shows_as_stretch_and_noise_as_roughness():
    image = make_phantom(3, SITES["a"], SHAPE).image
    doubled = replace(image, spacing_mm=(2 * image.spacing_mm[0], *image.spacing_mm[1:]))
    assert facts_of(doubled).stretch == pytest.approx(facts_of(image).stretch + 1, abs=1e-6)
    noise = image.with_array(np.random.default_rng(0).normal(0, 100, SHAPE).astype(np.float32))
    assert facts_of(noise).roughness > NOISE


def test_air_and_a_single_value_have_no_body_and_no_figures_of_it():
    image = make_phantom(3, SITES["a"], (16, 16, 16)).image
    for value in (-1000.0, 0.0):
        facts = facts_of(image.with_array(np.full((16, 16, 16), value, np.float32)))
        assert facts.roughness is None and facts.stretch is None
        assert facts.body_mm is None or value == 0.0


class TopSurface(nn.Module):
    """Knows one organ: bright voxels with darker ones two above, towards the head. Upside down it is not there."""

    def forward(self, x_BCDHW: Tensor) -> Tensor:
        above = torch.roll(x_BCDHW, -2, 2)
        organ = 20 * (x_BCDHW - above) - 10
        return torch.cat([torch.zeros_like(organ), organ], 1)


def asked_about_surfaces() -> Asked:
    space = organs("liver")
    known = tiny_manifest(space, tiny_spec(2), patch=(16, 16, 16))
    hu = {"0.5": -50.0, "50": 80.0, "99.5": 200.0}
    trained_on = replace(three_organs().trained_on, intensity_percentiles=hu)
    on_grid = replace(known.preprocessing, spacing_mm=(2.5, 4.0, 4.0))
    known = replace(known, preprocessing=on_grid, trained_on=trained_on)
    return Asked(network=TopSurface(), manifest=known, device=torch.device("cpu"))


def layered_body(shape=(40, 36, 36)) -> Volume:
    """A cylinder of soft tissue that grows denser towards the feet in three sharp steps."""
    array = np.full(shape, -1000.0, np.float32)
    _, y, x = np.indices(shape)
    for top, hu in ((36, -50), (28, 30), (20, 110), (12, 200)):
        array[2:top][((y - 18) ** 2 + (x - 18) ** 2 < 196)[2:top]] = hu
    return Volume(array, (2.5, 4.0, 4.0), (0.0, 0.0, 0.0), np.eye(3))


def test_the_stored_reading_is_recognised_and_the_upside_down_scan_only_when_turned_back():
    asked, image = asked_about_surfaces(), layered_body()
    upright = measure_scan("pt_1", image, asked)
    scores = recognition(upright.evidence.views)
    assert scores[0] > 0.9 and scores[1] < 0.5
    flipped = measure_scan("pt_2", image.with_array(image.array_DHW[::-1].copy()), asked)
    result = judge([upright.evidence, flipped.evidence], asked.manifest, organs("spleen"))
    assert [case.verdict for case in result.cases] == ["fits", "unusable"], result
    assert "upside down" in result.cases[1].reason


def test_how_the_axes_are_stored_does_not_matter():
    asked, image = asked_about_surfaces(), layered_body()
    stored = to_orientation(image, "ARI")
    plain, turned = (measure_scan("pt_1", volume, asked).evidence for volume in (image, stored))
    assert turned.stored_spacing_mm == plain.stored_spacing_mm
    assert recognition(turned.views) == pytest.approx(recognition(plain.views), abs=1e-6)


def test_the_teacher_is_not_asked_about_what_it_cannot_know():
    asked, image = asked_about_surfaces(), layered_body()
    mr = measure_scan("pt_1", image.with_array(np.abs(image.array_DHW)), asked)
    assert mr.evidence.views == () and picture_of(mr) is not None
    huge = measure_scan("pt_1", replace(image, spacing_mm=(25.0, 40.0, 40.0)), asked)
    assert huge.evidence.scan is None and picture_of(huge) is None


def test_labels_are_measured_with_what_nobody_looked_at_left_out():
    asked, image = asked_about_surfaces(), layered_body()
    labels = np.zeros(image.shape_DHW, np.uint8)
    labels[4:8, 16:20, 16:20] = 1
    labels[0:2] = 255
    measured = measured_with_label(
        measure_scan("pt_1", image, asked), image.with_array(labels), organs("spleen"), asked, 255
    )
    (label,) = measured.evidence.labels
    assert label.volume_mm3 == 4 * 4 * 4 * 40 and label.mean == pytest.approx(200) and label.off_body_share == 0
    assert label.centre_mm == pytest.approx((5.5 * 2.5, 17.5 * 4, 17.5 * 4))
    picture = picture_of(measured)
    assert picture.sides == ("R", "L") and len(picture.overlays) == 2


def test_conflicts_are_counted_in_mm3_and_leave_out_the_same_organ_and_an_anomaly_in_its_host():
    old = LabelSpace((organ_from_name("liver"), organ_from_name("spleen")))
    tumour = Organ(id="liver_tumour", name="Tumour", kind="anomaly", host="liver", color=(1, 2, 3))
    new = LabelSpace((organ_from_name("liver"), tumour, organ_from_name("stomach")))
    teacher = np.zeros((10, 10, 10), np.uint8)
    teacher[:5], teacher[5:] = 1, 2
    labels = np.zeros((10, 10, 10), np.uint8)
    labels[4:6, 0], labels[4, 1], labels[3:6, 2] = 1, 2, 3
    volume = Volume(labels, (1.0, 2.0, 3.0), (0.0, 0.0, 0.0), np.eye(3))
    found = [(c.new, c.old, c.volume_mm3, c.fraction) for c in label_conflicts(volume, new, teacher, old)]
    assert found == [
        ("stomach", "liver", 120.0, 0.6667), ("liver", "spleen", 60.0, 0.5), ("stomach", "spleen", 60.0, 0.3333)
    ]  # fmt: skip


def test_a_scan_on_the_models_grid_keeps_its_size_whatever_the_models_axes():
    image = layered_body()
    model = tiny_manifest(organs("liver"), tiny_spec(2), spacing_mm=(4.0, 4.0, 5.0), axis_order=(1, 2, 0))
    assert on_model_grid(image, model.preprocessing).shape_DHW == (20, 36, 36)
