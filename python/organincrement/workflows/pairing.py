"""Which label belongs to which image, for each way in which people keep them."""

import csv
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from organincrement.contract.labels import check_id
from organincrement.imaging.preflight import image_stem, image_suffix
from organincrement.workflows.errors import WorkflowError

Source = Literal["folders", "csv", "nnunet", "decathlon", "dicom"]
LARGEST_CSV_BYTES = 16 * 2**20
LONGEST_GROUP = 80


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An image, its label, the case id made from its name, and the patient's group."""

    id: str
    group: str
    image: Path
    label: Path


def find_pairs(images: Path, labels: Path, source: Source) -> list[Pair]:
    """All pairs, sorted by id.

    folders, decathlon: `pt_1.nii.gz` belongs to the label of the same name, whatever the formats. nnunet: the image is
    `pt_1_0000.nii.gz`. dicom: the image is the folder `pt_1`. csv: `images` is a CSV file with the columns image and
    label, and if wanted id and group; image paths count from the CSV's folder, label paths from `labels` where that is
    a folder.
    nnunet and decathlon also take the dataset's own folder, with imagesTr and labelsTr in it.
    Raises WorkflowError for an image or label without its counterpart, and for two of one name.
    """
    if source == "csv":
        pairs = _pairs_of_csv(images, labels)
    else:
        if source in ("nnunet", "decathlon"):
            images, labels = _inner(images, "imagesTr"), _inner(labels, "labelsTr")
        image_of = _by_name(images, _image_name(source), folders=source == "dicom")
        label_of = _by_name(labels, image_stem)
        _check_counterparts(images, image_of, labels, label_of)
        pairs = [_pair(name, image, label_of[name]) for name, image in image_of.items()]
    if not pairs:
        raise WorkflowError(f"{images}: holds no images that can be read; give the folder with the images")
    _check_unique(pairs)
    _check_files(pairs)
    return sorted(pairs, key=lambda pair: pair.id)


def _inner(folder: Path, name: str) -> Path:
    return folder / name if (folder / name).is_dir() else folder


def _image_name(source: Source) -> Callable[[Path], str]:
    def name_of(path: Path) -> str:
        if source != "nnunet":
            return path.name if path.is_dir() else image_stem(path)
        match = re.fullmatch(r"(.+)_(\d{4})", image_stem(path))
        if match is None or match[2] != "0000":
            raise WorkflowError(
                f"{path}: is not named like a one-channel nnU-Net image (case_0000.nii.gz); keep one channel"
            )
        return match[1]

    return name_of


def _by_name(folder: Path, name_of: Callable[[Path], str], *, folders: bool = False) -> dict[str, Path]:
    if not folder.is_dir():
        raise WorkflowError(f"{folder}: is not a folder; check the path")
    found: dict[str, Path] = {}
    # Hidden files are the system's (`._x.nii.gz` beside each file of an archive made on macOS).
    for path in sorted(path for path in folder.iterdir() if not path.name.startswith(".")):
        if not (path.is_dir() if folders else image_suffix(path)):
            continue
        name = name_of(path)
        if name in found:
            raise WorkflowError(f"{path}: has the same name as {found[name].name}; keep one of them")
        found[name] = path
    return found


def _check_counterparts(images: Path, image_of: dict[str, Path], labels: Path, label_of: dict[str, Path]) -> None:
    for name, path in image_of.items():
        if name not in label_of:
            raise WorkflowError(f"{path}: has no label named {name} in {labels}; add it or move the image away")
    for name, path in label_of.items():
        if name not in image_of:
            raise WorkflowError(f"{path}: has no image named {name} in {images}; add it or move the label away")


def _pairs_of_csv(table: Path, labels: Path) -> list[Pair]:
    if not table.is_file() or table.stat().st_size > LARGEST_CSV_BYTES:
        raise WorkflowError(
            f"{table}: is no CSV file of up to {LARGEST_CSV_BYTES >> 20} MiB; give one with image,label columns"
        )
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            columns = [(name or "").strip().lower() for name in reader.fieldnames or ()]
    except (UnicodeDecodeError, csv.Error) as error:
        raise WorkflowError(f"{table}: is not a UTF-8 CSV file ({error}); save it again") from None
    for name in ("image", "label", "id", "group"):
        if columns.count(name) > 1:
            raise WorkflowError(f"{table}: has the column {name!r} twice; keep one")
    label_folder = labels if labels.is_dir() else table.parent
    pairs = []
    for line, row in enumerate(rows, 2):
        if None in row:
            raise WorkflowError(f"{table} line {line}: has more cells than the first line; quote a cell with a comma")
        cells = {
            (key or "").strip().lower(): (value or "").strip() for key, value in row.items() if isinstance(value, str)
        }
        if not cells.get("image") or not cells.get("label"):
            raise WorkflowError(f"{table} line {line}: needs an image and a label; fill both columns")
        image, label = table.parent / cells["image"], label_folder / cells["label"]
        for path in (image, label):
            if not _is_there(path):
                raise WorkflowError(f"{table} line {line}: {path} is not there; correct the path")
        name = cells.get("id") or (image.name if image.is_dir() else image_stem(image))
        pairs.append(_pair(name, image, label, _group(cells.get("group"), f"{table} line {line}")))
    return pairs


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # A name too long for the disk, for one.
        return False


def _group(text: str | None, where: str) -> str | None:
    if text and (len(text) > LONGEST_GROUP or not text.isprintable()):
        raise WorkflowError(f"{where}: group {text[:40]!r} is no name; give printable text of up to {LONGEST_GROUP}")
    return text


def _pair(name: str, image: Path, label: Path, group: str | None = None) -> Pair:
    # An id is a file name on every system: spaces and accents of the original name become underscores.
    case_id = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-")[:80].rstrip(".")
    if not case_id:
        raise WorkflowError(f"{image}: has no letter or digit in its name to make a case id of; rename it")
    check_id(case_id)
    return Pair(id=case_id, group=group or case_id, image=image, label=label)


def _check_unique(pairs: Iterable[Pair]) -> None:
    seen: dict[str, Pair] = {}
    for pair in pairs:
        # Not every file system tells PT_1 from pt_1.
        other = seen.setdefault(pair.id.lower(), pair)
        if other is not pair:
            raise WorkflowError(
                f"{pair.image}: gives the case id {pair.id} as {other.image.name} does; rename one of them"
            )


def _check_files(pairs: Iterable[Pair]) -> None:
    """No image is its own label, no label serves twice, and no image is of two patients."""
    images: dict[Path, Pair] = {}
    labels: dict[Path, Pair] = {}
    for pair in pairs:
        image, label = (Path(os.path.realpath(path)) for path in (pair.image, pair.label))
        if image == label:
            raise WorkflowError(f"{pair.image}: is given as image and as label; give the folder of the labels")
        other = labels.setdefault(label, pair)
        if other is not pair:
            raise WorkflowError(
                f"{pair.label}: is the label of {other.id} and of {pair.id}; give each image a label of its own"
            )
        other = images.setdefault(image, pair)
        if other.group != pair.group:
            raise WorkflowError(
                f"{pair.image}: is the image of {other.id} and of {pair.id}, in two groups; give both one group"
            )
