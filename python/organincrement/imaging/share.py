"""This process's share of a mini-batch that several processes have between them; None where it has all of it.

What pools over a batch (means, soft Dice, batch normalisation) then sums over the processes, and what draws for each
sample draws for the others' samples as well: the outcome is that of one process with the whole batch.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Share:
    """Samples of the mini-batch: how many come before this process's own, how many are its own, how many follow.

    summed: a tensor's sum over all processes; its gradient is that of the own summand, for what every process computes
        alike from the sums (a loss). pooled: the same, with the gradients of all processes, for what each computes from
        its own samples and the sums (a layer).
    """

    before: int
    own: int
    after: int
    summed: Callable[[Tensor], Tensor]
    pooled: Callable[[Tensor], Tensor]

    @property
    def all(self) -> int:
        """Samples of the mini-batch."""
        return self.before + self.own + self.after


_PRESENT: ContextVar[Share | None] = ContextVar("share of the mini-batch", default=None)


def present_share() -> Share | None:
    """The share that is being worked on; None where this process has the whole mini-batch."""
    return _PRESENT.get()


@contextmanager
def sharing(share: Share | None) -> Iterator[None]:
    """Work on a share for a `with` block."""
    token = _PRESENT.set(share)
    try:
        yield
    finally:
        _PRESENT.reset(token)
