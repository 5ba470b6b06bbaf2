"""One encoder, several decoders: the network of Continual Segment (arXiv 2302.00162).

Each decoder has a softmax of its own; the encoder runs once for all of them.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from organincrement.networks.sizing import NetworkSpec

Features = list[Tensor]

KIND = "MultiDecoder"
_TRUNKS = ("PlainConvUNet", "ResidualEncoderUNet")
_MOST_DECODERS, _MOST_BLOCKS = 512, 8192
_ONE_DECODER = "decoder."


class Decoder(nn.Module):
    """A U-Net's decoder without the encoder that it would hold: upsampling, convolutions per level, a 1x1x1 output.

    Args: supporters: how many earlier decoders' features it reads at every level, through a 1x1x1 convolution that
        starts by passing its own on.
    """

    def __init__(self, encoder: nn.Module, channels: int, blocks: Sequence[int], supporters: int = 0) -> None:
        from dynamic_network_architectures.building_blocks.unet_decoder import UNetDecoder

        super().__init__()
        made = UNetDecoder(encoder, channels, list(blocks), deep_supervision=False)
        self.transpconvs, self.stages, self.output = made.transpconvs, made.stages, made.seg_layers[-1]
        self.supports = nn.ModuleList()
        for level in made.seg_layers if supporters else ():
            support = nn.Conv3d((1 + supporters) * level.in_channels, level.in_channels, 1)
            nn.init.dirac_(support.weight)
            nn.init.zeros_(support.bias)
            self.supports.append(support)

    def forward(self, skips: Features, earlier: Sequence[Features] = ()) -> tuple[Tensor, Features]:
        """Logits and the features of every level. Args: earlier: the features of the decoders it reads."""
        x, features = skips[-1], []
        for level, (up, stage) in enumerate(zip(self.transpconvs, self.stages, strict=True)):
            x = stage(torch.cat([up(x), skips[-(level + 2)]], 1))
            if len(self.supports):
                x = self.supports[level](torch.cat([x, *(others[level] for others in earlier)], 1))
            features.append(x)
        return self.output(x), features


class MultiDecoder(nn.Module):
    """Args: encoder: gives the features of every level. decoders: channels of each. supporting: of each decoder,
    whether it reads the features of those before it.
    """

    def __init__(
        self, encoder: nn.Module, decoders: Sequence[int], blocks: Sequence[int], supporting: Sequence[bool]
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoders = nn.ModuleList(
            Decoder(encoder, channels, blocks, number if reads else 0)
            for number, (channels, reads) in enumerate(zip(decoders, supporting, strict=True))
        )
        self._supporting = any(supporting)

    def forward(self, x_BCDHW: Tensor) -> Tensor:
        """All decoders' logits one after another: one pass of the encoder."""
        skips = self.encoder(x_BCDHW)
        return torch.cat([logits for logits, _ in self.decoded(skips)], 1)

    def decoded(self, skips: Features, count: int | None = None) -> list[tuple[Tensor, Features]]:
        """Logits of the first `count` decoders, and their features where a later decoder reads such."""
        found: list[tuple[Tensor, Features]] = []
        for decoder in list(self.decoders)[:count]:
            logits, features = decoder(skips, [earlier for _, earlier in found])
            found.append((logits, features if self._supporting else []))
        return found


def check_decoders(trunk: str, out_channels: int, decoders: object, blocks: Sequence[int], supporting: object) -> None:
    """Raises: ValueError for what does not fit, before anything is made."""
    if trunk not in _TRUNKS:
        raise ValueError(f"trunk '{trunk}' must be one of {', '.join(_TRUNKS)}")
    whole = isinstance(decoders, list | tuple) and all(type(n) is int and n >= 2 for n in decoders)
    if not whole or not 0 < len(decoders) <= _MOST_DECODERS or sum(decoders) != out_channels:  # type: ignore[arg-type]
        raise ValueError(f"decoders must be up to {_MOST_DECODERS} numbers from 2 whose sum is {out_channels}")
    if len(decoders) * sum(blocks) > _MOST_BLOCKS:  # type: ignore[arg-type]
        raise ValueError(f"all decoders together must have at most {_MOST_BLOCKS} decoder_blocks")
    flags = isinstance(supporting, list | tuple) and all(isinstance(reads, bool) for reads in supporting)
    if not flags or len(supporting) != len(decoders) or (supporting and supporting[0]):  # type: ignore[arg-type, index]
        raise ValueError("supporting must be true or false for each decoder, false for the first")


def with_decoder(spec: NetworkSpec, channels: int, supporting: bool) -> NetworkSpec:
    """The network of this spec, one U-Net or several decoders, with one more decoder.

    Raises: ValueError where it has no encoder that decoders could share.
    """
    if spec.kind not in (*_TRUNKS, KIND):
        raise ValueError(f"a {spec.kind} has no encoder that decoders could share; use {' or '.join(_TRUNKS)}")
    args, trunk = dict(spec.args), spec.kind if spec.kind in _TRUNKS else "PlainConvUNet"
    decoders = list(args.get("decoders") or [args["out_channels"]])
    reads = list(args.get("supporting") or [False] * len(decoders))
    args |= {"trunk": args.get("trunk", trunk), "out_channels": args["out_channels"] + channels}
    return NetworkSpec(kind=KIND, args={**args, "decoders": [*decoders, channels], "supporting": [*reads, supporting]})


def as_decoders(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a U-Net by the names that they have as decoder 0; those of several decoders as they are."""
    if not any(name.startswith(_ONE_DECODER) for name in state):
        return dict(state)
    outputs = [name.split(".")[2] for name in state if name.startswith("decoder.seg_layers.")]
    last = f"seg_layers.{max(map(int, outputs))}"
    renamed = {}
    for name, weight in state.items():
        place = name.removeprefix(_ONE_DECODER)
        if not name.startswith(_ONE_DECODER):
            renamed[name] = weight
        elif place.startswith((f"{last}.", "stages.", "transpconvs.")):
            renamed["decoders.0." + place.replace(last, "output")] = weight
    return renamed
