"""The ledger of work that was shared out: one run's alone, whole lines only, and gone when the results are whole."""

import os
import signal
import subprocess
import sys

import pytest

from organincrement.workflows.fan_out_ledger import Ledger

SETTINGS = {"model": "a"}


def opened(out, settings=None, *, keep=True):
    return Ledger.of(out, settings or SETTINGS, keep=keep)


def noted(out, *names):
    with opened(out) as ledger:
        for name in names:
            ledger.add(name, f"hash of {name}")


def test_a_run_that_stopped_is_taken_up_and_nothing_stays_of_one_that_is_finished(tmp_path):
    noted(tmp_path, "x", "y")
    with opened(tmp_path, keep=False) as ledger:
        assert [ledger.inputs_of(name) for name in "xyz"] == ["hash of x", "hash of y", ""]
        ledger.finish()
    assert list(tmp_path.iterdir()) == []
    with opened(tmp_path, keep=False) as ledger:
        assert ledger.folder is None and ledger.inputs_of("x") is None


def test_what_other_settings_left_is_deleted(tmp_path):
    noted(tmp_path, "x")
    (tmp_path / ".unfinished" / "x.npz").write_bytes(b"a picture")
    with opened(tmp_path, {"model": "b"}) as ledger:
        assert ledger.done == {} and not (tmp_path / ".unfinished" / "x.npz").exists()
    with opened(tmp_path) as ledger:
        assert ledger.done == {}


@pytest.mark.parametrize("damage", [b"\0\0\0\0\n", b'{"name": "q"}\n', b"\xff\xfe broken\n", b"[]\n"])
def test_of_a_damaged_ledger_the_lines_before_the_damage_count_in_memory_and_on_disk(tmp_path, damage):
    noted(tmp_path, "x", "y")
    book = tmp_path / ".unfinished" / "done.jsonl"
    whole = book.read_bytes()
    book.write_bytes(whole + damage)
    noted(tmp_path, "x", "z")
    with opened(tmp_path) as ledger:
        assert list(ledger.done) == ["x", "y", "z"]
    assert book.read_bytes().startswith(whole) and damage not in book.read_bytes()


@pytest.mark.parametrize("settings", [SETTINGS, {"model": "b"}])
def test_a_second_run_into_the_same_folder_keeps_nothing_and_deletes_nothing(tmp_path, settings):
    with opened(tmp_path) as first:
        first.add("x", "1")
        with opened(tmp_path, settings) as second:
            second.add("y", "2")
            assert second.folder is None and second.inputs_of("x") is None
            second.finish()
        first.add("z", "3")
    with opened(tmp_path) as ledger:
        assert list(ledger.done) == ["x", "z"]


def test_a_run_that_was_killed_holds_nothing(tmp_path):
    code = "import os, sys; from pathlib import Path; from organincrement.workflows.fan_out_ledger import Ledger;"
    code += "held = Ledger.of(Path(sys.argv[1]), {'model': 'a'}, keep=True); held.add('x', '1');"
    code += "print(held.folder is not None, flush=True); sys.stdin.read()"
    run = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert run.stdout.readline() == "True\n"
    with opened(tmp_path) as other:
        assert other.folder is None
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    with opened(tmp_path) as ledger:
        assert list(ledger.done) == ["x"]


def test_a_ledger_that_somebody_deletes_is_given_up(tmp_path):
    with opened(tmp_path) as ledger:
        for path in (tmp_path / ".unfinished").iterdir():
            path.unlink()
        (tmp_path / ".unfinished").rmdir()
        ledger.add("x", "1")
        ledger.add("y", "2")
        ledger.finish()
    assert list(tmp_path.iterdir()) == []
