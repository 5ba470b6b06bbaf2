"""The page of the audit study: what was found, what was missed, and false alarms."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from organincrement.contract.results import AuditedCase

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks" / "audit.md"
_VERDICTS = ("fits", "doubtful", "unusable")


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One scan, what was done to it, and its verdict in the company of good ones and alone."""

    site: str
    what: str
    together: AuditedCase
    alone: AuditedCase


def write_page(name: str, tried: Sequence[Tried], work: Path) -> None:
    """Keep this data set's part in `work`, and write the page of all parts."""
    work.mkdir(parents=True, exist_ok=True)
    (work / f"{name}.md").write_text("\n".join(_part(name, tried)) + "\n", encoding="utf-8")
    parts = [path.read_text(encoding="utf-8") for path in sorted(work.glob("*.md"))]
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text("\n".join((_HEAD, *parts)), encoding="utf-8")


_HEAD = """# Does the audit find what is wrong?

Good scans of sites that the teacher was not trained on, as they are and corrupted in one way at a time. *Found*: the
verdict is `doubtful` or `unusable`. *Together*: audited with other good scans of its site; *alone*: a dataset of one.
Thresholds were chosen on these same scans, those of a single scan's slice spacing with hardly a margin; see
[audit.md](../audit.md) for what they are. A mirrored head cannot be told from one that is not.
headneck: OpenKBP (A. Babier et al., Medical Physics 48, 2021, 5549-5561; images of The Cancer Imaging Archive), teacher
of four organs trained on site_a. phantom: the demo's phantom, teacher of four organs trained on twelve of site A.
Made by `python -m benchmarks.audit` (see its help).
"""


def _part(name: str, tried: Sequence[Tried]) -> list[str]:
    sites = sorted({one.site for one in tried})
    lines = [f"## {name}", "", "Good scans:", "", "| site | scans | fits | doubtful | unusable | false alarms alone |"]
    lines += ["| --- | --- | --- | --- | --- | --- |"]
    for site in sites:
        good = [one for one in tried if one.site == site and one.what == "good"]
        counts = [sum(one.together.verdict == verdict for one in good) for verdict in _VERDICTS]
        alone = sum(one.alone.verdict != "fits" for one in good)
        lines.append(f"| {site} | {len(good)} | {' | '.join(map(str, counts))} | {alone} |")
    lines += [
        "",
        "Corrupted scans:",
        "",
        "| what was done | scans | found together | found alone | unusable |",
    ]
    lines += ["| --- | --- | --- | --- | --- |"]
    for what in dict.fromkeys(one.what for one in tried):
        if what == "good":
            continue
        these = [one for one in tried if one.what == what]
        together, alone = (sum(getattr(one, how).verdict != "fits" for one in these) for how in ("together", "alone"))
        unusable = sum(one.together.verdict == "unusable" for one in these)
        lines.append(f"| {what} | {len(these)} | {together} | {alone} | {unusable} |")
    return lines
