"""Programs beside Slicer: looked at without waiting, ended with all that they started, told of in words."""

import subprocess
import sys
import time

import pytest
from engine_jobs import isGone, python, until, untilEnded

from OrganIncrementLib.Engine import ProcessTree
from OrganIncrementLib.Engine.BackgroundCommand import BackgroundCommand
from OrganIncrementLib.Engine.Progress import Progress, progressOf

NEVER_MS = 5  # longer than this, no look may take


def ended(code, *arguments, **options):
    return untilEnded(BackgroundCommand(python(code, *arguments), **options).start())[0]


def test_a_command_runs_beside_and_its_output_is_there_in_the_end():
    command = BackgroundCommand(python("print('grüße'); print('one'); print('two')"), {"PYTHONIOENCODING": "utf-8"})
    assert (command.state, command.running, command.poll()) == ("created", False, None)
    assert command.start() is command and command.running
    untilEnded(command)
    assert (command.state, command.exitCode, command.output) == ("finished", 0, "grüße\none\ntwo\n")


def test_bytes_that_are_no_text_are_replaced():
    assert ended("import sys; sys.stdout.buffer.write(b'a\\xff\\xe2\\x82b\\n')").output == "a\ufffd\ufffdb\n"


def test_looking_never_waits_whatever_the_command_writes():
    code = "import sys\nfor i in range(200000): print('x' * 40); print('y' * 40, file=sys.stderr)"
    command, longest_s = untilEnded(BackgroundCommand(python(code)).start())
    assert command.state == "finished" and len(command.output) == 200000 * 41
    assert longest_s < 0.02
    idle, longest_s = BackgroundCommand(python("import time; time.sleep(60)")).start(), 0.0
    for _ in range(100):
        before_s = time.thread_time()
        idle.poll()
        longest_s = max(longest_s, time.thread_time() - before_s)
    idle.close()
    assert longest_s < NEVER_MS / 1000


def test_the_line_that_an_engine_gives_as_reason_is_the_message():
    command = ended("import sys; print('organincrement: liver.nii.gz: has no voxels', file=sys.stderr); sys.exit(3)")
    assert (command.state, command.exitCode, command.message) == ("failed", 3, "liver.nii.gz: has no voxels")


def test_nobody_sees_a_traceback():
    command = ended("def f(): raise RuntimeError('the disk\\nis full')\nf()")
    assert command.state == "failed"
    assert command.message == "The engine stopped unexpectedly: the disk is full"
    deep = ended("import sys\ndef f(n): f(n + 1)\nprint('\\n' * 9, file=sys.stderr); f(0)").message
    assert deep == "The engine stopped unexpectedly: maximum recursion depth exceeded"
    assert ended("1 / 0").message == "The engine stopped unexpectedly: division by zero"


def test_a_missing_package_is_named_with_what_to_do():
    assert "lacks the Python package torchio" in ended("import torchio.data").message
    assert "install the OrganIncrement extension again" in ended("import organincrement.nothing_of_that_name").message


def test_a_silent_end_and_a_kill_are_said():
    assert ended("import sys; sys.exit(7)").message == "The engine ended without saying why (code 7)."
    assert "ended from outside" in ended("import os, signal; os.kill(os.getpid(), signal.SIGKILL)").message


@pytest.mark.parametrize("program", ["/nowhere/python", "", "."])
def test_a_program_that_cannot_be_started_has_failed_and_says_why(program):
    command = BackgroundCommand([program, "-c", "pass"]).start()
    assert command.state == "failed" and not command.running and "Other Python" in command.message
    assert "\n" not in command.message
    assert command.poll() is None


def test_progress_lines_are_read_as_they_come_and_are_no_message():
    code = (
        "import sys, time\n"
        "for line in ('segment: 0 of 2 (pt_1) 0 of 1', 'segment: 1 of 2 (pt_2) 35 of 70', 'something on the side'):\n"
        "    print(line, file=sys.stderr, flush=True)\n"
        "sys.stdin.read(); time.sleep(600)"
    )
    command = BackgroundCommand(python(code)).start()
    until(lambda: command.poll() is not None and command.progress.done > 0)
    until(lambda: command.poll() and command.message)
    assert command.progress == Progress(105, 140, "pt_2")
    assert (command.progress.percent, command.progress.words) == (75, "pt_2 · 75 %")
    assert command.message == "Something on the side"
    command.close()
    assert command.state == "cancelled"


@pytest.mark.parametrize(
    ("line", "progress"),
    [
        ("segment: 3 of 10 (pt_12)", Progress(3, 10, "pt_12")),
        ("segment: 3 of 10 (pt_12) 35 of 128", Progress(3 * 128 + 35, 1280, "pt_12")),
        ("segment: 10 of 10 (pt_12)", Progress(10, 10, "pt_12")),
        ("sample: 35 of 100 (teacher (phantom))", Progress(35, 100, "teacher (phantom)")),
        ("importing: 2 of 2", Progress(2, 2, "")),
        ("audit: 0 of 0", Progress(0, 0, "")),
        ("segment: 3 of 10 (pt_12) 35 of 0", Progress(3, 10, "pt_12")),
        ("a (of b): 3 of 10", None),
        ("out of GPU memory: going on in smaller tiles, of 64 MiB", None),
        ("running · step 5 of 100", None),
        ("", None),
    ],
)
def test_only_progress_lines_are_progress(line, progress):
    assert progressOf(line) == progress


@pytest.mark.skipif(sys.platform == "win32", reason="asks Linux for processes")
def test_cancel_ends_the_whole_tree_however_stubborn():
    deaf = "import signal, subprocess, sys, time\n[signal.signal(s, signal.SIG_IGN) for s in (2, 15)]\n"
    child = f"{deaf}print('on', flush=True); time.sleep(600)"
    code = (
        f"{deaf}"
        f"c = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE)\n"
        "c.stdout.readline(); print(c.pid, flush=True); c.wait()"
    )
    command = BackgroundCommand(python(code)).start()
    until(lambda: command.poll() or command.output)
    pids = [int(command.output), command._tree.pid]
    before_s = time.monotonic()
    command.cancel()
    assert time.monotonic() - before_s < 0.05 and command.running
    untilEnded(command, 10)
    assert 2.5 < time.monotonic() - before_s < 6
    assert command.state == "cancelled" and command.message == "Cancelled."
    until(lambda: all(isGone(pid) for pid in pids), 2)


def test_a_cancelled_engine_can_put_away_what_is_half_done(tmp_path):
    code = (
        "import sys, time, pathlib\n"
        "half = pathlib.Path(sys.argv[1]); half.touch(); print('on', flush=True)\n"
        "try: time.sleep(600)\n"
        "finally: half.unlink()\n"
    )
    command = BackgroundCommand(python(code, tmp_path / "half")).start()
    until(lambda: command.poll() or command.output)
    command.cancel()
    untilEnded(command, 10)
    assert command.state == "cancelled" and not (tmp_path / "half").exists()


def test_a_crash_leaves_no_worker_behind():
    code = (
        "import os, subprocess, sys\n"
        "c = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(c.pid, flush=True); os._exit(9)"
    )
    command = ended(code)
    assert command.state == "failed"
    until(lambda: isGone(int(command.output)), 5)


def test_in_windows_a_process_is_not_ended_before_its_children_are_found(monkeypatch):
    """There, a program that looks from parent to child does it; of a parent that has gone it finds no child."""
    monkeypatch.setattr(ProcessTree, "_WINDOWS", True)
    monkeypatch.setattr(ProcessTree, "killTree", lambda pid: subprocess.Popen(python("import time; time.sleep(60)")))
    process, tree = subprocess.Popen(python("import time; time.sleep(60)")), None
    try:
        tree = ProcessTree.ProcessTree(process)
        tree.kill()
        time.sleep(0.2)
        assert process.poll() is None
    finally:
        for one in filter(None, (process, tree and tree._killer)):
            one.kill()
            one.wait()


def test_a_command_that_was_never_started_can_be_cancelled_and_closed():
    for end in ("cancel", "close"):
        command = BackgroundCommand(python("pass"))
        getattr(command, end)()
        assert command.state == "cancelled" and command.start().state == "cancelled"


def test_ended_commands_leave_no_zombie_and_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    command = ended("print('done')")
    assert not list(tmp_path.iterdir()) and isGone(command._tree.pid)
    with pytest.raises(OSError):
        open(f"/proc/{command._tree.pid}/stat", "rb").close()  # noqa: PTH123
