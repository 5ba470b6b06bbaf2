"""The reviewer's keys: N and B for regions, A and F for decisions; never while somebody types."""

import qt

from OrganIncrementLib.Intent import Intent

TYPING = (
    "QLineEdit",
    "QPlainTextEdit",
    "QTextEdit",
    "QAbstractSpinBox",
)  # and what is made of them, as Slicer's console


class ReviewShortcuts:
    """Four keys of a window, alive only while `setActive(True)`."""

    def __init__(self, window):
        self.nextRegionWanted = Intent()
        self.previousRegionWanted = Intent()
        self.approveWanted = Intent()
        self.flagWanted = Intent()
        self._window = window
        self._keys = []

    def setActive(self, active: bool) -> None:
        """Make the keys, or take them away; doing it twice changes nothing."""
        if active and not self._keys and self._window is not None:
            for key, slot in (
                ("N", self._onNext),
                ("B", self._onPrevious),
                ("A", self._onApprove),
                ("F", self._onFlag),
            ):
                shortcut = qt.QShortcut(qt.QKeySequence(key), self._window)
                shortcut.connect("activated()", slot)
                self._keys.append((shortcut, slot))
        elif not active:
            for shortcut, slot in self._keys:
                shortcut.disconnect("activated()", slot)
                shortcut.enabled = False
                shortcut.setParent(None)
            self._keys = []

    def _onNext(self):
        if not isTyping():
            self.nextRegionWanted()

    def _onPrevious(self):
        if not isTyping():
            self.previousRegionWanted()

    def _onApprove(self):
        if not isTyping():
            self.approveWanted()

    def _onFlag(self):
        if not isTyping():
            self.flagWanted()


def isTyping() -> bool:
    """Whether the keyboard belongs to a field for text or numbers; such fields take letters themselves, as a rule."""
    focused = qt.QApplication.focusWidget()
    return focused is not None and any(focused.inherits(kind) for kind in TYPING)
