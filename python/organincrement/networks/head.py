"""Growing the output layer of a teacher: from K to K + N organs, as in MiB (CVPR 2020), or by heads."""

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from organincrement.networks.build import build_network
from organincrement.networks.errors import NetworkError
from organincrement.networks.sizing import NetworkSpec


def grown_rows(weight_KF: Tensor, bias_K: Tensor, new_count: int, prior: float = 0.0) -> tuple[Tensor, Tensor]:
    """Rows of the background and of every new organ = the old background row; they share its probability.

    Args: weight_KF: (1+K, ...) output weights. bias_K: (1+K,). new_count: N. prior: the share of each new organ, at
        most the background's, 1 / (N + 1); 0: as the background's, which is MiB's start.
    Returns: (1+K+N, ...) and (1+K+N,); folded by eq. 3 of BLA the grown head equals the old one exactly.
    """
    even = 1 / (new_count + 1)
    each = min(prior, even) or even
    weight = torch.cat([weight_KF, weight_KF[:1].expand(new_count, *weight_KF.shape[1:])])
    background, new = bias_K[:1] + math.log(1 - new_count * each), bias_K[:1] + math.log(each)
    return weight, torch.cat([background, bias_K[1:], new.expand(new_count)])


@torch.no_grad()
def grow(
    spec: NetworkSpec,
    teacher_state: Mapping[str, Tensor],
    kept_channels: Sequence[int],
    new_count: int,
    prior: float = 0.0,
) -> nn.Module:
    """A student with the teacher's weights and a head grown by `grown_rows`.

    Args: spec: of the teacher. teacher_state: its weights. kept_channels: the teacher's channels to keep, first 0
        (merged organs are left out). new_count: N, may be 0. prior: see `grown_rows`.
    Raises: NetworkError where the weights do not fit the spec, or the head has no bias.
    """
    kept = list(kept_channels)
    student = build_network(spec.kind, spec.with_outputs(len(kept) + new_count).args)
    head = head_parameters(spec)
    state = {
        name: _grown(name, teacher_state, kept, new_count, prior) if name in head else weight
        for name, weight in teacher_state.items()
    }
    return _filled(student, state)


@torch.no_grad()
def append(
    spec: NetworkSpec, teacher_state: Mapping[str, Tensor], kept_channels: Sequence[int], new_channels: int
) -> nn.Module:
    """A student with the teacher's weights, and rows of the output layer for further heads behind the old ones.

    Args: spec, teacher_state: of the teacher. kept_channels: whose rows are copied, in this order. new_channels: rows
        that start as those of a fresh network.
    Raises: NetworkError where the weights do not fit the spec.
    """
    kept = list(kept_channels)
    student = build_network(spec.kind, spec.with_outputs(len(kept) + new_channels).args)
    head, fresh = head_parameters(spec), student.state_dict()
    state = {
        name: torch.cat([weight[kept], fresh[name][len(kept) :]]) if name in head else weight
        for name, weight in teacher_state.items()
    }
    return _filled(student, state)


def output_layer(spec: NetworkSpec) -> str:
    """The name of the layer that puts out the channels, the last where coarser levels have one as well."""
    head = head_parameters(spec)
    with torch.device("meta"):
        names = [name for name in build_network(spec.kind, spec.args).state_dict() if name in head]
    return names[-1].rpartition(".")[0]


# whose output is the last layer's, a 1x1x1 convolution of features, whatever is asked of them
_LINEAR_AT_THE_END = ("PlainConvUNet", "ResidualEncoderUNet", "DynUNet", "SegResNet", "PreActUNet", "BasicUNet")


def linear_output(network: nn.Module, spec: NetworkSpec, channels: int) -> str | None:
    """The name of the 1x1x1 convolution that a network ends in; None where it ends otherwise.

    Args: network: maybe another than `spec` says, as an ensemble is. channels: that it puts out.
    """
    if spec.kind not in _LINEAR_AT_THE_END:
        return None
    try:
        name = output_layer(spec)
        layer = network.get_submodule(name)
    except (AttributeError, IndexError):
        return None
    plain = type(layer) is nn.Conv3d and layer.out_channels == channels and layer.groups == 1
    return name if plain and layer.kernel_size == layer.stride == (1, 1, 1) and layer.padding == (0, 0, 0) else None


@contextlib.contextmanager
def without_layer(network: nn.Module, name: str) -> Iterator[None]:
    """In this context the layer passes on what it is given."""
    parent, _, child = name.rpartition(".")
    holder, layer = network.get_submodule(parent), network.get_submodule(name)
    setattr(holder, child, nn.Identity())
    try:
        yield
    finally:
        setattr(holder, child, layer)


def _filled(student: nn.Module, state: Mapping[str, Tensor]) -> nn.Module:
    try:
        student.load_state_dict(state)
    except RuntimeError as error:
        raise NetworkError(
            f"the weights do not fit the network they are said to be of: {str(error).splitlines()[-1].strip()}"
        ) from error
    return student


def head_parameters(spec: NetworkSpec) -> frozenset[str]:
    """Names of the weights whose shape follows the number of output channels."""
    with torch.device("meta"):
        two, three = (build_network(spec.kind, spec.with_outputs(count).args).state_dict() for count in (2, 3))
    return frozenset(name for name in two if two[name].shape != three[name].shape)


def _grown(name: str, state: Mapping[str, Tensor], kept: list[int], new_count: int, prior: float) -> Tensor:
    stem, _, which = name.rpartition(".")
    bias = state.get(f"{stem}.bias")
    if bias is None:
        raise NetworkError(f"the output layer '{stem}' has no bias, which the new organs' start needs")
    weight, grown_bias = grown_rows(state[f"{stem}.weight"][kept], bias[kept], new_count, prior)
    return grown_bias if which == "bias" else weight


@torch.no_grad()
def temper_rows(network: nn.Module, layer: str, rows: Sequence[int], temperature: float) -> None:
    """Divide some rows of an output layer, in place, so that their softmax is that of logits / temperature."""
    found = network.get_submodule(layer)
    for weight in (found.weight, found.bias):
        if isinstance(weight, Tensor):
            weight[list(rows)] /= temperature
