"""The engine's methods as data, kept on disk so that the module shows them at once."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from organincrement.contract.errors import ContractError
from organincrement.contract.files import write_atomic
from OrganIncrementLib.Engine.EngineFolder import engineFolder
from OrganIncrementLib.Panels.SettingField import Setting
from OrganIncrementLib.Translation import _

_FILE = "methods.json"


@dataclass(frozen=True, kw_only=True)
class Given:
    """What is chosen for a training: how many teachers, and whether there is a vault of old images."""

    teachers: int
    vault: bool = False


@dataclass(frozen=True, kw_only=True)
class Method:
    """One method: what it needs, its presets as the engine gives them, and its settings with their defaults."""

    name: str
    title: str
    isBaseline: bool
    summary: str
    source: str
    url: str
    teachers: str
    takesOldData: bool
    takesVault: bool
    presets: dict[str, dict[str, Any]]
    settings: tuple[Setting, ...]

    def missing(self, given: Given) -> str:
        """Why it cannot be used with what is chosen, in a few words; "" when it can."""
        if self.teachers == "none" and given.teachers:
            return _("needs no teacher")
        if self.teachers == "one" and given.teachers != 1:
            return _("takes one teacher only") if given.teachers else _("needs a teacher")
        if self.teachers == "many" and given.teachers < 2:
            return _("needs two or more teachers")
        if self.takesVault and not given.vault:
            return _("needs a vault of old images")
        return ""

    def settingsOf(self, preset: str, changed: dict[str, Any]) -> tuple[Setting, ...]:
        """Length, batch and seed, then the method's own settings; `changed` holds what the user entered."""
        chosen = self.presets.get(preset, {})
        recipe, values = chosen.get("recipe", {}), chosen.get("settings", {})
        own = (replace(s, default=values.get(s.name, s.default)) for s in self.settings)
        return tuple(replace(s, value=changed.get(s.name, s.default)) for s in (*_training(recipe), *own))


def methodsFrom(text: str) -> tuple[Method, ...]:
    """The methods of what `organincrement methods --json` printed. Raises: ValueError where it is something else."""
    try:
        return tuple(_method(described) for described in json.loads(text))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"The engine's list of methods cannot be read: {error}") from error


def keptMethods(folder: Path) -> tuple[Method, ...]:
    """The methods kept in a folder for this very engine; none where they are not, or of another engine."""
    try:
        kept = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        return methodsFrom(kept["methods"]) if kept["engine"] == _engineMark() else ()
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ()


def keepMethods(folder: Path, text: str) -> None:
    """Keep what the engine printed for the next time; a folder that cannot be written is no harm."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / _FILE, json.dumps({"engine": _engineMark(), "methods": text}, indent=1).encode())
    except (OSError, ContractError):
        return


def _engineMark() -> str:
    """Of the engine's version and, for those who change it, of when its methods were last changed."""
    package = engineFolder() / "organincrement"
    newest = max(path.stat().st_mtime_ns for path in (package / "methods").glob("*.py"))
    version = (package / "__init__.py").read_text(encoding="utf-8").rpartition("=")[2].strip()
    return f"{version} {newest}"


def _method(described: dict[str, Any]) -> Method:
    paper, needs = described["paper"], described["needs"]
    return Method(
        name=described["name"],
        title=described.get("title") or described["name"],
        isBaseline=bool(described.get("baseline")),
        summary=described["summary"],
        source=f"{paper['authors']}, {paper['venue']} {paper['year']}",
        url=paper["url"],
        teachers=needs["teachers"],
        takesOldData=bool(needs["old_data"]),
        takesVault=bool(needs["exemplars"]),
        presets=described["presets"],
        settings=tuple(_setting(setting) for setting in described["settings"]),
    )


def _setting(described: dict[str, Any]) -> Setting:
    return Setting(
        name=described["name"], value=described["default"], default=described["default"], help=described["help"],
        unit=described["unit"], low=described["low"], high=described["high"], choices=tuple(described["choices"]),
    )  # fmt: skip


def _training(recipe: dict[str, Any]) -> tuple[Setting, ...]:
    steps, batch = int(recipe.get("steps", 400)), int(recipe.get("batch", 2))
    return (
        Setting(name="training.steps", value=steps, default=steps, help=_("how long to train"), low=1, high=10_000_000),
        Setting(name="training.batch", value=batch, default=batch, help=_("patches per step"), low=1, high=64),
        Setting(name="seed", value=0, default=0, help=_("the same seed gives the same student"), low=0, high=2**31 - 1),
    )
