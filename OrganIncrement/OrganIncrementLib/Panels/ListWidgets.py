"""What panels do with tables and drop-downs again and again."""

import qt

HEADER_PX = 30  # a table's header and frame


def fillCombo(combo, entries, current: str) -> None:
    """Show (key, text) entries and choose one by its key; no entry is chosen for a key that is not there."""
    combo.blockSignals(True)
    combo.clear()
    for key, text in entries:
        combo.addItem(text, key)
    combo.currentIndex = next((i for i, (key, _text) in enumerate(entries) if key == current), -1)
    combo.blockSignals(False)


def currentKey(combo) -> str:
    """The key of the chosen entry, empty where none is chosen."""
    index = combo.currentIndex
    return str(combo.itemData(index) or "") if index >= 0 else ""


def swatch(color) -> qt.QIcon:
    """A small square in a colour (red, green, blue in 0..255)."""
    pixmap = qt.QPixmap(12, 12)
    pixmap.fill(qt.QColor(*color))
    return qt.QIcon(pixmap)


def fillRow(table, row: int, texts, toolTip: str = "") -> None:
    """Write a row of cells that cannot be edited."""
    for column, text in enumerate(texts):
        item = qt.QTableWidgetItem(text)
        item.setFlags(qt.Qt.ItemIsSelectable | qt.Qt.ItemIsEnabled)
        item.setToolTip(toolTip or text)
        table.setItem(row, column, item)


def fitColumns(table, stretched: int) -> None:
    """Columns as wide as their texts, and one that takes what is left."""
    header = table.horizontalHeader()
    for column in range(table.columnCount):
        fitting = qt.QHeaderView.Stretch if column == stretched else qt.QHeaderView.ResizeToContents
        header.setSectionResizeMode(column, fitting)
    table.verticalHeader().visible = False


def fitHeight(table, fewest: int, most: int) -> None:
    """A table as high as its rows need, within limits: a panel has little room, and scrolls by itself."""
    heights = [table.rowHeight(row) for row in range(table.rowCount)]
    default = table.verticalHeader().defaultSectionSize
    inside = max(sum(heights), fewest * default)
    table.setFixedHeight(min(inside, most * default) + HEADER_PX)


def selectedRow(table) -> int:
    """The row of the selection, -1 where nothing is selected."""
    rows = [index.row() for index in table.selectionModel().selectedRows()]
    return rows[0] if rows else -1
