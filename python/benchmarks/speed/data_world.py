"""What the part on data measures on: scans by the hundred, a plan for them, and the way before."""

import gzip
import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.files import sha256_file
from organincrement.contract.job import JobFolder
from organincrement.imaging.patches import Patch
from organincrement.imaging.phantom.scan import SITES
from organincrement.workflows.cases_cache import prepare_cases
from organincrement.workflows.import_dataset import import_dataset
from organincrement.workflows.job_endings import CACHE
from organincrement.workflows.make_plan import PlanRequest, make_plan
from organincrement.workflows.phantom_dataset import write_phantom_dataset
from organincrement.workflows.setup import set_up
from organincrement.workflows.train import create_job

REAL_CASES = 16
_ALL = ("draft", "submitted", "approved")
# the smallest network there is: its steps are the shortest, and wait the soonest
_SMALLEST: dict[str, Any] = {"features": [8, 16, 32], "blocks": [1, 1, 1]}


def real_dataset(shared: Path, folder: Path) -> Path:
    """Sixteen scans of a clinic with their mandibles."""
    for kind in ("images", "labels"):
        (folder / "staged" / kind).mkdir(parents=True)
        for path in sorted((shared / "data/headneck/site_b/labels").glob("*.nii.gz"))[:REAL_CASES]:
            source = shared / "data/headneck/site_b" / kind / path.name
            shutil.copyfile(source, folder / "staged" / kind / path.name)
    import_dataset(folder / "staged/images", folder / "staged/labels", {"mandible": 1}, folder / "data")
    return folder / "data"


def phantom_dataset(folder: Path, cases: int) -> Path:
    """Scans as files of their own, in four kinds: four phantoms, and copies whose bytes differ and voxels do not."""
    dataset = write_phantom_dataset(folder / "data", SITES["b"], ("liver",), (1, 2, 3, 4))
    first = dataset.cases()
    for number in range(cases - len(first)):
        of, name = first[number % len(first)], f"copy_{number:04d}"
        image = f"images/{name}.nii.gz"
        packed = gzip.decompress(dataset.image_path(of).read_bytes())
        (dataset.path / image).write_bytes(gzip.compress(packed, 1, mtime=number + 1))
        digest = sha256_file(dataset.path / image)
        dataset.save_case(replace(of, id=name, group=name, image=image, image_sha256=digest))
    return dataset.path


def plan_for(dataset: Path, out: Path, **settings: Any) -> Path:
    """A plan of a first model of the smallest size: it asks no teacher, so that only the data counts."""
    overrides = {**_SMALLEST, "training.patch": [48, 48, 48], "training.steps": 400, **settings}
    make_plan(
        PlanRequest(datasets=(dataset,), out=out, method="supervised", include=_ALL, device="cpu", overrides=overrides)
    )
    return out


def prepare(plan: str, job: str, most: int | None = None) -> int:
    """A job's cases, on the network's grid. Args: most: to end after so many. Returns: how many."""
    folder = Path(job)
    made = JobFolder.open(folder) if (folder / "plan.json").is_file() else create_job(Path(plan), folder)
    setup = set_up(made.plan(), made.plan_path)
    return len(prepare_cases(replace(setup, cases=setup.cases[:most]), made, folder / CACHE, lambda: None))


def contents(cache: Path) -> str:
    """One hash of all files of a cache."""
    digest = hashlib.sha256()
    for path in sorted(cache.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def files_opened(job: Path) -> int:
    """How many data files a job has read."""
    return len((job / "reads.log").read_text(encoding="utf-8").splitlines())


def approved(dataset: Path) -> int:
    """How many cases there are."""
    return len(DatasetFolder.open(dataset).cases())


def augmented_by_monai(patches: list[Patch], seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The way before: MONAI's transforms, made anew for each batch, on tensors that carry their history."""
    from monai import transforms as mt

    both = ["image", "labels"]
    transform = mt.Compose(
        [
            mt.RandAffined(
                keys=both, prob=0.5, scale_range=0.18, rotate_range=(0.1, 0.1, 0.2), mode=("bilinear", "nearest"),
                padding_mode=("border", "zeros"),
            ),
            mt.RandScaleIntensityd(keys="image", factors=0.2, prob=0.3),
            mt.RandShiftIntensityd(keys="image", offsets=0.15, prob=0.3),
            mt.RandGaussianNoised(keys="image", std=0.15, prob=0.2),
            mt.RandGaussianSmoothd(keys="image", sigma_x=(0.3, 0.8), sigma_y=(0.3, 0.8), sigma_z=(0.3, 0.8), prob=0.1),
        ]
    )  # fmt: skip
    transform.set_random_state(seed=seed)
    images, labels = [], []
    for patch in patches:
        shifted = torch.from_numpy(patch.labels_DHW.astype(np.float32))[None] + 1
        moved = transform({"image": torch.from_numpy(patch.image_DHW)[None], "labels": shifted})
        images.append(moved["image"].as_tensor().float())
        labels.append(moved["labels"].as_tensor()[0].round().long() - 1)
    return torch.stack(images), torch.stack(labels)
