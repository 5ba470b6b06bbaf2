"""Which Python runs the engine, with what environment, and whether it can."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from OrganIncrementLib.Engine.BackgroundCommand import PROGRESS_VARIABLE, BackgroundCommand
from OrganIncrementLib.Engine.EngineFolder import engineFolder
from OrganIncrementLib.Engine.InstallPlan import InstallPlan, installPlan
from OrganIncrementLib.Engine.Paths import isFile, isFolder
from OrganIncrementLib.Settings import Settings
from OrganIncrementLib.Translation import _

_PYTHON_KEY = "engine/python"


@dataclass(frozen=True)
class EngineFacts:
    """What a check of the engine found.

    versions: installed packages; missing: requirements that are not met, as pip writes them (`torch>=2.4`). device: for
    people, such as `cuda: NVIDIA RTX A4000`. memoryBytes: of the GPU where there is one, else of the computer.
    message: one line for people.
    """

    ok: bool
    python: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    device: str = ""
    memoryBytes: int | None = None
    message: str = ""
    ramBytes: int | None = None
    gpuBytes: int | None = None


class EngineEnvironment:
    """The engine as a program: an external Python that the user chose, else Slicer's own.

    startupEnvironment: the environment before Slicer changed it, for external Pythons. `os.environ` is never changed.
    """

    def __init__(self, settings: Settings, slicerPython: str, startupEnvironment: Callable[[], dict[str, str]]) -> None:
        self._settings = settings
        self._slicerPython = slicerPython
        self._startupEnvironment = startupEnvironment

    @property
    def python(self) -> str:
        """The interpreter as a path; empty where there is none."""
        return self._settings.get(_PYTHON_KEY, "") or self._slicerPython

    @property
    def isExternal(self) -> bool:
        """Whether the user chose the interpreter."""
        return bool(self._settings.get(_PYTHON_KEY, ""))

    def setPython(self, path: Path | str | None) -> None:
        """Choose an interpreter, or the folder of a virtual or conda environment; None or "": Slicer's own."""
        self._settings.set(_PYTHON_KEY, str(_interpreter(Path(path))) if path else None)

    def command(self, *arguments: object) -> list[str]:
        """A command of the engine, that works from any folder; -P keeps modules that lie there out of it."""
        return [self.python, "-P", "-m", "organincrement", *map(str, arguments)]

    def environment(self) -> dict[str, str]:
        """The environment for `command`, a new dict."""
        environment = self._external() if self.isExternal else dict(os.environ)
        paths = [str(engineFolder()), *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
        return {
            **environment,
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONIOENCODING": "utf-8",
            "PYTHONUNBUFFERED": "1",
            PROGRESS_VARIABLE: "lines",
        }

    def _external(self) -> dict[str, str]:
        """The startup environment; on Windows with the folders that a conda environment, activated, has on its path."""
        environment = dict(self._startupEnvironment())
        if sys.platform == "win32":
            home = Path(self.python).parent
            folders = [home, home / "Library" / "bin", home / "Scripts"]
            environment["PATH"] = os.pathsep.join([*map(str, folders), environment.get("PATH", "")])
        return environment

    def run(self, *arguments: object) -> BackgroundCommand:
        """A command of the engine, not yet started."""
        return BackgroundCommand(self.command(*arguments), self.environment())

    def checkCommand(self) -> BackgroundCommand:
        """Ask the engine what it is and what it lacks; see `facts`."""
        return self.run("environment", "--json")

    def facts(self, command: BackgroundCommand) -> EngineFacts:
        """What a finished `checkCommand` found; facts that are not ok, and say why, where it could not even run."""
        try:
            said = json.loads(command.output)
            packages = {row["name"]: row for row in said["packages"]}
            gpuBytes, ramBytes = said["gpu_bytes"], said["ram_bytes"]
            return EngineFacts(
                ok=bool(said["ok"]),
                python=str(said["python"]),
                versions={name: row["installed"] for name, row in packages.items() if row["installed"]},
                missing=tuple(said["missing"]),
                device=str(said["device"]),
                memoryBytes=gpuBytes or ramBytes,
                message=str(said["message"]),
                ramBytes=ramBytes,
                gpuBytes=gpuBytes,
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return EngineFacts(ok=False, message=command.message or _("The engine gave no answer."))

    def installPlan(self, facts: EngineFacts) -> InstallPlan:
        """What is missing, and how it would be installed into Slicer's Python; nothing is installed here."""
        return installPlan(facts.missing, external=self.isExternal)


def _interpreter(path: Path) -> Path:
    """The interpreter of an environment's folder; a file as it is."""
    if not isFolder(path):
        return path
    candidates = (path / "bin" / "python", path / "Scripts" / "python.exe", path / "python.exe", path / "python")
    return next((found for found in candidates if isFile(found)), path)
