"""What is accumulated of a window: logits, probabilities, or the features that the network's last, linear layer reads.

Where logits are averaged and resampled, both are weighted means, and so is what a linear layer makes of means the mean
of what it makes: its few features can be accumulated in the place of its many channels, and the layer be applied to the
averages on the scan's own grid. Around the tissue, where nothing was accumulated, the answer is certain background: a
map that is 1 inside carries the layer's bias there and back.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from organincrement.contract.model import Inference, ModelManifest
from organincrement.imaging.conventions import CONVENTIONS
from organincrement.imaging.perturbation import perturb
from organincrement.inference.readout import Readout
from organincrement.inference.windows import Predict, mirror_sets
from organincrement.networks.head import linear_output, without_layer
from organincrement.networks.sizing import NetworkSpec

_PERTURBATIONS = 6  # where the model names none; arXiv 2103.05227: Q


@dataclass(frozen=True, kw_only=True)
class LinearHead:
    """A network's last layer, for averages that may lie beside certain background.

    weight_CG: of the features, and of the map that is 1 inside. outside_C: logits of certain background.
    """

    weight_CG: Tensor
    outside_C: Tensor

    @classmethod
    def of(cls, layer: nn.Conv3d, outside_C: Tensor) -> "LinearHead":
        """Args: layer: a 1x1x1 convolution."""
        weight_CF = layer.weight.detach().float().flatten(1)
        outside_C = outside_C.to(weight_CF)
        bias_C = torch.zeros_like(outside_C) if layer.bias is None else layer.bias.detach().float()
        return cls(weight_CG=torch.cat([weight_CF, (bias_C - outside_C)[:, None]], 1), outside_C=outside_C)

    def __call__(self, features_NG: Tensor) -> Tensor:
        """Logits (N, C)."""
        return torch.addmm(self.outside_C, features_NG, self.weight_CG.t())


@dataclass(frozen=True, kw_only=True)
class Accumulated:
    """What a window's answer is made of.

    head: makes logits of features; None where the answer is logits or, as_p, probabilities. channels: of all that is
    accumulated. count: of these the channels of the answer itself, with the map that is 1 inside where there is a head;
    behind them are mean probabilities under perturbation, where they are asked for.
    """

    head: LinearHead | None
    as_p: bool
    channels: int
    count: int


@contextlib.contextmanager
def accumulating(
    network: nn.Module, manifest: ModelManifest, readout: Readout, perturbed: bool
) -> Iterator[Accumulated]:
    """What is to be accumulated; where it is features, the network puts out these as long as the context lasts."""
    asked, p_channels = manifest.inference, readout.channels if perturbed else 0
    name = linear_output(network, NetworkSpec.of(manifest.network), readout.channels) if _linear(manifest) else None
    layer = None if name is None else network.get_submodule(name)
    if name is None or not isinstance(layer, nn.Conv3d) or layer.in_channels + 1 >= readout.channels:
        yield Accumulated(head=None, as_p=as_p(asked), channels=readout.channels + p_channels, count=readout.channels)
        return
    head = LinearHead.of(layer, readout.background_logits())
    with without_layer(network, name):
        yield Accumulated(head=head, as_p=False, channels=layer.in_channels + p_channels, count=layer.in_channels + 1)


def as_p(asked: Inference) -> bool:
    """Whether it is probabilities that are resampled."""
    return "probabilities" in (asked.average, asked.resampled)


def _linear(manifest: ModelManifest) -> bool:
    """Whether from the last layer to the scan's grid all is linear, and rounded nowhere as another tool rounds."""
    return not as_p(manifest.inference) and CONVENTIONS[manifest.preprocessing.convention].sums == "float32"


@dataclass(frozen=True, kw_only=True)
class Asking:
    """How windows are asked. uncertain: whether perturbed copies are, too. windows: how many there will be.

    autocast: as the hardware is fastest. own_precision: but as the model's own tool computes, where it has one.
    progress: told how often the network has run over a window, and will.
    """

    uncertain: bool
    seed: int
    autocast: torch.dtype | None
    own_precision: bool
    windows: int
    progress: Callable[[int, int], None] = field(default=lambda done, total: None)


def window_predictor(
    network: nn.Module, manifest: ModelManifest, readout: Readout, accumulated: Accumulated, asking: Asking
) -> Predict:
    """What is averaged of a window; with perturbation, also the mean probabilities over Q perturbed copies of it."""
    mirrors, of_p = mirror_sets(manifest.inference.mirror_axes), manifest.inference.average == "probabilities"
    temperature, asked = manifest.inference.temperature, manifest.uncertainty.perturbations
    copies = asked if asked > 0 else _PERTURBATIONS
    runs = asking.windows * (1 + copies if asking.uncertain else 1)
    ran = itertools.count(1)

    def answer(x_11DHW: Tensor) -> Tensor:
        found_CDHW = network(x_11DHW)[0].float()
        return readout.probabilities(found_CDHW, 1.0) if of_p else found_CDHW

    def mirrored(x_11DHW: Tensor) -> Tensor:
        with _precision(manifest, asking, x_11DHW.device.type):
            total = answer(x_11DHW)
            for axes in mirrors[1:]:
                total = total + answer(x_11DHW.flip([axis + 1 for axis in axes])).flip(axes)
        asking.progress(next(ran), runs)
        return total / len(mirrors) if len(mirrors) > 1 else total  # a copy of a hundred channels is large

    def probabilities(x_11DHW: Tensor) -> Tensor:
        found = mirrored(x_11DHW)
        if accumulated.head is not None:
            features_GN = torch.cat([found.flatten(1), torch.ones_like(found[:1].flatten(1))])
            found = accumulated.head(features_GN.t()).t().reshape(-1, *found.shape[1:])
        return readout.probabilities(readout.all_as_logits(found) if of_p else found, temperature)

    @torch.inference_mode()
    def predict(x_11DHW: Tensor, number: int) -> Tensor:
        clean = mirrored(x_11DHW)
        if not asking.uncertain:
            return clean
        # a window that two tiles share must be perturbed alike in both
        generator = torch.Generator().manual_seed(asking.seed * 1_000_003 + number)
        p = sum(probabilities(perturb(x_11DHW, generator)) for _ in range(copies))
        return torch.cat([clean, p / copies])  # type: ignore[operator]

    return predict


def _precision(manifest: ModelManifest, asking: Asking, device: str) -> torch.autocast:
    """In which the network works."""
    rules, chosen = CONVENTIONS[manifest.preprocessing.convention], asking.autocast
    if asking.own_precision and rules.precision != "fastest":
        chosen = torch.float16 if rules.precision == "mixed" and device == "cuda" else None
    return torch.autocast(device, chosen, enabled=chosen is not None)
