"""Each process's share of a mini-batch, drawn as if it made the whole one.

A batch is worked on in parts (accumulation); of each part every process has some consecutive samples. Draws follow one
another sample by sample, so the others' samples are drawn, which is cheap, and not read or moved, which is not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from organincrement.imaging import augmentation
from organincrement.imaging.patches import Patch, PatchSampler, seed_of
from organincrement.training.batches import BatchSource, Draw


class BatchTooSmall(ValueError):  # noqa: N818
    """There are more processes than samples."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """The samples from `first` on, `size` of them, are worked on together; of these begin … end are the process's."""

    first: int
    size: int
    begin: int
    end: int


def parts_of(batch: int, largest: int, rank: int = 0, processes: int = 1) -> list[Part]:
    """The parts of a batch, none larger than `largest`, and the share of a process in each.

    Raises: BatchTooSmall where a process would have nothing to do.
    """
    parts = []
    for first in range(0, batch, largest):
        size = min(largest, batch - first)
        if size < processes:
            raise BatchTooSmall(
                f"{processes} processes cannot share {size} patches: plan with a larger training.batch or a smaller "
                "training.accumulation, or start fewer processes"
            )
        begin, end = (first + size * place // processes for place in (rank, rank + 1))
        parts.append(Part(first=first, size=size, begin=begin, end=end))
    return parts


@dataclass(frozen=True, kw_only=True)
class ShareOfBatches(BatchSource):
    """Of each mini-batch the samples at these places, one after another. Args: own: places in the batch, rising."""

    own: Sequence[int]

    @classmethod
    def of(cls, source: BatchSource, parts: Sequence[Part]) -> "ShareOfBatches":
        """The process's share of a source of whole batches."""
        own = tuple(place for part in parts for place in range(part.begin, part.end))
        return cls(
            sampler=source.sampler, mirror_left_right=source.mirror_left_right, augmented=source.augmented, own=own
        )

    def __getitem__(self, step: int) -> Draw:
        sampler, transform = self.sampler, None
        if self.augmented:
            transform = augmentation.training_augmentation(
                mirror_left_right=self.mirror_left_right, one_slice=sampler.patch[0] == 1
            )
        patches = _own_patches(sampler, step, frozenset(self.own))
        draws = augmentation._Draws(seed_of(sampler.seed, step, 1))
        made: list[tuple[Tensor, Tensor]] = []
        for patch in patches:
            if patch is not None:
                made.append(augmentation._augment_one(patch, transform, draws))
            elif transform is not None:
                _pass_over(sampler.patch, transform, draws)
        images, labels = zip(*made, strict=True)
        return torch.stack(images), torch.stack(labels), tuple(patch.case_id for patch in patches if patch is not None)


def _own_patches(sampler: PatchSampler, step: int, own: frozenset[int]) -> list[Patch | None]:
    """As `PatchSampler.draw`, but None in the place of what another process has."""
    rng = np.random.default_rng([sampler.seed, step])
    cases, number = sampler._of_step(step)
    patches: list[Patch | None] = []
    for place in range(sampler.batch):
        case, on_organ = sampler._case(cases, number * sampler.batch + place), place < sampler.foreground
        if place in own:
            patches.append(sampler._one(case, rng, on_organ))
        else:
            sampler._start(case, rng, on_organ)
            patches.append(None)
    return patches


def _pass_over(shape: tuple[int, int, int], transform: augmentation.Augmentation, draws: augmentation._Draws) -> None:
    """Draw what a patch of this shape would: of what is drawn voxel by voxel, one is used and the rest is let go."""
    seen = _Watched(draws)
    voxel = Patch(case_id="", image_DHW=np.zeros((1, 1, 1), np.float32), labels_DHW=np.zeros((1, 1, 1), np.int16))
    augmentation._augment_one(voxel, transform, seen)  # type: ignore[arg-type]
    if "noise" in seen.used:
        seen.used["noise"].normal(size=int(np.prod(shape)) - 1)


class _Watched:
    """Draws that remember which generators were asked for amounts."""

    def __init__(self, draws: augmentation._Draws) -> None:
        self._draws, self.used = draws, dict[str, np.random.RandomState]()
        self.happens = draws.happens

    def how(self, step: str) -> np.random.RandomState:
        self.used[step] = self._draws.how(step)
        return self.used[step]
