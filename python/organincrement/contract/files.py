"""Safe file access: atomic writes, appended lines, locks, hashes and paths that stay in their folder."""

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeVar

from .errors import ContractError

T = TypeVar("T")
LOCK_POLL_S = 0.02
WINDOWS_RETRIES = 20
BLOCK_BYTES = 65536
# nothing to refuse in it; most paths are such, and the question what else they might mean takes ten times as long
_PLAIN_PATH = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*", re.ASCII)


def utc_now() -> str:
    """The present time as ISO 8601 in UTC with milliseconds, for example 2026-11-21T08:30:00.125Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def sha256_file(path: Path | str) -> str:
    """SHA-256 of a file as 64 lower-case hex digits; raises ContractError when it cannot be read."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def open_regular(path: Path | str) -> Iterator[BufferedReader]:
    """Open a regular file to read; raises ContractError when it is missing, unreadable, or a folder, pipe or device."""
    try:
        # Asked before opening, because opening a pipe would wait for ever.
        place = path if isinstance(path, Path) else Path(path)
        if not stat.S_ISREG(place.stat().st_mode):
            raise ContractError(f"{path}: is not a regular file; replace it with one")
        with _despite_windows(lambda: place.open("rb")) as file:
            yield file
    except OSError as error:
        raise ContractError(
            f"{path}: cannot be read ({error.strerror or error}); check that it exists and may be read"
        ) from error


def read_bytes(path: Path | str, limit_bytes: int) -> bytes:
    """The whole of a regular file; raises ContractError when it cannot be read or holds more than `limit_bytes`."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit_bytes:
            raise ContractError(f"{path}: has {size} bytes, above the limit of {limit_bytes}; replace it")
        return file.read(size)


def write_atomic(path: Path | str, data: bytes | str) -> None:
    """Write a file so that at any moment it holds either the old content or all of the new one.

    Raises OSError as the system does, a full disk among them; the old content then stands and nothing is left behind.
    """
    path = Path(path)
    content = data.encode("utf-8") if isinstance(data, str) else data
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        # Not tempfile: its files are private to one user, and a dataset may be shared by several.
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _despite_windows(lambda: partial.replace(path))
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def remove_partials(folder: Path) -> None:
    """Delete what `write_atomic` left in a folder when its process was killed; only the folder's one writer may."""
    if folder.is_dir():
        for left in folder.glob(".*.partial"):
            left.unlink(missing_ok=True)


def fsync_folder(folder: Path) -> None:
    """Make renames and new names in a folder survive a power cut (Windows has no such call and needs none)."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def append_line(path: Path | str, line: str) -> None:
    """Append one line, in place of a half-written one, and fsync; OSError, and nothing of it stays, on a full disk."""
    if "\n" in line:
        raise ContractError(f"{path}: a line to append holds a line break; write one record per line")
    path = Path(path)
    is_new = not path.exists()
    truncate_half_line(path)
    with path.open("ab", buffering=0) as file:
        start = file.seek(0, os.SEEK_END)
        data = f"{line}\n".encode()
        try:
            written = file.write(data)
            if written != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            os.fsync(file.fileno())
        except OSError:
            file.truncate(start)
            raise
    if is_new:
        fsync_folder(path.parent)


def last_line(path: Path) -> tuple[bytes | None, int]:
    """The last complete line without its end (None when there is none), and the size in bytes up to its end.

    A process that was killed may have left half a line behind; it lies after that size.
    """
    if not path.exists():
        return None, 0
    with path.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        tail = b""
        while position > 0 and tail.count(b"\n") < 2:
            step = min(BLOCK_BYTES, position)
            position -= step
            file.seek(position)
            tail = file.read(step) + tail
    end = tail.rfind(b"\n")
    if end < 0:
        return None, 0
    return tail[tail.rfind(b"\n", 0, end) + 1 : end], position + end + 1


def truncate_half_line(path: Path) -> bytes | None:
    """Cut off a half-written last line, if there is one, and return the last complete line."""
    line, size = last_line(path)
    if path.exists() and path.stat().st_size > size:
        os.truncate(path, size)
    return line


def check_relative(relative: str, *, upwards: bool = False) -> None:
    """Refuse a path of a file that is absolute, not in `/` form, or (unless `upwards`) leads out of the folder."""
    if _PLAIN_PATH.fullmatch(relative):
        return
    parts = relative.split("/")
    absolute = PurePosixPath(relative).is_absolute() or PureWindowsPath(relative).drive
    odd = any(character in relative for character in "\\\0") or any(part in ("", ".") for part in parts)
    # A colon names a hidden stream of a file on Windows.
    leads_out = ".." in parts or ":" in relative
    if absolute or (odd and not (upwards and relative == ".")) or (leads_out and not upwards):
        inside = "" if upwards else ", inside the folder"
        raise ContractError(f"path {relative!r} is not allowed; write it relative, with '/'{inside}")


def resolve_inside(folder: Path | str, relative: str) -> Path:
    """`folder / relative`, refused with ContractError when it is absolute, holds `..`, or a link leads out."""
    try:
        check_relative(relative)
    except ContractError as error:
        raise ContractError(f"{folder}: {error}") from None
    path = Path(folder) / relative
    if not path.resolve().is_relative_to(Path(folder).resolve()):
        raise ContractError(f"{folder}: {relative!r} leads out of the folder through a link; copy the file into it")
    return path


def found_at_or_above(folder: Path, names: Iterable[str]) -> Path | None:
    """The nearest file of one of these names in a folder or one that it lies in; None where there is none."""
    places = (folder.resolve(), *folder.resolve().parents)
    return next((place / name for place in places for name in names if (place / name).exists()), None)


@contextlib.contextmanager
def locked(path: Path, timeout_s: float = 10.0) -> Iterator[None]:
    """Hold the lock file `path`; the system frees it when its process ends, so that no lock can be left behind.

    Raises ContractError when another process still holds it after `timeout_s`.
    """
    end = time.monotonic() + timeout_s
    with path.open("a+b") as file:
        while not _try_lock(file.fileno()):
            if time.monotonic() > end:
                raise ContractError(f"{path}: another program has held it for {timeout_s:g} s; try again later")
            time.sleep(LOCK_POLL_S)
        try:
            yield
        finally:
            _unlock(file.fileno())


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _despite_windows(action: Callable[[], T]) -> T:
    """Run a read or rename again for a moment: on Windows it is refused while another program has the file open."""
    for _ in range(WINDOWS_RETRIES if sys.platform == "win32" else 0):
        try:
            return action()
        except PermissionError:
            time.sleep(LOCK_POLL_S)
    return action()
