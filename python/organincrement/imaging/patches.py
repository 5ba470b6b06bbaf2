"""Which patch of which case a training step sees. Every draw follows from the seed and the step alone.

So a resumed run sees the patches it would have seen, and no generator's state needs to be carried along.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from organincrement.imaging.cache import CachedCase

UNLABELLED = -1


def seed_of(*numbers: int) -> int:
    """A 32-bit seed that follows from these numbers (seed, step, purpose), alike on every machine."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


@dataclass(frozen=True, kw_only=True)
class Patch:
    """image_DHW: normalised, float32. labels_DHW: int16. Beyond the case: the fill value, unlabelled."""

    case_id: str
    image_DHW: np.ndarray
    labels_DHW: np.ndarray


@dataclass(frozen=True, kw_only=True)
class PatchSampler:
    """Draws mini-batches.

    Args: foreground: how many patches of a batch are centred (with jitter) on a voxel of an organ drawn evenly.
        fill: the normalised image value beyond the case. exemplars: old images that are replayed: a batch is all of
        these or all of `cases`, evenly interleaved in proportion to the sets' sizes in slabs one patch thick.
        replay_at_most: the largest share of batches that the exemplars may have.
    """

    cases: Sequence[CachedCase]
    patch: tuple[int, int, int]
    batch: int
    foreground: int
    seed: int
    fill: float
    exemplars: Sequence[CachedCase] = ()
    replay_at_most: float = 1.0

    def draw(self, step: int) -> list[Patch]:
        """The mini-batch of a step."""
        rng = np.random.default_rng([self.seed, step])
        cases, number = self._of_step(step)
        positions = range(number * self.batch, (number + 1) * self.batch)
        return [self._one(self._case(cases, p), rng, j < self.foreground) for j, p in enumerate(positions)]

    def _case(self, cases: Sequence[CachedCase], position: int) -> CachedCase:
        """Cases come in shuffled rounds, so that each is seen equally often."""
        turn, place = divmod(position, len(cases))
        return cases[np.random.default_rng([self.seed, turn, len(cases)]).permutation(len(cases))[place]]

    def _of_step(self, step: int) -> tuple[Sequence[CachedCase], int]:
        """The set that a step draws from, and how many steps before it drew from the same."""
        before = self._replayed(step)
        return (self.exemplars, before) if self._replayed(step + 1) > before else (self.cases, step - before)

    def _replayed(self, steps: int) -> int:
        """How many of the first steps draw from the exemplars."""
        new, old = (sum(-(-case.shape[0] // self.patch[0]) for case in each) for each in (self.cases, self.exemplars))
        share, of = old, new + old
        if share > self.replay_at_most * of:
            share, of = Fraction(self.replay_at_most).limit_denominator(1000).as_integer_ratio()
        return (steps * share + seed_of(self.seed, 4) % of) // of

    def _one(self, case: CachedCase, rng: np.random.Generator, on_organ: bool) -> Patch:
        start = self._start(case, rng, on_organ)
        shape, patch = np.array(case.shape), np.array(self.patch)
        low, high = np.maximum(start, 0), np.minimum(start + patch, shape)
        image = np.full(self.patch, self.fill, np.float32)
        labels = np.full(self.patch, UNLABELLED, np.int16)
        inside = tuple(slice(int(a - s), int(b - s)) for a, b, s in zip(low, high, start, strict=True))
        image[inside], labels[inside] = case.read(tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True)))  # type: ignore[arg-type]
        return Patch(case_id=case.id, image_DHW=image, labels_DHW=labels)

    def _start(self, case: CachedCase, rng: np.random.Generator, on_organ: bool) -> np.ndarray:
        shape, patch = np.array(case.shape), np.array(self.patch)
        last = np.maximum(shape - patch, 0)
        points = case.points() if on_organ else {}
        if points:
            found = points[sorted(points)[rng.integers(len(points))]]
            centre = found[rng.integers(len(found))]
            # a patch of one slice stays on the organ
            start = centre - patch // 2 + rng.integers(np.where(patch > 1, -patch // 4, 0), patch // 4 + 1)
        else:
            start = rng.integers(0, last + 1)
        # a case smaller than the patch along an axis sits in its middle
        return np.where(shape > patch, np.clip(start, 0, last), -((patch - shape) // 2))
