"""Optimiser, learning-rate schedule and averaged weights, from the plan's plain numbers."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from organincrement.networks.averages import move_average

_FIRST_TENTH = 0.1  # Continual Segment's average: 0.99, and 0.999 from then on (arXiv 2302.00162)
_OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


def make_optimizer(network: nn.Module, settings: Mapping[str, Any]) -> torch.optim.Optimizer:
    """The optimiser named in a plan: {"name": adam | adamw | sgd, "lr": …, "weight_decay": …, "momentum": …}.

    It has the weights that require a gradient. Raises: ValueError for an unknown name or setting.
    """
    options = {key: value for key, value in settings.items() if key != "name"}
    if settings.get("name") not in _OPTIMIZERS:
        raise ValueError(f"optimizer '{settings.get('name')}' is unknown; use one of {', '.join(_OPTIMIZERS)}")
    try:
        trained = [weight for weight in network.parameters() if weight.requires_grad]
        return _OPTIMIZERS[settings["name"]](trained, **options)
    except TypeError as error:
        raise ValueError(f"optimizer '{settings['name']}': {error}") from error


def learning_rate(step: int, total_steps: int, base: float, schedule: Mapping[str, Any]) -> float:
    """The rate of a step (from 0), by a schedule {"name": poly | constant, "power": …, "warmup_steps": …}.

    poly is base (1 - step/total)^power; the warm-up rises in a line to it. Raises: ValueError for an unknown name.
    """
    if schedule.get("name") not in ("poly", "constant"):
        raise ValueError(f"schedule '{schedule.get('name')}' is unknown; use poly or constant")
    warmup = min(1.0, (step + 1) / max(1, int(schedule.get("warmup_steps", 0))))
    decay = (1 - step / total_steps) ** float(schedule.get("power", 0.9)) if schedule["name"] == "poly" else 1.0
    return base * decay * warmup


class AveragedWeights:
    """Exponential moving average of a network's weights; a young one forgets faster, so that the start fades.

    Args: decay: m in e <- m e + (1 - m) theta. first: m of the first tenth, or None (schedule's `ema_first`).
    """

    def __init__(self, network: nn.Module, decay: float, first: float | None = None) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay, self.first = decay, first
        self.updates = 0

    def update(self, network: nn.Module, done: float = 1.0) -> None:
        """Move towards the network's present weights. Args: done: share of the training or phase."""
        self.updates += 1
        decay = self.first if self.first is not None and done < _FIRST_TENTH else self.decay
        # a first decay is the way to begin already
        self.move(network, decay if self.first is not None else min(decay, (1 + self.updates) / (10 + self.updates)))

    def move(self, network: nn.Module, momentum: float) -> None:
        """e <- m e + (1 - m) theta."""
        move_average(self.network, network, momentum)
