"""Every method as plain data: for the terminal, the settings form and the docs."""

import dataclasses
import inspect
import sys
from pathlib import Path
from typing import Any

from organincrement import losses
from organincrement.contract.files import write_atomic
from organincrement.methods.registry import METHODS

_NEEDS = {"none": "labels", "one": "one teacher, new labels", "many": "several teachers (one will do)"}
_ALSO = {
    "old_data": "old scans if given", "exemplars": "a vault of old images", "unlabelled": "unlabelled scans will do",
    "partial": "scans labelled in part",
}  # fmt: skip


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
    """docs/methods.md: what each method does, what it needs, and where it comes from; a page for each behind it."""
    lines = [
        "# Methods",
        "",
        "Made from the registry by `python -m organincrement.workflows.describe_methods docs`; a test compares.",
        "Each name leads to a page: equations, what the paper leaves open and what was chosen, every setting with its",
        "value in the `practical` preset (the default) and in the paper's. Measured against each other:",
        "[benchmarks/methods.md](benchmarks/methods.md), [benchmarks/headneck.md](benchmarks/headneck.md).",
        "",
        "| method | | what it does | needs | source |",
        "| --- | --- | --- | --- | --- |",
    ]
    for method in describe_methods():
        name, role = method["name"], "baseline" if method["baseline"] else ""
        lines.append(
            f"| [`{name}`](methods/{name}.md) | {role} | {method['summary']} | {needed(method)} | {_source(method)} |"
        )
    return "\n".join(lines) + "\n"


def method_page(name: str) -> str:
    """docs/methods/<name>.md: the docstrings of the method's file and of its losses, and its settings."""
    method = next(method for method in describe_methods() if method["name"] == name)
    module = inspect.getmodule(METHODS[name])
    title, _, text = (inspect.getdoc(module) or "").partition("\n")
    lines = [f"# {method['title']}", "", title, "", text.strip("\n"), "", f"Source: {_source(method)}"]
    for loss in _losses_of(module):
        lines += ["", f"## `{loss.__name__}`", "", inspect.getdoc(loss) or ""]
    lines += ["", "## Settings", "", *_settings_table(method)]
    return "\n".join(lines).rstrip() + "\n"


def _losses_of(module: Any) -> list[Any]:
    """The modules of losses that a method takes functions from, or takes whole, by name."""
    values = vars(module).values()
    names = {value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", "") for value in values}
    return [sys.modules[name] for name in sorted(names) if name.startswith(losses.__name__ + ".")]


def needed(method: dict[str, Any]) -> str:
    """What a described method is to be given, in words."""
    needs = method["needs"]
    also = [text for key, text in _ALSO.items() if needs[key]]
    return ", ".join([_NEEDS[needs["teachers"]], *also])


def _source(method: dict[str, Any]) -> str:
    paper = method["paper"]
    text = f"{paper['authors']}, {paper['venue']} {paper['year']}"
    return f"[{text}]({paper['url']})" if paper["url"] else text


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
    patches = [method["presets"][name]["recipe"]["patch"] for name in presets]
    if any(patches):
        rows.append(f"| `training.patch` | | {' | '.join(_shown(patch or ()) for patch in patches)} |")
    notes = [f"{name}: {method['presets'][name]['note']}" for name in presets if method["presets"][name]["note"]]
    return [*rows, "", *notes] if notes else rows


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return "from the data" if value == () else "none" if value is None else str(value)


def write_pages(docs: Path) -> None:
    """Write docs/methods.md and a page for each method beside it; pages of methods that are gone are removed."""
    write_atomic(docs / "methods.md", methods_page())
    folder = docs / "methods"
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.md"):
        if path.stem not in METHODS:
            path.unlink()
    for name in METHODS:
        write_atomic(folder / f"{name}.md", method_page(name))


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
