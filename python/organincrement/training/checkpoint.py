"""Checkpoints that survive a kill at any moment: temporary file, fsync, rename, SHA-256; damage is noticed."""

import hashlib
import io
import re
from pathlib import Path
from typing import Any

import torch

from organincrement.contract.files import write_atomic

_KEEP = 3
_NAME = re.compile(r"step_(\d{9})\.pt")


def save_checkpoint(folder: Path, step: int, state: dict[str, Any], *, best: bool) -> tuple[Path, str]:
    """Write the state of a step, and again as the best where it is. Returns: the file and its SHA-256.

    The last three steps and the best are kept. Raises: OSError where the disk is full; earlier checkpoints stay whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    data = buffer.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    path = folder / f"step_{step:09d}.pt"
    # the best first: a job killed between the two comes back from an earlier step, and makes the same best again
    for target in [folder / "best.pt", path] if best else [path]:
        # the digest of a torn pair is wrong, and a wrong digest only means that the one before is used
        write_atomic(target, data)
        write_atomic(target.with_suffix(".sha256"), digest + "\n")
    for old in _newest_first(folder)[_KEEP:]:
        old.unlink(missing_ok=True)
        old.with_suffix(".sha256").unlink(missing_ok=True)
    return path, digest


def load_newest(folder: Path) -> tuple[int, dict[str, Any], list[str]] | None:
    """The newest whole checkpoint: its step, its state, the names of corrupt ones passed over; None: there is none."""
    passed_over = []
    for path in _newest_first(folder):
        state = _load(path)
        if state is not None:
            return _step_of(path), state, passed_over
        passed_over.append(path.name)
    return None


def newest_step(folder: Path) -> int | None:
    """The step of the newest whole checkpoint, or None where there is none."""
    return next((_step_of(path) for path in _newest_first(folder) if _whole(path) is not None), None)


def load_best(folder: Path) -> dict[str, Any] | None:
    """The best checkpoint's state, or None where there is none or it is corrupt."""
    return _load(folder / "best.pt") if (folder / "best.pt").exists() else None


def _load(path: Path) -> dict[str, Any] | None:
    data = _whole(path)
    return None if data is None else torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def _whole(path: Path) -> bytes | None:
    """The bytes of a checkpoint, None where they are not those that its digest names."""
    try:
        data = path.read_bytes()
        digest = path.with_suffix(".sha256").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return data if hashlib.sha256(data).hexdigest() == digest else None


def _step_of(path: Path) -> int:
    return int(path.stem.removeprefix("step_"))


def _newest_first(folder: Path) -> list[Path]:
    paths = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)] if folder.is_dir() else []
    return sorted(paths, reverse=True)
