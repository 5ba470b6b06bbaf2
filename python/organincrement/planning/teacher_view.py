"""What a teacher says of one scan, as it lies there and as it would lie if its header were wrong."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import ndimage
from torch import nn

from organincrement.contract.model import ModelManifest, Preprocessing
from organincrement.imaging.geometry import to_orientation
from organincrement.imaging.resampling import resample_volume, shape_at_spacing
from organincrement.imaging.volume import Volume
from organincrement.inference.predict import Prediction, PredictionSettings, predict_within_memory

Triple = tuple[float, float, float]
_COARSE_STEP = 1.0  # windows side by side: an eighth of the time, and enough to compare one reading with another


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a scan is read: axes turned round (0 D, 1 H, 2 W of the model's orientation), and its spacing multiplied."""

    flipped: tuple[int, ...] = ()
    scale: Triple = (1.0, 1.0, 1.0)

    @property
    def as_stored(self) -> bool:
        """True when nothing is changed."""
        return self == Reading()


@dataclass(frozen=True, kw_only=True)
class OrganSeen:
    """One organ as the teacher sees it; None where it sees none of it.

    largest_share: of the largest connected part. centre_mm: D, H, W from the scan's first voxel, of that part.
    uncertainty: mean inside it, per cent of log C.
    """

    volume_mm3: float
    largest_share: float | None
    centre_mm: Triple | None
    uncertainty: float | None


@dataclass(frozen=True, kw_only=True)
class TeacherView:
    """The teacher's organs under one reading of a scan, and its mean uncertainty in the body, per cent of log C."""

    reading: Reading
    organs: tuple[OrganSeen, ...]
    uncertainty: float | None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A teacher that is asked.

    network: in eval mode, on `device`. between: called between windows, may raise. notice: told where memory runs out.
    within: told how much of a scan is done, of how much.
    """

    network: nn.Module
    manifest: ModelManifest
    device: torch.device
    autocast: torch.dtype | None = None
    between: Callable[[], None] = lambda: None
    notice: Callable[[str], None] = lambda line: None
    within: Callable[[int, int], None] = lambda done, total: None

    def predict(self, image: Volume, *, coarse: bool = False, share: float = 1.0) -> Prediction:
        """Labels and entropy on the scan's own grid. Args: share: how much of the work on the scan this is."""
        manifest = self.manifest
        if coarse:
            manifest = replace(manifest, inference=replace(manifest.inference, step=_COARSE_STEP))

        def told(done: int, total: int) -> None:
            if not coarse:
                self.within(done, round(total / share))

        settings = PredictionSettings(
            uncertainty="entropy", autocast=self.autocast, between=self.between, progress=told
        )
        with torch.inference_mode():
            return predict_within_memory(self.network, manifest, image, self.device, settings, self.notice)

    def counted(self, looks: Sequence[Callable[[], TeacherView]]) -> list[TeacherView]:
        """What these looks at a scan give, which are the second half of the work on it."""
        views = []
        for look in looks:
            views.append(look())
            self.within(len(looks) + len(views), 2 * len(looks))
        return views


def on_model_grid(image: Volume, preprocessing: Preprocessing) -> Volume:
    """A scan in the model's orientation and at about its spacing, intensities as stored: many readings are cheap."""
    canonical = to_orientation(image, preprocessing.orientation)
    target = [0.0, 0.0, 0.0]
    for network_axis, array_axis in enumerate(preprocessing.axis_order):
        target[array_axis] = preprocessing.spacing_mm[network_axis]
    shape = shape_at_spacing(canonical.shape_DHW, canonical.spacing_mm, target)
    return resample_volume(canonical, shape, kind="linear")


def read_as(image: Volume, reading: Reading) -> Volume:
    """A scan on the model's grid under another reading; origin and direction stay, for they do not matter here."""
    spacing = tuple(mm * factor for mm, factor in zip(image.spacing_mm, reading.scale, strict=True))
    array = np.ascontiguousarray(np.flip(image.array_DHW, reading.flipped))
    return Volume(array, spacing, image.origin_mm, image.direction)  # type: ignore[arg-type]


def view_of(
    prediction: Prediction, image: Volume, body_DHW: np.ndarray, reading: Reading, organ_count: int
) -> TeacherView:
    """Sum up a prediction. Args: image: as it was read; body_DHW: of the same shape."""
    percent_DHW = prediction.uncertainty_DHW
    if percent_DHW is None:
        raise ValueError("the prediction has no uncertainty")
    boxes = ndimage.find_objects(prediction.labels_DHW, max_label=organ_count)
    organs = tuple(
        _organ(prediction.labels_DHW, percent_DHW, boxes[i], i + 1, image.spacing_mm) for i in range(organ_count)
    )
    return TeacherView(
        reading=reading, organs=organs, uncertainty=float(percent_DHW[body_DHW].mean()) if body_DHW.any() else None
    )


def _organ(
    labels_DHW: np.ndarray, percent_DHW: np.ndarray, box: tuple[slice, ...] | None, label: int, spacing_mm: Triple
) -> OrganSeen:
    if box is None:
        return OrganSeen(volume_mm3=0.0, largest_share=None, centre_mm=None, uncertainty=None)
    mask = labels_DHW[box] == label
    parts, _ = ndimage.label(mask)
    counts = np.bincount(parts.ravel())[1:]
    largest = parts == 1 + int(counts.argmax())
    centre = [axis.mean() + part.start for axis, part in zip(np.nonzero(largest), box, strict=True)]
    d, h, w = (float(c * mm) for c, mm in zip(centre, spacing_mm, strict=True))
    return OrganSeen(
        volume_mm3=float(counts.sum() * np.prod(spacing_mm)),
        largest_share=float(counts.max() / counts.sum()),
        centre_mm=(d, h, w),
        uncertainty=float(percent_DHW[box][mask].mean()),
    )
