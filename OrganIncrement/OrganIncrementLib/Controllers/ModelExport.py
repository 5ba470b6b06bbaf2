"""Section 4: what a student can be exported as, where to, and how: as a package, or for another tool."""

from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from OrganIncrementLib.Controllers.ModelWords import plainText
from OrganIncrementLib.Engine.BackgroundCommand import BackgroundCommand
from OrganIncrementLib.Engine.PackageExport import exportCommand
from OrganIncrementLib.Panels.ChoiceBox import Choice

FILE, FOLDER = "file", "folder"
_OTHERS = ("nnunet2", "monai", "onnx")  # formats of `model export`
_NOTE = "note: "


def exportChoices() -> tuple[Choice, ...]:
    """All formats."""
    return (
        Choice(value=FILE, text=_("Package, one file (.oimodel)"), toolTip=_("To pass on; nothing of it is lost")),
        Choice(value=FOLDER, text=_("Package, a folder"), toolTip=_("The same; it can be looked into")),
        Choice(value="nnunet2", text=_("nnU-Net v2 folder"), toolTip=_("nnUNetv2_predict_from_modelfolder runs it")),
        Choice(value="monai", text=_("MONAI bundle"), toolTip=_("monai.bundle run runs it")),
        Choice(value="onnx", text=_("ONNX"), toolTip=_("The network for onnxruntime; scans must be prepared for it")),
    )


def askTarget(dialogs: Any, name: str, form: str) -> Path | None:
    """Where to: a file, or a new folder inside one that is chosen; None where the user changed their mind."""
    if form != FILE:
        parent = dialogs.folder(_("Export the model into this folder"))
        return None if parent is None else Path(parent) / (f"{name}-{form}" if form in _OTHERS else name)
    chosen = dialogs.saveFile(_("Export the package"), _("OrganIncrement model (*.oimodel)"), f"{name}.oimodel")
    if chosen is None:
        return None
    return chosen if chosen.suffix == ".oimodel" else chosen.with_name(chosen.name + ".oimodel")


def exportOf(engine: Any, package: Path, target: Path, form: str) -> BackgroundCommand:
    """The command, not yet started."""
    if form in _OTHERS:
        return engine.run("model", "export", package, "--format", form, "--out", target)
    return BackgroundCommand(exportCommand(engine.python, package, target, form), engine.environment())


def exportedText(target: Path, output: str) -> str:
    """What was done, and what the engine says that the user should know."""
    notes = [line.removeprefix(_NOTE) for line in output.splitlines() if line.startswith(_NOTE)]
    done = _("✓ Exported: {path}").format(path=target)
    return "\n".join((done, *(f"• {plainText(note)}" for note in notes)))
