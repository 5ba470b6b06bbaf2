"""The half of fanning out that leaves this computer: the workers of a Dask scheduler do the items.

Imported only where a scheduler was asked for. Dask hands functions and results on as pickles: the scheduler and its
network are trusted, as the user's own account is; nothing that a stranger made is ever unpickled. Workers see the same
files under the same absolute paths.
"""

import logging
import queue
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from organincrement import __version__
from organincrement.training.signals import CancelRequested
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.fan_out import Crew, Failed, Line, Waiting, Work, WorkerLost, is_final, stops_all
from organincrement.workflows.fan_out_pool import NotBegun, begun, portable

try:
    from distributed import Client, KilledWorker, WorkerPlugin, get_worker
    from distributed.client import Future
except ImportError:
    raise WorkflowError("--scheduler needs Dask, which is missing: pip install 'organincrement[cluster]'") from None

_ANSWERS_WITHIN_S = 6.0
_LOOK_EVERY_S = 0.2
_LOOK_AT_WORKERS_EVERY_S = 30.0
_AHEAD = 3  # items handed out for each thread of the workers: none waits, and few are called back
_FEWEST_OUT = 16

# In a worker: the work of each fan-out, what was begun of the last one, and who may use it.
_BROUGHT: dict[str, Work[Any, Any]] = {}
_BEGUN: dict[str, Callable[[Any, Line], Any]] = {}
_ONE_AT_A_TIME = threading.Lock()


def on_workers(
    work: Work[Any, Any], items: Mapping[str, Any], crew: Crew, waiting: Waiting
) -> Iterator[tuple[str, Any]]:
    """Yields: name and result, or Failed, of every item. Raises: as `fan_out`; WorkflowError without a scheduler."""
    client = _connected(crew.scheduler or "")
    out = _Out(client, work, items, crew)
    try:
        looked_s = 0.0
        while out.is_unfinished:
            waiting.between()
            if time.monotonic() - looked_s > _LOOK_AT_WORKERS_EVERY_S:
                out.count_workers(waiting.notice)
                looked_s = time.monotonic()
            out.hand_out()
            for name, (outcome, notices) in out.heard():
                for line in notices:
                    waiting.notice(line)
                yield name, _checked(outcome)
    finally:
        out.call_back()
        client.close(timeout=2)


class _Sealed:
    """Plain data that Dask hands on as it is: it looks into lists and dataclasses for futures, and rebuilds them."""

    def __init__(self, value: Any) -> None:
        self.value = value


class _Brings(WorkerPlugin):
    """Brings the work to a worker, and takes it away again."""

    def __init__(self, token: str, work: Work[Any, Any]) -> None:
        self._token, self._work = token, work

    def setup(self, worker: Any) -> None:
        """The worker has come, or the work."""
        _BROUGHT[self._token] = self._work

    def teardown(self, worker: Any) -> None:
        """The work is done."""
        _BROUGHT.pop(self._token, None)
        _BEGUN.pop(self._token, None)


class _Out:
    """The items that are out, by their future, and those that are still here."""

    def __init__(self, client: Client, work: Work[Any, Any], items: Mapping[str, Any], crew: Crew) -> None:
        self._client, self._items, self._crew = client, items, crew
        self._token = f"organincrement-{uuid.uuid4().hex}"
        # sent once to each worker, also to those that join later; as a task that the others need, it would draw them
        # all to the worker that holds it
        client.register_plugin(_Brings(self._token, work), name=self._token)
        self._ended: queue.SimpleQueue[Future] = queue.SimpleQueue()
        self._most_out = _FEWEST_OUT
        self._here = deque(items)
        self._suspects: deque[str] = deque()
        self._suspected: set[str] = set()
        self._names: dict[str, tuple[str, Future]] = {}

    @property
    def is_unfinished(self) -> bool:
        """Whether there is an item without an answer."""
        return bool(self._here or self._suspects or self._names)

    def count_workers(self, notice: Callable[[str], None]) -> None:
        """As many items may be out as keep them all busy."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        self._most_out = max(_FEWEST_OUT, _AHEAD * sum(worker["nthreads"] for worker in workers.values()))
        if not workers:
            notice("the scheduler has no worker yet; waiting for one")

    def hand_out(self) -> None:
        """Hand out items until enough are out; at the end each suspect alone, so that no other is blamed for it."""
        while self._here and len(self._names) < self._most_out:
            self._submit(self._here.popleft())
        if self._suspects and not self._names:
            self._submit(self._suspects.popleft())

    def _submit(self, name: str) -> None:
        future = self._client.submit(
            _done_by_a_worker, self._token, __version__, _Sealed(self._items[name]), pure=False,
            key=f"{self._token}-{uuid.uuid4().hex}", retries=self._crew.retries,
        )  # fmt: skip
        self._names[future.key] = (name, future)
        future.add_done_callback(self._ended.put)

    def heard(self) -> Iterator[tuple[str, tuple[Any, list[str]]]]:
        """What came back within a moment."""
        try:
            future = self._ended.get(timeout=_LOOK_EVERY_S)
        except queue.Empty:
            return
        if future.status == "cancelled":
            raise WorkflowError("the scheduler has gone, or dropped the work; run the command again to go on")
        try:
            answer = future.result(timeout=2)
        except TimeoutError as error:
            if future.status != "error":  # its holder was lost before it could be fetched: it is done again
                future.add_done_callback(self._ended.put)
                return
            answer = Failed(error), []  # the item's own, of a shared disk that did not answer
        except KilledWorker as error:  # perhaps it only waited where another one killed
            name, _ = self._names.pop(future.key)
            if name not in self._suspected:
                self._suspected.add(name)
                self._suspects.append(name)
                return
            yield name, (Failed(WorkerLost(2 * (error.allowed_failures + 1))), [])
            return
        except Exception as error:
            answer = Failed(error), []
        yield self._names.pop(future.key)[0], answer

    def call_back(self) -> None:
        """Nothing is begun any more; what is at work stops at its next window."""
        futures = [future for _, future in self._names.values()]
        if self._client.status == "running":
            self._client.cancel(futures, force=True)
            self._client.unregister_worker_plugin(self._token)


def _checked(outcome: Any) -> Any:
    if isinstance(outcome, Failed):
        if isinstance(outcome.error, NotBegun):
            raise outcome.error.args[0]
        if stops_all(outcome.error):
            raise outcome.error
    return outcome


def _connected(address: str) -> Client:
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # it explains itself in tracebacks
    try:
        return Client(address, timeout=_ANSWERS_WITHIN_S, set_as_default=False, name="organincrement")
    except Exception as error:
        why = "is no address such as tcp://10.0.0.5:8786" if isinstance(error, ValueError) else "nobody answers there"
        raise WorkflowError(f"--scheduler {address}: {why}; start `dask scheduler`, or correct the address") from None


def _done_by_a_worker(token: str, version: str, item: _Sealed) -> tuple[Any, list[str]]:
    """One item, in a worker. Returns: its result, or Failed, and the notices meanwhile; raises what may be tried again.

    One at a time: a worker with several threads computes one item on all of them.
    """
    notices: list[str] = []
    worker = get_worker()
    with _ONE_AT_A_TIME:
        between = partial(_still_wanted, worker, worker.get_current_task())
        try:
            between()
            if version != __version__:
                raise NotBegun(WorkflowError(f"a worker has engine {__version__}, and you have {version}; install one"))
            if token not in _BEGUN:
                _BEGUN.clear()  # a model may be large
                _BEGUN[token] = begun(_BROUGHT[token], worker.state.nthreads)
            return _BEGUN[token](item.value, Line(between=between, notice=notices.append)), notices
        except Exception as error:
            said = error.args[0] if isinstance(error, NotBegun) else error
            if is_final(said) or stops_all(said):
                return Failed(portable(error)), notices
            raise portable(said) from None


def _still_wanted(worker: Any, key: str) -> None:
    """Raises: CancelRequested where whoever asked has called the item back, or has gone."""
    task = worker.state.tasks.get(key)
    if task is None or task.state in ("cancelled", "released", "forgotten"):
        raise CancelRequested
