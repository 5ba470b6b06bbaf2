"""What a check of a dataset says: one finding a line, and the same for programs."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of a check; a problem has to be mended before training, a note is for the reader to judge.

    code: a short name that stays the same between versions. file: relative to the dataset folder, with '/'. line: in
    that file, from 1.
    """

    kind: Literal["problem", "note"] = "problem"
    code: str
    case: str | None = None
    file: str | None = None
    line: int | None = None
    message: str
    what_to_do: str

    def __str__(self) -> str:
        case = f"case {self.case}: " if self.case else ""
        line = f" line {self.line}" if self.line else ""
        file = f"{self.file}{line}: " if self.file else ""
        return f"{self.kind}: {case}{file}{self.message}; {self.what_to_do}"


def from_text(text: object, *, folder: Path, otherwise: str, **fields: Any) -> Finding:
    """A finding of an error's message, in which the last part after ';' says what to do, or else `otherwise` does.

    Paths in `folder` become relative to it, and the name of the file at the start is not said twice.
    """
    message = without_folder(str(text), folder)
    message = message.removeprefix(f"{fields.get('file')}: ")
    wrong, mark, remedy = message.rpartition("; ")
    return Finding(message=wrong if mark else message, what_to_do=remedy if mark else otherwise, **fields)


def without_folder(text: str, folder: Path) -> str:
    """The text with the paths of files in `folder` relative to it."""
    shown = " ".join(text.split())
    for name in sorted({str(folder), str(folder.absolute()), str(folder.resolve())}, key=len, reverse=True):
        # A short name, such as d, may also be the end of a word.
        shown = re.sub(rf"(?<![^\s'\"(]){re.escape(name.rstrip(os.sep))}(?:{re.escape(os.sep)}|: )", "", shown)
    return shown


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Problems first, then notes, each once, otherwise in the order given."""
    return sorted(dict.fromkeys(findings), key=lambda finding: finding.kind == "note")


def as_json(findings: Iterable[Finding]) -> dict[str, Any]:
    """The findings as JSON values, with their numbers."""
    listed = [_values(finding) for finding in findings]
    problems = sum(values["kind"] == "problem" for values in listed)
    return {"problems": problems, "notes": len(listed) - problems, "findings": listed}


def _values(finding: Finding) -> Mapping[str, Any]:
    names = ("kind", "code", "case", "file", "line", "message", "what_to_do")
    return {name: getattr(finding, name) for name in names}
