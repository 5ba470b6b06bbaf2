"""Stock nnU-Net and this engine give the same labels, whichever of them runs whose model."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import stock
import torch
from stock import HEADNECK, PREDICTED, TEACHER, devtest, needs_data, needs_teacher, organincrement

from organincrement.contract.model import Preprocessing
from organincrement.imaging.preprocessing import to_network_grid
from organincrement.imaging.safe_read import read_image
from organincrement.models.package import load_package

SITE_A = ("Brainstem=1", "SpinalCord=2", "RightParotid=3", "LeftParotid=4")
SITE_A_SCANS, SITE_B_SCANS = 16, 8
EDGE = 64  # of a tile of logits, in voxels
LARGEST_DIFFERENCE = 1e-3  # of logits
pytestmark = [needs_data, needs_teacher, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A model that the stock trainer made, and the package that it was imported to."""

    folder: Path
    package: Path


def some_of(site: str, count: int, to: Path) -> Path:
    """A folder with links to the first scans of a site."""
    for what in ("images", "labels"):
        (to / what).mkdir(parents=True)
        for file in sorted((HEADNECK / site / what).glob("*.nii.gz"))[:count]:
            (to / what / file.name).symlink_to(file)
    return to


def imported(work: Path, site: str, count: int, organs: tuple[str, ...], to: Path) -> Path:
    """Some scans of a site as a dataset of ours."""
    given = some_of(site, count, to.with_name(to.name + "-in"))
    organincrement(
        work, "dataset", "import", "--images", given / "images", "--labels", given / "labels", "--allow-empty",
        "--ignore-other-labels", "--organs", *organs, "--out", to,
    )  # fmt: skip
    return to


@pytest.fixture(scope="module")
def trained(work):
    """Site A, exported by us, planned, preprocessed and trained by nnU-Net, imported by us."""
    dataset = imported(work, "site_a", SITE_A_SCANS, SITE_A, work / "site-a")
    raw = work / "raw" / stock.DATASET_NAME
    organincrement(work, "dataset", "export", dataset, "--format", "nnunet", "--out", raw)
    start = TEACHER / "fold_all" / "checkpoint_final.pth"
    stock.run(work, sys.executable, stock.HERE / "train_stock.py", stock.DATASET_ID, stock.TEACHER_STEPS, start)
    (folder,) = (work / "results" / stock.DATASET_NAME).iterdir()
    organincrement(work, "model", "import", folder, "--out", work / "teacher")
    return Trained(folder=folder, package=work / "teacher")


@pytest.fixture(scope="module")
def student(work, trained):
    """The stock model's student, with the mandible of site B added by BLA and UAG."""
    dataset = imported(work, "site_b", SITE_B_SCANS, ("mandible=1",), work / "site-b")
    organincrement(
        work, "plan", "--teacher", trained.package, "--dataset", dataset, "--method", "bla-uag", "--device", "cpu",
        "--set", f"training.steps={stock.STUDENT_STEPS}", f"validation.every_steps={stock.STUDENT_STEPS}",
        "training.precision=fp32", "--out", work / "plan.json",
    )  # fmt: skip
    organincrement(work, "train", work / "plan.json", "--job", work / "job")
    return work / "job" / "student"


def test_a_stock_model_that_went_through_us_predicts_as_it_did(work):
    organincrement(work, "model", "import", TEACHER, "--out", work / "shared-teacher")
    organincrement(work, "model", "export", work / "shared-teacher", "--format", "nnunet2", "--out", work / "back")
    expected = {"pt_17": PREDICTED / "pt_17.nii.gz"}
    images = [HEADNECK / "devtest" / "images" / "pt_17.nii.gz"]
    stock.assert_alike(stock.predict_stock(work, work / "back", images, work / "back-out", "0"), expected, range(1, 5))
    ours = stock.predict_ours(work, work / "shared-teacher", images, work / "shared-out")
    stock.assert_alike(ours, expected, range(1, 5))


def test_a_newly_trained_stock_model_is_run_by_us_as_by_its_own_tool(work, trained):
    theirs = stock.predict_stock(work, trained.folder, devtest(), work / "teacher-stock")
    ours = stock.predict_ours(work, trained.package, devtest(), work / "teacher-ours")
    stock.assert_alike(theirs, ours, range(1, 5))


def predictor_of(folder: Path):
    """The stock predictor, with a stock model."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(device=torch.device("cpu"), perform_everything_on_device=False, allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(folder), ("all",))
    return predictor


def stock_image(predictor, image: Path) -> torch.Tensor:
    """A scan (C, D, H, W) as the stock preprocessor hands it to the network."""
    preprocessor = predictor.configuration_manager.preprocessor_class(verbose=False)
    image_CDHW, _, _ = preprocessor.run_case(
        [str(image)], None, predictor.plans_manager, predictor.configuration_manager, predictor.dataset_json
    )
    return torch.as_tensor(np.asarray(image_CDHW), dtype=torch.float32)


def our_image(preprocessing: Preprocessing, image: Path, patch: tuple[int, ...]) -> torch.Tensor:
    grid = to_network_grid(read_image(image), preprocessing, minimum_shape=patch)  # type: ignore[arg-type]
    return torch.from_numpy(grid.image_DHW)[None]


def test_scan_and_logits_of_a_tile_are_those_of_the_stock_predictor(trained):
    predictor, model = predictor_of(trained.folder), load_package(trained.package)
    image = devtest(1)[0]
    theirs_CDHW = stock_image(predictor, image)
    ours_CDHW = our_image(model.manifest.preprocessing, image, model.manifest.inference.patch)
    assert theirs_CDHW.shape == ours_CDHW.shape
    assert (theirs_CDHW - ours_CDHW).abs().max() < LARGEST_DIFFERENCE
    tile = tuple(slice((n - EDGE) // 2, (n - EDGE) // 2 + EDGE) for n in ours_CDHW.shape[1:])
    predictor.network.load_state_dict(predictor.list_of_parameters[0])
    with torch.inference_mode():
        theirs = predictor.network.eval()(theirs_CDHW[(None, slice(None), *tile)])
        ours = model.network(ours_CDHW[(None, slice(None), *tile)])
    difference = float((theirs - ours).abs().max())
    print("largest difference of a logit:", difference, "of a spread of", float(theirs.std()))
    assert difference < LARGEST_DIFFERENCE and theirs.std() > 0.1


def test_mirrored_copies_are_averaged_as_the_stock_predictor_does(work, trained):
    mirrored = work / "mirrored"
    shutil.copytree(trained.folder, mirrored)
    file = mirrored / "fold_all" / "checkpoint_final.pth"
    checkpoint = torch.load(file, weights_only=False)  # made here, by the stock trainer
    checkpoint["inference_allowed_mirroring_axes"] = (0, 2)
    torch.save(checkpoint, file)
    organincrement(work, "model", "import", mirrored, "--out", work / "mirrored-package")
    theirs = stock.predict_stock(work, mirrored, devtest(1), work / "mirrored-stock")
    ours = stock.predict_ours(work, work / "mirrored-package", devtest(1), work / "mirrored-ours")
    stock.assert_alike(theirs, ours, ())


def test_a_student_of_a_stock_model_is_run_by_the_stock_tool_as_by_us(work, student):
    organincrement(work, "model", "export", student, "--format", "nnunet2", "--out", work / "student-nnunet")
    theirs = stock.predict_stock(work, work / "student-nnunet", devtest(), work / "student-stock", "0")
    ours = stock.predict_ours(work, student, devtest(), work / "student-ours")
    stock.assert_alike(theirs, ours, range(1, 6))


def test_a_student_of_a_stock_model_is_run_by_monai_as_by_us(work, student):
    theirs = stock.predict_bundle(work, student, devtest(1), work / "student-bundle")
    stock.assert_alike(theirs, stock.predict_ours(work, student, devtest(1), work / "student-one"), range(1, 6))
