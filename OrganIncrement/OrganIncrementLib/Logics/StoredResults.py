"""The results in the workspace that lie on the grid of a volume."""

from dataclasses import dataclass
from pathlib import Path

from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.results import SegmentReport
from OrganIncrementLib.Logics import NrrdImage
from OrganIncrementLib.Logics.Grid import Grid, worldGrid
from OrganIncrementLib.Logics.LogicError import LogicError

MOST = 200  # the newest, so that a long life of results does not make the list slow


@dataclass(frozen=True, kw_only=True)
class StoredResult:
    """One: its folder, its model's name, how many organs it has, and the hash of the scan that was segmented."""

    folder: Path
    model: str
    organs: int
    scan: str


class StoredResults:
    """Reads headers only, each once as long as its file stays as it is."""

    def __init__(self, root: Path) -> None:
        self._root, self._known = Path(root), {}

    def of(self, volume) -> tuple[StoredResult, ...]:
        """Those that fit a volume node, the newest first; none for no volume, or one without an image."""
        if volume is None:
            return ()
        try:
            grid = worldGrid(volume)
        except LogicError:
            return ()
        files = self._files()
        fitting = (self._read(file, stamp) for stamp, file in sorted(files, reverse=True)[:MOST])
        return tuple(result for result, own in filter(None, fitting) if not own.difference(grid))

    def _files(self) -> list[tuple[int, Path]]:
        found = []
        try:
            for file in self._root.glob("*/*/segmentation.seg.nrrd"):
                found.append((file.stat().st_mtime_ns, file))
        except OSError:
            return found
        return found

    def _read(self, file: Path, stamp: int) -> tuple[StoredResult, Grid] | None:
        known = self._known.get(file)
        if known is None or known[0] != stamp:
            known = self._known[file] = (stamp, _resultAt(file))
        return known[1]


def _resultAt(file: Path) -> tuple[StoredResult, Grid] | None:
    try:
        grid = NrrdImage.gridOf(file)
        report = codec.read(SegmentReport, file.parent / "report.json")
    except (LogicError, ContractError, OSError):
        return None
    result = StoredResult(
        folder=file.parent, model=report.model, organs=len(report.organs), scan=report.input_sha256
    )  # fmt: skip
    return result, grid
