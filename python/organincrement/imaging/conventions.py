"""By whose rules a model's scans are prepared and its windows averaged: plain facts, one row for each tool.

What is written here of other tools is how they treat a scan when they segment it; a model from elsewhere answers as it
does at home only where all of it is followed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from organincrement.contract.model import ConventionName

Region = Literal["tissue", "nonzero", "whole"]
Starts = Literal["spread", "stepped", "regular"]
Weight = Literal["bell", "delta"]


@dataclass(frozen=True, kw_only=True)
class Convention:
    """The rules of one tool.

    region: what of a scan the windows cover: the box of its tissue, found on the network's grid; the box of its values
        other than 0, cut out of the scan before anything else; or all of it.
    alignment: which points of a grid stay where they are when it is resampled: its edges, its first voxel's centre, or
        the centres of its corner voxels.
    ratio_first: of the arithmetic of a grid's new size, see `shape_at_spacing`.
    antialias: smooth before a grid becomes coarser.
    within_input: values resampled by a cubic stay within those of the scan (of the slice, where it goes by slices).
    separate_above: with a coarsest spacing (of the scan's or else of the target's) so many times the finest one, slices
        across it are resampled one by one, and the nearest of them is taken; None: never.
    labels: of a training case, whether each voxel takes the nearest label, or the one that linear interpolation of each
        label's mask gives at least a half.
    padding: the value around a scan smaller than the patch: its lowest, or 0; both after normalisation.
    starts: windows lie evenly spread; the same, as rounded multiples of one step; or at multiples of the step, the last
        moved back into the scan.
    weight: of a window's voxels: a Gaussian about its middle, at least 1e-4; or a smoothed unit impulse at patch // 2.
    sums: the type of the sums over windows, and of the averages that are resampled.
    """

    region: Region = "tissue"
    alignment: Literal["edges", "first-voxel", "corners"] = "edges"
    ratio_first: bool = False
    antialias: bool = True
    within_input: bool = False
    separate_above: float | None = None
    labels: Literal["nearest", "one-hot"] = "nearest"
    padding: Literal["lowest", "zero"] = "lowest"
    starts: Starts = "spread"
    weight: Weight = "bell"
    sums: Literal["float32", "float16"] = "float32"


_NNUNET = Convention(
    region="nonzero", ratio_first=True, antialias=False, within_input=True, separate_above=3.0, labels="one-hot",
    padding="zero", starts="stepped", weight="delta", sums="float16",
)  # fmt: skip

CONVENTIONS: Mapping[ConventionName, Convention] = {
    "organincrement": Convention(),
    "nnunet": _NNUNET,
    "nnunet1": _NNUNET,
    "totalsegmentator": _NNUNET,
    "monai": Convention(region="whole", antialias=False, padding="zero", starts="regular"),
}
