"""Merging several models' segmentations of one scan into one, with every place where they disagree listed.

The rules are those of `inference.merging`: the more certain claim wins, the earlier one on a tie; an anomaly lies over
its host. Certainty is 1 - uncertainty; a segmentation without a map counts as certain.
"""

import contextlib
import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from organincrement import __version__
from organincrement.contract import codec
from organincrement.contract.files import fsync_folder, sha256_file
from organincrement.contract.labels import LabelSpace
from organincrement.contract.results import MergeConflict, SegmentReport
from organincrement.imaging.geometry import grid_difference
from organincrement.imaging.volume import Volume
from organincrement.imaging.writing import write_segmentation, write_volume
from organincrement.inference.conflicts import as_document
from organincrement.inference.regions import uncertain_regions_in_parts
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.looking import made_folder
from organincrement.workflows.merge_inputs import (
    REPORT,
    SEGMENTATION,
    UNCERTAINTY,
    MergeInput,
    OpenedInput,
    open_input,
)
from organincrement.workflows.merge_slabs import SlabMerge
from organincrement.workflows.organ_rows import organ_rows

REGIONS, CONFLICTS = "regions.json", "conflicts.json"
_FILES = (SEGMENTATION, UNCERTAINTY, REGIONS, CONFLICTS, REPORT)  # the last one says that the others are whole
_HIDDEN = ".merging-"


@dataclass(frozen=True, kw_only=True)
class MergeRequest:
    """What to merge, where to.

    order: positions in `inputs` from the one that wins a tie on; empty: as given. resample: look inputs on another
    grid up on the first one's. between: called between slabs; may raise to stop. working: told of slabs done, of how
    many.
    """

    out: Path
    inputs: Sequence[MergeInput]
    order: Sequence[int] = ()
    resample: bool = False
    between: Callable[[], None] = lambda: None
    notice: Callable[[str], None] = lambda line: None
    working: Callable[[int, int], None] = lambda done, total: None


@dataclass(frozen=True, kw_only=True)
class Merged:
    """A merge that is on disk. conflicts: all of them, the largest first."""

    folder: Path
    organs: LabelSpace
    report: SegmentReport
    conflicts: Sequence[MergeConflict]


def merge(request: MergeRequest) -> Merged:
    """Merge segmentations of one scan into a folder that looks as if `segment` had written it, and conflicts.json.

    Raises: WorkflowError, ImageError or ContractError in one line; a new folder then does not stay, and an earlier
    merge stays as it was.
    """
    started_s = time.monotonic()
    check_order(request.order, len(request.inputs))
    inputs = [open_input(asked, request.notice) for asked in request.inputs]
    _check(request, inputs)
    check_out(request.out)
    grid = _empty_on(inputs[0])
    ordered = [inputs[i] for i in request.order or range(len(inputs))]
    work = SlabMerge(ordered, grid)
    labels_DHW, percent_DHW = work.run(request.between, request.working)
    labels = grid.with_array(labels_DHW)
    conflicts = work.log.found(grid)
    with _in_place_when_whole(request.out) as folder:
        _write(folder, labels, percent_DHW, work.organs)
        codec.write(as_document(conflicts), folder / CONFLICTS)
        report = _report(inputs, labels, percent_DHW, work.organs, time.monotonic() - started_s)
        codec.write(report, folder / REPORT)
    return Merged(folder=request.out, organs=work.organs, report=report, conflicts=conflicts)


def check_order(order: Sequence[int], count: int) -> None:
    """Raise WorkflowError unless there are two segmentations or more, and `order` is empty or names each once."""
    if count < 2:
        raise WorkflowError("there is nothing to merge: name two segmentations or models of one scan, or more")
    if order and sorted(order) != list(range(count)):
        raise WorkflowError(f"order: name each of the {count} segmentations once, by its number")


def check_out(out: Path) -> None:
    """Raise WorkflowError for a folder that a merge would spoil or cannot fill; one with an earlier merge is free."""
    if (out / REPORT).exists() and not (out / CONFLICTS).exists():
        raise WorkflowError(f"{out.resolve().name}: holds a result of `segment`; choose another folder with --out")
    for name in _FILES:
        if (out / name).is_dir():
            raise WorkflowError(f"{out / name}: is a folder where a file is to be; choose another folder with --out")


def _check(request: MergeRequest, inputs: Sequence[OpenedInput]) -> None:
    places = [one.labels.resolve() for one in inputs]
    for one, place in zip(inputs, places, strict=True):
        if places.count(place) > 1:
            raise WorkflowError(f"{one.labels}: is there twice; name each segmentation once")
        for file, what in ((one.labels, "is itself to be merged"), (one.uncertainty, "holds a map of uncertainty")):
            if file and request.out.exists() and file.parent.samefile(request.out):
                raise WorkflowError(f"{request.out.resolve().name}: {what}; write to another folder")
        difference = grid_difference(one.grid, inputs[0].grid)
        if difference and not request.resample:
            raise WorkflowError(
                f"{one.name}: is not on the grid of {inputs[0].name} ({difference}); if both are of one scan, add "
                "--resample"
            )
    certain = [one.name for one in inputs if one.uncertainty is None]
    if 0 < len(certain) < len(inputs):
        request.notice(f"{', '.join(certain)}: without a map of uncertainty, and so certain wherever it names an organ")
    scans = {one.report.input_sha256 for one in inputs if one.report}
    if len(scans) > 1:
        request.notice(
            "the segmentations were made of different files: make sure that these show one and the same scan"
        )


def _empty_on(one: OpenedInput) -> Volume:
    """The grid of an input, without memory for voxels."""
    header = one.grid
    nothing_DHW = np.broadcast_to(np.uint8(0), header.shape_DHW)
    return Volume(nothing_DHW, header.spacing_mm, header.origin_mm, header.direction)  # type: ignore[attr-defined]


@contextlib.contextmanager
def _in_place_when_whole(out: Path) -> Iterator[Path]:
    """A hidden folder in `out`, and so on its disk, whose files take the place of an earlier merge's at the end.

    On an error the earlier ones stay, or are put back, and a new `out` goes. Raises: WorkflowError of a full disk.
    """
    is_new = not out.exists()
    made_folder(out)
    try:
        for left in out.glob(f"{_HIDDEN}*"):  # by a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=_HIDDEN, ignore_cleanup_errors=True) as hidden:
            made, earlier = Path(hidden, "made"), Path(hidden, "earlier")
            made.mkdir()
            earlier.mkdir()
            yield made
            _exchange(made, out, earlier)
    except BaseException as error:
        if is_new:
            shutil.rmtree(out, ignore_errors=True)
        cause = error.__cause__ or error  # writers of images name their file, which is not there any more
        if isinstance(cause, OSError):
            raise WorkflowError(
                f"{out}: cannot be written ({cause.strerror or cause}); free disk space or check the folder"
            ) from error
        raise


def _exchange(made: Path, out: Path, earlier: Path) -> None:
    """Move what was there to `earlier` and what was made to `out`; all back where one cannot be moved."""
    with contextlib.ExitStack() as undo:
        for name in reversed(_FILES):
            if (out / name).exists():
                (out / name).rename(earlier / name)
                undo.callback((earlier / name).rename, out / name)
        for name in _FILES:
            if (made / name).exists():
                (made / name).rename(out / name)
                undo.callback((out / name).unlink)
        fsync_folder(out)
        undo.pop_all()


def _write(folder: Path, labels: Volume, percent_DHW: np.ndarray | None, organs: LabelSpace) -> None:
    write_segmentation(folder / SEGMENTATION, labels, organs)
    if percent_DHW is not None:
        write_volume(folder / UNCERTAINTY, labels.with_array(percent_DHW))
        codec.write(uncertain_regions_in_parts(labels, percent_DHW, organs), folder / REGIONS)


def _report(
    inputs: Sequence[OpenedInput], labels: Volume, percent_DHW: np.ndarray | None, organs: LabelSpace, seconds: float
) -> SegmentReport:
    """As `segment` writes it; the model is named after all of them, and its hash is over theirs."""
    names = [one.report.model if one.report else "contours" for one in inputs]
    hashes = [one.report.model_sha256 if one.report else sha256_file(one.labels) for one in inputs]
    first = next((one.report for one in inputs if one.report), None)
    return SegmentReport(
        model=f"merge of {', '.join(names[:-1])} and {names[-1]}",
        model_sha256=hashlib.sha256("".join(hashes).encode()).hexdigest(),
        input_sha256=first.input_sha256 if first else sha256_file(inputs[0].labels),
        organs=organ_rows(labels, percent_DHW, organs),
        seconds=round(seconds, 2),
        device="cpu",
        versions={"organincrement": __version__, "torch": torch.__version__},
        input_is_dicom=bool(first and first.input_is_dicom),
    )
