"""The line above the Start button: how long, on what, and how much memory and disk."""

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from organincrement.contract.plan import Plan
from OrganIncrementLib.Controllers.Amounts import durationText, sizeText


def estimateText(plan: Plan, facts: Any) -> str:
    """`≈ 3 h 10 on NVIDIA RTX A4000 · 7.1 of 16 GB · 2 GB disk`. Args: facts: EngineFacts, or None before the check."""
    estimate = plan.estimate
    kind, _colon, device = (estimate.measured_on or "").partition(": ")
    onGpu = kind == "cuda"
    place = device.strip() if onGpu else _("this computer's processor")
    parts = []
    if estimate.seconds:
        parts.append(_("≈ {time} on {place}").format(time=durationText(estimate.seconds), place=place))
    needed = estimate.gpu_bytes if onGpu and estimate.gpu_bytes else estimate.ram_bytes
    there = getattr(facts, "gpuBytes" if onGpu else "ramBytes", None)
    if needed and there:
        parts.append(_("{needed} of {there} memory").format(needed=sizeText(needed), there=sizeText(there)))
    elif needed:
        parts.append(_("{needed} memory").format(needed=sizeText(needed)))
    if estimate.disk_bytes:
        parts.append(_("{size} disk").format(size=sizeText(estimate.disk_bytes)))
    parts.append(_("{count} steps").format(count=plan.training.steps))
    return " · ".join(parts)


def tooLittleDisk(plan: Plan, freeBytes: Callable[[], int | None]) -> str:
    """Why the disk is too full for this plan, "" where it is not."""
    needed, free = plan.estimate.disk_bytes, freeBytes()
    if not needed or free is None or free > needed:
        return ""
    return _("There is too little space on the disk: {free} of the {needed} that are needed. Delete something.").format(
        free=sizeText(free), needed=sizeText(needed)
    )
