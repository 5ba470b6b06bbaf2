"""What a file or folder is: an image, a dataset, a model package, a job; read from headers and manifests."""

from pathlib import Path
from typing import Any

import numpy as np

from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.job import JobFolder
from organincrement.contract.package import read_manifest
from organincrement.imaging.geometry import nearest_index, orientation_code
from organincrement.imaging.safe_read import read_stored
from organincrement.workflows.errors import WorkflowError


def inspect_path(path: Path, points: Path | None = None) -> dict[str, Any]:
    """Facts about a path.

    Args: points: .npy of (n, ≥3) L, P, S positions in mm; adds `samples`, null outside the image.
    Raises: WorkflowError, ImageError or ContractError with the reason it is refused.
    """
    if not path.exists():
        raise WorkflowError(f"{path.name}: there is no such file or folder")
    if path.is_dir():
        for name, describe in (("dataset.json", _dataset), ("model.json", _model), ("plan.json", _job)):
            if (path / name).is_file():
                return describe(path)
    elif path.suffix == ".oimodel":
        return _model(path)
    return _image(path, points)


def _image(path: Path, points: Path | None) -> dict[str, Any]:
    volume = read_stored(path)
    facts = {
        "kind": "image", "shape": list(volume.shape_DHW), "spacing": [float(mm) for mm in volume.spacing_mm],
        "origin": [float(mm) for mm in volume.origin_mm], "direction": volume.direction.tolist(),
        "orientation": orientation_code(volume), "type": str(volume.array_DHW.dtype),
    }  # fmt: skip
    if points is not None:
        positions = _positions(points)
        index, inside = nearest_index(volume, positions)
        values = volume.array_DHW[tuple(index.T)]
        facts["samples"] = [float(value) if within else None for value, within in zip(values, inside, strict=True)]
    return facts


def _positions(path: Path) -> np.ndarray:
    try:
        points = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise WorkflowError(f"{path.name}: cannot be read as an array of points ({error})") from error
    if points.ndim != 2 or points.shape[1] < 3 or not np.issubdtype(points.dtype, np.number):
        raise WorkflowError(f"{path.name}: points must be numbers in an (n, 3) array, not {points.shape}")
    return points[:, :3].astype(float)


def _dataset(path: Path) -> dict[str, Any]:
    dataset = DatasetFolder.open(path)
    statuses = [case.status for case in dataset.cases()]
    counts = {status: statuses.count(status) for status in sorted(set(statuses))}
    return {"kind": "dataset", "name": dataset.manifest.name, "organs": list(dataset.label_space.ids), "cases": counts}


def _model(path: Path) -> dict[str, Any]:
    manifest = read_manifest(path)
    return {
        "kind": "model",
        "name": manifest.name,
        "organs": list(manifest.label_space.ids),
        "network": manifest.network.kind,
        "parameters": manifest.network.parameters,
        "lineage": [step.name for step in manifest.lineage],
        "recommended": manifest.metrics.recommended,
        "licence": manifest.licence,
    }


def _job(path: Path) -> dict[str, Any]:
    status = JobFolder.open(path).status()
    return {"kind": "job", "state": status.state, "step": status.step, "total_steps": status.total_steps}
