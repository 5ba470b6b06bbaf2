"""`inspect` on anything: what it is or why not, in one line, within 5 s and 1 GB, whatever was put in its way."""

import gzip
import json
import os
import socket
import struct
import time
from dataclasses import replace

import numpy as np
import pytest
from command_line import assert_refused, run, run_alone, run_measured

from organincrement.workflows import inspect_path
from organincrement.workflows.errors import WorkflowError

LONGEST_S, LONGEST_WAIT_S = 5.0, 30.0  # of computing; of the clock, which other tests share
MOST_BYTES = 2**30


def nifti_header(sizes_xyz, datatype=4, bits=16):
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *sizes_xyz, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, datatype, bits)
    struct.pack_into("<8f", header, 76, 1, 1, 1, 1, 0, 0, 0, 0)
    struct.pack_into("<3f", header, 108, 352, 1, 0)
    header[123] = 2
    struct.pack_into("<2h", header, 252, 0, 1)
    struct.pack_into("<12f", header, 280, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
    header[344:348] = b"n+1\0"
    return bytes(header)


def make(folder, what):
    """One strange thing; returns its path."""
    path = folder / what
    if what == "pipe.nii":
        os.mkfifo(path)
    elif what == "socket.nii":
        socket.socket(socket.AF_UNIX).bind(os.path.relpath(path))
    elif what in LINKS:
        path.symlink_to(LINKS[what])
    elif what in CONTENTS:
        path.write_bytes(CONTENTS[what])
    elif what.startswith("sparse"):
        path.touch()
        os.truncate(path, 2**32)
    elif what == "folder.nii.gz":
        path.mkdir()
    elif what in JSONS:
        path.mkdir()
        (path / JSONS[what][0]).write_bytes(JSONS[what][1])
    elif what == "pipes":
        path.mkdir()
        for name in ("dataset.json", "model.json", "plan.json", "a.dcm"):
            os.mkfifo(path / name)
    elif what == "crowd":
        path.mkdir()
        for number in range(6000):
            (path / str(number)).touch()
    return path


LINKS = {"loop.nii": "loop.nii", "nowhere.nii": "/nowhere/at/all", "zero.nii": "/dev/zero", "up": ".."}
CONTENTS = {
    "empty.nii": b"", "empty.nii.gz": b"", "empty.nrrd": b"", "empty.mha": b"", "empty.oimodel": b"", "noise": b"\1\2",
    "a\nb.nii": b"", "\x1b[31mred.nii": b"", os.fsdecode(b"bad\xff.nii"): b"x", "a.dcm": bytes(128) + b"DICM",
    "bomb.nii.gz": gzip.compress(nifti_header((100, 100, 100))) + gzip.compress(bytes(2**25), 1) * 6,
    "lines.nrrd": b"NRRD0004\n" + b"a\n" * 2_000_000, "long.mha": b"a = " + b"b" * 10_000_000,
}  # fmt: skip
JSONS = {
    "deep": ("dataset.json", b"[" * 200_000), "deeper": ("model.json", b'{"a":' * 200_000),
    "big": ("plan.json", b"[" + b"1," * 5_000_000 + b"1]"), "list": ("dataset.json", b"[]"),
}  # fmt: skip
STRANGE = ["pipe.nii", "socket.nii", *LINKS, *CONTENTS, *JSONS, "folder.nii.gz", "pipes", "crowd", "sparse.nii",
           "sparse.nii.gz", "sparse.nrrd", "sparse.mha", "sparse.dcm", "sparse.oimodel"]  # fmt: skip


@pytest.mark.parametrize("what", STRANGE)
def test_a_strange_thing_is_refused_in_one_line_in_time_and_memory(tmp_path, monkeypatch, what):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    path = make(tmp_path / "here", what)
    begin = time.monotonic()
    outcome, seconds, peak_bytes = run_measured(tmp_path / "here", tmp_path / "figures.json", "inspect", path)
    assert seconds < LONGEST_S and time.monotonic() - begin < LONGEST_WAIT_S
    visible = what.encode("unicode_escape").decode() if not what.isprintable() else what
    assert_refused(outcome, visible.replace("\\udcff", "\\xff"))
    assert outcome.err.removesuffix("\n").isprintable()
    assert peak_bytes < MOST_BYTES


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/proc/self/mem", "/dev/tty", "x" * 300, "a/" * 3000])
def test_devices_and_impossible_names_are_refused(capsys, path):
    assert_refused(run(capsys, "inspect", path))


def test_no_code_of_the_present_folder_is_run(tmp_path, monkeypatch, capsys):
    for name in ("numpy", "json", "organincrement", "resource"):
        (tmp_path / f"{name}.py").write_text("open('was_run', 'w')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert_refused(run(capsys, "inspect", "numpy.py"), "numpy.py")
    assert not (tmp_path / "was_run").exists()


def test_a_command_of_its_own_shows_nothing_but_the_line(tmp_path):
    (tmp_path / "bad.nii").write_bytes(nifti_header((3, 3, 3)))
    assert_refused(run_alone("inspect", tmp_path / "bad.nii", "--json", tmp_path / "out.json"), "bad.nii", "cut off")
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("points.npy", b""),
        (
            "points.npy",
            b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 3), }\n",
        ),
        ("points.npy", b"\x93NUMPY\x01\x00v\x00" + b"(" * 118),
        ("points.npz", b"PK\3\4"),
        ("points.npy", b"\x80\x04N."),
    ],
)
def test_points_that_are_none_are_refused(tmp_path, capsys, name, content):
    (tmp_path / "a.nii").write_bytes(nifti_header((2, 2, 2)) + bytes(16))
    (tmp_path / name).write_bytes(content)
    assert_refused(run(capsys, "inspect", tmp_path / "a.nii", "--points", tmp_path / name), name)


def test_no_points_and_points_that_are_no_places_have_no_samples(tmp_path, capsys):
    (tmp_path / "a.nii").write_bytes(nifti_header((2, 2, 2)) + bytes(16))
    for points, samples in (
        (np.empty((0, 3)), []),
        (np.array([[np.nan, 0, 0], [np.inf, 0, 0], [1e300, 0, 0], [0, 0, 0]]), [None, None, None, 0]),
    ):
        np.save(tmp_path / "points.npy", points)
        said = run(capsys, "inspect", tmp_path / "a.nii", "--points", tmp_path / "points.npy")
        assert json.loads(said.out)["samples"] == samples


def test_facts_that_cannot_be_written_name_the_file_that_was_given(tmp_path, capsys):
    path = tmp_path / "a.nii"
    path.write_bytes(nifti_header((2, 2, 2)) + bytes(16))
    assert_refused(
        run(capsys, "inspect", path, "--json", tmp_path / "none" / "o.json"), "none/o.json: cannot be written"
    )
    assert_refused(run(capsys, "inspect", path, "--json", tmp_path / "x\0.json"), "cannot be written")
    before = path.read_bytes()
    assert_refused(run(capsys, "inspect", path, "--json", path), "a.nii: is what is looked at")
    assert_refused(run(capsys, "inspect", path, "--json", tmp_path / "." / "a.nii"), "a.nii: is what is looked at")
    assert path.read_bytes() == before
    assert run(capsys, "inspect", path, "--json", tmp_path / "o.json").code == 0
    assert json.loads((tmp_path / "o.json").read_text(encoding="utf-8"))["format"] == "NIfTI"


def test_an_empty_path_has_a_line_of_its_own(capsys):
    assert_refused(run(capsys, "inspect", ""), "the path is empty")


def test_what_takes_too_long_to_look_through_may_still_be_read(tmp_path, monkeypatch):
    path = tmp_path / "a.nii"
    path.write_bytes(nifti_header((2, 2, 2)) + bytes(16))
    monkeypatch.setattr(inspect_path, "LIMITS", replace(inspect_path.LIMITS, wall_s=0.01))
    with pytest.raises(
        WorkflowError, match=r"a\.nii: could not be looked through within .*import it, or give a smaller"
    ):
        inspect_path.inspect_path(path)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_large_scan_is_looked_at_in_little_memory(tmp_path, suffix):
    path = tmp_path / f"large{suffix}"
    slice_HW = (np.arange(512 * 512) % 1021).astype("<i2").tobytes()
    with gzip.open(path, "wb", 1) if suffix == ".nii.gz" else path.open("wb") as file:
        file.write(nifti_header((512, 512, 800)))
        for _ in range(799):
            file.write(slice_HW)
        file.write(np.full((512, 512), 7, "<i2").tobytes())
    np.save(tmp_path / "points.npy", np.array([[-5.0, -5, 799], [0, 0, 900]]))
    asked = ("inspect", path, "--points", tmp_path / "points.npy")
    said, seconds, peak_bytes = run_measured(tmp_path, tmp_path / "figures.json", *asked)
    assert said.code == 0, said.err
    facts = json.loads(said.out)
    assert facts["shape"] == [800, 512, 512] and facts["samples"] == [7, None]
    assert seconds < LONGEST_S
    assert peak_bytes < MOST_BYTES
