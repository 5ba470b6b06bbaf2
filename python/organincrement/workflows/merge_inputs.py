"""What a merge is made of: segmentations of one scan, each with the organs of its labels and, maybe, its doubt."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.labels import LabelSpace, Organ
from organincrement.contract.organs import organ_from_name
from organincrement.contract.results import SegmentReport
from organincrement.imaging.errors import ImageError
from organincrement.imaging.geometry import Grid, grid_difference
from organincrement.imaging.preflight import image_stem, image_suffix
from organincrement.imaging.resampling import onto_grid
from organincrement.imaging.safe_read import label_counts, label_slabs, peek, read_labels, read_stored, stored_slabs
from organincrement.imaging.segments import read_segments
from organincrement.imaging.volume import Volume
from organincrement.workflows.errors import WorkflowError

SEGMENTATION, UNCERTAINTY, REPORT = "segmentation.seg.nrrd", "uncertainty.nrrd", "report.json"
Range = tuple[float, float]
_CLEARLY_SMALLER = 0.9  # of its own volume; taking the nearest voxel alone costs less, but for a few voxels


@dataclass(frozen=True, kw_only=True)
class MergeInput:
    """One segmentation: a folder that `segment` wrote, a .seg.nrrd, or another label file with `organs` (name: value).

    uncertainty: its map in per cent; None: the one beside segmentation.seg.nrrd, where there is one and unless it is to
    count as `certain`. ranges_mm: where along the body organs can lie, by their id: S in mm, as packages give it.
    """

    path: Path
    organs: Mapping[str, int] = field(default_factory=dict)
    uncertainty: Path | None = None
    certain: bool = False
    ranges_mm: Mapping[str, Range] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class OpenedInput:
    """Its files and header; no voxel is held. organs: by label value. report: of the model, where it was a model's.

    notice: told of organs that another grid cuts off.
    """

    name: str
    labels: Path
    grid: Grid
    organs: Mapping[int, Organ]
    uncertainty: Path | None
    ranges_mm: Mapping[str, Range]
    report: SegmentReport | None
    notice: Callable[[str], None] = lambda line: None

    def label_slabs(self, slices: int, like: Volume) -> Iterator[np.ndarray]:
        """Its labels on the grid of `like`, so many slices at a time; looked up there where it has another grid."""
        if grid_difference(self.grid, like) is None:
            yield from label_slabs(self.labels, allowed=self.organs, slices=slices)
            return
        own = read_labels(self.labels, allowed=self.organs)
        moved_DHW = onto_grid(own, like, kind="nearest").array_DHW
        if own.array_DHW.any() and not moved_DHW.any():
            raise WorkflowError(f"{self.name}: lies outside of the first one's grid: are both of one scan?")
        self._tell_of_losses(own, moved_DHW, like)
        yield from (moved_DHW[start : start + slices] for start in range(0, len(moved_DHW), slices))

    def _tell_of_losses(self, own: Volume, moved_DHW: np.ndarray, like: Volume) -> None:
        """One line on the organs that are clearly smaller on the grid of `like`."""
        before, after = label_counts(own.array_DHW), label_counts(moved_DHW)
        was, now = (float(np.prod(grid.spacing_mm)) / 1000 for grid in (own, like))
        lost = [
            f"{organ.name} has {after.get(value, 0) * now:.4g} of its {before[value] * was:.4g} ml"
            for value, organ in self.organs.items()
            if after.get(value, 0) * now < _CLEARLY_SMALLER * before.get(value, 0) * was
        ]
        if lost:
            self.notice(
                f"{self.name}: on the first one's grid {', '.join(lost)}; where they reach beyond it, name the one "
                "with the largest grid first"
            )

    def doubt_slabs(self, slices: int, like: Volume) -> Iterator[np.ndarray | None]:
        """Its uncertainty in per cent, uint8, in the same way; None for each slab where it has no map."""
        if self.uncertainty is None:
            yield from (None for _ in range(0, like.shape_DHW[0], slices))
        elif grid_difference(self.grid, like) is None:
            yield from _percent(self.uncertainty, stored_slabs(self.uncertainty, slices))
        else:
            own = read_stored(self.uncertainty)
            (percent_DHW,) = _percent(self.uncertainty, [own.array_DHW])
            moved_DHW = onto_grid(own.with_array(percent_DHW), like, kind="nearest").array_DHW
            yield from (moved_DHW[start : start + slices] for start in range(0, len(moved_DHW), slices))


def open_input(asked: MergeInput, notice: Callable[[str], None] = lambda line: None) -> OpenedInput:
    """Find its files and what its labels are; raises WorkflowError, ImageError or ContractError in one line."""
    labels, report, uncertainty = _files(asked)
    name = report.model if report else image_stem(asked.path)
    grid = peek(labels)
    organs = _organs(labels, asked.organs)
    if uncertainty is not None and (difference := grid_difference(peek(uncertainty), grid)):
        raise ImageError(f"{uncertainty}: is not on the grid of its segmentation ({difference}); segment the scan anew")
    return OpenedInput(
        name=name, labels=labels, grid=grid, organs=organs, uncertainty=uncertainty, ranges_mm=asked.ranges_mm,
        report=report, notice=notice,
    )  # fmt: skip


def joined_organs(inputs: Sequence[OpenedInput]) -> tuple[LabelSpace, list[Mapping[int, Organ]]]:
    """All organs, one that several have once, by the ids of the first that has it; and each input's, by those ids.

    An anomaly's host is looked up among the organs, so that two models' names for one liver do not make two tumours.
    """
    plain = LabelSpace.joined(LabelSpace(_plain(one)) for one in inputs)
    renamed = [{value: _hosted(organ, one, plain) for value, organ in one.organs.items()} for one in inputs]
    joined = LabelSpace.joined(LabelSpace(tuple(organs.values())) for organs in renamed)
    return joined, [{value: joined.like(organ) for value, organ in organs.items()} for organs in renamed]


def _plain(one: OpenedInput) -> tuple[Organ, ...]:
    return tuple(organ for organ in one.organs.values() if organ.host is None)


def _hosted(organ: Organ, one: OpenedInput, plain: LabelSpace) -> Organ:
    if organ.host is None:
        return organ
    own = next((other for other in _plain(one) if other.id == organ.host), None) or organ_from_name(organ.host)
    return replace(organ, host=plain.like(own).id) if plain.has(own) else organ


def _files(asked: MergeInput) -> tuple[Path, SegmentReport | None, Path | None]:
    """The label file, the report and the map of uncertainty."""
    path = asked.path
    folder = path if path.is_dir() else path.parent
    ours = path.is_dir() or path.name == SEGMENTATION
    labels = folder / SEGMENTATION if ours else path
    if not labels.is_file():
        raise WorkflowError(f"{_named(path)}: {_what_is_missing(path)}")
    if path.is_dir() and not (path / REPORT).is_file():
        raise WorkflowError(f"{_named(path)}: has no {REPORT}: it is half-written; segment or merge again")
    report = None
    if ours and (folder / REPORT).is_file():
        report = codec.read(SegmentReport, folder / REPORT)
    beside = folder / UNCERTAINTY
    found = beside if ours and beside.is_file() and not asked.certain else None
    return labels, report, asked.uncertainty or found


def _what_is_missing(path: Path) -> str:
    if not path.is_dir():
        return "there is no such file"
    inside = sorted(found.parent.name for found in path.glob(f"*/{SEGMENTATION}"))
    return f"holds no {SEGMENTATION}; name " + (
        f"one of its folders: {', '.join(inside[:5])}" if inside else "a folder that `segment` wrote"
    )


def _organs(labels: Path, named: Mapping[str, int]) -> dict[int, Organ]:
    organs = {value: organ_from_name(name) for name, value in named.items()}
    if len(organs) < len(named):
        raise WorkflowError(f"{labels.name}: one value is given to two organs")
    if not organs and image_suffix(labels) in (".nrrd", ".seg.nrrd"):
        organs = read_segments(labels)
    if not organs:
        raise WorkflowError(
            f"{labels.name}: does not say which value is which organ; write {labels.name}:liver=1,spleen=2"
        )
    try:
        LabelSpace(tuple(organs.values()))
    except ContractError as error:
        raise WorkflowError(f"{labels.name}: {error}") from None
    return organs


def _named(path: Path) -> str:
    return path.resolve().name if path.is_dir() else path.name  # '.' has no name of its own


def _percent(path: Path, slabs: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Whole per cents, uint8, of all slabs of a map; after the last one raises ImageError for a map of fractions."""
    largest, all_whole = 0.0, True
    for slab_DHW in slabs:
        if slab_DHW.min() < 0 or slab_DHW.max() > 100:
            raise ImageError(f"{path}: has values outside 0 to 100; uncertainty is in per cent")
        whole_DHW = np.rint(slab_DHW)
        largest, all_whole = max(largest, float(slab_DHW.max())), all_whole and np.array_equal(whole_DHW, slab_DHW)
        yield whole_DHW.astype(np.uint8)
    if largest <= 1 and not all_whole:
        raise ImageError(
            f"{path}: looks like fractions, up to {largest:.3g}; uncertainty is in per cent: multiply it by 100"
        )
