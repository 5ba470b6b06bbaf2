"""Open every module of an installed extension in an application of its own, and say as JSON what it found.

python open_installed.py <qt-scripted-modules folder> <folder for the workspace>
"""

import json
import sys
from pathlib import Path

TESTING = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTING))

import harness  # noqa: E402

slicer = harness.boot()
from harness import module_loader  # noqa: E402


def main(installed: Path, workspace: Path) -> None:
    """Load, select, look."""
    for store in (slicer.app.settings(), slicer.app.userSettings()):
        store.setValue("OrganIncrement/folder", str(workspace))
        store.setValue("OrganIncrement/engine/python", sys.executable)
    opened = {}
    for script in sorted(installed.glob("*.py")):
        module = module_loader.load_scripted_module(str(script))
        slicer.util.selectModule(script.stem)
        slicer.app.processEvents()
        widget = slicer.util.getModuleWidget(script.stem)
        opened[script.stem] = {
            "title": module.title,
            "widgets": len(vars(widget.ui)),
            "controller": type(widget.controller).__name__,
            "icon": (installed / f"Resources/Icons/{script.stem}.png").is_file(),
        }
    import organincrement.contract
    import OrganIncrementLib
    from OrganIncrementLib.Engine.EngineFolder import engineFolder

    report = {
        "modules": opened,
        "errors": [text for _, _, text in harness.records.errors] + list(harness.records.vtk_messages()),
        "library": OrganIncrementLib.__file__,
        "engine": str(engineFolder()),
        "contract": organincrement.contract.__file__,
    }
    print("REPORT " + json.dumps(report), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
