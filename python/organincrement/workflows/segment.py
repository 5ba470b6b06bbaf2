"""Segmenting scans with a package: segmentation, uncertainty, uncertain regions, report."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from organincrement import __version__
from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.files import remove_partials
from organincrement.contract.package import manifest_sha256, read_manifest
from organincrement.contract.results import SegmentReport
from organincrement.imaging.dicom_writing import MadeBy
from organincrement.imaging.preflight import image_stem
from organincrement.imaging.safe_read import read_image
from organincrement.imaging.volume import Volume
from organincrement.imaging.writing import write_segmentation, write_volume
from organincrement.inference.components import largest_components
from organincrement.inference.memory import roomy_budget_bytes
from organincrement.inference.predict import Prediction, PredictionSettings, UncertaintyKind, predict_within_memory
from organincrement.inference.regions import uncertain_regions
from organincrement.models.package import LoadedModel, load_package
from organincrement.training.device import Hardware, resolve_hardware
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.export_results import ExportFormat, Result, check_exports, export_beside
from organincrement.workflows.fan_out import Crew, Line, Waiting, fan_out
from organincrement.workflows.fan_out_ledger import Ledger
from organincrement.workflows.fan_out_size import sized
from organincrement.workflows.input_hash import input_sha256, is_dicom
from organincrement.workflows.looking import hardware_for_scans
from organincrement.workflows.organ_rows import organ_rows
from organincrement.workflows.scan_in_work import Working, nobody_asks


@dataclass(frozen=True, kw_only=True)
class SegmentRequest:
    """What to segment, with what, where to.

    between: called between windows; may raise to stop. notice: told, in a line, of what goes otherwise than asked.
    progress: told how many scans are done, of how many, and the last one's name. working: told of windows as well.
    exports: other formats to write beside the results. crew: who does it. own_precision: a model of another tool is
    computed as that tool does it, where half precision would be faster.
    """

    model: Path
    out: Path
    images: Sequence[Path]
    uncertainty: UncertaintyKind = "perturbation"
    largest_component: bool = False
    device: str = "auto"
    own_precision: bool = True
    exports: tuple[ExportFormat, ...] = ()
    between: Callable[[], None] = lambda: None
    notice: Callable[[str], None] = lambda line: None
    progress: Callable[[int, int, str], None] = lambda done, total, name: None
    working: Working = nobody_asks
    crew: Crew = field(default_factory=Crew)


def segment(request: SegmentRequest) -> Iterator[Path]:
    """Segment each image into its own folder under `out`. Yields: that folder, as soon as it is whole.

    One that cannot be segmented does not keep the others from it. Where others than this process do it, and it was
    stopped, the same request goes on with what is not whole yet. Raises: WorkflowError, ImageError, ContractError or
    ModelError; folders yielded before stay.
    """
    cases = {image_stem(image): image for image in request.images}
    if len(cases) < len(request.images):
        raise WorkflowError("two images have the same name: segment them into different folders")
    for image in request.images:
        if not image.exists():
            raise WorkflowError(f"{image.name}: there is no such file")
    check_exports(request.exports, {request.out / name: image for name, image in cases.items()})
    manifest, crew = read_manifest(request.model), request.crew
    crew = sized(crew, list(cases.values()), model=manifest, device=request.device)
    work = _Segmenting(
        model=crew.seen(request.model), uncertainty=request.uncertainty, exports=request.exports,
        largest_component=request.largest_component, device=request.device, own_precision=request.own_precision,
    )  # fmt: skip
    waiting = Waiting(
        between=request.between, notice=request.notice, progress=request.progress, working=request.working
    )
    with Ledger.of(request.out, work.settings(manifest_sha256(request.model)), keep=crew.is_shared) as ledger:
        items = {
            name: _Scan(image=crew.seen(image), folder=crew.seen(request.out) / name, is_known=name in ledger.done)
            for name, image in cases.items()
        }
        for name, input_hash in fan_out(work, items, crew, waiting):
            ledger.add(name, input_hash)
            yield request.out / name
        ledger.finish()


@dataclass(frozen=True, kw_only=True)
class _Scan:
    """One image and the folder for its results. is_known: whether a run with the same settings has made these."""

    image: Path
    folder: Path
    is_known: bool


@dataclass(frozen=True, kw_only=True)
class _Segmenting:
    """Segmenting scans, wherever that is done. Its results: the SHA-256 of each scan."""

    model: Path
    uncertainty: UncertaintyKind
    largest_component: bool
    device: str
    own_precision: bool
    exports: tuple[ExportFormat, ...]

    def settings(self, model_sha256: str) -> dict[str, object]:
        """On what the results depend besides the scans."""
        return {
            "model": model_sha256, "uncertainty": self.uncertainty, "largest_component": self.largest_component,
            "device": self.device, "own_precision": self.own_precision, "exports": self.exports,
        }  # fmt: skip

    def begin(self) -> Callable[[_Scan, Line], str]:
        """Open the model."""
        model, hardware = load_package(self.model), hardware_for_scans(self.device)

        def do(scan: _Scan, line: Line) -> str:
            if scan.is_known and (known := _whole(scan, model.sha256)):
                return known
            request = SegmentRequest(
                model=self.model, out=scan.folder.parent, images=(), uncertainty=self.uncertainty,
                largest_component=self.largest_component, device=self.device, exports=self.exports,
                own_precision=self.own_precision, between=line.between, notice=line.notice,
            )  # fmt: skip
            segment_case(model, scan.image, scan.folder, request, hardware, line.within)
            return codec.read(SegmentReport, scan.folder / "report.json").input_sha256

        return do


def _whole(scan: _Scan, model_sha256: str) -> str | None:
    """The scan's hash where its results are whole, of this model and of the scan as it is now; else None."""
    try:
        report = codec.read(SegmentReport, scan.folder / "report.json")
    except ContractError:
        return None
    if report.model_sha256 != model_sha256 or report.input_sha256 != input_sha256(scan.image):
        return None
    return report.input_sha256 if (scan.folder / "segmentation.seg.nrrd").is_file() else None


def segment_case(
    model: LoadedModel,
    image_path: Path,
    folder: Path,
    request: SegmentRequest,
    hardware: Hardware,
    within: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Segment one image into a folder. Args: within: told of its windows.

    Returns: the folder; where writing fails, a new one does not stay.
    """
    started = time.monotonic()
    image = read_image(image_path)
    prediction = run_model(
        model, image, hardware, request.uncertainty, request.between, largest_component=request.largest_component,
        own_precision=request.own_precision, notice=request.notice, progress=within,
    )  # fmt: skip
    ran_on = hardware if prediction.device == hardware.device else resolve_hardware("cpu", "auto")
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_partials(folder)  # of a process that was killed while it wrote
        (folder / "report.json").unlink(missing_ok=True)  # it comes last, and says that the others are whole
        _write_results(model, image, prediction, folder)
        export_beside(_result(model, image, prediction), request.exports, folder, image_path, request.notice)
        seconds = round(time.monotonic() - started, 2)
        report = _report(model, image.with_array(prediction.labels_DHW), prediction, image_path, ran_on, seconds)
        codec.write(report, folder / "report.json")
    except BaseException:
        if is_new:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _report(
    model: LoadedModel, labels: Volume, prediction: Prediction, image_path: Path, ran_on: Hardware, seconds: float
) -> SegmentReport:
    return SegmentReport(
        model=model.manifest.name, model_sha256=model.sha256, input_sha256=input_sha256(image_path),
        organs=organ_rows(labels, prediction.uncertainty_DHW, model.organs), seconds=seconds,
        device=ran_on.description, versions={"organincrement": __version__, "torch": torch.__version__},
        input_is_dicom=is_dicom(image_path),
    )  # fmt: skip


def _write_results(model: LoadedModel, image: Volume, prediction: Prediction, folder: Path) -> None:
    labels = image.with_array(prediction.labels_DHW)
    write_segmentation(folder / "segmentation.seg.nrrd", labels, model.organs)
    if prediction.uncertainty_DHW is not None:
        write_volume(folder / "uncertainty.nrrd", image.with_array(prediction.uncertainty_DHW))
        codec.write(uncertain_regions(labels, prediction.uncertainty_DHW, model.organs), folder / "regions.json")
    else:
        for name in ("uncertainty.nrrd", "regions.json"):  # an earlier run's, of another segmentation
            (folder / name).unlink(missing_ok=True)


def _result(model: LoadedModel, image: Volume, prediction: Prediction) -> Result:
    labels_DHW = prediction.labels_DHW.astype(np.uint8 if len(model.organs) < 256 else np.uint16, copy=False)
    percent_DHW = prediction.uncertainty_DHW
    return Result(
        labels=image.with_array(labels_DHW),
        organs=dict(enumerate(model.organs.organs, 1)),
        uncertainty=None if percent_DHW is None else image.with_array(percent_DHW),
        made_by=MadeBy(model=model.manifest.name, sha256=model.sha256),
    )


def run_model(
    model: LoadedModel,
    image: Volume,
    hardware: Hardware,
    uncertainty: UncertaintyKind,
    between: Callable[[], None] = lambda: None,
    *,
    largest_component: bool = False,
    own_precision: bool = True,
    notice: Callable[[str], None] = lambda line: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Prediction:
    """Labels and uncertainty of a scan on its own grid; with `largest_component`, each organ's largest part only.

    Where memory does not suffice: in smaller tiles, then on the CPU; `notice` is told. progress: told of the windows.
    Raises: MemoryError.
    """
    settings = PredictionSettings(
        uncertainty=uncertainty, autocast=hardware.autocast, between=between, progress=progress,
        own_precision=own_precision, budget_bytes=roomy_budget_bytes(hardware.device),
    )  # fmt: skip
    with torch.inference_mode():
        prediction = predict_within_memory(model.network, model.manifest, image, hardware.device, settings, notice)
    if not largest_component:
        return prediction
    return replace(prediction, labels_DHW=largest_components(prediction.labels_DHW, len(model.organs)))
