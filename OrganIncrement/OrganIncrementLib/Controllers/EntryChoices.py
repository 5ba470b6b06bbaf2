"""Models and datasets of the workspace as entries of drop-downs and lists."""

from collections.abc import Iterable
from typing import Any

from slicer.i18n import tr as _

from OrganIncrementLib.Panels.ChoiceBox import Choice


def withChosen(entries: Iterable[Any], *chosen: Any) -> list[Any]:
    """The entries, and those chosen that are in no list: a loaded scene may name one."""
    listed = list(entries)
    paths = {entry.path for entry in listed}
    return [*listed, *(entry for entry in chosen if entry is not None and entry.path not in paths)]


def entryChoice(entry: Any) -> Choice:
    """A model or a dataset by its path; a damaged one, and a student that is not recommended, says so."""
    text = entry.name if entry.manifest is not None else _("{name} (damaged)").format(name=entry.path.name)
    metrics = getattr(entry.manifest, "metrics", None)
    if metrics is not None and not metrics.recommended:
        text += _(" (not recommended)")
    return Choice(value=str(entry.path), text=text, toolTip=entry.problem or str(entry.path))
