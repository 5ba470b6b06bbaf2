"""Segmentations of one made-up scan, written as `segment` or somebody else would."""

from pathlib import Path

import numpy as np

from organincrement.contract import codec
from organincrement.contract.labels import LabelSpace
from organincrement.contract.organs import organ_from_name
from organincrement.contract.results import Conflicts, SegmentReport
from organincrement.imaging.safe_read import read_labels
from organincrement.imaging.volume import Volume
from organincrement.imaging.writing import write_nifti, write_segmentation, write_volume
from organincrement.workflows.merge import Merged, MergeRequest, merge
from organincrement.workflows.merge_inputs import MergeInput

SHAPE = (6, 8, 10)
SPACING_MM = (3.0, 2.0, 1.5)
VOXEL_MM3 = 9.0
ORIGIN_MM = (-5.0, 20.0, 100.0)


def space(*names: str) -> LabelSpace:
    return LabelSpace(tuple(organ_from_name(name) for name in names))


def volume(array_DHW: np.ndarray, spacing_mm=SPACING_MM, origin_mm=ORIGIN_MM) -> Volume:
    return Volume(array_DHW, spacing_mm, origin_mm, np.eye(3))


def labels(*boxes: tuple[int, tuple[slice, slice, slice]], shape=SHAPE) -> np.ndarray:
    """Zeros with these labels in these boxes."""
    array_DHW = np.zeros(shape, np.uint8)
    for label, box in boxes:
        array_DHW[box] = label
    return array_DHW


def box(depth: tuple[int, int], height: tuple[int, int], width: tuple[int, int]) -> tuple[slice, slice, slice]:
    return slice(*depth), slice(*height), slice(*width)


def segmented(
    folder: Path, array_DHW: np.ndarray, organs: LabelSpace, percent: np.ndarray | float | None = None, *,
    scan: str = "5" * 64, grid=volume,
) -> MergeInput:  # fmt: skip
    """A folder as `segment` leaves it."""
    folder.mkdir(parents=True)
    write_segmentation(folder / "segmentation.seg.nrrd", grid(array_DHW), organs)
    if percent is not None:
        map_DHW = np.broadcast_to(np.asarray(percent), array_DHW.shape).astype(np.uint8)
        write_volume(folder / "uncertainty.nrrd", grid(map_DHW))
    report = SegmentReport(
        model=folder.name, model_sha256="a" * 64, input_sha256=scan, organs=(), seconds=1.0, device="cpu", versions={}
    )
    codec.write(report, folder / "report.json")
    return MergeInput(path=folder)


def drawn(path: Path, array_DHW: np.ndarray, **values: int) -> MergeInput:
    """A label file without names, and its organs."""
    write_nifti(path, volume(array_DHW))
    return MergeInput(path=path, organs=values)


def merged(out: Path, *inputs: MergeInput, **settings) -> tuple[Merged, np.ndarray]:
    """The merge, and its labels as they are on disk."""
    done = merge(MergeRequest(out=out, inputs=inputs, **settings))
    found = read_labels(out / "segmentation.seg.nrrd", allowed=range(1, 1 + len(done.organs)))
    assert codec.read(Conflicts, out / "conflicts.json").conflicts == tuple(done.conflicts)
    return done, found.array_DHW
