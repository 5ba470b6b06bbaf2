"""Several processes that train one student: what they sum, what they agree upon, and what happens when one is lost.

Sums go through torch's process groups (gloo, NCCL). Words go through its store: waiting there has no limit in time, as
others may be reading scans, and whatever made another process stop can be read there.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from organincrement.imaging.share import Share
from organincrement.methods.protocol import Batch, LossTerms
from organincrement.training.device import Hardware
from organincrement.training.distributed_batches import Part
from organincrement.training.signals import CancelRequested, DiskFull, Diverged, PauseRequested
from organincrement.training.torchrun import Place, meet

_LONGEST_SUM = timedelta(minutes=30)
_TOLD_WITHIN_S, _LOOK_EVERY_S = 3.0, 0.02
_ELSEWHERE = "in another process"
_SIGNALS: tuple[type[Exception], ...] = (PauseRequested, CancelRequested)
_LOST = ("gloo", "nccl", "connection", "process group", "processgroup", "socket")

Loss = Callable[[nn.Module, Batch], LossTerms]


class ProcessLost(RuntimeError):  # noqa: N818
    """Another process of the training has ended without a word; torchrun starts all of them again."""


class Group:
    """A process that trains by itself. `Together` is one of several, and says the same of all of them."""

    rank, size = 0, 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes the job's events and files."""
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        """Whether there is no other."""
        return self.size == 1

    def agree(self, check: Callable[[], None]) -> None:
        """Let the first process look for a request to stop. Raises: in all of them, what it raises."""
        check()

    def together(self, work: Callable[[], str]) -> list[str]:
        """Do one's part of a work, and wait for the others. Returns: all answers. Raises: what any of them raised."""
        return [work()]

    def share(self, part: Part) -> Share | None:
        """This process's share of a part of a batch."""
        return None

    def losses(self, student: nn.Module, loss: Loss) -> Callable[[Batch], LossTerms]:
        """The loss of a batch, whose gradients are means over all processes once the backward is done."""
        return lambda batch: loss(student, batch)

    def unreduced(self, losses: Callable[[Batch], LossTerms]) -> AbstractContextManager[None]:
        """A block whose gradients are only added up here, for those of a later part of the batch."""
        return nullcontext()

    def hardware(self, resolved: Hardware) -> Hardware:
        """The device of this process."""
        return resolved

    def telling(self) -> AbstractContextManager[None]:
        """A block whose failure is told to the others, and which fails with what others tell."""
        return nullcontext()


ALONE = Group()


class Together(Group):
    """One of several processes. Args: store: that they share. device: its type."""

    def __init__(self, place: Place, store: dist.Store, device: str) -> None:
        self.rank, self.size, self._place = place.rank, place.size, place
        backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
        dist.init_process_group(
            backend, store=dist.PrefixStore("sums", store), rank=place.rank, world_size=place.size,
            timeout=_LONGEST_SUM,
        )  # fmt: skip
        self._words = dist.PrefixStore("words", store)
        # apart from those of DistributedDataParallel, whose order depends on what a process's samples use
        self._sums = dist.new_group(timeout=_LONGEST_SUM)
        self._said = 0
        self._known: Exception | None = None  # to all

    def agree(self, check: Callable[[], None]) -> None:
        found = torch.zeros(1, dtype=torch.long)
        if self.is_first:
            try:
                check()
            except _SIGNALS as signal:
                found += 1 + _SIGNALS.index(type(signal))
        dist.broadcast(found, 0)
        if int(found):
            raise _SIGNALS[int(found) - 1]

    def together(self, work: Callable[[], str]) -> list[str]:
        own: Exception | None = None
        try:
            said = {"answer": work()}
        except Exception as error:
            own, said = error, _as_words(error, self.rank)
        answers = [json.loads(words) for words in self._gathered(json.dumps(said))]
        wrong = next((answer for answer in answers if "answer" not in answer), None)
        if wrong is not None:
            self._known = own if own is not None and wrong["rank"] == self.rank else _from_words(wrong)
            raise self._known
        return [answer["answer"] for answer in answers]

    def share(self, part: Part) -> Share:
        return Share(
            before=part.begin - part.first, own=part.end - part.begin, after=part.first + part.size - part.end,
            summed=lambda own: _Summed.apply(own, self._sums, False),
            pooled=lambda own: _Summed.apply(own, self._sums, True),
        )  # fmt: skip

    def losses(self, student: nn.Module, loss: Loss) -> Callable[[Batch], LossTerms]:
        # which weights a batch uses may differ from sample to sample; buffers are alike, being made of sums
        return DistributedDataParallel(_Loss(student, loss), broadcast_buffers=False, find_unused_parameters=True)

    def unreduced(self, losses: Callable[[Batch], LossTerms]) -> AbstractContextManager[None]:
        assert isinstance(losses, DistributedDataParallel)
        return losses.no_sync()

    def hardware(self, resolved: Hardware) -> Hardware:
        if resolved.device.type != "cuda":
            return resolved
        device = torch.device("cuda", self._place.local_rank)
        torch.cuda.set_device(device)
        return replace(resolved, device=device)

    @contextmanager
    def telling(self) -> Iterator[None]:
        try:
            yield
        except _SIGNALS:
            raise  # all of them have agreed upon it
        except Exception as error:
            told = self._told() if _is_loss_of_another(error) else None
            if told is not None:
                raise _from_words(told) from error
            if _is_loss_of_another(error):
                raise ProcessLost("another process of this training was lost: torchrun starts all of them again, or "
                                  "start the same command once more") from error  # fmt: skip
            if error is not self._known:
                self._words.set("failure", json.dumps(_as_words(error, self.rank)))
            raise

    def _told(self) -> dict[str, Any] | None:
        """Why another process has stopped; None where it says nothing within some seconds."""
        end_s = time.monotonic() + _TOLD_WITHIN_S
        while time.monotonic() < end_s:
            if self._words.check(["failure"]):
                return json.loads(self._words.get("failure"))  # type: ignore[no-any-return]
            time.sleep(_LOOK_EVERY_S)
        return None

    def _gathered(self, words: str) -> list[str]:
        self._said += 1
        self._words.set(f"{self._said}/{self.rank}", words)
        keys = [f"{self._said}/{rank}" for rank in range(self.size)]
        while not self._words.check(keys):
            if self._words.check(["failure"]):
                raise _from_words(json.loads(self._words.get("failure")))
            time.sleep(_LOOK_EVERY_S)
        return [self._words.get(key).decode() for key in keys]


@contextmanager
def joined(place: Place, meeting: Path, device: str) -> Iterator[Group]:
    """The group of the processes that torchrun started. Args: meeting: see `torchrun.meet`. device: its type."""
    if place.size == 1:
        yield ALONE
        return
    group = Together(place, meet(place, meeting), device)
    try:
        yield group
    finally:
        dist.destroy_process_group()


class _Loss(nn.Module):
    """DistributedDataParallel wants a forward, and methods call their student in more ways than one."""

    def __init__(self, student: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.student = student
        self._loss = loss

    def forward(self, batch: Batch) -> LossTerms:
        return self._loss(self.student, batch)


class _Summed(torch.autograd.Function):
    """The sum over processes. With a gradient of its own alone, no sum is needed on the way back."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, group: Any, all_gradients: bool) -> Tensor:
        ctx.group, ctx.all_gradients = group, all_gradients
        return _all_summed(own, group)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        gradient = gradients[0]
        return (_all_summed(gradient, ctx.group) if ctx.all_gradients else gradient), None, None


def _all_summed(own: Tensor, group: Any) -> Tensor:
    total = own.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total, group=group)
    return total


def _is_loss_of_another(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and any(w in text for w in _LOST))


def _as_words(error: Exception, rank: int) -> dict[str, Any]:
    kind = next((known.__name__ for known in _KNOWN if type(error) is known), None)
    kind = kind or next((base.__name__ for base in _BASES if isinstance(error, base)), "RuntimeError")
    said = {"rank": rank, "kind": kind, "message": str(error), "bytes": getattr(error, "needed_bytes", 0)}
    if isinstance(error, OSError) and error.errno is not None:
        named = [str(error.filename)] if error.filename is not None else []
        said["of_system"] = [error.errno, error.strerror, *named]
    return said


def _from_words(said: dict[str, Any]) -> Exception:
    kind = next(known for known in (*_KNOWN, *_BASES) if known.__name__ == said["kind"])
    if kind is DiskFull:
        error: Exception = DiskFull(int(said["bytes"]))
    elif "of_system" in said:
        error = OSError(*said["of_system"])  # it becomes a PermissionError or whatever the number says
    else:
        error = kind(said["message"])
    error.add_note(_ELSEWHERE)
    return error


def arose_elsewhere(error: Exception) -> bool:
    """Whether another process raised it, and so says it."""
    return _ELSEWHERE in getattr(error, "__notes__", ())


_KNOWN: tuple[type[Exception], ...] = (
    PauseRequested, CancelRequested, Diverged, DiskFull, ProcessLost
)  # fmt: skip
_BASES: tuple[type[Exception], ...] = (ValueError, OSError, MemoryError, RuntimeError)
