"""Normalisation by the numbers of the package or of the scan."""

import numpy as np

from organincrement.contract.model import Normalisation
from organincrement.imaging.normalisation import normalise

SCAN = np.array([[[-1000, -200, 20, 140, 900]]], np.int16)


def test_ct_clips_and_scales_with_the_given_numbers():
    result = normalise(SCAN, Normalisation(kind="ct", clip_hu=(-200, 300), mean=20, std=120))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result.ravel(), [-220 / 120, -220 / 120, 0, 1, 280 / 120], rtol=1e-6)


def test_zscore_uses_the_scans_own_mean_and_deviation():
    result = normalise(SCAN, Normalisation(kind="zscore"))
    np.testing.assert_allclose(result, (SCAN - SCAN.mean()) / SCAN.std(), rtol=1e-5)


def test_a_scan_of_one_value_becomes_zero():
    assert not normalise(np.full((3, 3, 3), 7.0), Normalisation(kind="zscore")).any()


def test_none_copies_without_touching_the_scan():
    scan = np.ones((2, 2, 2), np.float32)
    result = normalise(scan, Normalisation(kind="none"))
    result += 1
    np.testing.assert_array_equal(scan, 1)


def test_the_scan_itself_is_not_changed():
    scan = SCAN.astype(np.float32)
    normalise(scan, Normalisation(kind="ct", clip_hu=(-200, 300), mean=20, std=120))
    np.testing.assert_array_equal(scan, SCAN)
