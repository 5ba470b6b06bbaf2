"""What is done already of a piece of work that was shared out, so that a run which was stopped goes on.

`.unfinished/done.jsonl` beside the results: a line for each item, with the hash of what it was made of. It is there
only while the work is not finished, and is not taken up with another model, other settings or another engine. It is one
run's alone: a second one into the same folder keeps nothing meanwhile.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from organincrement import __version__
from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.files import append_line, locked, read_bytes, write_atomic

_MOST_BYTES = 4 * 2**30
_LOCK = "lock"


@dataclass(frozen=True)
class Entry:
    """An item that was done. inputs: SHA-256 of what it was made of. result: JSON, None where it lies in files."""

    inputs: str
    result: Any


@dataclass(kw_only=True)
class Ledger:
    """The items done, by name, for a `with` block.

    folder: for the ledger and what else is needed to go on; None: nothing is kept.
    """

    folder: Path | None
    done: dict[str, Entry] = field(default_factory=dict)
    _held: ExitStack = field(default_factory=ExitStack, init=False)

    @staticmethod
    def of(out: Path, settings: Mapping[str, Any], *, keep: bool) -> "Ledger":
        """The ledger of an earlier run with these settings, or a new one. Args: keep: whether to begin one.

        Where another run has it, or the file system has no locks, nothing is kept.
        """
        folder = out / ".unfinished"
        if not keep and not folder.is_dir():
            return Ledger(folder=None)
        folder.mkdir(parents=True, exist_ok=True)
        ledger = Ledger(folder=folder)
        if not ledger._is_held():
            return Ledger(folder=None)
        told = json.dumps({"engine": __version__, **settings}, sort_keys=True)
        settings_sha256 = hashlib.sha256(told.encode()).hexdigest()
        if not ledger._read(settings_sha256):
            ledger._clear()
            write_atomic(folder / "settings.sha256", settings_sha256)
        return ledger

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Another run may take it up."""
        self._held.close()

    def inputs_of(self, name: str) -> str | None:
        """The hash that an item was done of; "" where it is not done yet; None where nothing is kept."""
        if self.folder is None:
            return None
        return self.done[name].inputs if name in self.done else ""

    def add(self, name: str, inputs: str, result: Any = None) -> None:
        """Note an item. Args: result: a dataclass for the codec; one that is no JSON is done again."""
        if self.folder is None or (name in self.done and self.done[name].inputs == inputs):
            return
        try:
            values = None if result is None else codec.to_json(result)
        except ContractError:
            return
        self.done[name] = Entry(inputs, values)
        line = {"name": name, "inputs": inputs, "result": values}
        try:
            append_line(self.folder / "done.jsonl", json.dumps(line, ensure_ascii=False))
        except FileNotFoundError:  # somebody has deleted it
            self.folder = None

    def finish(self) -> None:
        """The results are whole: the ledger goes."""
        if self.folder is None:
            return
        lock = self.folder / _LOCK
        with suppress(OSError):  # another run may have begun, once it is free
            self._clear()
            if sys.platform == "win32":  # which deletes nothing that is open
                self._held.close()
            lock.unlink()
            self._held.close()
            self.folder.rmdir()

    def _is_held(self) -> bool:
        """Whether it is this run's alone, until it ends, however it does."""
        assert self.folder is not None
        lock = self.folder / _LOCK
        try:
            self._held.enter_context(locked(lock, timeout_s=0))
        except (ContractError, OSError):
            return False
        return lock.exists()  # or the run that had it has just finished

    def _clear(self) -> None:
        assert self.folder is not None
        for path in self.folder.iterdir():
            if path.name != _LOCK:
                path.unlink(missing_ok=True)

    def _read(self, settings_sha256: str) -> bool:
        """Take up what is whole, and cut off damage with all after it. False where there is none of these settings."""
        assert self.folder is not None
        try:
            if read_bytes(self.folder / "settings.sha256", 64).decode() != settings_sha256:
                return False
            book = self.folder / "done.jsonl"
            lines = read_bytes(book, _MOST_BYTES).split(b"\n")[:-1] if book.exists() else []  # the last: half or empty
        except (ContractError, OSError, UnicodeDecodeError):
            return False
        for whole, line in enumerate(lines):
            try:
                entry = json.loads(line)
                self.done[entry["name"]] = Entry(entry["inputs"], entry["result"])
            except (ValueError, KeyError, TypeError):
                write_atomic(book, b"".join(good + b"\n" for good in lines[:whole]))
                break
        return True
