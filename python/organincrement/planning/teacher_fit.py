"""What should be known before a student is trained with this teacher on these scans, going by headers and names."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from organincrement.contract.labels import LabelTransition, Organ
from organincrement.contract.model import STORED, ModelManifest, TorchScriptHead
from organincrement.planning.geometry_check import in_array_order, spacing_distance

FAR_OCTAVES = 0.5  # voxels by 1.4 larger or smaller than any that the teacher saw
_ALIKE = 0.8
_SHORTEST_STEM = 4


@dataclass(frozen=True, kw_only=True)
class ScanGrid:
    """One scan by its header: where its axes point, and its spacing in mm, D, H, W of the teacher's orientation."""

    case: str
    orientation: str
    spacing_mm: tuple[float, float, float]


def teacher_notices(
    teacher: ModelManifest, scans: Sequence[ScanGrid], transition: LabelTransition, dataset: str
) -> list[str]:
    """One line for each thing that the user should know, with what it means. Args: dataset: its name, for the lines."""
    lines = []
    if isinstance(teacher.head, TorchScriptHead):
        lines.append(
            f"teacher '{teacher.name}' is a program, of which no student can start: the student is a fresh network, "
            "and needs longer to learn"
        )
    if teacher.preprocessing.orientation == STORED:
        lines += _mixed_orientations(teacher, scans, dataset)
    return [*lines, *_other_spacing(teacher, scans, dataset), *_alike(teacher, transition)]


def stored_ways(scans: Sequence[ScanGrid]) -> Mapping[str, Sequence[str]]:
    """The cases of each orientation, the most frequent first."""
    ways: dict[str, list[str]] = {}
    for scan in scans:
        ways.setdefault(scan.orientation, []).append(scan.case)
    return dict(sorted(ways.items(), key=lambda way: -len(way[1])))


def _mixed_orientations(teacher: ModelManifest, scans: Sequence[ScanGrid], dataset: str) -> list[str]:
    ways = stored_ways(scans)
    if len(ways) < 2:
        return []
    counted = ", ".join(f"{len(cases)} as {code} (such as {cases[0]})" for code, cases in ways.items())
    return [
        f"{dataset}: its scans are stored in different ways: {counted}; teacher '{teacher.name}' takes axes as they "
        "are stored, and will not know its organs in some: import it again with --orientation, or store all scans alike"
    ]


def _other_spacing(teacher: ModelManifest, scans: Sequence[ScanGrid], dataset: str) -> list[str]:
    if not scans:
        return []
    d, h, w = np.median([scan.spacing_mm for scan in scans], axis=0)
    if spacing_distance((float(d), float(h), float(w)), teacher) <= FAR_OCTAVES:
        return []
    works = _times(in_array_order(teacher.preprocessing.spacing_mm, teacher))
    known = teacher.trained_on.spacing_mm
    trained = f", and was trained on {_times(in_array_order(known.median, teacher))} mm" if known else ""
    return [
        f"{dataset}: its voxels are {_times((d, h, w))} mm (median); teacher '{teacher.name}' works on {works} mm"
        f"{trained}: finer detail is lost, coarser slices are filled in; check whether it knows its organs in these "
        "scans (audit)"
    ]


def _alike(teacher: ModelManifest, transition: LabelTransition) -> list[str]:
    return [
        f"the teacher's '{old.id}' may be, or hold, the dataset's '{new.id}': if so, give --merge {old.id}={new.id}, "
        "or the student will have both"
        for old in teacher.organs
        if old.id not in transition.merges
        for new in transition.new.organs
        if _may_be_one(old, new)
    ]


def _may_be_one(old: Organ, new: Organ) -> bool:
    if (old.kind, old.host) != (new.kind, new.host):
        return False
    if old.type and new.type:  # a pair as one organ, against one of its sides
        return old.type.same_as(new.type) and (old.modifier is None) != (new.modifier is None)
    a, b = (organ.id.replace("_", "").lower() for organ in (old, new))
    if min(len(a), len(b)) < _SHORTEST_STEM or (old.modifier and new.modifier and old.modifier != new.modifier):
        return False
    return a.startswith(b) or b.startswith(a) or difflib.SequenceMatcher(None, a, b).ratio() >= _ALIKE


def _times(values: Sequence[float]) -> str:
    return " × ".join(f"{value:.3g}" for value in values)
