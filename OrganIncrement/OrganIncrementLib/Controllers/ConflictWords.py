"""Conflicts of a merge in words."""

from slicer.i18n import tr as _

from OrganIncrementLib.Panels.MergePanel import ConflictRow
from OrganIncrementLib.Panels.UncertaintyPanel import volumeText


def conflictRows(segmentation, conflicts) -> tuple[ConflictRow, ...]:
    """The rows of a table; organs are called as the merged segmentation calls them."""
    return tuple(
        ConflictRow(
            organs=_("{a} / {b}").format(a=_name(segmentation, one.a), b=_name(segmentation, one.b)),
            volume=volumeText(one.volume_mm3),
            winner=_("{organ}, {rule}").format(organ=_name(segmentation, one.winner), rule=_rule(one.rule)),
        )
        for one in conflicts
    )


def _rule(rule: str) -> str:
    """A rule of the engine; one that is new is shown by its name."""
    words = {
        "anomaly-over-host": _("lies in the other"),
        "confidence": _("surer"),
        "order": _("equally sure, first"),
    }
    return words.get(rule, rule.replace("-", " ").replace("_", " "))


def _name(segmentation, organ: str) -> str:
    segment = segmentation.GetSegmentation().GetSegment(organ)
    return segment.GetName() if segment is not None else organ.replace("_", " ")
