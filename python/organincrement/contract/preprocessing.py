"""How a model sees scans: the axes, the grid, the intensities, and by whose rules they are made."""

from dataclasses import dataclass
from typing import Literal

from .codec import added
from .errors import ContractError

Vector = tuple[float, float, float]
ConventionName = Literal["organincrement", "nnunet", "nnunet1", "totalsegmentator", "monai"]
STORED = "stored"  # the orientation of models that take a scan's axes as they come


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """How intensities are scaled: ct clips, then (x - mean) / std; zscore takes each scan's own mean and std.

    masked: zscore looks at what is not 0 (holes included) alone, and leaves the rest at 0.
    """

    kind: Literal["ct", "zscore", "none"]
    clip_hu: tuple[float, float] | None = None
    mean: float | None = None
    std: float | None = None
    masked: bool = added(False)

    def __post_init__(self) -> None:
        if self.masked and self.kind != "zscore":
            raise ContractError(f"{self.kind} has no mask; leave `masked` out")
        values = (self.clip_hu, self.mean, self.std)
        if self.kind == "ct" and (self.clip_hu is None or self.mean is None or self.std is None):
            raise ContractError("ct needs clip_hu, mean and std; give all three")
        if self.kind != "ct" and values != (None, None, None):
            raise ContractError(f"{self.kind} takes no clip_hu, mean or std; write null")
        if self.std is not None and self.std <= 0:
            raise ContractError(f"std {self.std} must be above 0")
        if self.clip_hu is not None and self.clip_hu[0] >= self.clip_hu[1]:
            raise ContractError(f"clip_hu {list(self.clip_hu)} must rise; swap the two")


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """From a scan to the network's input.

    `axis_order`: network axis i is array axis axis_order[i] (0 D, 1 H, 2 W) of the scan in `orientation`, where D runs
    along the orientation's last letter; "stored": axes as the file has them, nothing turned. `spacing_mm`: in network
    axis order. `keep_axes`: network axes along which a scan keeps its own spacing. `convention`: whose rules of
    cropping, resampling, padding and windows hold. `slice_by_slice`: whether slices across the coarsest axis are
    resampled one by one: by the convention's rule, or whatever that says.
    """

    orientation: str
    spacing_mm: Vector
    axis_order: tuple[int, int, int]
    channels: tuple[str, ...]
    order: Literal["normalise-then-resample", "resample-then-normalise"]
    normalisation: Normalisation
    image_resampling: Literal["cubic", "linear", "nearest"]
    output_resampling: Literal["cubic", "linear", "nearest"]
    convention: ConventionName = added("organincrement")  # noqa: RUF009
    keep_axes: tuple[int, ...] = added(())
    slice_by_slice: Literal["rule", "never", "always"] = added("rule")

    def __post_init__(self) -> None:
        if self.orientation != STORED and sorted(
            "RAS".find(letter.translate(_OPPOSITE)) for letter in self.orientation
        ) != [0, 1, 2]:
            raise ContractError(f"orientation {self.orientation!r} must name three axes of the body, such as LPS")
        if len({*self.keep_axes} & {0, 1, 2}) != len(self.keep_axes):
            raise ContractError(f"keep_axes {list(self.keep_axes)} must be axes out of 0, 1 and 2, each once")
        if sorted(self.axis_order) != [0, 1, 2]:
            raise ContractError(f"axis_order {list(self.axis_order)} must hold 0, 1 and 2")
        if min(self.spacing_mm) < _FINEST_MM:
            raise ContractError(f"spacing_mm {list(self.spacing_mm)} must be at least {_FINEST_MM}")


_FINEST_MM = 0.05  # a scan on a finer grid would fill any disk
_OPPOSITE = str.maketrans("LPI", "RAS")
