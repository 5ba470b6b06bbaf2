"""How far a command is within the scan it is at."""

from collections.abc import Callable

# scans done, of how many, the present one's name; of that one: windows done, of how many
Working = Callable[[int, int, str, int, int], None]


def nobody_asks(done: int, total: int, name: str, part: int, parts: int) -> None:
    """The `Working` that tells nobody."""


class ScanInWork:
    """Adds the present scan's number and name to what is told of its windows; `within` is for whoever counts them."""

    def __init__(self, working: Working, total: int) -> None:
        self._working, self._total = working, total
        self._done, self._name = 0, ""

    def begin(self, done: int, name: str) -> None:
        """The next scan is taken up; so many are done."""
        self._done, self._name = done, name
        self.within(0, 1)

    def within(self, part: int, parts: int) -> None:
        """So many windows of the present scan are done, of how many."""
        self._working(self._done, self._total, self._name, part, parts)
