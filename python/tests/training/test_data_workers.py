"""Worker processes: in order, no longer than wanted, and gone with whoever started them, however that ended."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from organincrement.training.data_workers import WorkerLost, made_ahead

ENGINE = Path(__file__).resolve().parents[2]


def number_and_process(number: int) -> tuple[int, int]:
    return number, os.getpid()


def refuse_three(number: int) -> int:
    if number == 3:
        raise MemoryError("no room for three")
    return number


def hang(number: int) -> int:
    signal.pause()
    return number


def nothing() -> None:
    """Between two looks."""


def gone_within(pids: list[int], seconds: float) -> bool:
    processes = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        if all(not p.is_running() or p.status() == psutil.STATUS_ZOMBIE for p in processes):
            return True
    return False


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_answers_come_in_order_from_as_many_processes_as_asked_for(workers):
    answers = list(made_ahead(number_and_process, range(10, 17), workers, 20, nothing))
    assert [number for number, _ in answers] == list(range(10, 17))
    assert len({pid for _, pid in answers}) == workers and os.getpid() not in {pid for _, pid in answers}


def test_closing_ends_the_workers_with_work_still_to_do():
    answers = made_ahead(number_and_process, range(10_000), 2, 20, nothing)
    pids = [next(answers)[1], next(answers)[1]]
    answers.close()
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


def test_a_worker_that_is_killed_is_noticed_at_once():
    answers = made_ahead(number_and_process, range(100_000), 1, 300, nothing)
    os.kill(next(answers)[1], signal.SIGKILL)
    started = time.monotonic()
    with pytest.raises(WorkerLost, match="ended unexpectedly"):
        for _ in answers:  # what it had sent before is still good
            pass
    assert time.monotonic() - started < 5


def test_what_the_work_raises_is_raised_here():
    answers = made_ahead(refuse_three, range(6), 2, 20, nothing)
    assert [next(answers) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(MemoryError, match="no room for three"):
        next(answers)


def test_a_worker_that_hangs_is_given_up_and_ended():
    asked = []
    with pytest.raises(WorkerLost, match=r"has not answered for 0\.6 s"):
        next(made_ahead(hang, range(3), 1, 0.6, lambda: asked.append(1)))
    assert asked and not [child for child in psutil.Process().children() if "data-worker" in " ".join(child.cmdline())]


def test_waiting_can_be_stopped_from_between():
    class Stop(Exception):  # noqa: N818
        pass

    def stop():
        raise Stop

    with pytest.raises(Stop):
        next(made_ahead(hang, range(3), 1, 300, stop))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("busy", ["hang", "number_and_process"])
def test_no_worker_outlives_a_parent_that_was_killed(busy):
    code = (
        f"import sys, signal; sys.path[:0] = [{str(ENGINE)!r}, {str(Path(__file__).parent)!r}]\n"
        "import multiprocessing, test_data_workers as t\n"
        f"answers = t.made_ahead(t.{busy}, range(10**6), 3, 300, t.nothing)\n"
        "import threading; threading.Thread(target=lambda: next(answers), daemon=True).start()\n"
        "while len(multiprocessing.active_children()) < 3: pass\n"
        "print(*[child.pid for child in multiprocessing.active_children()], flush=True); signal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 3 and all(psutil.pid_exists(pid) for pid in pids)
        parent.kill()
    assert gone_within(pids, 3)
