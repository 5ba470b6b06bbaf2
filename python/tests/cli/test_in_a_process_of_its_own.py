"""What a user sees who types a command: quick answers, exit codes, bars on a terminal and plain lines elsewhere."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import ENGINE, assert_refused, run_alone
from tiny_world import student_job


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ENGINE, capture_output=True, encoding="utf-8", check=True)
    return done.stdout.strip()


def test_importing_the_package_takes_no_time_and_no_torch():
    code = (
        "import sys, time; start = time.perf_counter(); import organincrement\n"
        "print(time.perf_counter() - start, 'torch' in sys.modules, 'numpy' in sys.modules)"
    )
    seconds, torch, numpy = python(code).split()
    assert float(seconds) < 0.3 and (torch, numpy) == ("False", "False")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["plan", "--help"], ["job", "status", "--help"], ["dataset", "--help"]]
)
def test_help_is_quick_for_it_loads_none_of_the_engine(arguments):
    code = (
        "import sys; from organincrement.cli.main import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print('loaded', sorted({'torch', 'numpy', 'SimpleITK', 'monai', 'scipy'} & set(sys.modules)))"
    )
    assert python(code).endswith("loaded []")


def test_help_takes_less_than_a_second_of_computing():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run_alone("--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.code == 0 and "Research use only" in " ".join(done.out.split())
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 1.0


def test_status_of_a_job_loads_no_torch(tiny_student):
    code = (
        "import sys; from organincrement.cli.main import main\n"
        f"assert main(['job', 'status', '--json', {str(tiny_student.path)!r}]) == 0\n"
        "print('torch' in sys.modules)"
    )
    assert python(code).splitlines()[-1] == "False"


def test_a_terminal_without_every_sign_gets_the_rest(tiny_student, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = run_alone("job", "status", tiny_student.path)
    assert done.code == 0 and done.err == "" and done.out.startswith("finished ? step 6 of 6")


def test_a_refusal_is_one_line_without_a_traceback(tmp_path):
    assert_refused(run_alone("inspect", tmp_path / "gone.nii.gz"), "gone.nii.gz: there is no such file")
    outcome = run_alone("segment", "--model", tmp_path, "--out", tmp_path / "out", tmp_path / "gone.nii.gz")
    assert_refused(outcome, "gone.nii.gz")


def test_wrong_usage_ends_with_2():
    done = run_alone("segment")
    assert done.code == 2 and done.out == "" and "usage:" in done.err


def test_a_reader_that_has_seen_enough_is_no_error():
    command = f"{sys.executable} -m organincrement methods --json | head -c 10; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=ENGINE, capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (0, "") and len(done.stdout) == 10


def test_a_detached_job_outlives_its_command_and_is_watched_by_others(tiny_world, tmp_path):
    job = student_job(tiny_world, tmp_path / "made", training__steps=4)
    plan = tmp_path / "made" / "plan.json"
    started = run_alone("train", plan, "--job", tmp_path / "job", "--detach")
    assert started.code == 0 and "started as process" in started.out
    pid = int(started.out.split("process ")[1].split(";")[0])
    assert job.path.exists() and pid != os.getpid()
    for _ in range(200):
        status = json.loads(run_alone("job", "status", "--json", tmp_path / "job").out)
        if status["state"] in ("finished", "failed"):
            break
    assert status["state"] == "finished"
    assert "finished; the student is job/student" in (tmp_path / "job" / "process.log").read_text(encoding="utf-8")


def labelled(tiny_world, tmp_path, name):
    source = tiny_world.site_b.path
    return [
        "dataset", "import", "--images", source / "images", "--labels", source / "labels", "--organs", "stomach=1",
        "--out", tmp_path / name,
    ]  # fmt: skip


def test_there_is_no_bar_where_there_is_no_terminal(tiny_world, tmp_path):
    done = run_alone(*labelled(tiny_world, tmp_path, "plain"))
    assert done.code == 0 and done.err == "" and "\r" not in done.out


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pty")
def test_there_is_a_bar_on_a_terminal(tiny_world, tmp_path):
    import pty
    import termios

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (25, 100))  # a bar in a window without columns is empty
    command = [sys.executable, "-m", "organincrement", *map(str, labelled(tiny_world, tmp_path, "shown"))]
    done = subprocess.run(command, cwd=ENGINE, stdout=subprocess.PIPE, stderr=theirs, check=False)
    shown = os.read(ours, 100_000).decode()
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 0 and "importing" in shown and "\r" in shown
    assert Path(tmp_path / "shown" / "dataset.json").is_file()
