"""A model in words: what it is, what it can be used for and where it comes from, also before it is a package."""

import re

from slicer.i18n import tr as _

from organincrement.contract.model import STORED, LineageStep, ModelManifest, TorchScriptHead
from OrganIncrementLib.Controllers.Amounts import lengthsText
from OrganIncrementLib.Engine.ModelFacts import OWN, ModelFacts

SHORT = 12  # characters of a hash that people are shown
_FIELDS = re.compile(r"--([a-z][a-z-]*)((?: (?:FILE|NUMBER))?)")


def formatText(name: str) -> str:
    """A format by the name that its users know."""
    known = {
        OWN: _("OrganIncrement package"), "nnunet2": _("nnU-Net v2 folder"), "nnunet1": _("nnU-Net v1 folder"),
        "totalsegmentator": _("TotalSegmentator weights"), "monai": _("MONAI bundle"),
        "torchscript": _("TorchScript program"), "state-dict": _("weights only (state dict)"),
    }  # fmt: skip
    return known.get(name, name)


def plainText(line: str) -> str:
    """A line of the engine with the fields of the form in the place of its options."""
    words = {
        "configuration": _("Configuration"), "fold": _("Folds"), "checkpoint": _("Checkpoint"),
        "orientation": _("Orientation"), "organs": _("Organs"), "network": _("Description"),
        "modality": _("Modality"), "confirm-code": _("your confirmation"), "dicom": _("the series"),
        "merge": _("merge"), "other-series": _("Export…"),
    }  # fmt: skip

    def field(match: re.Match[str]) -> str:
        return f"“{words[match[1]]}”" if match[1] in words else match[0]

    return _FIELDS.sub(field, line)


def factLines(facts: ModelFacts) -> tuple[str, ...]:
    """All that is known of a model, a line each, without its organs and its notes."""
    network = [facts.network, _parametersText(facts.parameters)]
    if facts.networks > 1:
        network.append(_("an ensemble of {count}: each scan takes {count} times as long").format(count=facts.networks))
    lines = (
        _("Format: {format}").format(format=formatText(facts.format)),
        _("Network: {network}").format(network=", ".join(filter(None, network))) if facts.network else "",
        _("Patch: {patch} voxels of {spacing} mm").format(
            patch=lengthsText(facts.patch), spacing=lengthsText(round(edge, 2) for edge in facts.spacing)
        ) if facts.patch else "",
        _("Orientation: {axes}").format(axes=orientationText(facts.orientation)) if facts.orientation else "",
        _("Modality: {modality}").format(modality=facts.modality) if facts.modality else "",
        purposeText(facts) if facts.network else "",
        _("Licence: {licence}").format(licence=facts.licence) if facts.licence else "",
    )  # fmt: skip
    return tuple(line for line in lines if line)


def noteLines(facts: ModelFacts) -> tuple[str, ...]:
    """What the user should know of it."""
    return tuple(f"• {plainText(note)}" for note in facts.notes)


def purposeText(facts: ModelFacts) -> str:
    """What it can be used for."""
    if facts.canTeach and facts.canStart:
        return _("✓ Can teach, and a student can start from it")
    if facts.canTeach:
        return _("✓ Can teach; ⚠ no student can start from it: {reason}").format(reason=plainText(facts.whyNot))
    return _("✕ Cannot be used: {reason}").format(reason=plainText(facts.whyNot))


def orientationText(orientation: str) -> str:
    """Where the network's axes point."""
    return _("as each file stores its axes") if orientation == STORED else orientation


def factsOfManifest(manifest: ModelManifest) -> ModelFacts:
    """What a package says of itself, for one of which nothing else was kept."""
    isProgram = isinstance(manifest.head, TorchScriptHead)
    reason = _("it is a program; the student gets a network of its own") if isProgram else ""
    return ModelFacts(
        format=OWN, name=manifest.name, organs=manifest.label_space.names, network=manifest.network.kind,
        networks=len(manifest.weights) or 1, parameters=manifest.network.parameters, patch=manifest.inference.patch,
        spacing=manifest.preprocessing.spacing_mm, orientation=manifest.preprocessing.orientation,
        modality=manifest.trained_on.modality, canStart=not isProgram, whyNot=reason,
    )  # fmt: skip


def ancestorLines(ancestors, checked: bool) -> tuple[str, ...]:
    """The lineage, oldest first, each with its short hash; none for a model without ancestors."""
    if not ancestors:
        return (_("✓ Its files are those that it lists"),) if checked else ()
    lines = [_("Lineage, oldest first:")]
    for number, ancestor in enumerate(ancestors, 1):
        isStep = isinstance(ancestor, LineageStep)
        where = _("not on this computer") if isStep else _("on this computer, unchanged")
        name = ancestor.name if isStep else ancestor.manifest.name
        lines.append(
            _("{number}. {name} · {hash} · {where}").format(
                number=number, name=name, hash=ancestor.sha256[:SHORT], where=where
            )
        )
    if checked:
        lines.append(_("✓ Files and hash chain checked"))
    return tuple(lines)


def _parametersText(count) -> str:
    if not isinstance(count, int) or isinstance(count, bool):
        return ""
    if count < 10**6:
        return _("{count} thousand weights").format(count=max(1, round(count / 1000)))
    return _("{count:.1f} million weights").format(count=count / 10**6)
