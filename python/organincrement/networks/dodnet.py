"""DoDNet: one encoder-decoder, and a small head whose weights a controller makes for each image and task.

Source: J. Zhang et al., "DoDNet: learning to segment multi-organ and tumors from multiple partially labeled datasets",
CVPR 2021, arXiv 2011.10217, eq. 3 to 7; and the networks that it is compared with. All of them put out two maps for
each task, organ and anomaly, each to be read as a sigmoid.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from organincrement.networks.errors import NetworkError
from organincrement.networks.preact_unet import Decoder, Encoder, constant_maps, decoder_widths

MAPS_PER_TASK = 2
CONDITIONINGS = ("dynamic", "none", "input", "decoder")
CONTROLLERS = ("both", "task", "image")
_MOST_TASKS = 512

Layer = tuple[Tensor, Tensor]


def parameter_count(width: int, depth: int) -> int:
    """Weights and biases of a head of `depth` 1x1x1 convolutions; 162 for width 8, depth 3 (table 1)."""
    return sum(outputs * (width + 1) for outputs in _layer_outputs(width, depth))


def head_layers(params_PN: Tensor, width: int, depth: int) -> Iterator[Layer]:
    """Cut the controller's output: all weights, then all biases, each weight (outputs, inputs) row-major.

    Yields: (P, outputs, width) and (P, outputs) of each layer.
    """
    outputs = _layer_outputs(width, depth)
    weights, biases = params_PN.split([width * sum(outputs), sum(outputs)], dim=1)
    layers = zip(outputs, weights.split([width * n for n in outputs], 1), biases.split(outputs, 1), strict=True)
    for count, weight, bias in layers:
        yield weight.unflatten(1, (count, width)), bias


def dynamic_head(params_PN: Tensor, features_PCDHW: Tensor, width: int = 8, depth: int = 3) -> Tensor:
    """Eq. 7: `depth` convolutions of 1x1x1 with the given weights, ReLU between them, to (P, 2, D, H, W) logits.

    Args: params_PN: see `head_layers`. features_PCDHW: C = width; P pairs of an image and a task.
    """
    x = features_PCDHW.flatten(2)
    for number, (weight, bias) in enumerate(head_layers(params_PN, width, depth)):
        x = torch.baddbmm(bias.unsqueeze(2), weight, x.relu() if number else x)
    return x.unflatten(2, features_PCDHW.shape[2:])


def controlled(gap_PF: Tensor, task_PT: Tensor, weight_NK: Tensor, bias_N: Tensor) -> Tensor:
    """Eq. 6: the head's parameters, from pooled features and task in this order. A 1x1x1 convolution of one voxel."""
    return functional.linear(torch.cat([gap_PF, task_PT], 1), weight_NK, bias_N)


def head_start(width: int, depth: int) -> Tensor:
    """Parameters of a head as convolutions start: He's spread of the weights, no bias."""
    outputs = sum(_layer_outputs(width, depth))
    return torch.cat([torch.randn(outputs * width) * (2 / width) ** 0.5, torch.zeros(outputs)])


def with_more_tasks(state: Mapping[str, Tensor], count: int, sees: str = "both") -> dict[str, Tensor]:
    """The weights of a DoDNet for `count` further tasks; the maps of its old ones stay what they are.

    The new tasks' columns of the controller are 0; one that `sees` the image alone needs none. The network has
    2 * `count` more out_channels.
    Raises: NetworkError where the weights have no controller, as those of a network that is told tasks in another way.
    """
    if "controller.weight" not in state:
        raise NetworkError("these weights have no controller: only a DoDNet with the task in it takes further tasks")
    weight, columns = state["controller.weight"], 0 if sees == "image" else count
    return {**state, "controller.weight": torch.cat([weight, weight.new_zeros(len(weight), columns)], 1)}


class DoDNet(nn.Module):
    """Encoder, decoder and head, told of the task by the controller or in another way.

    conditioning: dynamic (DoDNet), none (one fixed head, the same for all tasks), input or decoder (a fixed head, and
    the task as constant maps beside the image or the input of every level of the decoder).
    controller: what it sees: the pooled features and the task (both), or one of them.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        features: Sequence[int],
        blocks: Sequence[int],
        width: int = 8,
        depth: int = 3,
        conditioning: str = "dynamic",
        controller: str = "both",
    ) -> None:
        super().__init__()
        _check_choice("conditioning", conditioning, CONDITIONINGS)
        _check_choice("controller", controller, CONTROLLERS)
        self.tasks, self.width, self.depth = task_count(out_channels), width, depth
        self.conditioning, self.sees = conditioning, controller
        deepest = decoder_widths(features)[-1]
        extra = {name: self.tasks if conditioning == name else 0 for name in CONDITIONINGS}
        self.encoder = Encoder(in_channels + extra["input"], features, blocks, deepest)
        self.decoder = Decoder(features, width, extra=extra["decoder"])
        if conditioning == "dynamic":
            inputs = (deepest if controller != "task" else 0) + (self.tasks if controller != "image" else 0)
            self.controller = nn.Linear(inputs, parameter_count(width, depth))
            self.controller.bias.data.copy_(head_start(width, depth))
        else:
            self.head = nn.Parameter(head_start(width, depth))

    def forward(self, x_BCDHW: Tensor) -> Tensor:
        """The maps of all tasks, (B, 2 * tasks, D, H, W), as few passes through encoder and decoder as can be."""
        every = torch.arange(len(x_BCDHW), device=x_BCDHW.device)
        of_task = [torch.full_like(every, task) for task in range(self.tasks)]
        if self.conditioning == "input":
            return torch.cat([self.for_tasks(x_BCDHW, every, task_B) for task_B in of_task], 1)
        deep, skips = self.encoder(x_BCDHW)
        if self.conditioning == "decoder":
            return torch.cat([self._maps(self._decoded(deep, skips, task_B), deep, task_B) for task_B in of_task], 1)
        features = self.decoder(deep, skips)
        if self.conditioning == "none":
            return self._maps(features, deep, of_task[0]).repeat(1, self.tasks, 1, 1, 1)
        # one task after the other: all at once would hold `width` maps of each
        return torch.cat([self._maps(features, deep, task_B) for task_B in of_task], 1)

    def for_tasks(self, x_BCDHW: Tensor, sample_P: Tensor, task_P: Tensor) -> Tensor:
        """The two maps (P, 2, D, H, W) of each pair of a sample and a task, such as those that are labelled."""
        if self.conditioning == "input":
            told = torch.cat([x_BCDHW[sample_P], constant_maps(self._one_hot(task_P, x_BCDHW), x_BCDHW)], 1)
            deep, skips = self.encoder(told)
            return self._maps(self.decoder(deep, skips), deep, task_P)
        deep, skips = self.encoder(x_BCDHW)
        if self.conditioning == "decoder":
            deep, skips = deep[sample_P], [skip[sample_P] for skip in skips]
            return self._maps(self._decoded(deep, skips, task_P), deep, task_P)
        return self._maps(self.decoder(deep, skips)[sample_P], deep[sample_P], task_P)

    def _decoded(self, deep_PCDHW: Tensor, skips: Sequence[Tensor], task_P: Tensor) -> Tensor:
        return self.decoder(deep_PCDHW, skips, self._one_hot(task_P, deep_PCDHW))

    def _maps(self, features_PCDHW: Tensor, deep_PCDHW: Tensor, task_P: Tensor) -> Tensor:
        params_PN = self._head_parameters(deep_PCDHW, task_P)
        return dynamic_head(params_PN, features_PCDHW, self.width, self.depth)

    def _head_parameters(self, deep_PCDHW: Tensor, task_P: Tensor) -> Tensor:
        if self.conditioning != "dynamic":
            return self.head.expand(len(task_P), -1)
        gap_PF = deep_PCDHW.mean((2, 3, 4))
        task_PT = self._one_hot(task_P, gap_PF)
        gap_PF = gap_PF[:, :0] if self.sees == "task" else gap_PF
        task_PT = task_PT[:, :0] if self.sees == "image" else task_PT
        return controlled(gap_PF, task_PT, self.controller.weight, self.controller.bias)

    def _one_hot(self, task_P: Tensor, like: Tensor) -> Tensor:
        """Eq. 5."""
        return functional.one_hot(task_P, self.tasks).to(like)


class TaskDecoders(nn.Module):
    """One encoder, and for each task a decoder with half the channels and a head of the dynamic one's shape."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        features: Sequence[int],
        blocks: Sequence[int],
        width: int = 8,
        depth: int = 3,
    ) -> None:
        super().__init__()
        count = task_count(out_channels)
        self.width, self.depth = width, depth
        self.encoder = Encoder(in_channels, features, blocks, decoder_widths(features, share=2)[-1])
        self.decoders = nn.ModuleList(Decoder(features, width, share=2) for _ in range(count))
        self.heads = nn.ParameterList(head_start(width, depth) for _ in range(count))

    def forward(self, x_BCDHW: Tensor) -> Tensor:
        """The maps of all tasks, (B, 2 * tasks, D, H, W), from one pass through the encoder."""
        deep, skips = self.encoder(x_BCDHW)
        return torch.cat([self._maps(deep, skips, task) for task in range(len(self.decoders))], 1)

    def for_tasks(self, x_BCDHW: Tensor, sample_P: Tensor, task_P: Tensor) -> Tensor:
        """The two maps (P, 2, D, H, W) of each pair of a sample and a task; no other decoder is run."""
        deep, skips = self.encoder(x_BCDHW)
        maps = [
            self._maps(deep[sample : sample + 1], [skip[sample : sample + 1] for skip in skips], task)
            for sample, task in zip(sample_P.tolist(), task_P.tolist(), strict=True)
        ]
        return torch.cat(maps)

    def _maps(self, deep_BCDHW: Tensor, skips: Sequence[Tensor], task: int) -> Tensor:
        features = self.decoders[task](deep_BCDHW, skips)
        return dynamic_head(self.heads[task].expand(len(features), -1), features, self.width, self.depth)


def task_count(out_channels: int) -> int:
    """How many tasks have so many maps. Raises: ValueError where it is not a number of pairs, or far too many."""
    if out_channels % MAPS_PER_TASK or out_channels > MAPS_PER_TASK * _MOST_TASKS:
        raise ValueError(f"out_channels {out_channels} must be two for each task, of at most {_MOST_TASKS} tasks")
    return out_channels // MAPS_PER_TASK


def _layer_outputs(width: int, depth: int) -> list[int]:
    return [width] * (depth - 1) + [MAPS_PER_TASK]


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"{name} {value!r} must be one of {', '.join(choices)}")
