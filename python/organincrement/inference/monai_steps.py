"""Steps of an OrganIncrement model that MONAI's transforms cannot take exactly, as a transform and an inferer of MONAI.

A copy of this file lies in the bundles that OrganIncrement writes, beside copies of the modules that it imports.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.inferers import Inferer
from monai.transforms import InvertibleTransform, MapTransform
from torch import Tensor

from organincrement.contract import codec
from organincrement.contract.model import Inference, Preprocessing
from organincrement.imaging.conventions import CONVENTIONS
from organincrement.imaging.geometry import like_original
from organincrement.imaging.preprocessing import NetworkGrid, to_network_grid
from organincrement.imaging.volume import Volume
from organincrement.inference.tiles import axis_maps
from organincrement.inference.windows import Windows as WindowGrid
from organincrement.inference.windows import average_windows, mirror_sets

_CERTAIN = 30.0  # logit of what is background for sure
_WHERE = "configs/inference.json"
_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # MONAI's axes of the body against LPS


class Prepared(MapTransform, InvertibleTransform):  # type: ignore[misc]
    """A scan on the network's grid; undone, the network's answer on the scan's.

    Args: preprocessing: as in a package's model.json. patch: of the network. probabilities: what is undone.
    """

    def __init__(
        self,
        keys: Sequence[str] | str,
        preprocessing: Mapping[str, Any],
        patch: Sequence[int],
        probabilities: bool = False,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.preprocessing = codec.from_json(Preprocessing, dict(preprocessing), where=_WHERE)
        self.patch, self.probabilities = tuple(patch), probabilities

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace (1, X, Y, Z) scans by (1, D, H, W) ones."""
        found = dict(data)
        for key in self.key_iterator(found):
            scan = _volume(found[key])
            grid = to_network_grid(scan, self.preprocessing, minimum_shape=self.patch)  # type: ignore[arg-type]
            prepared = MetaTensor(torch.from_numpy(grid.image_DHW)[None])
            prepared.copy_meta_from(found[key])
            empty = scan.with_array(np.broadcast_to(np.int8(0), scan.shape_DHW))
            where = {"grid": replace(grid, image_DHW=np.empty(0)), "scan": empty, "affine": found[key].affine}
            found[key] = prepared
            self.push_transform(found, key, extra_info=where)
        return found

    def inverse(self, data: Any) -> dict[Hashable, Any]:
        """Replace (C, D, H, W) answers by those on the scan's grid (C, X, Y, Z)."""
        found = dict(data)
        for key in self.key_iterator(found):
            where = self.pop_transform(found, key)["extra_info"]
            answer = _onto_scan(_plain(found[key]), where["grid"], where["scan"], self.preprocessing, self._certain())
            restored = MetaTensor(answer)
            restored.copy_meta_from(found[key])
            restored.affine = where["affine"]
            found[key] = restored
        return found

    def _certain(self) -> float:
        return 1.0 if self.probabilities else _CERTAIN


class Windows(Inferer):  # type: ignore[misc]
    """The windows of a package over a scan that is prepared.

    Args: inference: as in a package's model.json. convention: by whose rules they lie. channels: of the output.
    """

    def __init__(self, inference: Mapping[str, Any], convention: str, channels: int) -> None:
        super().__init__()
        self.asked = codec.from_json(Inference, dict(inference), where=_WHERE)
        self.rules = CONVENTIONS[convention]  # type: ignore[index]
        self.channels = channels

    @torch.no_grad()
    def __call__(self, inputs: Tensor, network: Callable[..., Any], *_args: Any, **_kwargs: Any) -> Tensor:
        """(B, 1, D, H, W) to the weighted mean of the windows' answers (B, C, D, H, W)."""
        mirrors, asked = mirror_sets(self.asked.mirror_axes), self.asked

        def answer(x_11DHW: Tensor) -> Tensor:
            logits = network(x_11DHW)[0].float()
            return logits.softmax(0) if asked.average == "probabilities" else logits

        def predict(x_11DHW: Tensor, _number: int) -> Tensor:
            copies = [
                answer(x_11DHW.flip([axis + 1 for axis in axes])).flip(axes) if axes else answer(x_11DHW)
                for axes in mirrors
            ]
            return sum(copies[1:], copies[0]) / len(mirrors)

        means = []
        for image_1DHW in _plain(inputs):
            shape = tuple(image_1DHW.shape[1:])
            windows = WindowGrid(
                shape=shape, patch=tuple(asked.patch), step=asked.step, rules=self.rules,  # type: ignore[arg-type]
                even=asked.window == "constant",
            )  # fmt: skip
            box = tuple(slice(0, n) for n in shape)
            means.append(
                average_windows(image_1DHW[0], windows, box, predict, self.channels, inputs.device, lambda: None)  # type: ignore[arg-type]
            )
        mean = torch.stack(means)
        return MetaTensor(mean).copy_meta_from(inputs) if isinstance(inputs, MetaTensor) else mean


def _plain(values: Tensor) -> Tensor:
    tensor: Tensor = values.as_tensor() if isinstance(values, MetaTensor) else values
    return tensor


def _volume(image: MetaTensor) -> Volume:
    """MONAI's scan (1, X, Y, Z) in our axes."""
    affine = _RAS @ np.asarray(image.affine, dtype=np.float64)
    spacing_xyz = np.sqrt((affine[:3, :3] ** 2).sum(0))
    array_DHW = _plain(image)[0].cpu().numpy().transpose(2, 1, 0)
    origin = affine[:3, 3]
    return Volume(array_DHW, tuple(spacing_xyz[::-1]), tuple(origin), affine[:3, :3] / spacing_xyz)  # type: ignore[arg-type]


def _onto_scan(
    answer_CDHW: Tensor, grid: NetworkGrid, scan: Volume, preprocessing: Preprocessing, certain: float
) -> Tensor:
    maps, whole = axis_maps(grid, preprocessing), tuple(slice(0, n) for n in grid.output_shape)
    counts = tuple(slice(i.start - o, i.stop - o) for i, o in zip(grid.inside, grid.offset, strict=True))
    back = tuple(int(axis) for axis in np.argsort(preprocessing.axis_order))
    channels = []
    for channel, values in enumerate(answer_CDHW):
        background = certain if channel == 0 else 0.0
        on_grid = torch.full(grid.full_shape, background, dtype=values.dtype, device=values.device)
        on_grid[grid.inside] = values[counts]
        on_scan = on_grid.float()
        for axis, (axis_map, wanted) in enumerate(zip(maps, whole, strict=True)):
            on_scan = axis_map.interpolate(on_scan, axis, wanted, 0)
        full = torch.full(grid.scan_shape, background)
        full[grid.place] = on_scan.to(values.dtype).float().cpu()
        turned = like_original(full.numpy().transpose(back), scan, preprocessing.orientation)
        channels.append(torch.from_numpy(np.ascontiguousarray(turned.transpose(2, 1, 0))))
    return torch.stack(channels)
