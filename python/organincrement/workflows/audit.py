"""Do the scans and labels of a dataset fit a teacher? Asked before training: audit.json and audit.html."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from organincrement.contract import codec
from organincrement.contract.dataset import Case, DatasetFolder
from organincrement.contract.errors import ContractError
from organincrement.contract.files import write_atomic
from organincrement.contract.results import Audit
from organincrement.evaluation.audit_report import render_audit
from organincrement.evaluation.story import SlicePicture
from organincrement.imaging.errors import ImageError
from organincrement.imaging.safe_read import read_image, read_labels
from organincrement.models.package import LoadedModel, load_package
from organincrement.planning.audit import judge, poorly_known
from organincrement.planning.evidence import measure_scan, measured_with_label, picture_of
from organincrement.planning.findings import CaseEvidence
from organincrement.planning.teacher_view import Asked
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.looking import asked_model, made_folder, named_within
from organincrement.workflows.scan_in_work import ScanInWork, Working, nobody_asks

MOST_PICTURES = 40


@dataclass(frozen=True, kw_only=True)
class AuditRequest:
    """What to look at, with what, where to.

    between: called between windows, may raise to stop. notice: told, in a line, where memory makes it slower.
    working: told of the windows of the scan in work.
    """

    teacher: Path
    dataset: Path
    out: Path
    device: str = "auto"
    progress: Callable[[int, int, str], None] = lambda done, total, name: None
    between: Callable[[], None] = lambda: None
    notice: Callable[[str], None] = lambda line: None
    working: Working = nobody_asks


def audit(request: AuditRequest) -> Audit:
    """Look at every case; write audit.json and audit.html into `out`.

    A case that cannot be read is unusable, and no error. Raises: WorkflowError where the dataset has no case;
    ContractError or ModelError where the dataset or the teacher cannot be opened.
    """
    dataset = DatasetFolder.open(request.dataset)
    cases = dataset.cases()
    if not cases:
        raise WorkflowError(f"{request.dataset.name}: has no case; import scans first")
    model = load_package(request.teacher)
    at = ScanInWork(request.working, len(cases))
    asked = asked_model(model, request.device, request.between, request.notice, at.within)
    made_folder(request.out)
    evidence, pictures = [], {}
    for done, case in enumerate(cases, start=1):
        at.begin(done - 1, case.id)
        found, picture = look_at_case(dataset, case, asked)
        evidence.append(found)
        if picture is not None:
            pictures[case.id] = picture
        request.progress(done, len(cases), case.id)
    result = judge(evidence, model.manifest, dataset.label_space)
    codec.write(result, request.out / "audit.json")
    write_atomic(request.out / "audit.html", _page(result, model, dataset, pictures))
    return result


def look_at_case(dataset: DatasetFolder, case: Case, asked: Asked) -> tuple[CaseEvidence, SlicePicture | None]:
    """Read and measure one case. Returns: the evidence, and a slice to show, None where the scan cannot be read."""
    try:
        image = read_image(dataset.image_path(case))
        labels = None
        if case.label is not None:
            labels = read_labels(dataset.label_path(case), allowed=dataset.label_values, like=image)
    except (ImageError, ContractError) as error:
        return CaseEvidence(id=case.id, failure=named_within(error, dataset.path)), None
    measured = measure_scan(case.id, image, asked)
    if labels is not None:
        measured = measured_with_label(measured, labels, dataset.label_space, asked, dataset.manifest.ignore_value)
    return measured.evidence, picture_of(measured)


def _page(result: Audit, model: LoadedModel, dataset: DatasetFolder, pictures: dict[str, SlicePicture]) -> str:
    """Pictures of the cases that do not fit come first; beyond MOST_PICTURES the page would be too large to open."""
    order = {"unusable": 0, "doubtful": 1, "fits": 2}
    ranked = sorted(result.cases, key=lambda case: order[case.verdict])
    shown = [pictures[case.id] for case in ranked if case.id in pictures][:MOST_PICTURES]
    return render_audit(
        result, teacher=model.manifest.name, dataset=dataset.manifest.name, old=model.organs,
        new=dataset.label_space, pictures=shown, poorly_known=poorly_known(model.manifest),
    )  # fmt: skip
