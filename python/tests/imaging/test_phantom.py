"""The phantom is an abdomen: the right organs in the right places with plausible HU, the same for the same seed."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_erosion

from organincrement.imaging.errors import ImageError
from organincrement.imaging.phantom.scan import ORGANS, SITES, Phantom, make_phantom

SEEDS = range(20)
QUIET = replace(SITES["a"], noise_hu=0.0)


def only(phase: str, site=SITES["a"]):
    return replace(site, phases={phase: 1.0})


def mask(phantom: Phantom, organ: str) -> np.ndarray:
    return phantom.labels.array_DHW == ORGANS.index(organ) + 1


def core_hu(phantom: Phantom, organ: str) -> float:
    return float(np.median(phantom.image.array_DHW[binary_erosion(mask(phantom, organ))]))


@pytest.fixture(scope="module")
def patients() -> list[Phantom]:
    return [make_phantom(seed, SITES["a"]) for seed in SEEDS]


def test_same_seed_gives_the_same_voxels_and_another_seed_another_patient():
    first, again, other = (make_phantom(seed, SITES["b"]) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.image.array_DHW, again.image.array_DHW)
    np.testing.assert_array_equal(first.labels.array_DHW, again.labels.array_DHW)
    assert (first.labels.array_DHW != other.labels.array_DHW).mean() > 0.02


def test_volumes_are_whole_hu_in_lps_with_the_sites_spacing():
    phantom = make_phantom(0, SITES["b"])
    image = phantom.image.array_DHW
    assert image.dtype == np.float32 and phantom.labels.array_DHW.dtype == np.uint8
    assert phantom.image.spacing_mm == SITES["b"].spacing_mm and image.shape == (42, 88, 106)
    np.testing.assert_array_equal(phantom.image.direction, np.eye(3))
    np.testing.assert_array_equal(image, image.astype(np.int16))
    assert image.min() >= -1024 and image.max() <= 3071


def test_default_grid_of_site_a_is_64_by_80_by_96(patients):
    assert patients[0].image.shape_DHW == (64, 80, 96)


def test_another_shape_shows_the_same_patient_over_the_same_field_of_view(patients):
    coarse = make_phantom(0, SITES["a"], (32, 40, 48))
    assert coarse.image.spacing_mm == pytest.approx((6.6, 6.6, 6.6))
    for organ in ("liver", "kidney_left", "stomach"):
        full_ml = mask(patients[0], organ).sum() * 3.3**3
        assert mask(coarse, organ).sum() * 6.6**3 == pytest.approx(full_ml, rel=0.15)


def test_a_tiny_shape_is_refused_with_its_size():
    with pytest.raises(ImageError, match="4 x 80 x 96"):
        make_phantom(0, SITES["a"], (4, 80, 96))


def test_every_organ_has_a_plausible_volume_in_every_patient(patients):
    expected_ml = {"liver": (500, 1800), "spleen": (30, 350), "pancreas": (25, 130), "stomach": (80, 450)}
    for phantom in patients:
        for organ in ORGANS:
            low, high = expected_ml.get(organ, (60, 300))
            assert low < mask(phantom, organ).sum() * 3.3**3 / 1000 < high, organ


@pytest.mark.parametrize(
    ("organ", "neighbour"),
    [("liver", "kidney_right"), ("liver", "stomach"), ("spleen", "kidney_left"), ("pancreas", "stomach")],
)
def test_neighbours_touch_in_every_patient(patients, organ, neighbour):
    for phantom in patients:
        contact = binary_dilation(mask(phantom, organ)) & mask(phantom, neighbour)
        assert contact.sum() >= 5


def test_each_organ_lies_on_its_side_and_the_spine_behind(patients):
    for phantom in patients:
        center_DHW = {organ: np.argwhere(mask(phantom, organ)).mean(0) for organ in ORGANS}
        middle = phantom.image.shape_DHW[2] / 2
        assert center_DHW["liver"][2] < middle and center_DHW["kidney_right"][2] < middle
        assert center_DHW["spleen"][2] > middle and center_DHW["kidney_left"][2] > middle
        assert center_DHW["stomach"][1] < center_DHW["kidney_left"][1]
        assert center_DHW["spleen"][0] > center_DHW["kidney_left"][0]
        bone = phantom.image.array_DHW[:, :, 40:56] > 300
        assert np.argwhere(bone)[:, 1].mean() > 45


def test_lungs_lie_at_the_head_end(patients):
    for phantom in patients:
        behind = phantom.image.array_DHW[:, 40:56, 24:72] < -700  # bowel gas collects in front, air lies around
        assert behind[-12:].sum() > 2000 > 10 * behind[:20].sum()


@pytest.mark.parametrize(
    ("phase", "expected_hu"),
    [
        ("native", {"liver": (5, 80), "spleen": (25, 70), "kidney_left": (10, 55), "pancreas": (20, 65)}),
        ("arterial", {"liver": (20, 95), "spleen": (80, 140), "pancreas": (65, 125)}),
        ("portal", {"liver": (60, 135), "spleen": (90, 150), "kidney_left": (110, 185), "pancreas": (60, 120)}),
    ],
)
def test_hu_is_plausible_in_each_phase(phase, expected_hu):
    for seed in (0, 1, 2):
        phantom = make_phantom(seed, only(phase))
        assert phantom.phase == phase
        for organ, (low, high) in expected_hu.items():
            assert low < core_hu(phantom, organ) < high, (seed, organ)


def test_a_threshold_does_not_separate_liver_from_spleen():
    phantom = make_phantom(1, only("portal"))
    image = phantom.image.array_DHW
    low, high = np.percentile(image[mask(phantom, "liver")], (10, 90))
    assert ((image[mask(phantom, "spleen")] > low) & (image[mask(phantom, "spleen")] < high)).mean() > 0.15


def test_site_b_is_noisier_than_site_a():
    def noise_hu(site) -> float:
        noisy, quiet = (make_phantom(5, replace(site, noise_hu=hu)) for hu in (site.noise_hu, 0.0))
        inside = binary_erosion(mask(noisy, "liver"), iterations=3)
        return float((noisy.image.array_DHW - quiet.image.array_DHW)[inside].std())

    assert noise_hu(SITES["a"]) == pytest.approx(10, rel=0.35)
    assert noise_hu(SITES["b"]) > 1.5 * noise_hu(SITES["a"])


def test_site_b_is_blurrier_than_site_a_within_slices():
    def sharpness(site) -> float:
        still = replace(site, noise_hu=0.0, shift_hu=0.0, scale=1.0, phases={"portal": 1.0})
        image = make_phantom(5, still, (64, 80, 96)).image.array_DHW
        return float(np.abs(np.diff(image, axis=2)).max(2).mean())

    assert sharpness(SITES["b"]) < 0.8 * sharpness(SITES["a"])


def test_calibration_shifts_and_scales_every_hu():
    plain = make_phantom(5, QUIET).image.array_DHW
    shifted = make_phantom(5, replace(QUIET, scale=1.05, shift_hu=-9.0)).image.array_DHW
    inside = (plain > -900) & (plain < 1000)
    np.testing.assert_allclose(shifted[inside], 1.05 * plain[inside] - 9, atol=1.1)


def test_sites_mix_phases_differently():
    def portal(site) -> int:
        return sum(make_phantom(seed, site, (8, 8, 8)).phase == "portal" for seed in range(60))

    assert portal(SITES["a"]) > portal(SITES["b"]) + 5


def test_labels_of_renumbers_just_the_organs_asked_for(patients):
    labels = patients[0].labels_of(("pancreas", "liver")).array_DHW
    np.testing.assert_array_equal(labels == 1, mask(patients[0], "pancreas"))
    np.testing.assert_array_equal(labels == 2, mask(patients[0], "liver"))
    assert labels.max() == 2


def test_an_organ_the_phantom_lacks_is_refused_by_name(patients):
    with pytest.raises(ImageError, match="mandible"):
        patients[0].labels_of(("mandible",))
