"""One window of intensities for networks that were trained with different ones."""

from collections.abc import Sequence

from organincrement.contract.model import Normalisation
from organincrement.models.errors import ModelError
from organincrement.networks.side_by_side import Window


def shared_window(parts: Sequence[Normalisation]) -> tuple[Normalisation, list[Window | None]]:
    """A normalisation that holds all that each part sees, and how each part gets its own from it.

    Its mean is the first part's, moved off the whole numbers where needed: a voxel of a scan in whole HU is then never
    exactly 0, which stands for what lies around a scan.
    Raises: ModelError for parts that normalise in different ways.
    """
    first = parts[0]
    if all(part == first for part in parts):
        return first, [None] * len(parts)
    windows = [(part.clip_hu, part.mean, part.std) for part in parts]
    if any(clip is None or mean is None or std is None for clip, mean, std in windows):
        raise ModelError("its parts normalise intensities in different ways; they cannot be one model")
    clips = [clip for clip, _, _ in windows if clip is not None]
    mean, std = first.mean or 0.0, first.std or 1.0
    if mean.is_integer():
        mean += 0.5
    shared = Normalisation(
        kind="ct", clip_hu=(min(low for low, _ in clips), max(high for _, high in clips)), mean=mean, std=std
    )
    return shared, [_window(shared, part) for part in parts]


def _window(shared: Normalisation, part: Normalisation) -> Window:
    """x * scale + shift undoes the one and does the other."""
    (low, high), mean, std = part.clip_hu or (0.0, 1.0), part.mean or 0.0, part.std or 1.0
    return Window(
        scale=(shared.std or 1.0) / std, shift=((shared.mean or 0.0) - mean) / std, low=(low - mean) / std,
        high=(high - mean) / std,
    )  # fmt: skip
