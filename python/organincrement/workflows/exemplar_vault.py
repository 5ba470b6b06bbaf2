"""A job's exemplars: the plan's vault, checked against the teacher, as cases that are read where they lie."""

from pathlib import Path

from organincrement.contract.job import JobFolder
from organincrement.contract.model import Preprocessing
from organincrement.models.package import LoadedModel
from organincrement.replay.vault import ExemplarCase, check_fits, open_vault


def check_vault(folder: Path, teacher: LoadedModel, preprocessing: Preprocessing, method: str) -> None:
    """Refuse a vault that cannot serve this teacher and method. Raises: ReplayError."""
    ancestors = {teacher.sha256, *(step.sha256 for step in teacher.manifest.lineage)}
    check_fits(open_vault(folder).vault, folder, ancestors, preprocessing, method)


def exemplar_cases(folder: Path | None, job: JobFolder) -> tuple[ExemplarCase, ...]:
    """The exemplars of a job, noted in its reads.log by number and hash; none without a vault.

    They stay in the vault: nothing of them goes into the job's cache. Raises: ReplayError for a file that has changed.
    """
    if folder is None:
        return ()
    opened = open_vault(folder)
    cases = opened.cases()
    for case, exemplar in zip(cases, opened.vault.exemplars, strict=True):
        job.log_read(case.id, exemplar.sha256)
    return cases
