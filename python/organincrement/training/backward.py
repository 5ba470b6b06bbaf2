"""The gradients of a mini-batch: part by part, and where several processes have it between them, of all of them."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext

import torch
from torch import nn

from organincrement.contract.plan import Plan
from organincrement.imaging.patches import seed_of
from organincrement.imaging.share import sharing
from organincrement.methods.protocol import Batch, ContinualMethod, LossTerms
from organincrement.training.batches import Draw
from organincrement.training.device import Hardware
from organincrement.training.distributed import Group
from organincrement.training.distributed_batches import Part, parts_of


class Backward:
    """Backward over a batch. Args: annotated, exemplars: as the Trainer's."""

    def __init__(
        self,
        *,
        plan: Plan,
        method: ContinualMethod,
        annotated: Mapping[str, tuple[bool, ...]],
        exemplars: frozenset[str],
        hardware: Hardware,
        scaler: torch.amp.GradScaler,
        group: Group,
    ) -> None:
        self._plan, self._method, self._hardware, self._group = plan, method, hardware, group
        self._annotated, self._exemplars, self._scaler = annotated, exemplars, scaler
        self._losses: Callable[[Batch], LossTerms] | None = None

    def renew(self) -> None:
        """Which weights are trained has changed."""
        self._losses = None

    def parts(self, samples: int, micro_batch: int) -> list[Part]:
        """The parts of a batch of so many samples. Raises: BatchTooSmall."""
        return parts_of(samples, micro_batch, self._group.rank, self._group.size)

    def __call__(self, student: nn.Module, draw: Draw, step: int, micro_batch: int) -> dict[str, float]:
        """Add to the weights' gradients those of a batch, of which `draw` is this process's share.

        Returns: the loss terms of the whole batch.
        """
        student.train()
        if self._losses is None:
            self._losses = self._group.losses(student, self._method.loss)
        image_BCDHW, labels_BDHW, ids = draw
        count = len(ids) if self._group.is_alone else self._plan.training.batch
        generator = torch.Generator().manual_seed(seed_of(self._plan.seed, step, 2))
        torch.manual_seed(seed_of(self._plan.seed, step, 3))  # dropout, where a network has any
        values: dict[str, float] = {}
        parts, done = self.parts(count, micro_batch), 0
        for part in parts:
            own = slice(done, done + part.end - part.begin)
            done = own.stop
            batch = Batch(
                image_BCDHW=image_BCDHW[own].to(self._hardware.device, self._hardware.weights, non_blocking=True),
                labels_BDHW=labels_BDHW[own].to(self._hardware.device, non_blocking=True),
                annotated_BL=torch.tensor([self._annotated[i] for i in ids[own]], device=self._hardware.device),
                case_ids=ids[own],
                generator=generator,
                exemplar=ids[own.start] in self._exemplars,
                step=step,
            )
            last = part is parts[-1]
            with nullcontext() if last else self._group.unreduced(self._losses):
                for name, value in self._of(part, batch, part.size / count).items():
                    values[name] = values.get(name, 0.0) + value
        return values

    def _of(self, part: Part, batch: Batch, share: float) -> dict[str, float]:
        """Backward of one part, which is so much of the batch. Returns: its share of the loss terms."""
        assert self._losses is not None
        with sharing(self._group.share(part)), self._hardware.computing():
            terms = self._losses(batch)
        # every process has the gradients of its own samples, and their mean over the processes is to be the sum
        self._scaler.scale(terms.total * (share * self._group.size)).backward()
        return {name: share * value for name, value in terms.values().items()}
