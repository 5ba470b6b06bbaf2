"""By whose rules a model's scans are prepared and its windows averaged: plain facts, one row for each tool.

What is written here of other tools is how they treat a scan when they segment it; a model from elsewhere answers as it
does at home only where all of it is followed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from organincrement.contract.model import ConventionName

Region = Literal["tissue", "nonzero", "nonzero-on-grid", "whole"]
Starts = Literal["spread", "stepped", "regular"]
Weight = Literal["bell", "delta"]


@dataclass(frozen=True, kw_only=True)
class Convention:
    """The rules of one tool.

    region: what of a scan the windows cover: the box of its tissue, found on the network's grid; the box of its values
        other than 0, cut out of the scan before anything else, or else on the network's grid; or all of it.
    alignment: which points of a grid stay where they are when it is resampled: its edges, its first voxel's centre
        (from which the others follow at exactly the new spacing), or the centres of its corner voxels.
    snap_mm: a spacing that is so near the wanted one stays as it is.
    ratio_first: of the arithmetic of a grid's new size, see `shape_at_spacing`.
    antialias: smooth before a grid becomes coarser.
    fills_holes: a masked z-score also looks at what is 0 inside of what is not.
    whole_numbers: what is resampled of a scan is cut to whole numbers, towards 0.
    within_input: values resampled by a cubic stay within those of the scan (of the slice, where it goes by slices).
    separate_above: with a coarsest spacing (of the scan's or else of the target's) so many times the finest one, slices
        across it are resampled one by one, and the nearest of them is taken; None: never.
    back_by_scan: on the way back, too, the scan's spacing is looked at before the network's.
    labels: of a training case, whether each voxel takes the nearest label, or the one that linear interpolation of each
        label's mask gives at least a half.
    padding: the value around a scan smaller than the patch: its lowest, or 0; both after normalisation.
    starts: windows lie evenly spread; the same, as rounded multiples of one step; or at multiples of the step, the last
        moved back into the scan.
    weight: of a window's voxels: a Gaussian about its middle, or a smoothed unit impulse at patch // 2.
    least_weight: of that Gaussian.
    sums: the type of the sums over windows, and of the averages that are resampled.
    precision: of the network's own work: as the hardware is fastest; single; or mixed, which is half on a GPU.
    """

    region: Region = "tissue"
    alignment: Literal["edges", "first-voxel", "corners"] = "edges"
    snap_mm: float = 0.0
    ratio_first: bool = False
    antialias: bool = True
    fills_holes: bool = True
    whole_numbers: bool = False
    within_input: bool = False
    separate_above: float | None = None
    back_by_scan: bool = False
    labels: Literal["nearest", "one-hot"] = "nearest"
    padding: Literal["lowest", "zero"] = "lowest"
    starts: Starts = "spread"
    weight: Weight = "bell"
    least_weight: float = 1e-4
    sums: Literal["float32", "float16"] = "float32"
    precision: Literal["fastest", "single", "mixed"] = "fastest"


_NNUNET = Convention(
    region="nonzero", ratio_first=True, antialias=False, within_input=True, separate_above=3.0, labels="one-hot",
    padding="zero", starts="stepped", weight="delta", sums="float16", precision="mixed",
)  # fmt: skip

CONVENTIONS: Mapping[ConventionName, Convention] = {
    "organincrement": Convention(),
    "nnunet": _NNUNET,
    "nnunet1": replace(_NNUNET, back_by_scan=True, sums="float32"),
    # resamples to the network's grid itself, so that nnU-Net, which it then calls, has nothing to resample
    "totalsegmentator": replace(
        _NNUNET,
        region="nonzero-on-grid",
        alignment="corners",
        whole_numbers=True,
        within_input=False,
        separate_above=None,
        labels="nearest",
    ),
    "monai": Convention(
        region="whole",
        alignment="first-voxel",
        snap_mm=1e-3,
        antialias=False,
        fills_holes=False,
        padding="zero",
        starts="regular",
        least_weight=1e-3,
        precision="single",
    ),
}
