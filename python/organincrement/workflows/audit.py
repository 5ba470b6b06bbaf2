"""Do the scans and labels of a dataset fit a teacher? Asked before training: audit.json and audit.html."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from organincrement.contract import codec
from organincrement.contract.dataset import Case, DatasetFolder
from organincrement.contract.errors import ContractError
from organincrement.contract.files import sha256_file, write_atomic
from organincrement.contract.model import ModelManifest
from organincrement.contract.package import manifest_sha256, read_manifest
from organincrement.contract.results import Audit
from organincrement.evaluation.audit_report import render_audit
from organincrement.evaluation.story import SlicePicture
from organincrement.imaging.errors import ImageError
from organincrement.imaging.safe_read import read_image, read_labels
from organincrement.models.package import load_package
from organincrement.planning.audit import judge, poorly_known
from organincrement.planning.evidence import measure_scan, measured_with_label, picture_of
from organincrement.planning.findings import CaseEvidence
from organincrement.planning.teacher_view import Asked
from organincrement.workflows.audit_pictures import Pictures
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.fan_out import Crew, Line, Waiting, fan_out
from organincrement.workflows.fan_out_ledger import Ledger
from organincrement.workflows.fan_out_size import sized
from organincrement.workflows.looking import asked_model, made_folder, named_within
from organincrement.workflows.scan_in_work import Working, nobody_asks

MOST_PICTURES = 40


@dataclass(frozen=True, kw_only=True)
class AuditRequest:
    """What to look at, with what, where to.

    between: called between windows, may raise to stop. notice: told, in a line, where memory makes it slower.
    working: told of the windows of the scan in work. crew: who does it.
    """

    teacher: Path
    dataset: Path
    out: Path
    device: str = "auto"
    progress: Callable[[int, int, str], None] = lambda done, total, name: None
    between: Callable[[], None] = lambda: None
    notice: Callable[[str], None] = lambda line: None
    working: Working = nobody_asks
    crew: Crew = field(default_factory=Crew)


def audit(request: AuditRequest) -> Audit:
    """Look at every case; write audit.json and audit.html into `out`.

    A case that cannot be read is unusable, and no error. Where others than this process look, and it was stopped, the
    same request goes on with the cases that are left. Raises: WorkflowError where the dataset has no case;
    ContractError or ModelError where the dataset or the teacher cannot be opened.
    """
    dataset = DatasetFolder.open(request.dataset)
    cases = {case.id: case for case in dataset.cases()}
    if not cases:
        raise WorkflowError(f"{request.dataset.name}: has no case; import scans first")
    manifest = read_manifest(request.teacher)
    scans = [request.dataset / case.image for case in cases.values()]
    crew = sized(request.crew, scans, model=manifest, device=request.device)
    work = _Looking(teacher=crew.seen(request.teacher), dataset=crew.seen(request.dataset), device=request.device)
    made_folder(request.out)
    settings = {
        "model": manifest_sha256(request.teacher),
        "dataset": codec.to_json(dataset.manifest),
        "device": request.device,
    }
    waiting = Waiting(
        between=request.between, notice=request.notice, progress=request.progress, working=request.working
    )
    with Ledger.of(request.out, settings, keep=crew.is_shared) as ledger:
        found, pictures = _evidence(work, cases, ledger, crew, waiting)
        result = judge([found[name] for name in cases], manifest, dataset.label_space)
        codec.write(result, request.out / "audit.json")
        write_atomic(request.out / "audit.html", _page(result, manifest, dataset, pictures))
        ledger.finish()
    return result


def _evidence(
    work: "_Looking", cases: dict[str, Case], ledger: Ledger, crew: Crew, waiting: Waiting
) -> tuple[dict[str, CaseEvidence], Pictures]:
    """Of every case; the pictures of those that have one."""
    pictures = Pictures(ledger.folder)
    items = {name: _Item(case=case, known=ledger.inputs_of(name)) for name, case in cases.items()}
    found: dict[str, CaseEvidence] = {}
    for name, (inputs, evidence, picture) in fan_out(work, items, crew, waiting):
        found[name] = evidence or codec.from_json(CaseEvidence, ledger.done[name].result, where="done.jsonl")
        if evidence is not None:
            pictures.keep(name, picture)
        if evidence is None or evidence.failure is None:  # a scan that could not be read may be there the next time
            ledger.add(name, inputs, found[name])
    return found, pictures


@dataclass(frozen=True, kw_only=True)
class _Item:
    """A case. known: the hash of what an earlier run has looked at, "" or None where it has not: see `Ledger`."""

    case: Case
    known: str | None


@dataclass(frozen=True, kw_only=True)
class _Looking:
    """Looking at cases, wherever that is done. Results: hash of the inputs, evidence (None where known), picture."""

    teacher: Path
    dataset: Path
    device: str

    def begin(self) -> Callable[[_Item, Line], tuple[str, CaseEvidence | None, SlicePicture | None]]:
        """Open the teacher and the dataset."""
        model, dataset = load_package(self.teacher), DatasetFolder.open(self.dataset)
        ready = asked_model(model, self.device)

        def do(item: _Item, line: Line) -> tuple[str, CaseEvidence | None, SlicePicture | None]:
            inputs = "" if item.known is None else _inputs_sha256(dataset, item.case)
            if item.known and inputs == item.known:
                return inputs, None, None
            asked = replace(ready, between=line.between, notice=line.notice, within=line.within)
            return inputs, *look_at_case(dataset, item.case, asked)

        return do


def _inputs_sha256(dataset: DatasetFolder, case: Case) -> str:
    """Of the scan and the label; "" where one of them is not to be had, which the look at the case will say."""
    try:
        paths = [dataset.image_path(case), *([] if case.label is None else [dataset.label_path(case)])]
        return hashlib.sha256("\n".join(map(sha256_file, paths)).encode()).hexdigest()
    except (ContractError, OSError):
        return ""


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


def _page(result: Audit, manifest: ModelManifest, dataset: DatasetFolder, pictures: Pictures) -> str:
    """Pictures of the cases that do not fit come first; beyond MOST_PICTURES the page would be too large to open."""
    order = {"unusable": 0, "doubtful": 1, "fits": 2}
    ranked = sorted(result.cases, key=lambda case: order[case.verdict])
    seen = [case.id for case in ranked if pictures.has(case.id)][:MOST_PICTURES]
    shown = [pictures.of(case_id) for case_id in seen]
    return render_audit(
        result, teacher=manifest.name, dataset=dataset.manifest.name, old=manifest.label_space,
        new=dataset.label_space, pictures=shown, poorly_known=poorly_known(manifest),
    )  # fmt: skip
