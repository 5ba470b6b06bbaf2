"""Fanning out over processes of this computer: every result once, whoever is lost; failures told once; quick stops."""

import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from fan_out_work import Squaring, marks, squares
from tiny_models import tiny_manifest, tiny_spec

from organincrement.contract.labels import LabelSpace, Organ
from organincrement.imaging.errors import ImageError
from organincrement.imaging.volume import Volume
from organincrement.imaging.writing import write_nifti
from organincrement.training.signals import CancelRequested
from organincrement.workflows import fan_out_size
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.fan_out import Crew, Waiting, WorkerLost
from organincrement.workflows.fan_out_pool import portable, threads_here
from organincrement.workflows.fan_out_size import sized

ALL = {f"pt_{n}": n * n for n in range(6)}
TWO = Crew(processes=2)


def children():
    return [
        child.pid for child in psutil.Process().children(recursive=True) if "spawn_main" in " ".join(child.cmdline())
    ]


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_results_are_the_same_whatever_the_number_of_processes_which_begin_once_each(tmp_path, processes):
    assert squares(Squaring(folder=tmp_path), range(6), Crew(processes=processes)) == ALL
    assert len(marks(tmp_path, "begin")) == processes == len(set(marks(tmp_path, "begin")))
    assert len(marks(tmp_path, "try-*")) == 6 and not children()


def test_what_is_told_of_an_item_reaches_who_waits_and_progress_only_grows(tmp_path):
    notices, steps, within = [], [], []
    waiting = Waiting(
        notice=notices.append, progress=lambda *step: steps.append(step), working=lambda *step: within.append(step)
    )
    squares(Squaring(folder=tmp_path, faults=((3, "told"),)), range(6), TWO, waiting)
    assert notices == ["item 3 is large"]
    assert [(done, total) for done, total, _ in steps] == [(n, 6) for n in range(1, 7)]
    assert {name for _, _, name in steps} == set(ALL)
    assert (1, 2) in {step[3:] for step in within} and [step[0] for step in within] == sorted(s[0] for s in within)


@pytest.mark.parametrize("processes", [1, 2])
def test_an_item_that_is_refused_is_tried_once_and_raised_when_the_others_are_done(tmp_path, processes):
    notices, done = [], []
    waiting = Waiting(notice=notices.append, progress=lambda *step: done.append(step))
    with pytest.raises(ImageError, match=r"^pt_2: is cut off; get it again$"):
        squares(Squaring(folder=tmp_path, faults=((2, "refused"),)), range(6), Crew(processes=processes), waiting)
    assert len(done) == 6 and notices == [] and len(marks(tmp_path, "try-2")) == 1


def test_several_that_fail_are_each_told_once_with_their_reason(tmp_path):
    notices = []
    faults = ((1, "refused"), (2, "broken"), (4, "refused"))
    with pytest.raises(RuntimeError, match=r"^3 of 6 failed \((pt_\d(, )?){3}\) as said above; the others are done$"):
        squares(Squaring(folder=tmp_path, faults=faults), range(6), TWO, Waiting(notice=notices.append))
    assert sorted(notices) == [
        "pt_1: pt_1: is cut off; get it again", "pt_2: [Errno 5] Input/output error: 'scan 2'",
        "pt_4: pt_4: is cut off; get it again",
    ]  # fmt: skip
    assert len(marks(tmp_path, "try-2")) == 3 and len(marks(tmp_path, "try-1")) == 1


def test_several_are_refused_only_where_each_of_them_is(tmp_path):
    with pytest.raises(WorkflowError, match=r"^2 of 2 failed \(.*\) as said above$"):
        faults = ((0, "refused"), (1, "refused"))
        squares(Squaring(folder=tmp_path, faults=faults), range(2), Crew())
    with pytest.raises(WorkflowError, match=r"^2 of 3 failed"):
        squares(Squaring(folder=tmp_path, faults=((1, "refused"), (2, "refused"))), range(3), Crew())
    with pytest.raises(WorkflowError, match=r"^2 of 3 failed"):  # as the command line has it of one that is missing
        squares(Squaring(folder=tmp_path, faults=((1, "refused"), (2, "missing"))), range(3), Crew())
    with pytest.raises(RuntimeError, match=r"^2 of 3 failed"):
        squares(Squaring(folder=tmp_path, faults=((1, "refused"), (2, "broken"))), range(3), Crew())


@pytest.mark.parametrize("processes", [1, 2])
def test_a_single_failure_that_does_not_say_at_what_is_told_with_its_name(tmp_path, processes):
    notices = []
    with pytest.raises(OSError, match="scan 1"):
        squares(
            Squaring(folder=tmp_path, faults=((1, "broken"),)), range(3), Crew(processes=processes, retries=0),
            Waiting(notice=notices.append),
        )  # fmt: skip
    assert notices == ["pt_1: [Errno 5] Input/output error: 'scan 1'"]


def test_a_fault_that_passes_is_not_heard_of(tmp_path):
    assert squares(Squaring(folder=tmp_path, faults=((0, "flaky"),)), range(6), TWO) == ALL
    assert len(marks(tmp_path, "try-0")) == 2
    with pytest.raises(OSError, match="Input/output"):
        squares(Squaring(folder=tmp_path, faults=((7, "broken"),)), range(7, 9), Crew(processes=2, retries=0))
    assert len(marks(tmp_path, "try-7")) == 1


def test_an_item_whose_process_is_killed_is_done_by_another(tmp_path):
    notices = []
    work = Squaring(folder=tmp_path, faults=((1, "unlucky"),), seconds=0.05)
    assert squares(work, range(6), TWO, Waiting(notice=notices.append)) == ALL
    assert len(set(marks(tmp_path, "try-1"))) == 2
    assert notices == ["a process ended unexpectedly, by want of memory perhaps; 1 go on"]


def test_an_item_that_kills_every_process_is_given_up_and_the_others_are_done(tmp_path):
    done, notices = [], []
    with pytest.raises(WorkerLost, match="ended 3 times without an answer: killed, or out of memory"):
        squares(
            Squaring(folder=tmp_path, faults=((0, "deadly"),)), range(6), TWO,
            Waiting(progress=lambda *step: done.append(step), notice=notices.append),
        )  # fmt: skip
    assert len(done) == 6 and len(marks(tmp_path, "try-0")) == 3
    assert notices[-1].startswith("pt_0: the process at it ended 3 times")


def test_a_full_disk_or_a_model_that_is_none_stops_it_all(tmp_path):
    with pytest.raises(OSError, match="No space left"):
        squares(Squaring(folder=tmp_path, faults=((0, "full"),), seconds=0.05), range(40), TWO)
    assert len(marks(tmp_path, "try-*")) < 40 and len(marks(tmp_path, "try-0")) == 1
    with pytest.raises(ImageError, match="is no model"):
        squares(Squaring(folder=tmp_path, faults=(("begin", "refused"),)), range(6), TWO)  # type: ignore[arg-type]
    assert not children()


@pytest.mark.parametrize("stop", [CancelRequested, KeyboardInterrupt])
def test_a_stop_ends_all_processes_at_once(tmp_path, stop):
    def between():
        if len(marks(tmp_path, "try-*")) >= 2:
            raise stop

    began_s = time.monotonic()
    with pytest.raises(stop):
        squares(Squaring(folder=tmp_path, seconds=60), range(6), TWO, Waiting(between=between))
    assert not children() and time.monotonic() - began_s < 30 and len(marks(tmp_path, "try-*")) == 2


def test_processes_end_with_the_one_that_started_them(tmp_path):
    code = "import sys; sys.path[:0] = sys.argv[2:]; from pathlib import Path; from fan_out_work import *;"
    code += "squares(Squaring(folder=Path(sys.argv[1]), seconds=60), range(6), Crew(processes=2))"
    parent = subprocess.Popen([sys.executable, "-c", code, tmp_path, *sys.path])
    while len(marks(tmp_path, "try-*")) < 2:
        time.sleep(0.05)
    workers = [psutil.Process(int(number)) for number in marks(tmp_path, "begin")]
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert len(workers) == 2 and not alive


def test_an_error_that_cannot_be_handed_on_says_the_same():
    class OddError(RuntimeError):
        def __init__(self, number, colour):
            super().__init__(f"number {number} is {colour}")

    assert str(portable(OddError(3, "green"))) == "OddError: number 3 is green"
    whole = ImageError("a.nii: is cut off")
    assert portable(whole) is whole


def model_at(spacing_mm, organs=3):
    space = LabelSpace(tuple(Organ(id=f"o{n}", name=f"o{n}", color=(n, 0, 0)) for n in range(organs)))
    return tiny_manifest(space, tiny_spec(1 + organs), spacing_mm=spacing_mm)


def test_processes_are_as_many_as_threads_memory_and_scans_allow(tmp_path, monkeypatch):
    scan = Volume(np.zeros((5, 6, 7), np.int16), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
    write_nifti(tmp_path / "scan.nii", scan)
    scans = [tmp_path / "scan.nii"] * 16
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert threads_here() == 8
    open_, model = Crew(processes=None), model_at((1.0, 1.0, 1.0))
    assert sized(open_, scans, model=model, device="cpu").processes == 4  # four scans each
    assert sized(open_, scans[:7], model=model, device="cpu").processes == 1
    assert sized(Crew(processes=3), scans[:2], model=model).processes == 3
    assert sized(Crew(scheduler="tcp://x:1", processes=None), scans, model=model).processes is None
    memory = psutil.virtual_memory()._replace(available=3 * fan_out_size._PROCESS_BYTES / fan_out_size._MEMORY_SHARE)
    monkeypatch.setattr(fan_out_size.psutil, "virtual_memory", lambda: memory)
    assert sized(open_, scans, model=model, device="cpu").processes == 2  # a little more than the process itself
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert sized(open_, scans, model=model, device="cpu").processes == 1


def test_a_model_on_a_finer_grid_than_the_scans_makes_processes_fewer(tmp_path, monkeypatch):
    thick = Volume(np.zeros((24, 64, 64), np.int16), (5.0, 0.8, 0.8), (0.0, 0.0, 0.0), np.eye(3))
    write_nifti(tmp_path / "scan.nii", thick)
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.setattr(fan_out_size, "_PROCESS_BYTES", 0)
    memory = psutil.virtual_memory()._replace(available=4 * 24 * thick.array_DHW.size / fan_out_size._MEMORY_SHARE)
    monkeypatch.setattr(fan_out_size.psutil, "virtual_memory", lambda: memory)
    scans, open_ = [tmp_path / "scan.nii"] * 32, Crew(processes=None)

    def processes(model):
        return sized(open_, scans, model=model, device="cpu").processes

    # 16 bytes a voxel; with three organs 4.5 more, and 8 for each of a grid 1/64 or 6.25 times as large
    assert processes(None) == 6 and processes(model_at((5.0, 6.4, 6.4))) == 4
    assert processes(model_at((0.8, 0.8, 0.8))) == 1
