"""What `inspect` says of a path; runs in a limited process of its own, and answers in JSON values."""

import stat
from pathlib import Path
from typing import Any

import numpy as np

from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.errors import ContractError
from organincrement.contract.job import JobFolder
from organincrement.contract.model import TorchScriptHead
from organincrement.contract.package import member_stream, read_manifest
from organincrement.imaging.errors import ImageError
from organincrement.imaging.geometry import orientation_code
from organincrement.imaging.safe_read import Examined, examine
from organincrement.models.confirmed_code import WHAT_CONFIRMING_DOES, was_confirmed
from organincrement.models.errors import ModelError
from organincrement.models.runnable import why_not_runnable
from organincrement.networks.errors import NetworkError
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.model_facts import OWN, model_facts
from organincrement.workflows.model_signs import may_be_model

MAX_POINTS = 1_000_000
FORMATS = {"nifti": "NIfTI", "nrrd": "NRRD", "metaimage": "MetaImage", "dicom": "DICOM",
           "segmentation": "DICOM segmentation"}  # fmt: skip
NUMPY_MARK = b"\x93NUMPY"


def answer(path: str, points: str | None) -> dict[str, Any]:
    """The facts, or the kind and message of the error by which the path is refused."""
    try:
        return {"facts": _facts(Path(path), None if points is None else Path(points))}
    except (ContractError, ImageError, ModelError, NetworkError, WorkflowError) as error:
        return {"refused": type(error).__name__, "message": str(error)}
    except OSError as error:
        reason = error.strerror or "the system refuses it"
        return {
            "refused": "WorkflowError",
            "message": f"{path}: cannot be read ({reason}); check the path and its disk",
        }


def _facts(path: Path, points: Path | None) -> dict[str, Any]:
    if _is_folder(path):
        for name, describe in (("model.json", _model), ("plan.json", _job)):
            if (path / name).is_file():
                return describe(path)
        foreign = _foreign(path)
        if foreign is None and (path / "dataset.json").is_file():
            return _dataset(path)
        return foreign or _image(path, points)
    if path.suffix == ".oimodel":
        return _model(path)
    return _foreign(path) or _image(path, points)


def _is_folder(path: Path) -> bool:
    """Whether a path that is there is a folder; raises WorkflowError when it is not there or leads nowhere."""
    try:
        is_link = stat.S_ISLNK(path.lstat().st_mode)
        found = path.exists()
    except (FileNotFoundError, NotADirectoryError):
        raise WorkflowError(f"{path.name}: there is no such file or folder") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "impossible name"
        raise WorkflowError(f"{path.name[:200]}: cannot be looked at ({reason}); check the path") from None
    if is_link and not found:
        raise WorkflowError(f"{path.name}: is a link that leads nowhere; give the file itself")
    return path.is_dir()


def _image(path: Path, points: Path | None) -> dict[str, Any]:
    positions = np.empty((0, 3)) if points is None else _positions(points)
    image = examine(path, positions)
    header = image.header
    facts = {
        "kind": "image", "format": FORMATS[header.kind], "shape": list(header.shape_DHW),
        "spacing": list(header.spacing_mm), "origin": list(header.origin_mm),
        "direction": (header.direction + 0.0).tolist(), "orientation": orientation_code(header),
        "type": str(image.dtype),
    }  # fmt: skip
    if image.segments is not None:
        facts["segments"] = image.segments
    if points is not None:
        facts["samples"] = _samples(image)
    return facts


def _samples(image: Examined) -> list[float | int | None]:
    return [value if within else None for value, within in zip(image.values.tolist(), image.inside, strict=True)]


def _positions(path: Path) -> np.ndarray:
    try:
        if not path.is_file():
            raise WorkflowError(f"{path.name}: is no file of points; write them with numpy.save")
        with path.open("rb") as file:
            # A zip of arrays could unpack to any size.
            if file.read(len(NUMPY_MARK)) != NUMPY_MARK:
                raise WorkflowError(f"{path.name}: is no .npy file; write the points with numpy.save")
        points = np.load(path, allow_pickle=False, mmap_mode="r")
    except (WorkflowError, MemoryError):
        raise
    except Exception as error:  # numpy evaluates the header's text, which may be anything
        raise WorkflowError(f"{path.name}: cannot be read as an array of points ({error}); write it again") from None
    if points.ndim != 2 or points.shape[1] < 3 or points.dtype.kind not in "iuf":
        raise WorkflowError(f"{path.name}: points must be numbers in an (n, 3) array, not {points.shape}")
    if len(points) > MAX_POINTS:
        raise WorkflowError(f"{path.name}: has {len(points)} points; give at most {MAX_POINTS} at a time")
    return points[:, :3].astype(float)


def _dataset(path: Path) -> dict[str, Any]:
    dataset = DatasetFolder.open(path)
    statuses = [case.status for case in dataset.cases()]
    counts = {status: statuses.count(status) for status in sorted(set(statuses))}
    return {"kind": "dataset", "name": dataset.manifest.name, "organs": list(dataset.label_space.ids), "cases": counts}


def _model(path: Path) -> dict[str, Any]:
    manifest = read_manifest(path)
    code = [one.sha256 for one in manifest.weights if isinstance(manifest.head, TorchScriptHead)]
    if isinstance(manifest.head, TorchScriptHead):
        why_not = "" if all(map(was_confirmed, code)) else WHAT_CONFIRMING_DOES
    else:
        why_not = why_not_runnable(manifest)
    try:
        for weights in manifest.weights:
            with member_stream(path, weights.file, limit_bytes=weights.bytes):
                pass  # it is there, and not too long; its hash takes as long as loading it
    except ContractError as error:
        why_not = str(error)
    return model_facts(manifest, OWN, why_not=why_not)


def _foreign(path: Path) -> dict[str, Any] | None:
    """Of a model of another tool; None for what is none."""
    if not may_be_model(path):
        return None
    # torch takes a second to import, and nothing else here needs it
    from organincrement.workflows.foreign_facts import foreign_facts

    return foreign_facts(path)


def _job(path: Path) -> dict[str, Any]:
    job = JobFolder.open(path)
    job.plan()  # refuses a file that only has the name of a plan
    status = job.status()
    return {"kind": "job", "state": status.state, "step": status.step, "total_steps": status.total_steps}
