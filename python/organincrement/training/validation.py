"""How good the student is on held-back cases: new organs against the labels, old organs against the teacher."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from organincrement.contract.labels import LabelSpace
from organincrement.imaging.cache import CachedCase
from organincrement.inference.boxes import split
from organincrement.inference.memory import free_gpu_memory, whose_memory
from organincrement.inference.readout import Readout
from organincrement.inference.windows import Box, Windows, average_windows

VALIDATION_STEP = 0.75  # of the windows, as a share of the patch: a look is no segmentation
Rows = dict[str, list[float]]
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class HeldBackCase:
    """A case to validate on; `annotated`: organs looked for. teacher_labels_DHW: 0..K, None without a teacher.

    label_values: of the organs that can be labelled in its own labels; 0 is background, -1 unlabelled.
    """

    case: CachedCase
    annotated: tuple[str, ...]
    label_values: Mapping[str, int]
    teacher_labels_DHW: np.ndarray | Callable[[], np.ndarray | None] | None

    @cached_property
    def teacher_DHW(self) -> np.ndarray | None:
        """Asked at the first look: a job's start does not wait for it."""
        asked = self.teacher_labels_DHW
        return asked() if callable(asked) else asked


@dataclass(frozen=True, kw_only=True)
class ValidationResult:
    """Dice of each labelled organ and agreement (Dice with the teacher) of each old one, one value per case with it."""

    dice: Rows
    agreement: Rows

    def means(self, rows: Rows) -> dict[str, float | None]:
        """Mean over the cases; None where no case has the organ."""
        return {organ: float(np.mean(values)) if values else None for organ, values in rows.items()}

    @property
    def labelled_dice(self) -> float | None:
        """Mean Dice of the labelled organs; None where no case has any."""
        known = [value for value in self.means(self.dice).values() if value is not None]
        return float(np.mean(known)) if known else None

    @property
    def score(self) -> float:
        """Mean of the labelled organs' mean Dice and the old organs' mean agreement: the best is best by both."""
        groups = [[v for v in self.means(rows).values() if v is not None] for rows in (self.dice, self.agreement)]
        return float(np.mean([np.mean(group) for group in groups if group])) if any(groups) else 0.0


@dataclass(frozen=True, kw_only=True)
class Rung:
    """How much memory a pass takes: tiles have one part of the budget each, and their sums may leave the GPU."""

    parts: int
    sums_in_ram: bool
    says: str


_RUNGS = (
    Rung(parts=1, sums_in_ram=False, says=""),
    Rung(parts=8, sums_in_ram=False, says="in smaller tiles"),
    Rung(parts=64, sums_in_ram=True, says="in the smallest tiles, summed in main memory"),
)


@dataclass(kw_only=True)
class Segmenter:
    """Labels of a cached case by sliding windows, tile by tile, in smaller tiles where memory does not allow that.

    warn: told, by code and message, of every rung taken down the ladder; a rung once taken is kept.
    budget_bytes: of one tile's mean logits, whatever the number of channels; no more than one tile is held.
    """

    patch: tuple[int, int, int]
    step: float
    fill: float
    device: torch.device
    autocast: torch.dtype | None
    between: Callable[[], None]
    warn: Callable[[str, str], None] = lambda code, message: None
    rung: int = 0
    budget_bytes: int = 256 * 2**20

    def logits(self, network: nn.Module, case: CachedCase, channels: int) -> torch.Tensor:
        """Mean logits (channels, D, H, W) on the CPU: of the whole case, so for small ones only."""

        def whole() -> torch.Tensor:
            logits_CDHW = torch.empty(channels, *case.shape)
            for box, mean_CDHW in self._tiles(network, case, channels):
                logits_CDHW[(slice(None), *box)] = mean_CDHW.cpu()
            return logits_CDHW

        return self._within_memory(whole)

    def logits_at(self, network: nn.Module, case: CachedCase, channels: int, indices: np.ndarray) -> torch.Tensor:
        """Mean logits (N, channels) on the CPU, of the N voxels with these flat indices into the case's (D, H, W)."""
        places_N3 = torch.from_numpy(np.stack(np.unravel_index(indices, case.shape), axis=1).astype(np.int64))

        def gathered() -> torch.Tensor:
            logits_NC = torch.empty(len(places_N3), channels)
            for box, mean_CDHW in self._tiles(network, case, channels):
                first, end = (torch.tensor([getattr(s, edge) for s in box]) for edge in ("start", "stop"))
                inside_N = ((places_N3 >= first) & (places_N3 < end)).all(1)
                d, h, w = (places_N3[inside_N] - first).to(mean_CDHW.device).unbind(1)
                logits_NC[inside_N] = mean_CDHW[:, d, h, w].T.cpu()
                del mean_CDHW  # before the next tile is made
            return logits_NC

        return self._within_memory(gathered)

    def labels(
        self,
        network: nn.Module,
        case: CachedCase,
        channels: int,
        labelled: Callable[[torch.Tensor], torch.Tensor] = lambda logits_CDHW: logits_CDHW.argmax(0),
    ) -> np.ndarray:
        """Label of each voxel, int16. Args: labelled: from a tile's mean logits to its labels."""

        def whole() -> np.ndarray:
            labels_DHW = np.empty(case.shape, np.int16)
            for box, mean_CDHW in self._tiles(network, case, channels):
                labels_DHW[box] = labelled(mean_CDHW).cpu().numpy()
                del mean_CDHW  # before the next tile is made
            return labels_DHW

        return self._within_memory(whole)

    def _within_memory(self, attempt: Callable[[], Result]) -> Result:
        """One attempt on each rung of the ladder. Raises: what the last one raised."""
        while True:
            try:
                return attempt()
            except (RuntimeError, MemoryError) as error:
                whose = whose_memory(error)
                if self.rung + 1 == len(_RUNGS) or whose is None:
                    raise
            free_gpu_memory()
            self.rung += 1
            self.warn("smaller_tiles", f"out of {whose} memory while validating: going on {_RUNGS[self.rung].says}")

    def _tiles(self, network: nn.Module, case: CachedCase, channels: int) -> Iterator[tuple[Box, torch.Tensor]]:
        """Boxes that tile the case, with their mean logits (channels, *box)."""
        rung, shape = _RUNGS[self.rung], case.shape
        image = torch.from_numpy(case.image_DHW())
        short = [max(0, p - n) for p, n in zip(self.patch, shape, strict=True)]
        before = [s // 2 for s in short]  # a case smaller than the patch sits in its middle, as in training
        sides = [side for b, s in zip(reversed(before), reversed(short), strict=True) for side in (b, s - b)]
        padded = nn.functional.pad(image, sides, value=self.fill)
        windows = Windows(shape=tuple(padded.shape), patch=self.patch, step=self.step)  # type: ignore[arg-type]
        sums_on = torch.device("cpu") if rung.sums_in_ram else self.device

        def predict(x_11DHW: torch.Tensor, _number: int) -> torch.Tensor:
            with torch.autocast(self.device.type, self.autocast, enabled=self.autocast is not None):
                return network(x_11DHW.to(self.device))[0].float().to(sums_on)

        @torch.inference_mode()
        def mean(box: Box) -> torch.Tensor:
            return average_windows(padded, windows, box, predict, channels, sums_on, self.between)

        most_voxels = min(self.budget_bytes // (4 * channels), shape[0] * shape[1] * shape[2])
        for box in split(shape, shape, -(-most_voxels // rung.parts)):
            place = tuple(slice(s.start + b, s.stop + b) for s, b in zip(box, before, strict=True))
            yield box, mean(place)  # type: ignore[arg-type]  # without a name, so that the tile goes with its user


def validate(
    network: nn.Module,
    cases: Sequence[HeldBackCase],
    organs: LabelSpace,
    old_count: int,
    readout: Readout,
    segmenter: Segmenter,
) -> ValidationResult:
    """Segment every held-back case and compare.

    Args: network: in eval mode. organs: the student's, of which the first `old_count` are old. readout: of its
        channels.
    """
    old, new = organs.ids[:old_count], organs.ids[old_count:]
    labelled = {*new, *(organ for held in cases for organ in held.annotated if organ in held.label_values)}
    agreement: Rows = {organ: [] for organ in old}
    dice: Rows = {organ: [] for organ in organs.ids if organ in labelled}
    for held in cases:
        predicted = segmenter.labels(network, held.case, readout.channels, readout.labels)
        truth = held.case.labels_DHW()
        for organ in dice:
            if organ in held.annotated:
                found = (predicted == organs.index(organ)) & (truth >= 0)
                _add(dice[organ], found, truth == held.label_values[organ])
        if held.teacher_DHW is not None:
            for index, organ in enumerate(old, start=1):
                _add(agreement[organ], predicted == index, held.teacher_DHW == index)
    return ValidationResult(dice=dice, agreement=agreement)


def _add(values: list[float], predicted: np.ndarray, reference: np.ndarray) -> None:
    total = int(predicted.sum()) + int(reference.sum())
    if total:  # both empty: nothing to measure
        values.append(2.0 * int((predicted & reference).sum()) / total)
