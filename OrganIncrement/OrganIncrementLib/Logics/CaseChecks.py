"""Checks of a label before it is handed in: each finding a sentence that an annotator can act on."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from organincrement.contract.labels import Organ
from OrganIncrementLib.Logics.BodyMask import BodyMask, bodyMask, centreRas
from OrganIncrementLib.Logics.CaseLabels import CaseArrays
from OrganIncrementLib.Logics.ConnectedParts import connectedParts, cropped
from OrganIncrementLib.Translation import _

MOST_OUTSIDE = 0.05  # of an organ's voxels, in the air around the patient
SPECK = 0.05  # of the largest part: smaller ones are slips of the brush, larger ones may be meant
SIDE_MARGIN_MM = 3.0
ORDER = ("problem", "confirm", "note", "ok")


@dataclass(frozen=True)
class Check:
    """One finding. level: ok, note, confirm (asks for an answer), problem (has to be mended before handing in).

    mend: what can be done by itself: "resample", "removeSpecks", "absent", or empty.
    """

    code: str
    level: str
    text: str
    organ: str = ""
    mend: str = ""

    @property
    def key(self) -> str:
        """By what a confirmation is kept: the sentence is part of it, so that another finding is asked about anew."""
        return f"{self.code}/{self.organ}/{self.text}"


def checkCase(
    arrays: CaseArrays, organs: Sequence[Organ], modality: str, absent: Collection[str] = ()
) -> tuple[Check, ...]:
    """Look at the whole case; what asks for an answer comes first.

    absent: organs that were looked for and are not there, as the annotator says.
    """
    checks = [*_gridChecks(arrays), *_emptyChecks(arrays, organs, absent)]
    drawn = [organ for organ in organs if organ.id in arrays.masks and arrays.masks[organ.id].any()]
    if drawn:
        body = bodyMask(arrays.image_KJI, modality)
        for organ in drawn:
            checks += organChecks(arrays, organ, body)
        checks += _overlapChecks(arrays, drawn)
    checks += [
        Check("stranger", "confirm", _("The segment “{name}” belongs to no organ of the dataset and is not saved. "
                                       "Copy it to an organ, or leave it.").format(name=name))
        for name in arrays.strangers
    ]  # fmt: skip
    return tuple(sorted(checks, key=lambda check: ORDER.index(check.level)))


def organChecks(arrays: CaseArrays, organ: Organ, body: BodyMask) -> list[Check]:
    """Outside the body, specks, wrong side; one line that all is well where it is."""
    mask_KJI = arrays.masks[organ.id]
    found = [
        *_outside(mask_KJI, organ, body),
        *_parts(mask_KJI, organ, arrays.voxel_mm3),
        *_side(mask_KJI, organ, body, arrays.grid.ijkToRas),
    ]
    if any(check.level == "confirm" for check in found):
        return found
    volume_ml = mask_KJI.sum() * arrays.voxel_mm3 / 1000
    where = _("inside the body") if organ.modifier is None else _("inside the body, on its side")
    good = _("{organ}: {volume:.1f} mL, {where}, no specks.").format(organ=organ.name, volume=volume_ml, where=where)
    return [Check("organ", "ok", good, organ.id), *found]


def withoutSpecks(mask_KJI: np.ndarray) -> np.ndarray:
    """The mask without the small parts that `checkCase` names."""
    if not mask_KJI.any():
        return mask_KJI
    box = cropped(mask_KJI)
    regions_KJI, sizes = connectedParts(mask_KJI[box])
    kept = [rank for rank, size in enumerate(sizes, 1) if size >= SPECK * sizes[0]]
    cleaned_KJI = np.zeros_like(mask_KJI, bool)
    cleaned_KJI[box] = np.isin(regions_KJI, kept)
    return cleaned_KJI


def _gridChecks(arrays: CaseArrays) -> list[Check]:
    other = _("The segment “{name}” was drawn on another grid than the scan's. Resample it onto the scan, then look at "
              "it again.")  # fmt: skip
    beyond = _("The segment “{name}” reaches out of the scan; what lies outside is not saved.")
    checks = [Check("grid", "problem", other.format(name=name), mend="resample") for name in arrays.offGrid]
    checks += [Check("beyond", "confirm", beyond.format(name=name), mend="resample") for name in arrays.beyond]
    return checks or [Check("grid", "ok", _("Drawn on the grid of the scan."))]


def _emptyChecks(arrays: CaseArrays, organs: Sequence[Organ], absent: Collection[str]) -> list[Check]:
    drawn = set(arrays.drawn())
    answered = bool(drawn | set(absent))
    checks = []
    for organ in organs:
        if organ.id in drawn:
            continue
        if organ.id in absent:
            text = _("{organ}: looked for, and absent in this scan.").format(organ=organ.name)
            checks.append(Check("absent", "ok", text, organ.id))
        elif answered:
            text = _("{organ}: nothing is drawn, so it counts as not looked for.").format(organ=organ.name)
            checks.append(Check("empty", "note", text, organ.id, mend="absent"))
        else:
            text = _("{organ}: nothing is drawn. Draw it, or say that it is absent in this scan.")
            checks.append(Check("empty", "confirm", text.format(organ=organ.name), organ.id, mend="absent"))
    return checks


def _outside(mask_KJI: np.ndarray, organ: Organ, body: BodyMask) -> list[Check]:
    share = body.shareOutside(mask_KJI)
    if share <= MOST_OUTSIDE:
        return []
    text = _("{organ}: {percent:.0f} % of it lies in the air outside the body.")
    return [Check("outside", "confirm", text.format(organ=organ.name, percent=100 * share), organ.id)]


def _parts(mask_KJI: np.ndarray, organ: Organ, voxel_mm3: float) -> list[Check]:
    _regions, sizes = connectedParts(mask_KJI[cropped(mask_KJI)])
    specks = [size for size in sizes if size < SPECK * sizes[0]]
    large = len(sizes) - len(specks)
    checks = []
    if specks:
        text = _("{organ}: small separate specks ({count}, together {volume:.0f} mm³). Remove them, or say that they "
                 "are right.")  # fmt: skip
        text = text.format(organ=organ.name, count=len(specks), volume=sum(specks) * voxel_mm3)
        checks.append(Check("specks", "confirm", text, organ.id, mend="removeSpecks"))
    if large > 1:
        text = _("{organ}: drawn in {count} separate parts.").format(organ=organ.name, count=large)
        checks.append(Check("parts", "note", text, organ.id))
    return checks


def _side(mask_KJI: np.ndarray, organ: Organ, body: BodyMask, ijkToRas: np.ndarray) -> list[Check]:
    side = sideOf(organ)
    middle, centre = body.centreRas(ijkToRas), centreRas(mask_KJI, ijkToRas)
    if not side or middle is None or centre is None:
        return []
    towards_right_mm = centre[0] - middle[0] if side == "right" else middle[0] - centre[0]
    if towards_right_mm > -SIDE_MARGIN_MM:
        return []
    other = _("left") if side == "right" else _("right")
    text = _("{organ}: lies on the patient's {other} side. Is it the other organ of the pair?")
    return [Check("side", "confirm", text.format(organ=organ.name, other=other), organ.id)]


def sideOf(organ: Organ) -> str:
    """left, right or empty."""
    if organ.modifier is None:
        return ""
    return {"7771000": "left", "24028007": "right"}.get(organ.modifier.value, "")


def _overlapChecks(arrays: CaseArrays, drawn: Sequence[Organ]) -> list[Check]:
    checks = []
    for index, later in enumerate(drawn):
        for earlier in drawn[:index]:
            count = int((arrays.masks[earlier.id] & arrays.masks[later.id]).sum())
            if count:
                text = _("{first} and {second} overlap in {volume:.0f} mm³, which are saved as {second}.")
                text = text.format(first=earlier.name, second=later.name, volume=count * arrays.voxel_mm3)
                checks.append(Check("overlap", "confirm", text, later.id))
    return checks
