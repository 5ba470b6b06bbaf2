"""From what a program wrote on standard error to one sentence for people: never a traceback."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from OrganIncrementLib.Translation import _

_OURS = "organincrement: "
_TRACEBACK = "Traceback (most recent call last):"
_MODULE = re.compile(r"No module named '?([\w.]+)'?")
_EXCEPTION = re.compile(r"(?:\w+\.)*\w*(?:Error|Exception|Interrupt|Exit)(?:: (.*))?")
_MOST = 500
_KILLED = -9


def wordsFor(lines: Sequence[str], exitCode: int | None) -> str:
    """The last line that means something, without program names; what happened, where there is none.

    Args: lines: standard error without progress lines.
    """
    said = [line.strip() for line in lines if line.strip()]
    last = said[-1] if said else ""
    if "Unknown option: -P" in "\n".join(said):
        return _("This Python is too old for the engine: choose one of version 3.11 or newer.")
    module = _MODULE.search(last)
    if module is not None:
        return _lacking(module[1])
    if last.startswith(_OURS):
        return _sentence(last[len(_OURS) :])
    if exitCode == _KILLED or last in ("Killed", "Terminated"):
        return _("The engine was ended from outside; perhaps the computer ran out of memory.")
    if _TRACEBACK in said or _EXCEPTION.fullmatch(last):
        return _("The engine stopped unexpectedly: {reason}").format(reason=_short(_reason(said)))
    if not last:
        return _("The engine ended without saying why (code {code}).").format(code=exitCode)
    return _sentence(re.sub(r"^organincrement[\w ]*: (?:error: )?", "", last))


def cannotStart(python: str, reason: str) -> str:
    """The interpreter itself could not be started."""
    if not python:
        return _("There is no Python for the engine: choose one in the module OrganIncrement (Other Python…).")
    return _(
        "The engine's Python ({python}) cannot be started: {reason}. Choose another in the module OrganIncrement "
        "(Other Python…)."
    ).format(python=python, reason=reason)


def oneLine(error: Exception, folder: Path) -> str:
    """An error of reading or writing in one line, with files named from the folder on."""
    text = str(error)
    if isinstance(error, OSError):
        name = Path(str(error.filename)).name if error.filename else folder.name
        text = _("{name}: {reason}").format(name=name, reason=(error.strerror or str(error)).lower())
    for parent in {str(folder.parent), str(folder.absolute().parent)}:
        text = text.replace(f"{parent}{os.sep}", "")
    return _short(text)


def _reason(said: Sequence[str]) -> str:
    """What the last exception says, all its lines; its name where it says nothing."""
    for start in range(len(said) - 1, -1, -1):
        matched = _EXCEPTION.fullmatch(said[start])
        if matched is not None:
            return " ".join((matched[1] or said[start], *said[start + 1 :]))
    return said[-1]


def _lacking(module: str) -> str:
    name = module.partition(".")[0]
    if name == "organincrement":
        return _("The engine was not found: install the OrganIncrement extension again.")
    return _("The engine lacks the Python package {name}: install it in the module OrganIncrement (Install…).").format(
        name=name
    )


def _sentence(text: str) -> str:
    text = _short(text)
    return text[:1].upper() + text[1:] if text[:1].islower() and " " in text and ":" not in text.split(" ")[0] else text


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MOST else f"{text[: _MOST - 1]}…"
