"""What the parts of the reviewer's controller share: the dataset, the open case, and who wants to know of changes."""

from organincrement.contract.organs import organ_from_name
from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Logics import ReviewOrder


class ReviewSession:
    """No node is kept here: the nodes of the open case are references of the parameter node.

    parameters: the attached parameter node wrapper, None while the module is detached. dataset: a ReviewDataset or
    None. opened: an OpenedCase or None. changed: rows or statuses are others than before. caseWanted: open this case.
    leaveWanted: close this case, and open it again when the module is shown again, for another module changes it.
    """

    def __init__(self):
        self.parameters = None
        self.dataset = None
        self.opened = None
        self.changed = Intent()
        self.caseWanted = Intent()
        self.leaveWanted = Intent()
        self._rows = None

    def rows(self):
        """All cases in the order of the review."""
        if self.dataset is None or self.parameters is None:
            return []
        if self._rows is None:
            organs = [organ.id for organ in self.dataset.organs]
            organ = self.parameters.organ if self.parameters.organ in organs else ""
            self._rows = ReviewOrder.ordered(self.dataset.rows(), organ, organs)
        return self._rows

    def forgetRows(self):
        """Something that the rows show has changed."""
        self._rows = None

    @property
    def organ(self):
        """The organ that orders the cases, "" for all."""
        known = [organ.id for organ in self.dataset.organs] if self.dataset else []
        chosen = self.parameters.organ if self.parameters else ""
        return chosen if chosen in known else ""

    def organName(self, organId):
        """An organ's name; by the terminology for one that only the model knows."""
        organs = self.dataset.organs if self.dataset else ()
        return next((organ.name for organ in organs if organ.id == organId), None) or organ_from_name(organId).name
