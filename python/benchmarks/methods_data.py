"""The data sets of the comparison of methods: of the phantom, made here, and of the head-and-neck study, imported."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from organincrement.imaging.phantom.scan import SITES, Site
from organincrement.workflows.import_dataset import import_dataset
from organincrement.workflows.phantom_dataset import write_phantom_dataset

# 8.8 x 8.2 x 9.9 mm: coarse enough that a run takes half a minute on one thread
SHAPE_DHW, SPACING_MM = (24, 32, 32), (8.8, 8.25, 9.9)
OLD, NEW = ("liver", "spleen"), ("stomach",)
ALL = OLD + NEW
# LwfSeg's third case: the new data in another contrast, native beside mostly portal-venous
CONTRAST = replace(SITES["a"], name="native", phases={"native": 1.0})


@dataclass(frozen=True, kw_only=True)
class PhantomData:
    """Patients of a site, labelled with these organs. No two of the training sets share a patient but where said."""

    organs: tuple[str, ...]
    patients: tuple[int, ...]
    site: Site = SITES["a"]


def _patients(first: int, count: int) -> tuple[int, ...]:
    return tuple(range(first, first + count))


PHANTOM: Mapping[str, PhantomData] = {
    # what the teacher is trained on; and the new organ, at another site
    "a-old": PhantomData(organs=OLD, patients=_patients(1, 12)),
    "b-new": PhantomData(organs=NEW, patients=_patients(101, 12), site=SITES["b"]),
    # the same patients as b-new with every organ: for the bound alone
    "b-full": PhantomData(organs=ALL, patients=_patients(101, 12), site=SITES["b"]),
    "test-b": PhantomData(organs=ALL, patients=_patients(901, 8), site=SITES["b"]),
    # one organ each; the third at the other site
    "liver": PhantomData(organs=("liver",), patients=_patients(201, 10)),
    "spleen": PhantomData(organs=("spleen",), patients=_patients(221, 10)),
    "stomach": PhantomData(organs=("stomach",), patients=_patients(241, 10)),
    "test-a": PhantomData(organs=ALL, patients=_patients(921, 8)),
    # LwfSeg's three cases
    "case-spleen": PhantomData(organs=("spleen",), patients=_patients(301, 10)),
    "case-stomach": PhantomData(organs=("stomach",), patients=_patients(321, 10)),
    "case-spleen-single": PhantomData(organs=("spleen",), patients=(341,)),
    "case-stomach-contrast": PhantomData(organs=("stomach",), patients=_patients(361, 10), site=CONTRAST),
    # transfer: one organ that none of the others has, few patients
    "kidney": PhantomData(organs=("kidney_left",), patients=_patients(401, 4)),
    "test-kidney": PhantomData(organs=("kidney_left",), patients=_patients(941, 8)),
}

_SITE_A = {"brainstem": 1, "spinal_cord": 2, "parotid_right": 3, "parotid_left": 4}
# name -> (organs with their values in the source, site, which of its cases: every so many, from the first or another)
HEADNECK_PARTS: Mapping[str, tuple[Mapping[str, int], str, tuple[int, int]]] = {
    "brainstem": ({"brainstem": 1}, "site_a", (0, 3)),
    "spinal_cord": ({"spinal_cord": 2}, "site_a", (1, 3)),
    "parotids": ({"parotid_right": 3, "parotid_left": 4}, "site_a", (2, 3)),
}
# imported already by the head-and-neck study, in its work folder
HEADNECK_WHOLE = ("site_a", "site_b", "site_c", "devtest")


def phantom_dataset(name: str, work: Path) -> Path:
    """The folder of a phantom data set, made where it is missing."""
    folder, data = work / "datasets" / name, PHANTOM[name]
    if not folder.is_dir():
        unfinished = folder.with_name(f"{name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        write_phantom_dataset(unfinished, data.site, data.organs, data.patients, shape_DHW=SHAPE_DHW, name=name)
        unfinished.rename(folder)
    return folder


def headneck_dataset(name: str, source: Path, study: Path, work: Path) -> Path:
    """A data set of the study, from its work folder, or a part of it with fewer organs, imported where it is missing.

    Args: source: the head-and-neck folder. study: the study's work folder.
    """
    if name in HEADNECK_WHOLE:
        return study / "datasets" / name
    organs, site, (first, every) = HEADNECK_PARTS[name]
    folder = work / "datasets" / name
    if not folder.is_dir():
        cases = sorted((source / site / "labels").glob("*.nii.gz"))[first::every]
        staged = _staged(source / site, cases, work / "datasets" / f"{name}.staged")
        import_dataset(staged / "images", staged / "labels", organs, folder, ignore_other_labels=True)
        shutil.rmtree(staged)
    return folder


def _staged(site: Path, labels: Sequence[Path], folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    for label in labels:
        shutil.copy(label, folder / "labels" / label.name)
        shutil.copy(site / "images" / label.name, folder / "images" / label.name)
    return folder
