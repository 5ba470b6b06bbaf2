"""One validation for the rehearsal of a job: a window by the student, compared, and by the teachers."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from organincrement.imaging.cache import CachedCase, write_case
from organincrement.training.validation import HeldBackCase, Segmenter, validate
from organincrement.workflows.rehearsed_cases import Rehearsed
from organincrement.workflows.setup import Setup

_BUDGET_S, _MOST = 0.5, 5


@dataclass(frozen=True, kw_only=True)
class Passes:
    """Seconds of a window and of a voxel besides, of the student and of the teachers; voxels that were validated."""

    window_s: float
    voxel_s: float
    teacher_window_s: float
    teacher_voxel_s: float
    voxels: int


class _Timed(nn.Module):
    """A network that counts its windows and the time they take."""

    def __init__(self, network: nn.Module, now: Callable[[], float]) -> None:
        super().__init__()
        self.network, self.now = network, now
        self.seconds, self.windows = 0.0, 0

    def forward(self, x_BCDHW: Tensor) -> Tensor:
        """The network's answer."""
        started = self.now()
        answer: Tensor = self.network(x_BCDHW)
        self.seconds += self.now() - started
        self.windows += 1
        return answer


def rehearsed_passes(
    setup: Setup, network: nn.Module, cases: Rehearsed, segmenter: Segmenter, clock: Callable[[], float]
) -> Passes:
    """Validate a piece of a case as large as a patch."""
    whole = cases.training[0]
    piece = _piece(whole, segmenter.patch)
    teachers = setup.frozen_teachers(segmenter.device) if setup.plan.validation.cases else ()
    held = HeldBackCase(
        case=piece, annotated=cases.searched[whole.id], label_values=setup.label_values,
        teacher_labels_DHW=np.zeros(piece.shape, np.int16) if teachers else None,
    )  # fmt: skip

    def by_student(timed: Callable[[nn.Module], nn.Module]) -> None:
        validate(timed(network), [held], setup.organs, setup.transition.old_count, setup.readout, segmenter)

    def by_teachers(timed: Callable[[nn.Module], nn.Module]) -> None:
        for teacher in teachers:
            segmenter.labels(timed(teacher.network), piece, teacher.readout.channels, teacher.old_labels)

    network.eval()
    window_s, voxel_s = _timed(by_student, piece, segmenter.device, clock)
    taught = _timed(by_teachers, piece, segmenter.device, clock) if teachers else (0.0, 0.0)
    return Passes(
        window_s=window_s, voxel_s=voxel_s, teacher_window_s=taught[0], teacher_voxel_s=taught[1],
        voxels=int(np.prod(piece.shape)),
    )  # fmt: skip


def _timed(
    work: Callable[[Callable[[nn.Module], nn.Module]], None],
    piece: CachedCase,
    device: torch.device,
    clock: Callable[[], float],
) -> tuple[float, float]:
    """Seconds of a window, and of a voxel besides; the first time does not count, unless it takes long."""

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return clock()

    totals: list[tuple[float, float, int]] = []
    while len(totals) < 2 or (len(totals) <= _MOST and sum(total for total, _, _ in totals) < _BUDGET_S):
        made: list[_Timed] = []

        def timed(network: nn.Module, made: list[_Timed] = made) -> nn.Module:
            made.append(_Timed(network, now))
            return made[-1]

        started = now()
        work(timed)
        totals.append((now() - started, sum(one.seconds for one in made), sum(one.windows for one in made)))
        if totals[0][0] > _BUDGET_S:
            break
    later = totals[1:] or totals
    total, inside, windows = (sum(column) for column in zip(*later, strict=True))
    return inside / windows, max(0.0, total - inside) / (len(later) * int(np.prod(piece.shape)))


def _piece(case: CachedCase, patch: tuple[int, int, int]) -> CachedCase:
    """The middle of a case."""
    starts = [max(0, n - p) // 2 for n, p in zip(case.shape, patch, strict=True)]
    box = tuple(slice(s, s + min(n, p)) for s, n, p in zip(starts, case.shape, patch, strict=True))
    image_DHW, labels_DHW = case.read(box)  # type: ignore[arg-type]
    return write_case(case.folder, "piece", image_DHW, labels_DHW, seed=0)
