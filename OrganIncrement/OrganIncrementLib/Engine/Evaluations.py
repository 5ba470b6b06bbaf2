"""What `organincrement evaluate` wrote for a model and a dataset, kept in the workspace's results."""

import hashlib
from pathlib import Path

from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.job import JobFolder
from organincrement.contract.results import Evaluation


def evaluationName(dataset: Path) -> str:
    """The result folder's name for a dataset; two datasets of one name are told apart by where they lie."""
    return f"evaluation-{dataset.name[:40]}-{hashlib.sha256(str(dataset.absolute()).encode()).hexdigest()[:6]}"


def readEvaluation(folder: Path) -> Evaluation | None:
    """The evaluation in a folder; None where there is none that can be read."""
    try:
        return codec.read(Evaluation, folder / "evaluation.json")
    except (ContractError, OSError):
        return None


def reportPage(folder: Path) -> Path | None:
    """The evaluation's page for people, None where there is none."""
    page = folder / "evaluation.html"
    return page if page.is_file() else None


def thresholdOf(student: Path) -> float | None:
    """The agreement from which a student's job recommends it; None where the package is not in its job's folder."""
    try:
        return JobFolder.open(student.parent).plan().validation.recommended_above
    except (ContractError, OSError):
        return None
