"""Which scans of a folder to annotate next: those that a model is unsure of and that stand for many others."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from organincrement.contract import codec
from organincrement.contract.files import write_atomic
from organincrement.contract.results import SuggestedImage, Suggestions
from organincrement.evaluation.suggestion_report import ShownSuggestion, render_suggestions
from organincrement.imaging.errors import ImageError
from organincrement.imaging.preflight import image_stem, image_suffix
from organincrement.imaging.safe_read import read_image
from organincrement.inference.pooled_features import PooledFeatures
from organincrement.models.package import LoadedModel, load_package
from organincrement.planning.scan_facts import body_mask
from organincrement.planning.scan_pictures import coronal_picture
from organincrement.planning.teacher_view import Asked, on_model_grid
from organincrement.replay.suggestion import suggest_items
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.looking import asked_model, made_folder, named_within
from organincrement.workflows.scan_in_work import ScanInWork, Working, nobody_asks

Progress = Callable[[int, int, str], None]
_MOST_PICTURES = 60  # a page of some megabytes


@dataclass(frozen=True, kw_only=True)
class SuggestRequest:
    """What to choose from, with what. out: None writes nothing. working: told of the windows of the scan in work."""

    model: Path
    images: Path
    count: int
    out: Path | None = None
    device: str = "auto"
    progress: Progress = lambda done, total, name: None
    between: Callable[[], None] = lambda: None
    notice: Callable[[str], None] = lambda line: None
    working: Working = nobody_asks


@dataclass(frozen=True, kw_only=True)
class Suggested:
    """The choice, how many scans there were to choose from, and why some could not be read (one line each)."""

    suggestions: Suggestions
    read: int
    left_out: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Seen:
    path: str
    features: np.ndarray
    uncertainty: float


def suggest(request: SuggestRequest) -> Suggested:
    """Rank the scans of a folder.

    Writes suggestions.json and suggestions.html into `out`; paths in them count from the images' folder.
    Raises: WorkflowError where the folder holds no image, or none that can be read.
    """
    if request.count < 1:
        raise WorkflowError(f"--count {request.count}: ask for at least one scan")
    paths = images_in(request.images)
    model = load_package(request.model)
    at = ScanInWork(request.working, len(paths))
    asked = asked_model(model, request.device, request.between, request.notice, at.within)
    if request.out is not None:
        made_folder(request.out)
    pool = PooledFeatures(asked.network, model.manifest.inference.patch, asked.device)
    seen: list[_Seen] = []
    left_out: list[str] = []
    for done, path in enumerate(paths, start=1):
        at.begin(done - 1, path.name)
        try:
            seen.append(_look_at(path, request.images, asked, pool))
        except ImageError as error:
            left_out.append(named_within(error, request.images))
        request.progress(done, len(paths), path.name)
    if not seen:
        raise WorkflowError(f"{request.images.name}: no image could be read: {left_out[0]}")
    suggestions = _ranked(seen, request.count)
    result = Suggested(suggestions=suggestions, read=len(seen), left_out=tuple(left_out))
    if request.out is not None:
        _write(request, model, result)
    return result


def images_in(folder: Path) -> list[Path]:
    """Every image file of a folder, and every folder in it that may be a DICOM series, by name.

    Raises: WorkflowError where it is no folder or holds none.
    """
    if not folder.is_dir():
        raise WorkflowError(f"{folder.name}: is not a folder; give the folder with the images")
    shown = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    paths = [path for path in shown if path.is_dir() or _is_scan(path)]
    if not paths:
        raise WorkflowError(f"{folder.name}: holds no images that can be read; give the folder with the images")
    return paths


def _is_scan(path: Path) -> bool:
    return image_suffix(path) is not None and not path.name.lower().endswith(".seg.nrrd")


def _look_at(path: Path, root: Path, asked: Asked, pool: PooledFeatures) -> _Seen:
    image = on_model_grid(read_image(path), asked.manifest.preprocessing)
    body_DHW = body_mask(image.array_DHW, ct=asked.manifest.trained_on.modality == "CT")
    if not body_DHW.any():
        raise ImageError(f"{path}: shows nothing but air")
    with pool:
        percent_DHW = asked.predict(image).uncertainty_DHW
    if pool.mean is None or percent_DHW is None:
        raise ImageError(f"{path}: shows nothing but air")
    return _Seen(
        path=path.relative_to(root).as_posix(), features=pool.mean, uncertainty=float(percent_DHW[body_DHW].mean())
    )


def _ranked(seen: list[_Seen], count: int) -> Suggestions:
    features = np.stack([scan.features for scan in seen])
    chosen = suggest_items(features, np.array([scan.uncertainty for scan in seen]), count)
    return Suggestions(
        images=tuple(
            SuggestedImage(
                path=seen[item.index].path, rank=rank, uncertainty=round(seen[item.index].uncertainty, 4),
                coverage_gain=round(item.gain, 6),
            )
            for rank, item in enumerate(chosen, start=1)
        )
    )  # fmt: skip


def _write(request: SuggestRequest, model: LoadedModel, result: Suggested) -> None:
    if request.out is None:
        return
    codec.write(result.suggestions, request.out / "suggestions.json")
    shown = [_shown(row, request.images, model) for row in result.suggestions.images]
    page = render_suggestions(shown, model=model.manifest.name, read=result.read, left_out=result.left_out)
    write_atomic(request.out / "suggestions.html", page)


def _shown(row: SuggestedImage, root: Path, model: LoadedModel) -> ShownSuggestion:
    path = root / row.path
    name = path.name if path.is_dir() else image_stem(path)
    if row.rank > _MOST_PICTURES:
        return ShownSuggestion(row=row, name=name)
    image = on_model_grid(read_image(path), model.manifest.preprocessing)
    body_DHW = body_mask(image.array_DHW, ct=model.manifest.trained_on.modality == "CT")
    return ShownSuggestion(row=row, name=name, picture=coronal_picture(image, body_DHW, title=name))
