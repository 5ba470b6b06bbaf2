"""A job in words: its state, how far it is, and what can be done with it."""

from typing import Any

from slicer.i18n import tr as _

from OrganIncrementLib.Controllers.Amounts import durationText
from OrganIncrementLib.Panels.JobsPanel import JobRow
from OrganIncrementLib.Panels.ProgressPanel import ProgressState


def stateWord(state: str) -> str:
    """A job's state for people, with a sign."""
    return {
        "created": _("… starting"),
        "running": _("▶ running"),
        "pausing": _("… pausing"),
        "paused": _("‖ paused"),
        "cancelling": _("… cancelling"),
        "cancelled": _("✕ cancelled"),
        "finished": _("✓ finished"),
        "failed": _("⚠ failed"),
        "interrupted": _("⚠ interrupted"),
        "unreadable": _("⚠ damaged"),
    }.get(state, state)


def jobRow(job: Any) -> JobRow:
    """A line of the list, of a JobSummary."""
    progress = _("{step} of {total}").format(step=job.step, total=job.totalSteps) if job.totalSteps else ""
    if job.state == "running" and job.eta_s is not None:
        progress += _(", {time} left").format(time=durationText(job.eta_s))
    elif job.state in ("failed", "unreadable"):
        progress = job.message
    started = job.started[:16].replace("T", " ")
    begun = _("started {time} UTC").format(time=started) if started else ""
    hint = "\n".join(filter(None, (job.name, job.method, begun, job.message)))
    return JobRow(key=str(job.path), name=job.name, state=stateWord(job.state), progress=progress, hint=hint)


def progressState(path: Any, view: Any, *, busyWith: str, plotsShown: bool, isSilent: bool) -> ProgressState:
    """What is shown of one job, of its JobView.

    Args: busyWith: why its buttons wait for a moment, "" when they do not. isSilent: its trainer should have reported.
    """
    status = view.status
    readOnly = _("Another application shows this job, and has its buttons.") if view.readOnly else ""
    hindrance = readOnly or busyWith
    return ProgressState(
        shown=True,
        title=f"{path.name} · {stateWord(status.state)}",
        phase=_phaseText(view),
        message=_messageText(view, isSilent=isSilent),
        step=status.step,
        totalSteps=status.total_steps or 0,
        pauseHindrance=hindrance or ("" if status.state == "running" else _("Only a running job can be paused.")),
        resumeHindrance=hindrance or _noResume(status.state, isSilent=isSilent),
        cancelHindrance=hindrance or _noCancel(status.state),
        plotsHindrance="" if view.series else _("There are no figures to plot yet."),
        plotsShown=plotsShown,
    )


def _noResume(state: str, *, isSilent: bool) -> str:
    if state in ("paused", "interrupted", "failed") or (state == "created" and isSilent):
        return ""
    return _("Only a paused, interrupted or failed job can be resumed.")


def _noCancel(state: str) -> str:
    over = {"finished": _("This job is finished."), "cancelled": _("This job is cancelled already.")}
    return over.get(state, _("This job is being cancelled.") if state == "cancelling" else "")


def _phaseText(view: Any) -> str:
    status = view.status
    if view.catchingUp:
        return _("Reading what happened so far…")
    lines, parts, progress = [], [], status.progress
    if progress is not None and status.state in ("running", "pausing"):
        parts = [progress.phase.capitalize(), _("epoch {epoch:.1f}").format(epoch=progress.epoch)]
        if progress.eta_s is not None:
            parts.append(_("about {time} left").format(time=durationText(progress.eta_s)))
    elif status.state == "running" and status.started is not None:
        parts = [_("Preparing the scans on {device}").format(device=status.started.device)]
    if progress is not None and progress.total is not None:
        parts.append(_("loss {loss:.3g}").format(loss=progress.total))
    lines.append(" · ".join(parts))
    if status.validated is not None:
        lines.append(_validatedText(status.validated))
    return "\n".join(filter(None, lines))


def _validatedText(validated: Any) -> str:
    new = [f"{_organ(o)} {value:.2f}" for o, value in validated.dice.items() if value is not None]
    old = [f"{_organ(o)} {value:.2f}" for o, value in validated.agreement.items() if value is not None]
    parts = [_("Dice on held-back scans: {values}").format(values=", ".join(new))] if new else []
    if old:
        parts.append(_("same as the teacher: {values}").format(values=", ".join(old)))
    return " · ".join(parts)


def _messageText(view: Any, *, isSilent: bool) -> str:
    status, lines = view.status, []
    if view.readOnly:
        lines.append(_("Another application shows this job, and has its buttons; here it can only be watched."))
    if view.problem:
        lines.append(view.problem)
    if status.state == "interrupted" and not view.problem:
        lines.append(
            _("The trainer ended without a word: it was ended from outside, the computer was switched off, or its "
              "memory ran out. Resume goes on from its last checkpoint.")
        )  # fmt: skip
    if status.state == "created" and isSilent:
        lines.append(_("The trainer has not reported yet. If nothing happens, press Resume to start it again."))
    if status.message and status.state not in ("finished", "cancelled"):
        lines.append(status.message)
    if status.state == "finished":
        lines.append(_("The student is in the list of models: compare it in section 4, use it in section 5."))
    return "\n".join(lines)


def _organ(organId: str) -> str:
    return organId.replace("_", " ")
