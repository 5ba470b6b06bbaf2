"""What is said and asked while a model is taken in."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from organincrement.contract.model import ModelManifest
from OrganIncrementLib.Controllers.ModelWords import factLines, noteLines, plainText
from OrganIncrementLib.Engine.ModelFacts import ModelFacts
from OrganIncrementLib.Engine.ModelImport import askedIn, configurationsIn
from OrganIncrementLib.Panels.LoadPanel import (
    CONFIGURATION,
    DESCRIPTION,
    FOLDS,
    MODEL,
    NAME,
    ORGANS,
    ORIENTATION,
    LoadQuestions,
)
from OrganIncrementLib.Panels.OrganChips import OrganChip

_TURNED = ("nnunet2", "nnunet1", "monai", "")  # formats whose files do not say how scans lay
_DESCRIBED = ("state-dict", "torchscript")
_NAMELESS = re.compile(r"(class|label)[_ ]?\d+", re.IGNORECASE)
_LOOKS_LIKE = re.compile(r'looks like \{"kind": "(\w+)"')
_GREY = (214, 214, 214)
_ROWS = 16  # for labels whose number is not known


def filterText() -> str:
    """The files of Load…, as Qt writes it."""
    return ";;".join(
        (
            _("Models (*.oimodel *.zip *.json *.pth *.pt *.ts *.ckpt *.safetensors *.model)"),
            _("OrganIncrement packages (*.oimodel *.zip model.json)"),
            _("nnU-Net and TotalSegmentator (plans.json dataset.json *.pth *.model)"),
            _("MONAI bundles (metadata.json inference.json *.pt *.ts *.zip)"),
            _("Weights and programs (*.pt *.pth *.ckpt *.bin *.ts *.safetensors)"),
            _("All files (*)"),
        )
    )


def questionsAbout(
    path: Path, facts: ModelFacts | None, message: str, *, models: Sequence[Path], folds: Sequence[str]
) -> LoadQuestions:
    """What to ask: of a format always what its files cannot say, and what a refusal or a note names.

    models: folders of single models in the one that was chosen. folds: those that lie there.
    """
    form = facts.format if facts is not None else ""
    asked = askedIn(" ".join((message, *(facts.notes if facts is not None else ()))))
    organs = facts.organs if facts is not None else ()
    fields = {NAME}
    if "configuration" in asked:  # only then: TotalSegmentator's folders are together one model
        fields.add(MODEL if len(models) > 1 else CONFIGURATION)
    if len(folds) > 1:
        fields.add(FOLDS)
    if form in _TURNED or "orientation" in asked:
        fields.add(ORIENTATION)
    if "organs" in asked or any(_NAMELESS.fullmatch(name) for name in organs):
        fields.add(ORGANS)
    if form in _DESCRIBED or "network" in asked:
        fields |= {DESCRIPTION, ORIENTATION}
    return LoadQuestions(
        fields=frozenset(fields),
        name=facts.name if facts is not None and facts.network else "",  # else it is only the file's
        models=tuple((str(folder), folder.relative_to(path).as_posix()) for folder in models),
        configurations=configurationsIn(message),
        folds=tuple(folds),
        organs=organs or (("",) * _ROWS if ORGANS in fields else ()),
    )


def shownOf(facts: ModelFacts | None) -> dict[str, Any]:
    """Fields of LoadState for what was found."""
    if facts is None:
        return {"organs": (), "facts": ()}
    chips = tuple(OrganChip(name=name, color=_GREY) for name in facts.organs)
    lines = factLines(facts) if facts.network else factLines(facts)[:1]
    return {"organs": chips, "facts": (*lines, *noteLines(facts))}


def refusalText(message: str, questions: LoadQuestions | None = None) -> str:
    """A line of the engine as the form shows it, with the words of the fields that are there."""
    if not message or message.startswith("⚠"):
        return message
    fields = questions.fields if questions is not None else frozenset()
    if DESCRIPTION in fields and "network" in askedIn(message):
        where = message.partition(":")[0]
        seen = _LOOKS_LIKE.search(message)
        text = _("{name}: does not say what it is for: fill in what is asked below.").format(name=where)
        return f"⚠ {text} {_('It looks like a {kind}.').format(kind=seen[1])}" if seen else f"⚠ {text}"
    text = plainText(message)
    return f"⚠ {text.replace(_('“Configuration”'), _('“Model”')) if MODEL in fields else text}"


def verifiedText(output: str) -> str:
    """Why a package is not what it says, from what `model verify` printed; "" where it does not say."""
    broken = [line.removeprefix("broken: ") for line in output.splitlines() if line.startswith("broken: ")]
    if not broken:
        return ""
    return _("The lineage does not hold, so this package is not loaded: {reason}.").format(reason="; ".join(broken))


def loadedText(manifest: ModelManifest) -> str:
    """What was done."""
    return _("✓ Loaded: {name}, {count} organs.").format(name=manifest.name, count=len(manifest.organs))


def dangerText(name: str) -> tuple[str, str, str]:
    """Title, question and explanation, asked before a program of somebody else may run."""
    return (
        _("A program inside a model"),
        _("{name} is a program, not only numbers. Allow it to run on this computer?").format(name=name),
        _(
            "Other formats hold weights, which this module reads without running anything. A TorchScript file holds "
            "code of whoever made it, which runs each time the model is used, with your rights on this computer. The "
            "engine first checks that it holds known operations only, and on Linux keeps it from the network. That "
            "makes harm unlikely, not impossible.\n\n"
            "Yes: this file, and no other, may run on this computer from now on; it is run once to see what it gives. "
            "Say Yes only if you know and trust the people it comes from.\n"
            "No: nothing is run, and nothing is loaded."
        ),
    )
