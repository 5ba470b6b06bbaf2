"""Segmenting scans with a package: segmentation, uncertainty, uncertain regions, report."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from organincrement import __version__
from organincrement.contract import codec
from organincrement.contract.files import sha256_file
from organincrement.contract.results import SegmentedOrgan, SegmentReport
from organincrement.imaging.preflight import image_stem
from organincrement.imaging.safe_read import read_image
from organincrement.imaging.volume import Volume
from organincrement.imaging.writing import write_segmentation, write_volume
from organincrement.inference.components import largest_components
from organincrement.inference.predict import Prediction, PredictionSettings, UncertaintyKind, predict_within_memory
from organincrement.inference.regions import uncertain_regions
from organincrement.models.package import LoadedModel, load_package
from organincrement.training.device import Hardware, resolve_hardware
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.scan_in_work import ScanInWork, Working, nobody_asks


@dataclass(frozen=True, kw_only=True)
class SegmentRequest:
    """What to segment, with what, where to.

    between: called between windows; may raise to stop. notice: told, in a line, of what goes otherwise than asked.
    progress: told how many scans are done, of how many, and the last one's name. working: told of windows as well.
    """

    model: Path
    out: Path
    images: Sequence[Path]
    uncertainty: UncertaintyKind = "perturbation"
    largest_component: bool = False
    device: str = "auto"
    between: Callable[[], None] = lambda: None
    notice: Callable[[str], None] = lambda line: None
    progress: Callable[[int, int, str], None] = lambda done, total, name: None
    working: Working = nobody_asks


def segment(request: SegmentRequest) -> Iterator[Path]:
    """Segment each image into its own folder under `out`. Yields: that folder, as soon as it is whole.

    Raises: WorkflowError, ImageError, ContractError or ModelError; folders yielded before stay.
    """
    cases = {image_stem(image): image for image in request.images}
    if len(cases) < len(request.images):
        raise WorkflowError("two images have the same name: segment them into different folders")
    for image in request.images:
        if not image.exists():
            raise WorkflowError(f"{image.name}: there is no such file")
    model = load_package(request.model)
    hardware = resolve_hardware(request.device, "auto")
    at = ScanInWork(request.working, len(cases))
    for done, (name, image) in enumerate(cases.items()):
        at.begin(done, name)
        folder = segment_case(model, image, request.out / name, request, hardware, at.within)
        request.progress(done + 1, len(cases), name)
        yield folder


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
        notice=request.notice, progress=within,
    )  # fmt: skip
    ran_on = hardware if prediction.device == hardware.device else resolve_hardware("cpu", "auto")
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").unlink(missing_ok=True)  # it comes last, and says that the others are whole
        _write_results(model, image, prediction, folder)
        report = SegmentReport(
            model=model.manifest.name,
            model_sha256=model.sha256,
            input_sha256=_input_sha256(image_path),
            organs=_organ_rows(model, image, prediction),
            seconds=round(time.monotonic() - started, 2),
            device=ran_on.description,
            versions={"organincrement": __version__, "torch": torch.__version__},
        )
        codec.write(report, folder / "report.json")
    except BaseException:
        if is_new:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _write_results(model: LoadedModel, image: Volume, prediction: Prediction, folder: Path) -> None:
    labels = image.with_array(prediction.labels_DHW)
    write_segmentation(folder / "segmentation.seg.nrrd", labels, model.organs)
    if prediction.uncertainty_DHW is not None:
        write_volume(folder / "uncertainty.nrrd", image.with_array(prediction.uncertainty_DHW))
        codec.write(uncertain_regions(labels, prediction.uncertainty_DHW, model.organs), folder / "regions.json")


def run_model(
    model: LoadedModel,
    image: Volume,
    hardware: Hardware,
    uncertainty: UncertaintyKind,
    between: Callable[[], None] = lambda: None,
    *,
    largest_component: bool = False,
    notice: Callable[[str], None] = lambda line: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Prediction:
    """Labels and uncertainty of a scan on its own grid; with `largest_component`, each organ's largest part only.

    Where memory does not suffice: in smaller tiles, then on the CPU; `notice` is told. progress: told of the windows.
    Raises: MemoryError.
    """
    settings = PredictionSettings(
        uncertainty=uncertainty, autocast=hardware.autocast, between=between, progress=progress
    )
    with torch.inference_mode():
        prediction = predict_within_memory(model.network, model.manifest, image, hardware.device, settings, notice)
    if not largest_component:
        return prediction
    return replace(prediction, labels_DHW=largest_components(prediction.labels_DHW, len(model.organs)))


def _organ_rows(model: LoadedModel, image: Volume, prediction: Prediction) -> tuple[SegmentedOrgan, ...]:
    channels = 1 + len(model.organs)
    counts, sums = np.zeros(channels), np.zeros(channels)
    for i, labels_HW in enumerate(prediction.labels_DHW):  # slice by slice: bincount makes eight-byte copies
        counts += np.bincount(labels_HW.ravel(), minlength=channels)
        if prediction.uncertainty_DHW is not None:
            sums += np.bincount(labels_HW.ravel(), prediction.uncertainty_DHW[i].ravel(), minlength=channels)
    unknown = prediction.uncertainty_DHW is None
    voxel_mm3 = float(np.prod(image.spacing_mm))
    return tuple(
        SegmentedOrgan(
            id=organ, volume_mm3=round(float(counts[i] * voxel_mm3), 2),
            mean_uncertainty=None if unknown or counts[i] == 0 else round(float(sums[i] / counts[i]), 3),
        )
        for i, organ in enumerate(model.organs.ids, start=1)
    )  # fmt: skip


def _input_sha256(path: Path) -> str:
    """Of a file, or of a DICOM folder's files in the order of their names."""
    if path.is_file():
        return sha256_file(path)
    import hashlib

    digest = hashlib.sha256()
    for file in sorted(path.iterdir()):
        if file.is_file():
            digest.update(sha256_file(file).encode())
    return digest.hexdigest()
