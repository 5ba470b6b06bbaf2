"""The stream of mini-batches, made in worker processes ahead of the trainer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from organincrement.imaging.augmentation import augment, training_augmentation
from organincrement.imaging.patches import PatchSampler, seed_of
from organincrement.training.data_workers import made_ahead

_LONGEST_WAIT_S = 300  # a worker that hangs must not hold the job for ever

Draw = tuple[torch.Tensor, torch.Tensor, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class BatchSource:
    """The mini-batch of each step, by its number: which patches and which augmentation follow from seed and step."""

    sampler: PatchSampler
    mirror_left_right: bool
    augmented: bool = True

    def __getitem__(self, step: int) -> Draw:
        patches = self.sampler.draw(step)
        transform = None
        if self.augmented:
            one_slice = self.sampler.patch[0] == 1
            transform = training_augmentation(mirror_left_right=self.mirror_left_right, one_slice=one_slice)
        image_BCDHW, labels_BDHW = augment(patches, transform, seed_of(self.sampler.seed, step, 1))
        return image_BCDHW, labels_BDHW, tuple(patch.case_id for patch in patches)

    def plain(self, step: int) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
        """The same as arrays: torch would hand a tensor from process to process over a socket."""
        image_BCDHW, labels_BDHW, case_ids = self[step]
        return image_BCDHW.numpy(), labels_BDHW.numpy().astype(np.int16), case_ids


def stream(
    source: BatchSource, steps: Sequence[int], workers: int, pin: bool, between: Callable[[], None] = lambda: None
) -> Iterator[Draw]:
    """The mini-batches of these steps in order, prepared ahead by `workers` processes (0: in this one).

    Close the iterator to end the workers. Args: between: called while waiting for a worker; may raise to stop.
    Raises: WorkerLost where a worker was killed or hangs.
    """
    if not workers:
        draws: Iterator[Draw] = (source[step] for step in steps)
    else:
        arrays = made_ahead(source.plain, steps, workers, _LONGEST_WAIT_S, between)
        draws = _as_tensors(arrays)
    try:
        for image_BCDHW, labels_BDHW, case_ids in draws:
            if pin:
                image_BCDHW, labels_BDHW = image_BCDHW.pin_memory(), labels_BDHW.pin_memory()
            yield image_BCDHW, labels_BDHW, case_ids
    finally:
        draws.close()  # type: ignore[attr-defined]


def _as_tensors(arrays: Iterator[tuple[np.ndarray, np.ndarray, tuple[str, ...]]]) -> Iterator[Draw]:
    try:
        for image_BCDHW, labels_BDHW, case_ids in arrays:
            yield torch.from_numpy(image_BCDHW), torch.from_numpy(labels_BDHW).long(), case_ids
    finally:
        arrays.close()  # type: ignore[attr-defined]
