"""A package as a MONAI bundle: `monai.bundle run` gives the labels that this engine gives."""

import stock
from stock import devtest, needs_data, needs_teacher, organincrement

pytestmark = [needs_data, needs_teacher]


def test_a_bundle_that_we_wrote_is_run_by_monai_as_by_us(work):
    package = work / "for-monai"
    organincrement(work, "model", "import", stock.TEACHER, "--out", package)
    theirs = stock.predict_bundle(work, package, devtest(1), work / "bundle")
    stock.assert_alike(theirs, stock.predict_ours(work, package, devtest(1), work / "monai-ours"), range(1, 5))
