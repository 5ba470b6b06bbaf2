"""Fanning out over the workers of a Dask scheduler on this computer: the same results, though one of two is killed."""

import os
import signal
import socket
import sys
import threading
import time
from dataclasses import replace

import pytest
from fan_out_work import Squaring, marks, squares

from organincrement.imaging.errors import ImageError
from organincrement.training.signals import CancelRequested
from organincrement.workflows import fan_out_dask
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.fan_out import Crew, Waiting, WorkerLost

dask = pytest.importorskip("dask", reason="the extra `cluster` is not installed")
distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")

ALL = {f"pt_{n}": n * n for n in range(6)}


@pytest.fixture(scope="module")
def cluster():
    """Two workers, a process each, on this computer alone."""
    with dask.config.set({"distributed.scheduler.allowed-failures": 1}):
        made = distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=50
        )
    with made:
        yield made


@pytest.fixture
def crew(cluster):
    end_s = time.monotonic() + 60
    while len(cluster.scheduler.workers) < 2:  # one that was killed is replaced by its nanny
        assert time.monotonic() < end_s, "a killed worker has not come back"
        time.sleep(0.05)
    return Crew(scheduler=cluster.scheduler_address)


def test_results_are_those_of_this_process_and_each_worker_begins_once(tmp_path, crew):
    assert squares(Squaring(folder=tmp_path, seconds=0.05), range(6), crew) == ALL
    assert len(marks(tmp_path, "begin")) == len(set(marks(tmp_path, "begin"))) == 2
    assert len(marks(tmp_path, "try-*")) == 6


def test_a_worker_that_is_killed_in_the_middle_costs_no_result(tmp_path, crew):
    def kill_one():
        at_work = marks(tmp_path, "try-*")
        if len(at_work) >= 3 and not killed:
            killed.append(int(at_work[-1]))
            os.kill(killed[0], signal.SIGKILL)

    killed = []
    assert squares(Squaring(folder=tmp_path, seconds=0.4), range(6), crew, Waiting(between=kill_one)) == ALL
    assert killed and len(marks(tmp_path, "try-*")) > 6  # what it was at was done again


def test_an_item_that_always_fails_is_told_once_and_the_others_are_done(tmp_path, crew):
    steps = []
    waiting = Waiting(progress=lambda *step: steps.append(step))
    with pytest.raises(ImageError, match=r"^pt_2: is cut off; get it again$"):
        squares(Squaring(folder=tmp_path, faults=((2, "refused"),)), range(6), crew, waiting)
    assert [done for done, _, _ in steps] == list(range(1, 7)) and len(marks(tmp_path, "try-2")) == 1
    with pytest.raises(OSError, match="Input/output"):
        squares(Squaring(folder=tmp_path, faults=((8, "broken"),)), range(7, 10), crew)
    assert len(marks(tmp_path, "try-8")) == 1 + crew.retries


def test_an_item_whose_disk_does_not_answer_has_failed_and_is_not_waited_for(tmp_path, crew):
    def between():
        assert time.monotonic() - began_s < 20, "still waiting"

    began_s, work = time.monotonic(), Squaring(folder=tmp_path, faults=((1, "late"),))
    with pytest.raises(TimeoutError, match="Connection timed out: 'scan 1'"):
        squares(work, range(3), replace(crew, retries=1), Waiting(between=between))
    assert len(marks(tmp_path, "try-1")) == 2


def test_a_fault_that_passes_and_a_notice_from_afar(tmp_path, crew):
    notices = []
    work = Squaring(folder=tmp_path, faults=((0, "flaky"), (3, "told")))
    assert squares(work, range(6), crew, Waiting(notice=notices.append)) == ALL
    assert notices == ["item 3 is large"] and len(marks(tmp_path, "try-0")) == 2


def test_a_model_that_is_none_and_another_engine_stop_it_all(tmp_path, crew, monkeypatch):
    with pytest.raises(ImageError, match="is no model"):
        squares(Squaring(folder=tmp_path, faults=(("begin", "refused"),)), range(6), crew)  # type: ignore[arg-type]
    monkeypatch.setattr(fan_out_dask, "__version__", "9.9")
    with pytest.raises(WorkflowError, match=r"a worker has engine \S+, and you have 9\.9; install one"):
        squares(Squaring(folder=tmp_path), range(6), crew)


def test_a_stop_calls_back_what_is_out_and_what_is_at_work_ends(tmp_path, crew):
    def stop():
        if len(marks(tmp_path, "try-*")) >= 2:
            raise CancelRequested

    with pytest.raises(CancelRequested):
        squares(Squaring(folder=tmp_path, seconds=60), range(6), crew, Waiting(between=stop))
    # the workers are free again long before a minute is over
    began_s = time.monotonic()
    assert squares(Squaring(folder=tmp_path), range(6), crew) == ALL
    assert time.monotonic() - began_s < 20


def test_an_item_that_kills_every_worker_is_given_up_and_no_other_is_blamed(tmp_path, crew):
    done = []
    waiting = Waiting(progress=lambda *step: done.append(step[2]))
    with pytest.raises(WorkerLost, match="ended 4 times without an answer"):
        squares(Squaring(folder=tmp_path, faults=((0, "deadly"),)), range(6), crew, waiting)
    # an item that waited where this one killed is tried alone, too, before or after it
    assert sorted(done) == list(ALL) and len(marks(tmp_path, "try-0")) == 4


def test_a_scheduler_that_goes_away_is_told_in_a_line(tmp_path):
    made = distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        silence_logs=50,
    )
    gone = threading.Timer(1.0, made.close)
    gone.start()
    with pytest.raises(WorkflowError, match="run the command again to go on"):
        squares(Squaring(folder=tmp_path, seconds=3), range(6), Crew(scheduler=made.scheduler_address))
    gone.join()


def test_nobody_at_the_address_is_told_in_a_line_within_ten_seconds(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for address in (f"tcp://127.0.0.1:{port}", "nonsense", f"tls://127.0.0.1:{port}"):
        began_s = time.monotonic()
        with pytest.raises(
            WorkflowError, match=rf"^--scheduler {address}: .*; start `dask scheduler`, or correct"
        ) as told:
            squares(Squaring(folder=tmp_path), range(2), Crew(scheduler=address))
        assert time.monotonic() - began_s < 10 and "\n" not in str(told.value)


def test_without_dask_a_line_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "organincrement.workflows.fan_out_dask")
    with pytest.raises(WorkflowError, match=r"pip install 'organincrement\[cluster\]'"):
        squares(Squaring(folder=tmp_path), range(2), Crew(scheduler="tcp://127.0.0.1:1"))
