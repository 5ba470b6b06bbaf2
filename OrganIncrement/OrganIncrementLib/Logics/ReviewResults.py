"""What a model left beside a dataset's cases: `results/<model sha, 8 characters>/<case>/`; only read here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from organincrement.contract import codec
from organincrement.contract.dataset import Case, DatasetFolder
from organincrement.contract.errors import ContractError
from organincrement.contract.results import SegmentReport
from OrganIncrementLib.Translation import _

KEY = re.compile(r"[0-9a-f]{8}")
ENDINGS = (".nii.gz", ".seg.nrrd", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")


@dataclass(frozen=True, kw_only=True)
class ResultSet:
    """One model's results in a dataset: the folder's name (`key`), the model's name, and how many cases have some."""

    key: str
    model: str
    cases: int


@dataclass(frozen=True, kw_only=True)
class CaseResults:
    """One model's results for one case.

    folder: None where there are none that may be used; `problem` then says why. uncertainty: organ id to the mean in
    per cent (0 certain, 100 uniform) inside the organ. absent: organs that the model knows and did not find.
    """

    folder: Path | None = None
    uncertainty: Mapping[str, float] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    problem: str = ""


def resultSets(dataset: Path) -> list[ResultSet]:
    """The models that left results in a dataset, the one with the most cases first; other folders are left out."""
    root = dataset / "results"
    try:
        folders = [folder for folder in root.iterdir() if KEY.fullmatch(folder.name) and folder.is_dir()]
    except OSError:
        return []
    found = [_resultSet(folder) for folder in sorted(folders)]
    return sorted((one for one in found if one.cases), key=lambda one: -one.cases)


def caseResults(dataset: DatasetFolder, case: Case, key: str) -> CaseResults:
    """What the model `key` left for a case; results of another scan, model or version are said, and not used."""
    if not key:
        return CaseResults(problem=_("no results yet"))
    folder = _resultFolder(dataset.path / "results" / key, case)
    if folder is None:
        return CaseResults(problem=_("no results yet"))
    try:
        report = codec.read(SegmentReport, folder / "report.json")
    except ContractError as error:
        return CaseResults(problem=_("results cannot be read: {reason}").format(reason=_short(error)))
    if not report.model_sha256.startswith(key):
        return CaseResults(problem=_("results are of another model; let the model segment this case again"))
    if report.input_sha256 != case.image_sha256:
        return CaseResults(problem=_("results are of another scan; let the model segment this case again"))
    known = {organ.id: organ.mean_uncertainty for organ in report.organs}
    return CaseResults(
        folder=folder,
        uncertainty={organ: mean for organ, mean in known.items() if mean is not None},
        absent=tuple(organ.id for organ in report.organs if organ.volume_mm3 == 0),
    )


def imageStem(image: str) -> str:
    """An image's name without the ending of its format: the name that `segment` gives its results."""
    name = image.rpartition("/")[2]
    ending = next((ending for ending in ENDINGS if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)]


def _resultFolder(root: Path, case: Case) -> Path | None:
    """By the case's id, else by its scan's name, which is what `segment` knows of a scan that lies elsewhere."""
    for name in (case.id, imageStem(case.image)):
        if name and (root / name / "report.json").exists():
            return root / name
    return None


def _resultSet(folder: Path) -> ResultSet:
    reports = sorted(folder.glob("*/report.json"))
    model = ""
    for report in reports[:3]:
        try:
            model = codec.read(SegmentReport, report).model
            break
        except ContractError:
            continue
    return ResultSet(key=folder.name, model=model, cases=len(reports))


def _short(error: Exception) -> str:
    """The reason without the path in front of it, which a table has no room for."""
    reason = str(error)
    return reason.partition("report.json: ")[2] or reason
