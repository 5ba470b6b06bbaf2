"""What is said of a student: recommended or not and why, where its figures come from, its lineage."""

from slicer.i18n import tr as _

from organincrement.contract.model import LineageStep
from OrganIncrementLib.Engine.ComparisonRows import lowestAgreement
from OrganIncrementLib.Panels.ChoiceBox import Choice
from OrganIncrementLib.Panels.ResultPanel import NOT_RECOMMENDED, RECOMMENDED, UNKNOWN, Ancestor

HARDLY_LEARNED = 0.5  # Dice


def verdictOf(manifest, threshold):
    """(verdict, one sentence). threshold: of the agreement, None where it is not known."""
    if not manifest.lineage:
        return UNKNOWN, ""
    lowest = lowestAgreement(manifest)
    if manifest.metrics.recommended:
        return RECOMMENDED, _recommendation(lowest, _hardlyLearned(manifest))
    if lowest is None:
        reason = _("it could not be measured whether it still agrees with its teacher")
    elif threshold is not None and lowest[1] >= threshold:
        reason = _("its package says so, though every old organ agrees with the teacher")
    elif threshold is None:
        reason = _("{organ} agrees with the teacher by {dice:.2f} only").format(organ=lowest[0], dice=lowest[1])
    else:
        reason = _("{organ} agrees with the teacher by {dice:.2f} only, below {threshold:.2f}").format(
            organ=lowest[0], dice=lowest[1], threshold=threshold
        )
    return NOT_RECOMMENDED, _("NOT recommended: {reason}.").format(reason=reason)


def _recommendation(lowest, poor):
    """What speaks for a student, and of new organs that it hardly learned, which the recommendation is not about."""
    if poor:
        sentence = _("It keeps the old organs, but it hardly learned the new organ (Dice): {organs}. Train for longer.")
        return sentence.format(organs=poor)
    if lowest is None:
        return _("Recommended.")
    sentence = _("Recommended: every old organ agrees with the teacher (lowest: {organ}, {dice:.2f}).")
    return sentence.format(organ=lowest[0], dice=lowest[1])


def _hardlyLearned(manifest):
    """The new organs with a poor Dice, "" for none."""
    old = {row.organ for row in manifest.metrics.agreement_with_teacher}
    names = {organ.id: organ.name for organ in manifest.organs}
    poor = [row for row in manifest.metrics.validation if row.organ not in old and row.dice is not None]
    return ", ".join(f"{names.get(row.organ, row.organ)} {row.dice:.2f}" for row in poor if row.dice < HARDLY_LEARNED)


def trainingNote(manifest):
    """Where the figures of a package come from."""
    counts = [row.n for row in (*manifest.metrics.validation, *manifest.metrics.agreement_with_teacher)]
    if not any(counts):
        return _("The training held no scan back, so that nothing was measured: choose a dataset and press Compare.")
    return _(
        "Old organs: overlap (Dice) with the teacher's own result. New organs: Dice with the label. "
        "Scans held back from the training: {n}."
    ).format(n=max(counts))


def evaluationNote(dataset, evaluation, isTeacherThere):
    """Where the figures of an evaluation come from."""
    note = _("Mean Dice with the labels of {dataset}, {n} scans.").format(dataset=dataset, n=len(evaluation.cases))
    if not isTeacherThere:
        note += " " + _("The teacher was not measured.")
    return note


def lineageLines(ancestors):
    """Ancestor lines from the workspace's ancestors, oldest first."""
    return tuple(_line(number, ancestor) for number, ancestor in enumerate(ancestors, 1))


def _line(number, ancestor):
    if isinstance(ancestor, LineageStep):
        text = _("{number}. {name} ({made}) · not on this computer").format(
            number=number, name=ancestor.name, made=ancestor.made or "?"
        )
        return Ancestor(
            value="", text=text, toolTip=_("Hash of its model.json: {sha256}").format(sha256=ancestor.sha256)
        )
    organs = ", ".join(organ.name for organ in ancestor.manifest.organs)
    text = _("{number}. {name} · {count} organs").format(
        number=number, name=ancestor.manifest.name, count=len(ancestor.manifest.organs)
    )
    return Ancestor(
        value=str(ancestor.path), text=text, toolTip=_("{organs}\n{path}").format(organs=organs, path=ancestor.path)
    )


def modelChoices(entries):
    """Models for a drop-down; those of one name are told apart by where they lie."""
    texts = [modelText(entry) for entry in entries]
    choices = []
    for entry, text in zip(entries, texts, strict=True):
        if texts.count(text) > 1:
            folder = entry.path.parent if entry.path.name == "student" else entry.path
            text = f"{text} · {folder.name}"
        choices.append(Choice(value=str(entry.path), text=text, toolTip=entry.problem or str(entry.path)))
    return tuple(choices)


def modelText(entry):
    """A model in a drop-down."""
    if entry.manifest is None:
        return _("{name} (cannot be read)").format(name=entry.path.name)
    count = len(entry.manifest.organs)
    text = _("{name} · {count} organs").format(name=entry.manifest.name, count=count)
    if entry.manifest.lineage and not entry.manifest.metrics.recommended:
        text += " · " + _("not recommended")
    return text
