"""What came of a merge, in plain words."""

from collections.abc import Sequence

from organincrement.contract.labels import LabelSpace
from organincrement.contract.results import MOST_CONFLICTS, MergeConflict
from organincrement.inference.conflicts import CONFIDENCE, ORDER, OVER_HOST
from organincrement.workflows.merge import Merged

_MOST_LINES = 10
_WHY = {
    CONFIDENCE: "the more certain one stands",
    ORDER: "both equally certain: the one named first stands",
    OVER_HOST: "it lies in its organ",
}


def in_words(merged: Merged) -> list[str]:
    """Lines for people: how many organs, where the segmentations disagree, the largest conflicts first."""
    found = sum(organ.volume_mm3 > 0 for organ in merged.report.organs)
    lines = [f"{found} of {_count(len(merged.organs), 'organ')} found"]
    hosts = {organ.id: organ.host for organ in merged.organs.organs}
    inside = [conflict for conflict in merged.conflicts if hosts[conflict.winner] == _loser(conflict)]
    apart = [conflict for conflict in merged.conflicts if hosts[conflict.winner] != _loser(conflict)]
    if not apart:
        lines.append("nowhere do two segmentations claim different organs at one place")
    else:
        lines.append(f"they disagree in {_count(len(apart), 'place')}, {_ml(apart)} in all; the largest first:")
        lines += [f"  {_line(conflict, merged.organs)}" for conflict in apart[:_MOST_LINES]]
        if len(apart) > _MOST_LINES:
            lines.append(f"  and {len(apart) - _MOST_LINES} more, {_ml(apart[_MOST_LINES:])}: see conflicts.json")
    if inside:
        lines.append(f"anomalies that lie in their organ: {_count(len(inside), 'place')}, {_ml(inside)}")
    if len(merged.conflicts) > MOST_CONFLICTS:
        lines.append(f"conflicts.json has the largest {MOST_CONFLICTS} of {len(merged.conflicts)}")
    return lines


def _line(conflict: MergeConflict, organs: LabelSpace) -> str:
    names = dict(zip(organs.ids, organs.names, strict=True))
    where = ", ".join(f"{letter} {mm:.0f}" for letter, mm in zip("RAS", conflict.center_ras_mm, strict=True))
    pair = f"{names[conflict.winner]} over {names[_loser(conflict)]}"
    return f"{pair}: {_ml([conflict])} at {where} mm; {_WHY[conflict.rule]}"


def _loser(conflict: MergeConflict) -> str:
    return conflict.b if conflict.winner == conflict.a else conflict.a


def _ml(conflicts: Sequence[MergeConflict]) -> str:
    volume_mm3 = sum(conflict.volume_mm3 for conflict in conflicts)
    return f"{volume_mm3 / 1000:.2f} ml" if volume_mm3 >= 10 else f"{volume_mm3:.1f} mm³"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
