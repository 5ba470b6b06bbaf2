"""What a model is and what it can be used for, in values that the terminal and the viewer show."""

from collections.abc import Sequence
from typing import Any

from organincrement.contract.model import (
    STORED,
    DynamicHead,
    ModelManifest,
    MultiDecoderHead,
    SoftmaxHead,
    TorchScriptHead,
)
from organincrement.networks.build import NO_START

OWN = "organincrement"
_NO_GROWTH = "no organ can be added to its last layers: the student gets a fresh network of the same kind"
_NO_START = "it is a program, of which a student cannot start: the student gets a fresh network of our own"


def model_facts(manifest: ModelManifest, form: str, notes: Sequence[str] = (), why_not: str = "") -> dict[str, Any]:
    """The facts of a model, whether it is a package already or can become one.

    Args: form: its format, a name of FORMATS or OWN. why_not: why it cannot be run, empty where it can.
    Returns: JSON values. `can_teach`, `can_start_student`, and in `why_not` the reason where one of them is false.
    """
    program = isinstance(manifest.head, TorchScriptHead)
    grows = manifest.network.kind not in NO_START
    starts = not why_not and not program and grows
    return {
        "kind": "model",
        "format": form,
        "name": manifest.name,
        "organs": list(manifest.label_space.ids),
        "organ_names": list(manifest.label_space.names),
        "network": manifest.network.kind,
        "parameters": manifest.network.parameters,
        "patch": list(manifest.inference.patch),
        "spacing": list(manifest.preprocessing.spacing_mm),
        "orientation": manifest.preprocessing.orientation,
        "modality": manifest.trained_on.modality,
        "mirror": list(manifest.inference.mirror_axes),
        "networks": len(manifest.weights) or 1,
        "can_teach": not why_not,
        "can_start_student": starts,
        "why_not": why_not or (_NO_START if program else "" if grows else _NO_GROWTH),
        "notes": [*notes, *_notes_of(manifest, form)],
        "lineage": [step.name for step in manifest.lineage],
        "ancestors": [{"name": step.name, "sha256": step.sha256} for step in manifest.lineage],
        "recommended": manifest.metrics.recommended,
        "licence": manifest.licence,
    }


def _notes_of(manifest: ModelManifest, form: str) -> list[str]:
    """What follows from the manifest alone and the user should know."""
    notes = []
    if not isinstance(manifest.head, SoftmaxHead | TorchScriptHead):
        kinds = {MultiDecoderHead: "decoders", DynamicHead: "a dynamic head"}
        has = kinds.get(type(manifest.head), "several heads")
        notes.append(f"has {has}: only some methods go on from it (`organincrement methods` says which)")
    if manifest.preprocessing.orientation == STORED and form == OWN:  # the reader of another format says it itself
        notes.append("takes a scan's axes as they are stored: all scans must lie as its own training scans did")
    if not manifest.metrics.recommended:
        notes.append("was not recommended when it was made: it agrees too little with its teacher")
    return notes


def purposes(facts: dict[str, Any]) -> str:
    """In words, what it can be used for."""
    if facts["can_teach"] and facts["can_start_student"]:
        return "can be a teacher and a student's start"
    return f"can be a teacher; {facts['why_not']}" if facts["can_teach"] else f"cannot be used: {facts['why_not']}"
