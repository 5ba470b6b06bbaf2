"""What the engine says of a model when it is looked at or taken in; kept, because a package does not hold all of it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from organincrement.contract.errors import ContractError
from organincrement.contract.files import write_atomic

OWN = "organincrement"
_FOLDER = "imports"
_MOST_BYTES = 2**22


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """One model; `kind` is another word than model for what is none. `organs`: names in the order of label values.

    `whyNot`: why it cannot teach, or no student can start from it. `notes`: one line each.
    """

    kind: str = "model"
    format: str = ""
    name: str = ""
    organs: tuple[str, ...] = ()
    network: str = ""
    networks: int = 1
    parameters: int | None = None
    patch: tuple[float, ...] = ()
    spacing: tuple[float, ...] = ()
    orientation: str = ""
    modality: str = ""
    canTeach: bool = True
    canStart: bool = True
    whyNot: str = ""
    notes: tuple[str, ...] = ()
    licence: str = ""


def factsOf(text: str) -> ModelFacts | None:
    """The facts in an answer of `inspect` or `model import --json`; None where it holds none."""
    try:
        said = json.loads(text)
        return _facts(said) if isinstance(said, dict) else None
    except (ValueError, TypeError, ArithmeticError, RecursionError):
        return None


def keepFacts(root: Path, sha256: str, text: str, *, checked: bool = True) -> None:
    """Keep an answer for the package whose model.json has this hash; that it cannot be kept is no harm."""
    try:
        (root / _FOLDER).mkdir(parents=True, exist_ok=True)
        facts = json.loads(text) if text else None
        write_atomic(root / _FOLDER / f"{sha256}.json", json.dumps({"facts": facts, "checked": checked}))
    except (OSError, ValueError, ContractError, RecursionError):
        return


def keptFacts(root: Path, sha256: str) -> tuple[ModelFacts | None, bool]:
    """What was kept of a package: its facts, None for none; and whether its files were checked by their hashes."""
    path = root / _FOLDER / f"{sha256}.json"
    try:
        if not sha256 or path.stat().st_size > _MOST_BYTES:
            return None, False
        said = json.loads(path.read_text(encoding="utf-8"))
        facts = said["facts"]
        return (_facts(facts) if isinstance(facts, dict) else None), bool(said["checked"])
    except (OSError, ValueError, TypeError, KeyError, ArithmeticError, RecursionError):
        return None, False


def _facts(said: dict[str, Any]) -> ModelFacts:
    return ModelFacts(
        kind=str(said.get("kind", "")), format=str(said.get("format", "")), name=str(said.get("name", "")),
        organs=_texts(said.get("organ_names")), network=str(said.get("network", "")),
        networks=int(said.get("networks") or 1), parameters=said.get("parameters"), patch=_numbers(said.get("patch")),
        spacing=_numbers(said.get("spacing")), orientation=str(said.get("orientation", "")),
        modality=str(said.get("modality", "")), canTeach=bool(said.get("can_teach")),
        canStart=bool(said.get("can_start_student")), whyNot=str(said.get("why_not", "")),
        notes=_texts(said.get("notes")), licence=str(said.get("licence", "")),
    )  # fmt: skip


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(map(str, values)) if isinstance(values, list) else ()


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values) if isinstance(values, list) else ()
