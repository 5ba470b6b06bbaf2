"""Checkpoints: three and the best are kept, and damage of any kind is noticed and passed over."""

import errno
import hashlib

import pytest
import torch

from organincrement.contract.files import write_atomic
from organincrement.training import checkpoint
from organincrement.training.checkpoint import load_best, load_newest, newest_step, save_checkpoint


def state(value: float) -> dict:
    return {"student": {"weight": torch.full((3,), value)}, "progress": {"step": int(value)}}


def saved(folder, steps, best=()):
    for step in steps:
        save_checkpoint(folder, step, state(step), best=step in best)


def value_of(loaded: dict) -> float:
    return loaded["student"]["weight"][0].item()


def test_the_last_three_and_the_best_are_kept_with_their_digests(tmp_path):
    saved(tmp_path, [10, 20, 30, 40, 50], best=[20])
    names = ["best", "step_000000030", "step_000000040", "step_000000050"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"{name}.{end}" for name in names for end in ("pt", "sha256")
    )
    assert value_of(load_best(tmp_path)) == 20
    for name in names:
        digest = hashlib.sha256((tmp_path / f"{name}.pt").read_bytes()).hexdigest()
        assert (tmp_path / f"{name}.sha256").read_text(encoding="utf-8").strip() == digest


def test_the_file_and_digest_that_are_returned_are_those_on_disk(tmp_path):
    path, digest = save_checkpoint(tmp_path, 7, state(7), best=False)
    assert path == tmp_path / "step_000000007.pt"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest


def test_the_newest_is_loaded_with_its_step(tmp_path):
    saved(tmp_path, [999, 1000])
    step, loaded, passed_over = load_newest(tmp_path)
    assert (step, value_of(loaded), passed_over) == (1000, 1000, [])
    assert newest_step(tmp_path) == 1000


def test_an_empty_or_missing_folder_has_none(tmp_path):
    for folder in (tmp_path, tmp_path / "nothing"):
        assert load_newest(folder) == (0, None, []) and newest_step(folder) is None and load_best(folder) is None


@pytest.mark.parametrize("damage", ["flipped bit", "cut off", "emptied", "digest gone", "digest not text"])
def test_a_damaged_newest_falls_back_to_the_one_before_and_is_named(tmp_path, damage):
    saved(tmp_path, [10, 20])
    newest, digest = tmp_path / "step_000000020.pt", tmp_path / "step_000000020.sha256"
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    {
        "flipped bit": lambda: newest.write_bytes(bytes(data)),
        "cut off": lambda: newest.write_bytes(bytes(data[:-100])),
        "emptied": lambda: newest.write_bytes(b""),
        "digest gone": digest.unlink,
        "digest not text": lambda: digest.write_bytes(b"\xff\xfe"),
    }[damage]()
    step, loaded, passed_over = load_newest(tmp_path)
    assert (step, value_of(loaded), passed_over) == (10, 10, ["step_000000020.pt"])
    assert newest_step(tmp_path) == 10


def test_a_damaged_best_is_none(tmp_path):
    saved(tmp_path, [10], best=[10])
    (tmp_path / "best.pt").write_bytes(b"not it")
    assert load_best(tmp_path) is None and newest_step(tmp_path) == 10


@pytest.mark.parametrize("calls", [0, 1, 2, 3])
def test_a_write_that_tears_leaves_the_earlier_checkpoints_whole(tmp_path, monkeypatch, calls):
    saved(tmp_path, [10, 20], best=[10])
    left = iter(range(calls))

    def full_after(path, data):
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "no space left on device", str(path))
        write_atomic(path, data)

    monkeypatch.setattr(checkpoint, "write_atomic", full_after)
    with pytest.raises(OSError, match="no space"):
        save_checkpoint(tmp_path, 30, state(30), best=True)
    step, loaded, _ = load_newest(tmp_path)
    assert (step, value_of(loaded)) == (20, 20)
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]


def test_strangers_in_the_folder_are_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "step_5.pt").write_text("not one of ours", encoding="utf-8")
    saved(tmp_path, [1, 2, 3, 4])
    assert (tmp_path / "notes.txt").exists() and (tmp_path / "step_5.pt").exists()
    assert newest_step(tmp_path) == 4


def test_a_checkpoint_that_would_run_code_is_not_loaded(tmp_path):
    class Harm:
        def __reduce__(self):
            return (exec, ("raise SystemExit('ran')",))

    data = tmp_path / "harm"
    torch.save({"progress": Harm()}, data)
    path = tmp_path / "step_000000001.pt"
    path.write_bytes(data.read_bytes())
    path.with_suffix(".sha256").write_text(hashlib.sha256(path.read_bytes()).hexdigest(), encoding="utf-8")
    with pytest.raises(Exception, match=r"[Ww]eights"):
        load_newest(tmp_path)
