"""A fixed plan of patches: the first mini-batches, each as it was cut and augmented, again and again."""

from dataclasses import dataclass

from organincrement.training.batches import BatchSource, Draw


@dataclass(frozen=True, kw_only=True)
class FixedBatches(BatchSource):
    """The mini-batches of the first `count` steps, in turn.

    A teacher that remembers (methods/teacher_memory.py) then answers each of them once. It is another training than
    with fresh patches in each step: an approximation of it, and never the default.
    """

    count: int

    def __getitem__(self, step: int) -> Draw:
        return super().__getitem__(step % self.count)
