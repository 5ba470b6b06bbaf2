"""A real teacher of the stock nnU-Net v2: imported and run, it draws what the stock predictor drew.

Model and predictions lie in `shared/teachers`, their scans in `shared/data` beside the project, or where
ORGANINCREMENT_TEACHERS and ORGANINCREMENT_DATA say.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from organincrement.cli.main import main
from organincrement.imaging.safe_read import read_labels

BESIDE = Path(__file__).resolve().parents[3].parent / "shared"
TEACHERS = Path(os.environ.get("ORGANINCREMENT_TEACHERS", BESIDE / "teachers"))
DATA = Path(os.environ.get("ORGANINCREMENT_DATA", BESIDE / "data"))
SCANS = ("pt_13", "pt_17", "pt_201")
LEAST_DICE = 0.999

pytestmark = pytest.mark.skipif(
    not (TEACHERS / "nnunet_v2_headneck").is_dir() or not (DATA / "headneck" / "devtest").is_dir(),
    reason="the stock teacher and its scans are not beside the project (shared/teachers, shared/data)",
)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("imported") / "teacher"
    assert main(["model", "import", str(TEACHERS / "nnunet_v2_headneck"), "--out", str(out)]) == 0
    return out


def test_the_import_says_what_it_is(package: Path) -> None:
    manifest = json.loads((package / "model.json").read_text(encoding="utf-8"))
    assert [organ["id"] for organ in manifest["organs"]] == [
        "brainstem", "spinal_cord", "parotid_right", "parotid_left"
    ]  # fmt: skip
    assert manifest["preprocessing"]["axis_order"] == [1, 0, 2]
    assert manifest["preprocessing"]["convention"] == "nnunet"
    assert manifest["network"]["parameters"] == 991631


@pytest.mark.parametrize("name", SCANS)
def test_labels_are_the_stock_predictors(package: Path, tmp_path: Path, name: str) -> None:
    scan = DATA / "headneck" / "devtest" / "images" / f"{name}.nii.gz"
    asked = ["segment", "--model", str(package), "--uncertainty", "none", "--device", "cpu", "--out", str(tmp_path)]
    assert main([*asked, str(scan)]) == 0
    found = read_labels(tmp_path / name / "segmentation.seg.nrrd", allowed=range(1, 5)).array_DHW
    stock = sitk.GetArrayFromImage(sitk.ReadImage(str(TEACHERS / "stock_predictions" / f"{name}.nii.gz")))
    differing = int((found != stock).sum())
    pairs = {value: (found == value, stock == value) for value in range(1, 5)}
    dice = {value: 2 * int((a & b).sum()) / int(a.sum() + b.sum()) for value, (a, b) in pairs.items()}
    print(f"{name}: {differing} voxels differ, Dice {dice}", file=sys.stderr)
    assert min(dice.values()) >= LEAST_DICE, dice
    assert differing <= 1e-5 * found.size
    assert set(np.unique(found)) == {0, 1, 2, 3, 4}
