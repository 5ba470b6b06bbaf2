"""What controllers are given: settings, workspace, engine, dialogs."""

import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from OrganIncrementLib.Dialogs import Dialogs
from OrganIncrementLib.Engine.EngineEnvironment import EngineEnvironment
from OrganIncrementLib.Settings import Settings
from OrganIncrementLib.Workspace import Workspace


@dataclass(frozen=True)
class Services:
    """Made once per module panel; tests pass fakes, or the real ones on a folder of their own."""

    settings: Settings
    workspace: Workspace
    engine: EngineEnvironment
    dialogs: Any = field(default_factory=Dialogs)

    @classmethod
    def forSlicer(cls) -> "Services":
        """The application's settings, the user's workspace, and the engine in Slicer's Python or the user's."""
        import slicer

        app = slicer.app
        settings = Settings(app.userSettings() if hasattr(app, "userSettings") else app.settings())
        engine = EngineEnvironment(settings, slicerPython(app), _startupEnvironment)
        return cls(settings=settings, workspace=Workspace.fromSettings(settings), engine=engine, dialogs=Dialogs())


def _startupEnvironment() -> dict[str, str]:
    """The environment that Slicer was started in, without what its launcher added."""
    import slicer

    return dict(slicer.util.startupEnvironment())


def slicerPython(app: Any) -> str:
    """Slicer's own Python as a program (PythonSlicer); empty where there is none.

    It lies on the PATH that the launcher sets, in the application's `bin`, or beside the launcher.
    """
    name = "PythonSlicer.exe" if sys.platform == "win32" else "PythonSlicer"
    found = shutil.which("PythonSlicer")
    if found:
        return found
    home, launcher = getattr(app, "slicerHome", "") or "", getattr(app, "launcherExecutableFilePath", "") or ""
    folders = [Path(home) / "bin"] if home else []
    folders += [Path(launcher).parent / "bin", Path(launcher).parent] if launcher else []
    for folder in folders:
        if (folder / name).is_file():
            return str(folder / name)
    # in the application, sys.executable may be Slicer itself: starting it would open a second window
    return sys.executable if Path(sys.executable or "").name.lower().startswith("python") else ""
