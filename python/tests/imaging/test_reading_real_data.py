"""Real scans read as SimpleITK reads them.

Data: OpenKBP (A. Babier et al., Medical Physics 48, 2021, 5549-5561) and a test file of the TotalSegmentator repository
(J. Wasserthal et al., Radiology: AI 5, 2023).
"""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from organincrement.imaging.geometry import grid_difference, like_original, to_orientation
from organincrement.imaging.safe_read import label_counts, peek, read_image, read_labels
from organincrement.imaging.volume import Volume

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the real data are not at {DATA}")


@pytest.mark.parametrize("name", ["abdomen/ct.nii.gz", "headneck/site_b/images/pt_2.nii.gz"])
def test_a_real_ct_is_read_as_simpleitk_reads_it(name):
    read = read_image(DATA / name)
    expected = Volume.from_sitk(sitk.ReadImage(str(DATA / name)))
    np.testing.assert_array_equal(read.array_DHW, expected.array_DHW)
    assert grid_difference(read, expected, 1e-5) is None
    # Air is -1000 HU; its resampling to 3 mm made a few voxels overshoot to -1207.
    assert -1250 <= read.array_DHW.min() < -900 and read.array_DHW.max() > 300
    turned = to_orientation(read, "LPS")
    np.testing.assert_array_equal(like_original(turned.array_DHW, read, "LPS"), read.array_DHW)


def test_real_labels_lie_on_the_grid_of_their_ct():
    abdomen = read_labels(DATA / "abdomen/labels.nii.gz", allowed=range(1, 118), like=peek(DATA / "abdomen/ct.nii.gz"))
    assert len(label_counts(abdomen.array_DHW)) == 62
    case = DATA / "headneck/site_b"
    mandible = read_labels(case / "labels/pt_2.nii.gz", allowed=[1], like=read_image(case / "images/pt_2.nii.gz"))
    volume_ml = label_counts(mandible.array_DHW)[1] * np.prod(mandible.spacing_mm) / 1000
    assert 20 < volume_ml < 150
