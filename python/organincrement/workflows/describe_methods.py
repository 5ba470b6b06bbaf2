"""Every method as plain data: for the terminal, the settings form and the docs."""

import dataclasses
from typing import Any

from organincrement.methods.registry import METHODS

_NEEDS = {"none": "labels", "one": "one teacher, new labels", "many": "several teachers"}


def describe_methods() -> list[dict[str, Any]]:
    """Name, summary, paper, needs, presets and settings of each method, in the registry's order."""
    return [
        {
            "name": method.name,
            "title": method.title,
            "baseline": method.baseline,
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


def methods_page() -> str:
    """docs/methods.md: what each method does, and where its practical preset departs from its paper."""
    lines = [
        "# Methods",
        "",
        "Made from the registry by `python -m organincrement.workflows.describe_methods`; a test compares.",
        "`practical` is the default preset. What each departure does, measured: "
        "[benchmarks/presets.md](benchmarks/presets.md).",
        "",
        "| method | what it does | needs | source |",
        "| --- | --- | --- | --- |",
    ]
    described = describe_methods()
    for method in described:
        paper = method["paper"]
        source = f"{paper['authors']}, {paper['venue']} {paper['year']}"
        source = f"[{source}]({paper['url']})" if paper["url"] else source
        needs = _NEEDS[method["needs"]["teachers"]]
        lines.append(f"| `{method['name']}` | {method['summary']} | {needs} | {source} |")
    for method in described:
        lines += ["", f"## {method['name']}", "", *_settings_table(method)]
    return "\n".join(lines) + "\n"


def _settings_table(method: dict[str, Any]) -> list[str]:
    presets = list(method["presets"])
    rows = [f"| setting | what it is | {' | '.join(presets)} |", f"| --- | --- |{' --- |' * len(presets)}"]
    for setting in method["settings"]:
        values = [method["presets"][name]["settings"].get(setting["name"], setting["default"]) for name in presets]
        unit = f", {setting['unit']}" if setting["unit"] else ""
        shown = " | ".join(_shown(value) for value in values)
        rows.append(f"| `{setting['name']}` | {setting['help']}{unit} | {shown} |")
    for field in ("steps", "batch", "optimizer", "schedule", "ema"):
        values = [method["presets"][name]["recipe"][field] for name in presets]
        rows.append(f"| `training.{field}` | | {' | '.join(_shown(value) for value in values)} |")
    notes = [f"{name}: {method['presets'][name]['note']}" for name in presets if method["presets"][name]["note"]]
    return [*rows, "", *notes] if notes else rows


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return "from the data" if value == () else "none" if value is None else str(value)


if __name__ == "__main__":
    print(methods_page(), end="")
