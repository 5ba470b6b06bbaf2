"""Feature maps from inside a network of the table: its bottleneck, and the output of a stage of its decoder.

Which layer that is, by the network's own parts (level l lies l stages below full resolution, at 1/2^l where each stage
halves):

    PlainConvUNet, ResidualEncoderUNet: encoder.stages[-1], and decoder.stages[-1 - l] after its last non-linearity
    DynUNet: bottleneck, and upsamples[-1 - l], the same
    SegResNet: down_layers[-1], and up_layers[-1 - l] after its last residual sum
    PreActUNet, DoDNet: encoder.bottleneck, and decoder.blocks[l] after its residual sum
    MultiDecoder, TaskDecoders: the bottleneck of their encoder; which decoder's stage would be meant is not said
    BasicUNet: down_4, and upcat_(1 + l)
    UNet (MONAI's): what its innermost skip connection skips; its finest stage puts out the logits, so none is given

The coarsest level has no stage of the decoder; there the bottleneck stands for it. A network that is none of these
takes part by calling its parts as one of them does.
"""

from collections.abc import Sequence
from types import TracebackType

import torch
from torch import Tensor, nn

from organincrement.networks.build import build_network
from organincrement.networks.errors import NetworkError
from organincrement.networks.sizing import NetworkSpec

_BOTTLENECKS = ("encoder.stages", "encoder.bottleneck", "bottleneck", "down_layers", "down_4")
_COARSE_TO_FINE = ("decoder.stages", "upsamples", "up_layers")
_FINE_TO_COARSE = "decoder.blocks"
_OF_BASIC_UNET = ("upcat_1", "upcat_2", "upcat_3", "upcat_4")
_SKIPPED = "1.submodule"  # of a level of MONAI's UNet, the level below


def bottleneck(network: nn.Module) -> nn.Module:
    """The last layer at the coarsest resolution, which exemplar selection calls the abstraction layer.

    Raises: NetworkError where the network's parts are not known.
    """
    for name in _BOTTLENECKS:
        part = _part(network, name)
        if part is not None:
            last_of_many = name in ("encoder.stages", "down_layers")
            return list(part.children())[-1] if last_of_many else part
    below = _part(network, f"model.{_SKIPPED}")
    while below is not None:
        deeper = _part(below, _SKIPPED)
        if deeper is None:
            return below
        below = deeper
    raise NetworkError(f"it is not known which layers of a '{type(network).__name__}' are its stages")


def decoder_stage(network: nn.Module, level: int) -> nn.Module:
    """The stage of the decoder at a level; the coarsest level has none of its own, and gives the bottleneck.

    Raises: NetworkError where the network has no such level, or its parts are not known.
    """
    stages = [*_stages(network), bottleneck(network)]
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


def stage_shape(spec: NetworkSpec, level: int, edges: Sequence[int]) -> tuple[int, ...]:
    """What the decoder stage at a level puts out of a patch with these edges in voxels: channels, d, h, w.

    Raises: NetworkError where there is no such level.
    """
    with torch.device("meta"):  # shapes without weights
        network, image = build_network(spec.kind, spec.args).eval(), torch.empty(1, spec.args["in_channels"], *edges)
    with StageFeatures(network, level) as stage:
        network(image)
    return tuple(stage.features.shape[1:])


def _stages(network: nn.Module) -> list[nn.Module]:
    """Of the decoder, from fine to coarse."""
    for name in (*_COARSE_TO_FINE, _FINE_TO_COARSE):
        part = _part(network, name)
        if part is not None:
            stages = list(part.children())
            return stages if name == _FINE_TO_COARSE else stages[::-1]
    if _part(network, _OF_BASIC_UNET[-1]) is not None:
        return [network.get_submodule(name) for name in _OF_BASIC_UNET]
    raise NetworkError(f"it is not known which layers of a '{type(network).__name__}' are the stages of its decoder")


def _part(network: nn.Module, name: str) -> nn.Module | None:
    try:
        return network.get_submodule(name)
    except AttributeError:
        return None
