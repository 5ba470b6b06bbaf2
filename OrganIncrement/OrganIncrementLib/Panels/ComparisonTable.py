"""The table of organs against teacher, student and change: chips, marks, words for missing values, sorting."""

import qt
from slicer.i18n import tr as _

from OrganIncrementLib.Engine import ComparisonRows as rows_

ORGAN, MARK, TEACHER, STUDENT, CHANGE = range(5)
# blue and vermilion of Okabe and Ito's palette, which people with any colour vision can tell apart
BETTER, WORSE = (0, 90, 160), (190, 75, 0)
MOST_ROWS = 10
NOTHING_LOST = 0.005  # smaller changes are shown without a colour


class ComparisonTable:
    """Shows rows in a QTableWidget; sorted by the heading that is clicked, again in the other direction."""

    def __init__(self, table):
        self._table = table
        self._rows = ()
        self._sortedBy, self._descending = None, False
        table.setColumnCount(5)
        table.setHorizontalHeaderLabels([_("Organ"), _("Mark"), _("Teacher"), _("Student"), _("Change")])
        header = table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(ORGAN, qt.QHeaderView.Stretch)
        header.setSectionsClickable(True)
        header.connect("sectionClicked(int)", self._onHeading)

    def show(self, rows):
        """Show these rows (OrganComparison) in the order that was chosen last."""
        if rows == self._rows:
            return
        self._rows = tuple(rows)
        self._fill()

    def _onHeading(self, column):
        self._descending = not self._descending if column == self._sortedBy else False
        self._sortedBy = column
        header = self._table.horizontalHeader()
        header.setSortIndicatorShown(True)
        header.setSortIndicator(column, qt.Qt.DescendingOrder if self._descending else qt.Qt.AscendingOrder)
        self._fill()

    def _fill(self):
        self._table.setRowCount(len(self._rows))
        for index, row in enumerate(self._ordered()):
            for column, item in enumerate(self._items(row)):
                self._table.setItem(index, column, item)
        self._table.resizeRowsToContents()
        self._fitHeight()

    def _fitHeight(self):
        """As high as its rows, up to some; more are scrolled to."""
        rows = sum(self._table.rowHeight(row) for row in range(min(len(self._rows), MOST_ROWS)))
        height = self._table.horizontalHeader().sizeHint.height() + rows + 2 * self._table.frameWidth
        self._table.setMinimumHeight(height)
        self._table.setMaximumHeight(height)

    def _ordered(self):
        if self._sortedBy is None:
            return self._rows
        key = {
            ORGAN: lambda row: row.name.lower(),
            MARK: lambda row: row.isNew,
            TEACHER: lambda row: row.teacher.value,
            STUDENT: lambda row: row.student.value,
            CHANGE: lambda row: row.change.value,
        }[self._sortedBy]
        known = sorted((row for row in self._rows if key(row) is not None), key=key, reverse=self._descending)
        return [*known, *(row for row in self._rows if key(row) is None)]  # what has no value stays last

    def _items(self, row):
        name = _item(row.name, row.name)
        name.setData(qt.Qt.DecorationRole, qt.QColor(*row.color))
        mark = _item(_("new") if row.isNew else _("old"), _markTip(row.isNew))
        if row.isNew:
            font = name.font()
            font.setBold(True)
            name.setFont(font)
        return (name, mark, _measured(row.teacher), _measured(row.student), _changed(row.change))


def _markTip(isNew):
    return _("The student learned this organ; the teacher does not know it") if isNew else _("Known to the teacher")


def _item(text, tip):
    item = qt.QTableWidgetItem(text)
    item.setToolTip(tip)
    return item


def _measured(measure):
    if measure.value is None:
        return _item(*missing(measure.status))
    tip = _("Dice, mean over {n} scans: 1 is perfect overlap, 0 none").format(n=measure.cases)
    item = _item(f"{measure.value:.3f}", tip)
    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
    return item


def _changed(measure):
    if measure.value is None:
        return _item(*missing(measure.status))
    if measure.status == rows_.ALIKE:
        tip = _("Overlap with the teacher's own result. Which of the two is better, Compare tells")
        return _item(_("{percent:.0f} % alike").format(percent=100 * (1 + measure.value)), tip)
    sign, color = "=", None
    if abs(measure.value) >= NOTHING_LOST:
        sign, color = ("▲", BETTER) if measure.value > 0 else ("▼", WORSE)
    item = _item(f"{sign} {measure.value:+.3f}", _("Student's Dice less the teacher's"))
    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
    if color:
        item.setForeground(qt.QBrush(qt.QColor(*color)))
    return item


def missing(status):
    """(short text, explanation) for a value that is missing."""
    return {
        rows_.REFERENCE: (_("reference"), _("The student is compared with what the teacher itself finds")),
        rows_.NOT_IN_MODEL: (_("not known"), _("The teacher does not know this organ")),
        rows_.NOT_MEASURED: (_("not measured"), _("No scan with a label of this organ was held back, or not yet run")),
        rows_.NOT_LABELLED: (_("not labelled"), _("The dataset has no label of this organ")),
        rows_.NOWHERE: (_("in no scan"), _("The organ was looked for, and neither label nor result has it")),
    }.get(status, ("–", _("One of the two values is missing")))
