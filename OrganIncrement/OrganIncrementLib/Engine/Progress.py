"""How far a command of the engine is, read from the plain lines that it writes for programs."""

import re
from dataclasses import dataclass

# segment: 3 of 10 (pt_12)            three are done, pt_12 is in work
# segment: 3 of 10 (pt_12) 35 of 128  and of its windows, over all perturbations, 35 of 128 are done
_LINE = re.compile(
    r"(?P<what>[^:()]{1,40}): (?P<done>\d{1,9}) of (?P<total>\d{1,9})(?: \((?P<name>.*)\))?"
    r"(?: (?P<part>\d{1,9}) of (?P<parts>\d{1,9}))?"
)


@dataclass(frozen=True)
class Progress:
    """For a progress bar: `done` of `total`, in units that may change from one report to the next.

    text: what is in work, such as a scan's name.
    """

    done: int
    total: int
    text: str = ""

    @property
    def fraction(self) -> float:
        """From 0 to 1; 0 where nothing is known."""
        return self.done / self.total if self.total else 0.0

    @property
    def percent(self) -> int:
        """From 0 to 100."""
        return int(100 * self.fraction)

    @property
    def words(self) -> str:
        """For a label: `pt_12 · 35 %`."""
        return " · ".join(filter(None, (self.text, f"{self.percent} %")))


def progressOf(line: str) -> Progress | None:
    """The progress that a line reports, None where it is another line."""
    match = _LINE.fullmatch(line.strip())
    if match is None:
        return None
    done, total, name = int(match["done"]), int(match["total"]), match["name"] or ""
    if total < 1:
        return Progress(0, 0, name)
    part, parts = int(match["part"] or 0), int(match["parts"] or 0)
    if parts < 1 or done >= total:
        return Progress(min(done, total), total, name)
    return Progress(done * parts + min(part, parts), total * parts, name)
