"""The reviewer's decisions: what is possible, recording it, and going on to the next case."""

from dataclasses import replace

from OrganIncrementLib.Controllers.ReviewRows import statusText
from OrganIncrementLib.Logics import ReviewOrder
from OrganIncrementLib.Logics.CaseLoader import isEdited
from OrganIncrementLib.Logics.ModuleSwitch import showCaseInAnnotate
from OrganIncrementLib.Logics.ReviewDataset import Decision, ReviewError, goneText, tamperedText
from OrganIncrementLib.Panels.ReviewDecisionPanel import ReviewDecisionPanel, ReviewDecisionState
from OrganIncrementLib.Translation import _

WHO_KEY = "user/name"  # shared with OrganAnnotate


class ReviewDecisionController:
    """Approves, flags, takes back; every decision goes through the dataset's lock and history."""

    def __init__(self, ui, services, session):
        self.services = services
        self.session = session
        self.panel = ReviewDecisionPanel(ui)
        self._message = ""
        self._isWarning = False
        self._shownCase = None
        self._comments = {}
        panel = self.panel
        panel.approveWanted.connect(self.approve)
        panel.flagWanted.connect(self.flag)
        panel.takeBackWanted.connect(self.takeBack)
        panel.correctWanted.connect(self.correct)
        panel.whoGiven.connect(self._onWho)
        session.changed.connect(self.refresh)

    def approve(self):
        """The label is right."""
        opened = self.session.opened
        why = self._whyNotApprove()
        if why or opened is None:
            self._say(why, isWarning=True)
        elif opened.isEmpty and not self.services.dialogs.confirm(
            _("The label of {case} is empty. Approve that none of these organs is in the scan: {organs}?").format(
                case=opened.id, organs=", ".join(organ.name for organ in self.session.dataset.organs)
            )
        ):
            self._say(_("Nothing was recorded."))
        else:
            self._decide("approved")

    def flag(self):
        """The label needs work."""
        why = self._whyNotFlag()
        if why:
            self._say(why, isWarning=True)
        else:
            self._decide("flagged")

    def takeBack(self):
        """The case is to be reviewed again."""
        why = self._whyNotTakeBack()
        if why:
            self._say(why, isWarning=True)
        else:
            self._decide("submitted", goOn=False)

    def correct(self):
        """Show the case in the annotator's module."""
        opened = self.session.opened
        if opened is None:
            self._say(self._whyNotCorrect(), isWarning=True)
            return
        self.session.leaveWanted(opened.id)
        if self.session.opened is None:  # else what was drawn in the scene is to be kept
            problem = showCaseInAnnotate(str(self.session.dataset.path), opened.id)
            if problem:
                self.services.dialogs.error(problem)

    def refresh(self):
        """Show what can be decided on the open case, and its history."""
        if self.session.parameters is None:
            return
        opened, dataset = self.session.opened, self.session.dataset
        self._changeComment(opened.id if opened else None)
        steps = dataset.record.steps(opened.id) if opened else ()
        self.panel.show(
            ReviewDecisionState(
                noApprove=self._whyNotApprove(),
                noFlag=self._whyNotFlag(),
                noTakeBack=self._whyNotTakeBack(),
                noCorrect=self._whyNotCorrect(),
                message=self._message,
                isWarning=self._isWarning,
                who=self.services.settings.get(WHO_KEY, ""),
                steps=tuple(_stepCells(step) for step in reversed(steps)),
            )
        )

    # -- what is possible

    def _whyNotDecide(self):
        dataset, opened = self.session.dataset, self.session.opened
        if dataset is None:
            return _("Open a dataset first.")
        if opened is None:
            return _("Open a case first.")
        if dataset.record.problem:
            return tamperedText(dataset.record.problem)
        if dataset.isGone:
            return goneText(dataset.path)
        if dataset.readOnly:
            return _("You may not write in this dataset's folder: ask its owner for permission, or copy the dataset.")
        return ""

    def _status(self):
        """The open case's status as its file has it now, "" for a case that is gone."""
        case = self.session.dataset.case(self.session.opened.id)
        return case.status if case else ""

    def _whyNotApprove(self):
        why = self._whyNotDecide() or self._whyNotDraft()
        opened = self.session.opened
        if why or opened.noLabel:
            return why or opened.noLabel
        if self._status() == "approved" and not opened.changed:
            return _("This case is approved already.")
        parameters = self.session.parameters
        label = parameters.label if parameters else None
        if parameters is not None and (label is None or parameters.image is None):
            return _("The scan or the label was deleted from the scene: open the case again, and look at it.")
        if isEdited(opened, label):
            return _("The label was drawn on in this scene, which is not saved: the file, not what you see, would be "
                     "approved. Correct it in OrganAnnotate, or open the case again.")  # fmt: skip
        return ""

    def _whyNotFlag(self):
        why = self._whyNotDecide() or self._whyNotDraft()
        if why:
            return why
        return (
            _("This case is flagged already: the annotator hands it in again.") if self._status() == "flagged" else ""
        )

    def _whyNotTakeBack(self):
        why = self._whyNotDecide()
        if why:
            return why
        decided = self._status() in ReviewOrder.REVIEWED
        return "" if decided else _("Nothing was decided on this case yet.")

    def _whyNotCorrect(self):
        return "" if self.session.opened is not None else _("Open a case first.")

    def _whyNotDraft(self):
        case = self.session.dataset.case(self.session.opened.id)
        if case is None:
            return _("This case cannot be read any longer: read the dataset again.")
        if case.status == "draft":
            return _("This case was not handed in yet: the annotator does so in OrganAnnotate.")
        if case.label is None:
            return _("This case has no label yet: draw one in OrganAnnotate.")
        return ""

    # -- doing it

    def _decide(self, to, goOn=True):
        session, opened = self.session, self.session.opened
        self._onWho(self.panel.who)
        order = session.rows()
        decision = Decision(
            case=opened.id, to=to, who=self.panel.who, comment=self.panel.comment,
            seenStatus=opened.seenStatus, seenLabel=opened.labelSha256,
        )  # fmt: skip
        try:
            case = session.dataset.decide(decision)
        except ReviewError as error:
            self._refused(str(error))
            return
        self.panel.clearComment()
        self._comments.pop(opened.id, None)
        session.opened = _after(opened, case)
        session.forgetRows()
        left = sum(row.status == "submitted" for row in session.rows())
        done = _("{case}: {status}.").format(case=case.id, status=statusText(case.status))
        rest = _("{count} to review.").format(count=left) if left else _("All cases that were handed in are reviewed.")
        following = ReviewOrder.nextToReview(_withStatuses(order, session), case.id) if goOn else None
        if following is not None:
            session.caseWanted(following)
        self._say(f"{done} {rest}")

    def _refused(self, text):
        """Nothing was recorded; the case is shown as it is now, so that the reviewer can look again."""
        self.session.forgetRows()
        self._say(text, isWarning=True)
        self.services.dialogs.error(text)

    def _say(self, text, isWarning=False):
        self._message, self._isWarning = text, isWarning
        self.session.changed()

    def _onWho(self, name):
        if name != self.services.settings.get(WHO_KEY, ""):
            self.services.settings.set(WHO_KEY, name)

    def _changeComment(self, caseId):
        """A comment that was begun stays with its case."""
        if caseId == self._shownCase:
            return
        if self._shownCase is not None and self.panel.comment:
            self._comments[self._shownCase] = self.panel.comment
        self._shownCase, self._message = caseId, ""
        self.panel.setComment(self._comments.pop(caseId, "") if caseId else "")


def _after(opened, case):
    """The open case after a decision on it."""
    return replace(opened, seenStatus=case.status, labelSha256=case.label_sha256, changed=False, warnings=())


def _withStatuses(order, session):
    """The rows in the order that was shown, with their present statuses."""
    return [session.dataset.row(row.id) for row in order]


def _stepCells(step):
    when = step.time[:16].replace("T", " ")
    who = step.who or _("no name given")
    return f"{when}\n{who}", f"{statusText(step.from_)} →\n{statusText(step.to)}", step.comment
