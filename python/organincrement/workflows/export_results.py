"""A result in other programs' formats: NIfTI with a table of its labels; DICOM segmentation and parametric map."""

import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from organincrement.contract import codec
from organincrement.contract.labels import Organ
from organincrement.contract.results import LabelledOrgan, LabelTable, SegmentReport
from organincrement.imaging.dicom_source import SourceSeries, on_source_planes, read_source
from organincrement.imaging.dicom_writing import MadeBy, write_dicom_segmentation, write_dicom_uncertainty
from organincrement.imaging.safe_read import read_labels, read_stored
from organincrement.imaging.volume import Volume
from organincrement.imaging.writing import write_nifti
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.input_hash import input_sha256
from organincrement.workflows.merge_inputs import REPORT, MergeInput, open_input

ExportFormat = Literal["nifti", "dicom-seg"]
NIFTI, DICOM = "nifti", "dicom-seg"
NIFTI_LABELS, LABEL_TABLE = "segmentation.nii.gz", "labels.json"
DICOM_SEGMENTATION, DICOM_UNCERTAINTY = "segmentation.dcm", "uncertainty.dcm"
FILES = {NIFTI: (NIFTI_LABELS, LABEL_TABLE), DICOM: (DICOM_SEGMENTATION, DICOM_UNCERTAINTY)}
Notice = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """What to write in which format, where to.

    result: a folder that `segment` or `merge` wrote. series: the scan's DICOM series, for "dicom-seg". other_series:
    the user says that it shows the scan, although the files of another were segmented. notice: told, in a line, of
    what is left out or uncertain.
    """

    result: Path
    out: Path
    format: ExportFormat
    series: Path | None = None
    other_series: bool = False
    notice: Notice = lambda line: None


@dataclass(frozen=True, kw_only=True)
class Result:
    """A segmentation of one scan. organs: by label value. uncertainty: per cent on the same grid, or None."""

    labels: Volume
    organs: Mapping[int, Organ]
    uncertainty: Volume | None
    made_by: MadeBy


def export_results(request: ExportRequest) -> tuple[Path, ...]:
    """Write a result in another format into `out`. Returns: the files, none of them unless all are whole.

    Raises: WorkflowError, ImageError or ContractError in one line: no whole result, another series, what is missing.
    """
    source = None
    if request.format == DICOM:
        source = _series(request)
    result, report = _read(request.result)
    if source is not None:
        on_source_planes(source.header.path, result.labels, source)  # refused before anything is written
        _check_series(request, source, report)
    is_new = not request.out.exists()
    request.out.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".", suffix=".partial", dir=request.out))
    try:
        write_exports(result, (request.format,), staging, source, request.notice)
        written = sorted(staging.iterdir())
        if not written:
            raise WorkflowError(f"{request.result.name}: has no voxel of any organ and no uncertainty to export")
        for name in FILES[request.format]:  # one of another result would seem to belong to these
            (request.out / name).unlink(missing_ok=True)
        return tuple(file.replace(request.out / file.name) for file in written)
    except BaseException:
        if is_new:
            shutil.rmtree(request.out, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def check_exports(formats: Collection[ExportFormat], scans: Mapping[Path, Path]) -> None:
    """Refuse before anything is segmented what could not be exported then. Args: scans: by their result folders.

    Raises: WorkflowError or ImageError.
    """
    if DICOM in formats:
        for folder, scan in scans.items():
            _check_place(folder, scan)
            read_source(scan)


def write_exports(
    result: Result, formats: Collection[ExportFormat], folder: Path, source: SourceSeries | None, notice: Notice
) -> None:
    """Write a result's other formats into a folder. Args: source: for "dicom-seg".

    Raises: ImageError; files written before stay, each of them whole.
    """
    if NIFTI in formats:
        write_nifti(folder / NIFTI_LABELS, result.labels)
        labelled = tuple(LabelledOrgan(value=value, organ=organ) for value, organ in result.organs.items())
        codec.write(LabelTable(labels=labelled), folder / LABEL_TABLE)
    if DICOM in formats:
        assert source is not None
        if result.labels.array_DHW.any():
            target = folder / DICOM_SEGMENTATION
            left_out = write_dicom_segmentation(target, result.labels, result.organs, source, result.made_by)
            if left_out:
                notice(f"no voxel of {', '.join(left_out)}: left out of {DICOM_SEGMENTATION}")
        else:
            notice(f"no voxel of any organ: there is no {DICOM_SEGMENTATION}")
        if result.uncertainty is not None:
            write_dicom_uncertainty(folder / DICOM_UNCERTAINTY, result.uncertainty, source, result.made_by)


def export_beside(
    result: Result, formats: Collection[ExportFormat], folder: Path, scan: Path, notice: Notice
) -> None:  # fmt: skip
    """Write other formats into a folder of results, in place of those that an earlier run may have left there."""
    for names in FILES.values():
        for name in names:
            (folder / name).unlink(missing_ok=True)
    write_exports(result, formats, folder, read_source(scan) if DICOM in formats else None, notice)


def _series(request: ExportRequest) -> SourceSeries:
    if request.series is None:
        raise WorkflowError("a DICOM export needs the scan's DICOM series; name its folder with --dicom")
    if not request.series.exists():
        raise WorkflowError(f"{request.series.name}: there is no such series")
    _check_place(request.out, request.series)
    return read_source(request.series)


def _check_series(request: ExportRequest, source: SourceSeries, report: SegmentReport) -> None:
    """Of the same grid can be another patient, who would be named in the files.

    A result of an image file matches no series, and cannot be told apart from one of another scan.
    """
    path = source.header.path
    if input_sha256(path) == report.input_sha256:
        return
    if report.input_is_dicom and not request.other_series:
        raise WorkflowError(
            f"{path.name}: is not the series that was segmented, but other files on the same grid, perhaps of another "
            "patient; give the series itself, or --other-series where you know that it shows this scan"
        )
    request.notice("the result was not made from the files of this series; their grids agree")


def _check_place(folder: Path, scan: Path) -> None:
    """A segmentation among the slices would make the series unreadable."""
    series = scan if scan.is_dir() else scan.parent
    if folder.resolve() == series.resolve():
        raise WorkflowError(f"{folder.name}: holds the scan's own DICOM series; write the result elsewhere")


def _read(path: Path) -> tuple[Result, SegmentReport]:
    """The result, and what is noted of its making."""
    opened = open_input(MergeInput(path=path))
    if opened.report is None:
        raise WorkflowError(f"{path.name}: has no {REPORT}, so it is no whole result; segment the scan anew")
    labels = read_labels(opened.labels, allowed=opened.organs)
    result = Result(
        labels=labels,
        organs=opened.organs,
        uncertainty=read_stored(opened.uncertainty) if opened.uncertainty else None,
        made_by=MadeBy(model=opened.report.model, sha256=opened.report.model_sha256),
    )
    return result, opened.report
