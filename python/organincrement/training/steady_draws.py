"""Mini-batches in their order, whatever happens to the processes that make them."""

import time
from collections.abc import Callable, Iterator

from organincrement.contract.plan import Training
from organincrement.inference.memory import whose_memory
from organincrement.training.batches import BatchSource, Draw, stream
from organincrement.training.data_workers import WorkerLost


class SteadyDraws:
    """The mini-batch of each step.

    Batches follow from seed and step, so a worker that was lost changes nothing: the next crew is one smaller.
    Args: pin: for a GPU. between: called while waiting; may raise to stop. warn: told when a worker is lost.
    """

    def __init__(
        self,
        source: BatchSource,
        training: Training,
        *,
        pin: bool,
        between: Callable[[], None],
        warn: Callable[[str, str], None],
    ) -> None:
        self._source, self._steps, self._workers = source, training.steps, training.workers
        self._pin, self._between, self._warn = pin, between, warn
        self._draws: Iterator[Draw] | None = None

    def next(self, step: int) -> tuple[Draw, float]:
        """The next mini-batch, which is that of `step`, and the seconds it was waited for."""
        started = time.perf_counter()
        while True:
            try:
                if self._draws is None:
                    steps = range(step, self._steps)
                    self._draws = stream(self._source, steps, self._workers, pin=self._pin, between=self._between)
                return next(self._draws), time.perf_counter() - started
            except (RuntimeError, MemoryError) as error:
                lost = isinstance(error, WorkerLost)
                if not self._workers or not (lost or whose_memory(error) == "main"):
                    raise
                self._workers -= 1
                self.end()
                reason = str(error) if lost else "a data worker is out of memory"
                left = f"with {self._workers} of them" if self._workers else "without them, more slowly"
                self._warn("worker_lost", f"{reason}: going on {left}")

    def end(self) -> None:
        """End the workers; the next mini-batch starts new ones."""
        if self._draws is not None:
            self._draws.close()  # type: ignore[attr-defined]
        self._draws = None
