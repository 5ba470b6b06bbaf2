"""Feature maps from inside a network of the table: its bottleneck, and the output of a stage of its decoder.

Which layer that is, by the network's own parts (level l lies l stages below full resolution, at 1/2^l where each stage
halves):

    PlainConvUNet, ResidualEncoderUNet: encoder.stages[-1], and decoder.stages[-1 - l] after its last non-linearity
    DynUNet: bottleneck, and upsamples[-1 - l], the same
    SegResNet: down_layers[-1], and up_layers[-1 - l] after its last residual sum

The coarsest level has no stage of the decoder; there the bottleneck stands for it.
A network that is none of these takes part by calling its parts as one of them does.
"""

from collections.abc import Sequence
from types import TracebackType

import torch
from torch import Tensor, nn

from organincrement.networks.build import build_network, shrink_factor
from organincrement.networks.errors import NetworkError
from organincrement.networks.sizing import NetworkSpec


def bottleneck(network: nn.Module) -> nn.Module:
    """The last layer at the coarsest resolution, which exemplar selection calls the abstraction layer.

    Raises: NetworkError where the network's parts are not known.
    """
    return _parts(network)[0]


def decoder_stage(network: nn.Module, level: int) -> nn.Module:
    """The stage of the decoder at a level; the coarsest level has none of its own, and gives the bottleneck.

    Raises: NetworkError where the network has no such level, or its parts are not known.
    """
    coarsest, fine_to_coarse = _parts(network)
    stages = [*fine_to_coarse, coarsest]
    if not 0 <= level < len(stages):
        raise NetworkError(f"the network has no level {level}: there are 0 (full resolution) to {len(stages) - 1}")
    return stages[level]


class StageFeatures:
    """What a stage puts out while the network runs, used as a context around the running.

    with StageFeatures(network, level=1) as stage:
        logits = network(image)
    stage.features    # (B, F, d, h, w), of the last run, with its gradient where the run has one

    It works in train and eval mode, and under autocast, where the features may be of half precision. Args: level: of
    the decoder; None: the bottleneck. Raises: NetworkError.
    """

    def __init__(self, network: nn.Module, level: int | None = None) -> None:
        self._layer = bottleneck(network) if level is None else decoder_stage(network, level)
        self._features: Tensor | None = None

    @property
    def features(self) -> Tensor:
        """Raises: NetworkError where the network has not run in this context."""
        if self._features is None:
            raise NetworkError("there are no features: run the network inside the context first")
        return self._features

    def __enter__(self) -> "StageFeatures":
        self._features = None
        self._handle = self._layer.register_forward_hook(self._keep)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.remove()

    def _keep(self, layer: nn.Module, inputs: object, output: Tensor) -> None:
        # the next layer may work in place on what this one gave
        self._features = output.clone()


def stage_channels(spec: NetworkSpec, level: int) -> int:
    """How many channels the decoder stage at a level has. Raises: NetworkError where there is no such level."""
    edges = [2 * factor for factor in shrink_factor(spec.kind, spec.args)]
    with torch.device("meta"):  # shapes without weights
        network, image = build_network(spec.kind, spec.args).eval(), torch.empty(1, spec.args["in_channels"], *edges)
    with StageFeatures(network, level) as stage:
        network(image)
    return stage.features.shape[1]


def _parts(network: nn.Module) -> tuple[nn.Module, Sequence[nn.Module]]:
    """The bottleneck, and the decoder's stages from fine to coarse."""
    for encoder, decoder in (("encoder.stages", "decoder.stages"), ("down_layers", "up_layers")):
        if _has(network, encoder) and _has(network, decoder):
            return network.get_submodule(encoder)[-1], list(network.get_submodule(decoder))[::-1]  # type: ignore[index, arg-type]
    if _has(network, "bottleneck") and _has(network, "upsamples"):
        return network.get_submodule("bottleneck"), list(network.get_submodule("upsamples"))[::-1]  # type: ignore[arg-type]
    raise NetworkError(f"it is not known which layers of a '{type(network).__name__}' are its stages")


def _has(network: nn.Module, name: str) -> bool:
    try:
        network.get_submodule(name)
    except AttributeError:
        return False
    return True
