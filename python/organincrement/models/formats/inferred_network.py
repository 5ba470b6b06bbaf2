"""Which of our networks a state dict is of, from the names and shapes of its weights.

What shapes do not tell (the activation, its slope, the norm's epsilon, the first level's stride) is taken as the
tool that the names come from has it by default.
"""

import re
from collections.abc import Mapping
from typing import Any

from organincrement.networks.sizing import NetworkSpec

Shapes = Mapping[str, tuple[int, ...]]

_MOST_LEVELS = 10
_U_NET_FIRST = {
    "PlainConvUNet": "encoder.stages.0.0.convs.0.conv.weight",
    "ResidualEncoderUNet": "encoder.stem.convs.0.conv.weight",
}
_ASSUMED = {
    "PlainConvUNet": "leaky ReLU of slope 0.01, a norm's epsilon of 1e-5 and a first level of full size",
    "ResidualEncoderUNet": "leaky ReLU of slope 0.01, a norm's epsilon of 1e-5 and a first level of full size",
    "DynUNet": "instance or batch norm, leaky ReLU of slope 0.01, strides as the upsampling's kernels",
    "SegResNet": "ReLU, and upsampling without weights",
}


def inferred_network(shapes: Shapes) -> NetworkSpec | None:
    """The network whose weights have these names and shapes; None where it is none of ours.

    It is a guess from a few weights: whoever uses it compares all of them.
    """
    for infer in (_plain, _residual, _dynunet, _segresnet):
        try:
            spec = infer(shapes)
        except (KeyError, IndexError, ValueError):
            continue
        if spec is not None:
            return spec
    return None


def assumed_of(kind: str) -> str:
    """What of a network does not show in its weights' shapes, in words."""
    return _ASSUMED[kind]


def open_question(spec: NetworkSpec) -> str | None:
    """What must be known of a network, and neither shows in the weights' shapes nor has a usual value; in words."""
    if spec.kind == "SegResNet" and "norm" not in spec.args:
        return 'whether it has group norm (MONAI\'s default: "norm": "group", "groups": 8) or "norm": "instance"'
    return None


def _count(shapes: Shapes, pattern: str) -> int:
    """How many numbers follow on each other at the place of the {} in a name, from 0."""
    found = {int(match[1]) for name in shapes if (match := re.match(pattern.replace("{}", r"(\d{1,3})"), name))}
    return next(number for number in range(len(found) + 1) if number not in found)


def _edges(shape: tuple[int, ...]) -> list[int]:
    """Of a convolution's kernel; one of slices is one voxel deep."""
    return [*(1,) * (5 - len(shape)), *shape[2:]]


def _plain(shapes: Shapes) -> NetworkSpec | None:
    if _U_NET_FIRST["PlainConvUNet"] not in shapes:
        return None
    levels = range(min(_MOST_LEVELS, _count(shapes, r"encoder\.stages\.{}\.")))
    firsts = [shapes[f"encoder.stages.{level}.0.convs.0.conv.weight"] for level in levels]
    blocks = [_count(shapes, rf"encoder\.stages\.{level}\.0\.convs\.{{}}\.conv\.weight") for level in levels]
    return _u_net("PlainConvUNet", shapes, firsts, blocks)


def _residual(shapes: Shapes) -> NetworkSpec | None:
    if _U_NET_FIRST["ResidualEncoderUNet"] not in shapes:
        return None
    levels = range(min(_MOST_LEVELS, _count(shapes, r"encoder\.stages\.{}\.")))
    firsts = [shapes[f"encoder.stages.{level}.blocks.0.conv1.conv.weight"] for level in levels]
    blocks = [_count(shapes, rf"encoder\.stages\.{level}\.blocks\.{{}}\.conv1\.conv\.weight") for level in levels]
    return _u_net("ResidualEncoderUNet", shapes, firsts, blocks)


def _u_net(kind: str, shapes: Shapes, firsts: list[tuple[int, ...]], blocks: list[int]) -> NetworkSpec:
    deeper = range(len(firsts) - 1)
    stem = _U_NET_FIRST[kind].removesuffix("conv.weight")
    # a transposed convolution has the stride as its kernel; the decoder begins at the coarsest level
    strides = [[1, 1, 1], *(_edges(shapes[f"decoder.transpconvs.{level}.weight"]) for level in reversed(deeper))]
    decoder = [_count(shapes, rf"decoder\.stages\.{level}\.convs\.{{}}\.conv\.weight") for level in deeper]
    args: dict[str, Any] = {
        "in_channels": shapes[_U_NET_FIRST[kind]][1],
        "out_channels": shapes[f"decoder.seg_layers.{deeper[-1]}.weight"][0],
        "features": [first[0] for first in firsts],
        "blocks": blocks,
        "decoder_blocks": decoder,
        "kernels": [_edges(first) for first in firsts],
        "strides": strides,
    }
    if stem + "conv.bias" not in shapes:
        args["conv_bias"] = False
    args |= _norm(shapes, stem + "norm.")
    if stem + "all_modules.2.weight" in shapes:  # the norm is the third where dropout lies before it
        args["dropout"] = 0.0
    return NetworkSpec(kind=kind, args=args)


def _dynunet(shapes: Shapes) -> NetworkSpec | None:
    if "input_block.conv1.conv.weight" not in shapes:
        return None
    between = range(min(_MOST_LEVELS, _count(shapes, r"downsamples\.{}\.conv1\.conv\.weight")))
    levels = ["input_block", *(f"downsamples.{level}" for level in between), "bottleneck"]
    args: dict[str, Any] = {
        "in_channels": shapes["input_block.conv1.conv.weight"][1],
        "out_channels": shapes["output_block.conv.conv.weight"][0],
        "features": [shapes[f"{level}.conv1.conv.weight"][0] for level in levels],
    }
    ups = [_edges(shapes[f"upsamples.{level}.transp_conv.conv.weight"]) for level in range(len(levels) - 1)]
    args["kernels"] = [_edges(shapes[f"{level}.conv1.conv.weight"]) for level in levels]
    args["strides"] = [[1, 1, 1], *reversed(ups)]
    args["up_kernels"] = list(reversed(ups))
    if "input_block.conv3.conv.weight" in shapes:
        args["residual"] = True
    if "upsamples.0.transp_conv.conv.bias" in shapes:
        args["trans_bias"] = True
    args |= _norm(shapes, "input_block.norm1.")
    return NetworkSpec(kind="DynUNet", args=args)


def _segresnet(shapes: Shapes) -> NetworkSpec | None:
    if "convInit.conv.weight" not in shapes:
        return None
    down = range(min(_MOST_LEVELS, _count(shapes, r"down_layers\.{}\.")))
    up = range(min(_MOST_LEVELS, _count(shapes, r"up_layers\.{}\.")))
    first = shapes["convInit.conv.weight"]
    args: dict[str, Any] = {
        "in_channels": first[1],
        "out_channels": shapes["conv_final.2.conv.weight"][0],
        "init_filters": first[0],
        # what comes first on each level changes the size, and is no block
        "blocks_down": [len(_blocks(shapes, rf"down_layers\.{level}\.")) for level in down],
        "blocks_up": [len(_blocks(shapes, rf"up_layers\.{level}\.")) for level in up],
    }
    return NetworkSpec(kind="SegResNet", args=args | _norm(shapes, "down_layers.0.1.norm1."))


def _norm(shapes: Shapes, stem: str) -> dict[str, Any]:
    if stem + "running_mean" in shapes:
        return {"norm": "batch"}
    return {} if stem + "weight" in shapes else {"norm_affine": False}


def _blocks(shapes: Shapes, level: str) -> set[str]:
    return {match[1] for name in shapes if (match := re.match(level + r"(\d{1,3})\.conv1\.conv\.weight$", name))}
