"""Every method as plain data: for the terminal, the settings form and the docs."""

import dataclasses
from typing import Any

from organincrement.methods.registry import METHODS


def describe_methods() -> list[dict[str, Any]]:
    """Name, summary, paper, needs, presets and settings of each method, in the registry's order."""
    return [
        {
            "name": method.name,
            "summary": method.summary,
            "paper": dataclasses.asdict(method.paper),
            "needs": dataclasses.asdict(method.needs),
            "presets": {
                name: {"settings": dict(p.settings), "recipe": dataclasses.asdict(p.recipe), "note": p.note}
                for name, p in method.presets.items()
            },
            "settings": [_setting(field) for field in dataclasses.fields(method.Config)],
        }
        for method in METHODS.values()
    ]


def _setting(field: "dataclasses.Field[Any]") -> dict[str, Any]:
    about = field.metadata
    return {
        "name": field.name, "default": field.default, "help": about["help"], "unit": about["unit"],
        "low": about["low"], "high": about["high"], "choices": list(about["choices"]),
    }  # fmt: skip
