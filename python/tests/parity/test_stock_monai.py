"""A package as a MONAI bundle: `monai.bundle run` gives the labels that this engine gives."""

import sys

import stock
from stock import devtest, needs_data, needs_teacher, organincrement

pytestmark = [needs_data, needs_teacher]


def test_a_bundle_that_we_wrote_is_run_by_monai_as_by_us(work):
    package, bundle, out = work / "for-monai", work / "bundle", work / "monai-out"
    organincrement(work, "model", "import", stock.TEACHER, "--out", package)
    organincrement(work, "model", "export", package, "--format", "monai", "--out", bundle)
    given = work / "monai-in"
    given.mkdir()
    images = devtest(1)
    for image in images:
        (given / image.name).symlink_to(image)
    stock.run(
        work, sys.executable, "-m", "monai.bundle", "run", "--config_file", "configs/inference.json", "--bundle_root",
        ".", "--dataset_dir", given, "--output_dir", out, alone_in=bundle,
    )  # fmt: skip
    written = {
        image.name.removesuffix(".nii.gz"): next(out.rglob(f"{image.name.removesuffix('.nii.gz')}*.nii.gz"))
        for image in images
    }
    stock.assert_alike(written, stock.predict_ours(work, package, images, work / "monai-ours"), range(1, 5))
