"""What is done already of a piece of work that was shared out, so that a run which was stopped goes on.

`.unfinished/done.jsonl` beside the results: a line for each item, with the hash of what it was made of. It is there
only while the work is not finished, and is not taken up with another model, other settings or another engine.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from organincrement import __version__
from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.files import append_line, read_bytes, write_atomic

_MOST_BYTES = 4 * 2**30


@dataclass(frozen=True)
class Entry:
    """An item that was done. inputs: SHA-256 of what it was made of. result: JSON, None where it lies in files."""

    inputs: str
    result: Any


@dataclass(kw_only=True)
class Ledger:
    """The items done, by name. folder: for the ledger and what else is needed to go on; None: nothing is kept."""

    folder: Path | None
    done: dict[str, Entry] = field(default_factory=dict)

    @staticmethod
    def of(out: Path, settings: Mapping[str, Any], *, keep: bool) -> "Ledger":
        """The ledger of an earlier run with these settings, or a new one. Args: keep: whether to begin one."""
        folder = out / ".unfinished"
        if not keep and not folder.is_dir():
            return Ledger(folder=None)
        told = json.dumps({"engine": __version__, **settings}, sort_keys=True)
        settings_sha256 = hashlib.sha256(told.encode()).hexdigest()
        ledger = Ledger(folder=folder)
        if not ledger._read(settings_sha256):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            write_atomic(folder / "settings.sha256", settings_sha256)
        return ledger

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
        append_line(self.folder / "done.jsonl", json.dumps(line, ensure_ascii=False))

    def finish(self) -> None:
        """The results are whole: the ledger goes."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _read(self, settings_sha256: str) -> bool:
        """False where there is none, or one of other settings."""
        assert self.folder is not None
        try:
            if read_bytes(self.folder / "settings.sha256", 64).decode() != settings_sha256:
                return False
            text = read_bytes(self.folder / "done.jsonl", _MOST_BYTES).decode() if self._has_lines() else ""
        except (ContractError, OSError, UnicodeDecodeError):
            return False
        for line in text.split("\n")[:-1]:  # the last one is half written, or empty
            try:
                entry = json.loads(line)
                self.done[entry["name"]] = Entry(entry["inputs"], entry["result"])
            except (ValueError, KeyError, TypeError):
                return False
        return True

    def _has_lines(self) -> bool:
        return self.folder is not None and (self.folder / "done.jsonl").exists()
