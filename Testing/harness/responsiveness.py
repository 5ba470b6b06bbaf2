"""How long the event loop was kept from running: what a user feels as a window that hangs."""

import contextlib
import time

from PySide6 import QtCore

from harness.views.off_screen_view import drawing_s

EVERY_MS = 5


class Watch:
    """The longest interruptions seen.

    longest_s: of the event loop, less the time that software rendering took, which is the machine's doing.
    longest_busy_s: the same, counted in processor time of this thread, so that other programs do not add to it;
    a wait (for a file, a process) does not count in it. longest_with_drawing_s: drawing included.
    """

    def __init__(self):
        self.longest_s = self.longest_busy_s = self.longest_with_drawing_s = 0.0
        self.beats = 0
        self._last = self._now()
        self._timer = QtCore.QTimer()
        self._timer.setInterval(EVERY_MS)
        self._timer.timeout.connect(self.beat)

    @staticmethod
    def _now():
        return time.perf_counter(), time.thread_time(), *drawing_s

    def start(self):
        self._last = self._now()
        self._timer.start()

    def stop(self):
        self.beat()
        self._timer.stop()

    def beat(self):
        """Called every few milliseconds, unless the event loop is kept from it."""
        now = self._now()
        wall_s, busy_s, drawn_s, drawn_busy_s = (new - old for new, old in zip(now, self._last, strict=True))
        self._last = now
        self.beats += 1
        late_s = max(0.0, wall_s - EVERY_MS / 1000)
        self.longest_with_drawing_s = max(self.longest_with_drawing_s, late_s)
        self.longest_s = max(self.longest_s, late_s - drawn_s)
        self.longest_busy_s = max(self.longest_busy_s, busy_s - drawn_busy_s)


@contextlib.contextmanager
def watching():
    """Watch the event loop for a block: `with watching() as loop: settle(seconds=2)`, then look at `loop.longest_s`."""
    watch = Watch()
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()
