"""The head-and-neck data as datasets of the product: imported once into the study's ignored folder."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from organincrement.workflows.import_dataset import import_dataset

_OLD = {"brainstem": 1, "spinal_cord": 2, "parotid_right": 3, "parotid_left": 4}

# name -> (organs with their label values, (site, folder of its labels)…)
DATASETS: dict[str, tuple[Mapping[str, int], Sequence[tuple[str, str]]]] = {
    "site_a": (_OLD, [("site_a", "labels")]),
    "site_b": ({"mandible": 1}, [("site_b", "labels")]),
    "site_c": ({"larynx": 1}, [("site_c", "labels")]),
    "site_b_full": (_OLD | {"mandible": 5}, [("site_b", "labels_bound")]),
    "devtest": (_OLD | {"larynx": 6, "mandible": 7}, [("devtest", "labels")]),
}


def datasets(source: Path, work: Path) -> dict[str, Path]:
    """Every dataset's folder; those missing are imported."""
    folders = {name: work / "datasets" / name for name in DATASETS}
    for name, folder in folders.items():
        if not folder.is_dir():
            organs, parts = DATASETS[name]
            staged = _staged(source, parts, work / "datasets" / f"{name}.staged")
            import_dataset(staged / "images", staged / "labels", organs, folder, ignore_other_labels=name == "devtest")
            shutil.rmtree(staged)
    return folders


def _staged(source: Path, parts: Sequence[tuple[str, str]], folder: Path) -> Path:
    """Copies of the images that have a label there, and of these labels."""
    shutil.rmtree(folder, ignore_errors=True)
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    for site, labels in parts:
        for label in sorted((source / site / labels).glob("*.nii.gz")):
            shutil.copy(label, folder / "labels" / label.name)
            shutil.copy(source / site / "images" / label.name, folder / "images" / label.name)
    return folder
