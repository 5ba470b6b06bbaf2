"""Worker processes that make items ahead of the trainer, each through a pipe of its own.

A worker that dies closes its pipe, so its death shows at once, and there is no lock that it could take with it.
A worker whose parent dies ends too, whatever it is doing: `kill -9` of a job leaves no process behind.
"""

import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

# children of this very process, whatever the default: a server that forked them would be the parent whose end they wait
# for. A fork also has what is imported already; Windows has none, and on macOS system libraries do not bear it.
_CONTEXT = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
_LOOK_EVERY_S = 0.5
_PR_SET_PDEATHSIG = 1


class WorkerLost(RuntimeError):  # noqa: N818
    """A worker ended without an answer (killed, or out of memory), or gave none for too long."""


def made_ahead(
    make: Callable[[int], Any], numbers: Sequence[int], workers: int, longest_wait_s: float, between: Callable[[], None]
) -> Iterator[Any]:
    """make(number) for each number, in order; worker k makes the numbers k, k + workers, … ahead of their use.

    Args: make: can be pickled. between: called while waiting; may raise to stop. Close the iterator to end the workers.
    Raises: WorkerLost; whatever `make` raises.
    """
    crew = []
    try:
        for k in range(workers):
            crew.append(_hired(make, numbers[k::workers]))
        for position in range(len(numbers)):
            yield _answer(crew[position % workers][1], longest_wait_s, between)
    finally:
        for process, reader in crew:
            process.kill()
            process.join()
            reader.close()


def _hired(make: Callable[[int], Any], numbers: Sequence[int]) -> tuple[Any, Connection]:
    reader, writer = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_work, args=(make, numbers, writer, os.getpid()), daemon=True, name="data-worker")
    process.start()
    writer.close()  # so that the worker is the only one who has it, and its end is the end of the pipe
    return process, reader


def _answer(reader: Connection, longest_wait_s: float, between: Callable[[], None]) -> Any:
    deadline_s = time.monotonic() + longest_wait_s
    while not reader.poll(_LOOK_EVERY_S):
        between()
        if time.monotonic() > deadline_s:
            raise WorkerLost(f"a data worker has not answered for {longest_wait_s:g} s")
    try:
        answer = reader.recv()
    except (EOFError, OSError, pickle.UnpicklingError) as error:
        raise WorkerLost("a data worker ended unexpectedly") from error
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _work(make: Callable[[int], Any], numbers: Sequence[int], writer: Connection, parent: int) -> None:
    end_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the job's to answer
    torch.set_num_threads(1)
    for number in numbers:
        try:
            answer = make(number)
        except Exception as error:
            answer = error
        try:
            writer.send(answer)
        except OSError:
            return  # nobody reads any more


def end_with_parent(parent: int) -> None:
    """Make the calling process end when its parent does. Args: parent: the parent's number, as the parent knows it."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if sys.platform != "win32" and os.getppid() != parent:
        os._exit(1)  # it ended before we could ask to be told
    record = multiprocessing.parent_process()
    if record is not None:
        threading.Thread(target=_end_after, args=(record.sentinel,), daemon=True, name="parent-watch").start()


def _end_after(sentinel: int) -> None:
    """Other systems do not tell of a parent's death; the sentinel of multiprocessing becomes ready then."""
    wait([sentinel])
    os._exit(1)
