"""JSON Schemas, generated from the dataclasses: `python -m organincrement.contract.schemas DIR` writes them."""

import inspect
import json
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from .codec import layout
from .dataset import Case, Dataset
from .events import EVENT_TYPES
from .files import write_atomic
from .history import HistoryEntry, HistoryHead
from .model import ModelManifest
from .plan import Plan
from .process import ProcessRecord
from .results import Audit, Comparison, Conflicts, Evaluation, LabelTable, Regions, SegmentReport, Suggestions
from .vault import Vault

# The name of the schema file -> what one file, or one line of a .jsonl, holds.
DOCUMENTS: dict[str, tuple[type, ...]] = {
    "dataset": (Dataset,),
    "case": (Case,),
    "history-line": (HistoryEntry,),
    "history-head": (HistoryHead,),
    "model": (ModelManifest,),
    "plan": (Plan,),
    "process": (ProcessRecord,),
    "events-line": tuple(EVENT_TYPES.values()),
    "report": (SegmentReport,),
    "regions": (Regions,),
    "evaluation": (Evaluation,),
    "comparison": (Comparison,),
    "audit": (Audit,),
    "suggestions": (Suggestions,),
    "conflicts": (Conflicts,),
    "vault": (Vault,),
    "labels": (LabelTable,),
}
DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCALARS = {bool: "boolean", int: "integer", float: "number", str: "string", types.NoneType: "null"}


def json_schema(cls: type) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one dataclass."""
    return {"$schema": DIALECT, **_schema(cls)}


def documents() -> dict[str, dict[str, Any]]:
    """Every schema by the name of its file, without `.schema.json`."""
    return {
        name: json_schema(classes[0])
        if len(classes) == 1
        else {"$schema": DIALECT, "oneOf": [_schema(cls) for cls in classes]}
        for name, classes in DOCUMENTS.items()
    }


def write_schemas(folder: Path | str) -> None:
    """Write every schema as `<name>.schema.json`."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, schema in documents().items():
        write_atomic(Path(folder) / f"{name}.schema.json", json.dumps(schema, indent=2, ensure_ascii=False) + "\n")


def _schema(hint: Any) -> dict[str, Any]:
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return {}
    if origin is Literal:
        return {"enum": list(args)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(option) for option in args]}
    if origin is tuple and args[-1] is Ellipsis:
        return {"type": "array", "items": _schema(args[0])}
    if origin is tuple:
        return {"type": "array", "prefixItems": [_schema(item) for item in args], "minItems": len(args), "items": False}
    if origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": _schema(args[1])}
    if hint in SCALARS:
        return {"type": SCALARS[hint]}
    shape = layout(hint)
    return {
        "description": inspect.getdoc(hint),
        "type": "object",
        "properties": {
            key: {"const": shape.constants[key]} if key in shape.constants else _schema(shape.hints[key])
            for key in shape.order
        },
        "required": [key for key in shape.order if key not in shape.added],
        "additionalProperties": False,
    }


if __name__ == "__main__":
    write_schemas(sys.argv[1])
