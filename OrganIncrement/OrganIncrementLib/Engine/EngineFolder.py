"""Where the engine that came with this extension lies."""

import sys
from pathlib import Path

INSTALLED_NAME = "OrganIncrementEngine"  # beside the modules, where CMake installs it


def engineFolder() -> Path:
    """The folder that holds the package `organincrement`: `python/` of the source tree, or beside installed modules.

    Raises: FileNotFoundError where the extension is not whole.
    """
    modules = Path(__file__).resolve().parents[2]
    for folder in (modules / INSTALLED_NAME, modules.parent / "python"):
        if (folder / "organincrement" / "contract" / "__init__.py").is_file():
            return folder
    raise FileNotFoundError("The engine is missing beside the OrganIncrement modules: install the extension again.")


def makeContractImportable() -> None:
    """Let `import organincrement.contract` find this extension's engine, before any other that may be installed."""
    folder = str(engineFolder())
    if folder not in sys.path:
        sys.path.insert(0, folder)
