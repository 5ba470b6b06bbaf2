"""How sure a network is of its organs, by Monte Carlo dropout at its coarsest level.

For each organ: variance of its probability over T passes with dropout (p = 0.5), averaged over positions. AeiSeg and
CoRiSeg keep as exemplars those slices of which the network is surest (F. Ozdemir et al., MICCAI 2018).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from types import TracebackType

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from organincrement.inference.readout import Readout
from organincrement.networks.stages import StageFeatures, bottleneck

DROPOUT = 0.5


class CoarsestDropout:
    """Dropout behind the last layer of the coarsest level, also in networks that have none; a context around running.

    Args: p: share of activations that are set to 0; the others are scaled up. `seed` before each pass.
    """

    def __init__(self, network: nn.Module, p: float = DROPOUT) -> None:
        self._layer, self._p = bottleneck(network), p
        self._generator = torch.Generator()  # on the CPU, so that draws do not depend on the device

    def seed(self, seed: int) -> None:
        """Which activations the next passes drop follows from this alone."""
        self._generator.manual_seed(seed)

    def __enter__(self) -> "CoarsestDropout":
        self._handle = self._layer.register_forward_hook(self._drop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.remove()

    def _drop(self, layer: nn.Module, inputs: object, output: Tensor) -> Tensor:
        kept = torch.rand(output.shape, generator=self._generator) >= self._p
        return output * kept.to(output) / (1 - self._p)


class RunningVariance:
    """Variance of tensors that come one by one (Welford); two of them are held, however many come."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, values: Tensor) -> None:
        """One more."""
        self._count += 1
        if self._count == 1:
            self._mean, self._squares = values.clone(), torch.zeros_like(values)
            return
        off = values - self._mean
        self._mean += off / self._count
        self._squares += off * (values - self._mean)

    @property
    def variance(self) -> Tensor:
        """Of the population."""
        return self._squares / self._count


@dataclass(frozen=True, kw_only=True, eq=False)
class Window:
    """A patch of a slab, float32. weight_DHW: of each voxel: 0 in padding, 1/n where n windows of the slab overlap."""

    image_DHW: np.ndarray
    weight_DHW: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Doubter:
    """Asks a network, in eval mode and on `device`, about windows of its patch size."""

    network: nn.Module
    readout: Readout
    temperature: float
    device: torch.device
    passes: int
    seed: int = 0
    between: Callable[[], None] = lambda: None

    @torch.inference_mode()
    def uncertainty(self, windows: Iterable[Window], item: int) -> np.ndarray:
        """(organs,) mean variance of each organ's probability, by its label, over the voxels of one item.

        Args: windows: of the item. item: a number, from which the dropped activations follow.
        """
        totals, voxels = torch.zeros(self.readout.classes - 1, dtype=torch.float64), 0.0
        with CoarsestDropout(self.network) as dropout:
            for number, window in enumerate(windows):
                dropout.seed(int(np.random.SeedSequence([self.seed, item, number]).generate_state(1)[0]))
                found, x = RunningVariance(), self._input(window.image_DHW)
                for _ in range(self.passes):
                    self.between()
                    found.add(self._organ_probabilities(x))
                weight = torch.from_numpy(window.weight_DHW).to(self.device)
                totals += torch.einsum("kdhw,dhw->k", found.variance.double(), weight).cpu()
                voxels += float(weight.sum())
        return (totals / max(voxels, 1.0)).numpy()

    @torch.inference_mode()
    def abstraction(self, windows: Iterable[Window]) -> np.ndarray:
        """(features,) float32: activations of the coarsest level, averaged over the voxels that they stand for."""
        total, mass = torch.zeros((), dtype=torch.float64), 0.0
        with StageFeatures(self.network) as stage:
            for window in windows:
                self.between()
                self.network(self._input(window.image_DHW))
                features_FDHW = stage.features[0].double()
                weight = torch.from_numpy(window.weight_DHW).to(self.device)
                share = functional.adaptive_avg_pool3d(weight[None], features_FDHW.shape[1:])
                total = total + (features_FDHW * share).sum((1, 2, 3)).cpu()
                mass += float(share.sum())
        return (total / mass).float().numpy()

    def _input(self, window_DHW: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(window_DHW, np.float32))[None, None].to(self.device)

    def _organ_probabilities(self, x_11DHW: Tensor) -> Tensor:
        """(organs, D, H, W), each organ in the head that knows it."""
        p = self.readout.probabilities(self.network(x_11DHW)[0].float(), self.temperature)
        pairs = [pair for group in self.readout.groups for pair in zip(group.channels, group.labels, strict=True)]
        of_organs = p.new_zeros(self.readout.classes - 1, *p.shape[1:])
        for channel, label in pairs:  # several where organs have been merged
            of_organs[label - 1] += p[channel]
        return of_organs


def windows_of(slab_DHW: np.ndarray, patch: tuple[int, int, int]) -> list[Window]:
    """Windows that cover a slab, float32; one that is smaller than the patch is padded with its least value."""
    short = [max(0, p - n) for p, n in zip(patch, slab_DHW.shape, strict=True)]
    edges = [(s // 2, s - s // 2) for s in short]
    images = np.pad(slab_DHW.astype(np.float32), edges, constant_values=float(slab_DHW.min()))
    weights = np.pad(np.ones(slab_DHW.shape), edges)
    starts = product(*(_starts(n, p) for n, p in zip(images.shape, patch, strict=True)))
    boxes = [tuple(slice(i, i + p) for i, p in zip(start, patch, strict=True)) for start in starts]
    times = np.zeros(images.shape)
    for box in boxes:
        times[box] += 1
    weights /= times
    return [Window(image_DHW=images[box], weight_DHW=weights[box]) for box in boxes]


def _starts(size: int, patch: int) -> list[int]:
    count = -(-size // patch)
    return [round(i * (size - patch) / max(count - 1, 1)) for i in range(count)]
