"""What the trainer tells the world: events at a bearable rate, with the time that is left."""

import time
from collections import deque

import torch

from organincrement.contract.events import EventWriter
from organincrement.training.device import ram_bytes
from organincrement.training.validation import ValidationResult

_MOST_STEPS_PER_S = 2.0


class Reporter:
    """Writes the events of one run. Args: epoch_steps: steps in which each case is seen once."""

    def __init__(
        self, writer: EventWriter, *, phase: str, total_steps: int, epoch_steps: float, device: torch.device
    ) -> None:
        self.writer, self.phase, self.device = writer, phase, device
        self.total_steps, self.epoch_steps = total_steps, epoch_steps
        self._last_s = float("-inf")
        self._recent: deque[tuple[float, float]] = deque(maxlen=50)

    def stepped(self, step: int, losses: dict[str, float], lr: float, seconds: float, waited_s: float) -> None:
        """A step is done; `step` counts from 1. Written at most twice a second, and for the last step always."""
        self._recent.append((seconds, waited_s))
        now = time.monotonic()
        if now - self._last_s < 1 / _MOST_STEPS_PER_S and step != self.total_steps:
            return
        self._last_s = now
        total_s, total_waited_s = (sum(column) for column in zip(*self._recent, strict=True))
        per_step = total_s / len(self._recent)
        self.writer.write(
            "step",
            phase=self.phase,
            step=step,
            epoch=round(step / self.epoch_steps, 3),
            losses=losses,
            total=sum(losses.values()),
            lr=lr,
            seconds_per_step=round(per_step, 4),
            eta_s=round(per_step * (self.total_steps - step), 1),
            data_wait=round(min(1.0, total_waited_s / max(total_s, 1e-9)), 4),
            ram_bytes=ram_bytes(),
            gpu_bytes=self._gpu_bytes(),
        )

    def validated(self, step: int, result: ValidationResult, best: bool) -> None:
        """A validation is done."""
        self.writer.write(
            "validated", step=step, dice=result.means(result.dice), agreement=result.means(result.agreement), best=best
        )

    def checkpointed(self, step: int, file: str, sha256: str) -> None:
        """A checkpoint is on disk."""
        self.writer.write("checkpointed", step=step, file=file, sha256=sha256)

    def warn(self, code: str, message: str) -> None:
        """Something the user should know, and that does not end the job."""
        self.writer.write("warned", code=code, message=message)

    def _gpu_bytes(self) -> int | None:
        return torch.cuda.max_memory_reserved(self.device) if self.device.type == "cuda" else None
