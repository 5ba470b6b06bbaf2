"""A function in a process with limits: its answer, or why there is none; the caller goes on in any case."""

import os
import time
from pathlib import Path

import pytest

from organincrement.imaging.limited import LimitError, Limits, run_limited

resource = pytest.importorskip("resource", reason="this system limits no processes")


@pytest.fixture(autouse=True)
def _victims_can_be_imported(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def test_what_waits_for_ever_is_ended():
    begin = time.monotonic()
    with pytest.raises(LimitError, match=r"longer than 0\.5 s"):
        run_limited("limited_victims:wait", {}, Limits(wall_s=0.5))
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize(
    ("victim", "reason"),
    [("crash", "crash"), ("take_memory", "memory"), ("fail", "ZeroDivisionError"), ("write_much", "crash|OSError")],
)
def test_what_crashes_takes_memory_fails_or_fills_the_disk_is_told_apart(victim, reason, tmp_path):
    limits = Limits(memory_bytes=256 * 2**20, wall_s=20, file_bytes=2**20)
    with pytest.raises(LimitError, match=reason):
        run_limited(f"limited_victims:{victim}", {"folder": str(tmp_path)} if victim == "write_much" else {}, limits)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2**20


def test_nothing_that_a_library_prints_gets_into_the_answer(capfd):
    assert run_limited("limited_victims:chatter", {}) == 7
    assert capfd.readouterr() == ("", "")


def test_names_that_are_no_text_survive_the_way_there_and_back():
    name = os.fsdecode(b"bad\xff\n\x1b.nii")
    assert run_limited("limited_victims:echo", {"name": name}) == name


def test_a_limited_process_calls_on_without_starting_another():
    assert run_limited("limited_victims:nested", {}) is True
