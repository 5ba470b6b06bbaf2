"""The reviewer's table in words."""

from OrganIncrementLib.Logics import ReviewOrder
from OrganIncrementLib.Panels.ReviewCasesPanel import ReviewCaseRow
from OrganIncrementLib.Translation import _

SHORT = 16  # characters that fit into a cell


def statusText(status):
    """A status as reviewers call it."""
    return {
        "draft": _("not handed in"),
        "submitted": _("to review"),
        "approved": _("✓ approved"),
        "flagged": _("⚑ flagged"),
    }.get(status, _("cannot be read"))


def filterEntries():
    """The filters: key and text."""
    return (
        (ReviewOrder.TO_REVIEW, _("to review")),
        (ReviewOrder.FLAGGED, _("flagged")),
        (ReviewOrder.ALL, _("all cases")),
    )


def resultText(one):
    """One model's results, for the box that offers them."""
    name = one.model or _("unknown model")
    return _("{model} ({key}): {cases} cases").format(model=name, key=one.key, cases=one.cases)


def progressText(facts):
    """How far the review is."""
    if not facts.handedIn:
        return _("No case was handed in yet")
    text = _("{reviewed} of {total} reviewed").format(reviewed=facts.reviewed, total=facts.handedIn)
    if facts.flagged:
        text += " · " + _("{count} flagged").format(count=facts.flagged)
    if facts.drafts:
        text += " · " + _("{count} not handed in").format(count=facts.drafts)
    return text


def caseRow(session, row):
    """One row of the table."""
    notes = list(row.flags)
    if row.comments:
        notes.append(_("1 comment") if row.comments == 1 else _("{count} comments").format(count=row.comments))
    return ReviewCaseRow(
        id=row.id,
        uncertainty=uncertaintyText(session, row),
        status=statusText(row.status),
        notes=", ".join(notes),
        toolTip=row.problem or "\n".join(filter(None, (detailText(session, row), ", ".join(row.flags)))),
        isOpen=session.opened is not None and session.opened.id == row.id,
    )


def uncertaintyText(session, row):
    """The figure by which the case is ordered, or why there is none."""
    if row.problem:
        return "–"
    organ = session.organ
    value = ReviewOrder.uncertaintyOf(row, organ, [one.id for one in session.dataset.organs])
    if value is not None:
        return f"{value:.1f} %"
    if row.resultsProblem:
        return row.resultsProblem if len(row.resultsProblem) <= SHORT else _("results unusable")
    return _("not found") if organ in row.absent or not organ else _("not known")


def detailText(session, row):
    """Each organ's uncertainty, for the tool tip."""
    if row.resultsProblem:
        return _("{case}: {problem}").format(case=row.id, problem=row.resultsProblem)
    parts = [f"{session.organName(organ)} {value:.1f} %" for organ, value in row.uncertainty.items()]
    parts += [_("{organ} not found").format(organ=session.organName(organ)) for organ in row.absent]
    return _("{case}, mean uncertainty: {organs}").format(case=row.id, organs=", ".join(parts) or "–")
