"""What a study's finished run is known by, so that a later call does not do it again."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from organincrement.methods.protocol import Recipe

# Settings that came after runs were finished, at the values that change nothing: they do not make a run another one.
_CAME_LATER: Mapping[str, Any] = {
    "dimensions": "3", "norm": "instance", "nonlinearity": "leaky", "bottleneck_dropout": 0.0,
    "patch_plan": 0,
}  # fmt: skip


def recipe_facts(recipe: Recipe) -> dict[str, Any]:
    """A recipe, without a patch where it leaves that to the memory."""
    return {name: value for name, value in asdict(recipe).items() if (name, value) != ("patch", None)}


def setting_facts(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings, without those that came later and change nothing."""
    return {name: value for name, value in settings.items() if _CAME_LATER.get(name) != value or value is None}


def digest(facts: Mapping[str, Any]) -> str:
    """The first 16 letters of the facts' SHA-256."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
