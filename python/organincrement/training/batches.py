"""The stream of mini-batches, made in worker processes ahead of the trainer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from organincrement.imaging.augmentation import augment, training_augmentation
from organincrement.imaging.patches import PatchSampler, seed_of

_LONGEST_WAIT_S = 300

Draw = tuple[torch.Tensor, torch.Tensor, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class BatchSource(Dataset[Draw]):
    """The mini-batch of each step, by its number: which patches and which augmentation follow from seed and step."""

    sampler: PatchSampler
    mirror_left_right: bool
    augmented: bool = True

    def __getitem__(self, step: int) -> Draw:
        patches = self.sampler.draw(step)
        transform = training_augmentation(mirror_left_right=self.mirror_left_right) if self.augmented else None
        image_BCDHW, labels_BDHW = augment(patches, transform, seed_of(self.sampler.seed, step, 1))
        return image_BCDHW, labels_BDHW, tuple(patch.case_id for patch in patches)


def stream(source: BatchSource, steps: Sequence[int], workers: int, pin: bool) -> Iterator[Draw]:
    """The mini-batches of these steps in order, prepared ahead by `workers` processes (0: in this one)."""
    # a worker that hangs must fail the job rather than hold it for ever
    ahead: dict[str, Any] = {"prefetch_factor": 4, "timeout": _LONGEST_WAIT_S} if workers else {}
    return iter(
        DataLoader(source, batch_size=None, sampler=list(steps), num_workers=workers, pin_memory=pin, **ahead)  # type: ignore[arg-type]
    )
