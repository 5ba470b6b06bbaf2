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
    FileNotFoundError where the job's folder has been moved away: it is not made anew.
    """
    folder.mkdir(exist_ok=True)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    data = buffer.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    path = folder / f"step_{step:09d}.pt"
    # the best first: a job killed between the two comes back from an earlier step, and makes the same best again
    for target in [folder / "best.pt", path] if best else [path]:
        # the digest of a torn pair is wrong, and a wrong digest only means that the one before is used
        try:
            write_atomic(target, data)
            write_atomic(target.with_suffix(".sha256"), digest + "\n")
        except OSError:
            if _whole(target) is None:
                _delete([target])
            raise
    ordered = _newest_first(folder)
    # later steps are damaged, or of a run that has gone back since: those are done again
    later = [other for other in ordered if _step_of(other) > step]
    _delete(later + [other for other in ordered if other not in later][_KEEP:])
    return path, digest


def delete_all_but_newest(folder: Path) -> int:
    """Make room on a full disk: keep the newest whole step and the best. Returns: how many were deleted."""
    newest = newest_step(folder)
    others = [path for path in _newest_first(folder) if newest is not None and _step_of(path) != newest]
    _delete(others)
    return len(others)


def _delete(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
        path.with_suffix(".sha256").unlink(missing_ok=True)


def load_newest(folder: Path) -> tuple[int, dict[str, Any] | None, list[str]]:
    """The newest whole checkpoint: its step, its state (None: none is whole), the names of damaged ones passed over."""
    passed_over = []
    for path in _newest_first(folder):
        state = _load(path)
        if state is not None:
            return _step_of(path), state, passed_over
        passed_over.append(path.name)
    return 0, None, passed_over


def newest_step(folder: Path) -> int | None:
    """The step of the newest whole checkpoint, or None where there is none."""
    return next((_step_of(path) for path in _newest_first(folder) if _whole(path) is not None), None)


def load_best(folder: Path, step: int = -1) -> dict[str, Any] | None:
    """The best checkpoint's state; a damaged one is taken from its own `step`, while that is kept. None: neither is."""
    for path in (folder / "best.pt", folder / f"step_{step:09d}.pt"):
        state = _load(path) if path.exists() else None
        if state is not None:
            return state
    return None


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
