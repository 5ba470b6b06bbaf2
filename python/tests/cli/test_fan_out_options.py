"""Who does the work on many scans: what the command line takes, and what it says when nobody can."""

import time

import pytest
from command_line import run


def test_processes_are_a_number_or_auto_and_the_findings_do_not_depend_on_them(tiny_world, capsys):
    check = ("dataset", "check", tiny_world.site_a.path)
    one, two = (run(capsys, *check, "--processes", processes) for processes in ("auto", 2))
    assert one.code == 0 and one.out.endswith(": no problem found\n") and (one.out, one.err) == (two.out, two.err)
    for wrong in ("some", "0", "-1", "9999"):
        with pytest.raises(SystemExit):
            run(capsys, *check, f"--processes={wrong}")
        assert "neither auto nor a whole number" in capsys.readouterr().err


def test_a_scheduler_that_is_not_there_is_refused_in_a_line_within_ten_seconds(tiny_world, tmp_path, capsys):
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    began_s, nobody = time.monotonic(), "tcp://127.0.0.1:1"
    scan = tiny_world.site_a.image_path(tiny_world.site_a.cases()[0])
    out = tmp_path / "out"
    refused = run(capsys, "segment", "--model", tiny_world.teacher, "--out", out, scan, "--scheduler", nobody)
    assert refused.code == 3 and refused.err.count("\n") == 1 and time.monotonic() - began_s < 10
    assert f"--scheduler {nobody}: nobody answers there; start `dask scheduler`" in refused.err
