"""The old set as slabs of the network's grid: what each of them shows, and what the network thinks of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from organincrement.contract.dataset import Case, DatasetFolder
from organincrement.contract.files import sha256_file
from organincrement.contract.labels import LabelSpace
from organincrement.contract.model import Preprocessing
from organincrement.contract.vault import Voxel
from organincrement.imaging.preprocessing import preprocess_pair
from organincrement.imaging.safe_read import read_image, read_labels
from organincrement.inference.monte_carlo import Doubter, windows_of
from organincrement.replay.vault import centre_of, slab_starts
from organincrement.workflows.errors import WorkflowError

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
        for path, expected in self._files(case):
            if sha256_file(path) != expected:
                raise WorkflowError(f"{path.name}: has changed since the dataset recorded it; submit the case again")
        image = read_image(self.dataset.image_path(case))
        labels = image.with_array(np.zeros(image.shape_DHW, np.uint8))
        if case.label is not None:
            labels = read_labels(self.dataset.label_path(case), allowed=self.dataset.label_values, like=image)
        image_DHW, stored_DHW = preprocess_pair(image, labels, self.preprocessing)
        labels_DHW = self._numbers(stored_DHW)
        for start in slab_starts(len(image_DHW), self.slab):
            where = slice(start, start + self.slab)
            yield start, image_DHW[where], labels_DHW[where]

    def _files(self, case: Case) -> list[tuple[object, str]]:
        files = [(self.dataset.image_path(case), case.image_sha256)]
        if case.label is not None:
            files.append((self.dataset.label_path(case), case.label_sha256 or ""))
        return files  # type: ignore[return-value]

    def _numbers(self, stored_DHW: np.ndarray) -> np.ndarray:
        space = self.dataset.label_space
        number_of = np.zeros(1 + max(len(space), int(stored_DHW.max(initial=0))), np.int32)
        for stored, organ in enumerate(space.organs, start=1):
            number_of[stored] = self.organs.index(self.organs.like(organ).id) if self.organs.has(organ) else 0
        return number_of[stored_DHW]


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
