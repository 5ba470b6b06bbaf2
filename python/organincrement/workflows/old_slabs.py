"""The old set as slabs of the network's grid: what each of them shows, and what the network thinks of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from organincrement.contract.dataset import Case, DatasetFolder
from organincrement.contract.labels import LabelSpace
from organincrement.contract.model import Preprocessing
from organincrement.contract.vault import Voxel
from organincrement.imaging.preprocessing import preprocess_pair
from organincrement.imaging.safe_read import read_image
from organincrement.inference.monte_carlo import Doubter, windows_of
from organincrement.replay.vault import centre_of, slab_starts
from organincrement.workflows.case_files import case_labels, check_unchanged, renumbered

Features = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Slab:
    """One slab of a case. points: of each organ that it shows, by the model's label, a voxel. uncertainty: the same."""

    case: int
    start: int
    points: dict[int, Voxel]
    uncertainty: dict[int, float]


@dataclass(frozen=True, kw_only=True)
class OldSet:
    """The cases of a dataset, seen as a model sees scans."""

    dataset: DatasetFolder
    cases: tuple[Case, ...]
    organs: LabelSpace
    preprocessing: Preprocessing
    slab: int

    def slabs(self, number: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """First slice, image and labels (the model's; 0 for all else) of each slab of a case.

        Raises: WorkflowError where a file has changed since the dataset recorded it; ImageError.
        """
        case = self.cases[number]
        check_unchanged(self.dataset, case, "submit the case again")
        image = read_image(self.dataset.image_path(case))
        image_DHW, stored_DHW = preprocess_pair(image, case_labels(self.dataset, case, image), self.preprocessing)
        labels_DHW = renumbered(stored_DHW, self._numbers())
        for start in slab_starts(len(image_DHW), self.slab):
            where = slice(start, start + self.slab)
            yield start, image_DHW[where], labels_DHW[where]

    def _numbers(self) -> list[int]:
        """The model's label of each organ of the dataset, 0 where it has none; hosts may be called differently."""
        named = self.dataset.label_space.hosted_in(self.organs.organs)
        return [self.organs.index(self.organs.like(o).id) if self.organs.has(o) else 0 for o in named]


def look_at_case(old: OldSet, number: int, first: int, doubter: Doubter, features: Features,
                 patch: tuple[int, int, int]) -> tuple[list[Slab], list[np.ndarray]]:  # fmt: skip
    """What one case's slabs show, and their features. Args: first: how many slabs came before it.

    Only slabs with an organ are asked about with dropout: no other can be chosen.
    """
    slabs, vectors = [], []
    for start, image_DHW, labels_DHW in old.slabs(number):
        shown = [int(label) for label in np.unique(labels_DHW) if label > 0]
        points = {label: centre_of(labels_DHW == label) for label in shown}
        uncertainty: dict[int, float] = {}
        if shown:
            by_organ = doubter.uncertainty(windows_of(image_DHW, patch), first + len(slabs))
            uncertainty = {label: float(by_organ[label - 1]) for label in shown}
        vectors.append(features(image_DHW))
        slabs.append(Slab(case=number, start=start, points=points, uncertainty=uncertainty))
    return slabs, vectors
