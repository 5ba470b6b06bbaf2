"""Several networks on one input, as tools that split many organs over some networks have them.

Networks that were trained with different windows of intensities share an input whose window holds all of theirs; each
then cuts and scales it back to its own. Values of exactly 0 are what lies around a scan, and stay 0.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from organincrement.networks.build import SIDE_BY_SIDE
from organincrement.networks.sizing import NetworkSpec

MOST_PARTS = 16
_PREFIX = "parts."


@dataclass(frozen=True, kw_only=True)
class Window:
    """From the shared input to a part's own: scaled, shifted, then cut to low … high."""

    scale: float
    shift: float
    low: float
    high: float

    def __call__(self, x_BCDHW: Tensor) -> Tensor:
        """The part's input."""
        own = (x_BCDHW * self.scale + self.shift).clamp(self.low, self.high)
        return own.masked_fill(x_BCDHW == 0, 0.0)


class SideBySide(nn.Module):
    """The logits of all parts, one part's channels after another's; the parts know nothing of each other.

    Args: parts: the networks. channels: of each. windows: of each; None: it takes the input as it is.
    """

    def __init__(
        self, parts: Sequence[nn.Module], channels: Sequence[int], windows: Sequence[Window | None] | None = None
    ) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self._channels = tuple(channels)
        self._windows = tuple(windows or [None] * len(channels))

    def forward(self, x_BCDHW: Tensor) -> Tensor:
        """One part at a time: without gradients, what a part needs is free again before the next one runs."""
        if torch.is_grad_enabled():
            return torch.cat([self._answer(number, x_BCDHW) for number in range(len(self.parts))], 1)
        logits = x_BCDHW.new_empty(0)
        first = 0
        for number, count in enumerate(self._channels):
            found = self._answer(number, x_BCDHW)
            if first == 0:
                logits = found.new_empty(found.shape[0], sum(self._channels), *found.shape[2:])
            logits[:, first : first + count] = found
            first += count
            del found
        return logits

    def _answer(self, number: int, x_BCDHW: Tensor) -> Tensor:
        window = self._windows[number]
        logits: Tensor = self.parts[number](x_BCDHW if window is None else window(x_BCDHW))
        return logits


def check_parts(in_channels: int, out_channels: int, parts: object, known: Sequence[str]) -> None:
    """Raises: ValueError for parts that do not fit each other, before anything is made. Args: known: a part's kinds."""
    if not isinstance(parts, list | tuple) or not 0 < len(parts) <= MOST_PARTS:
        raise ValueError(f"parts must be a list of 1 to {MOST_PARTS} networks")
    for number, part in enumerate(parts):
        if not isinstance(part, Mapping) or not {"kind", "args"} <= set(part) <= {"kind", "args", "window"}:
            raise ValueError(f"part {number} must have a kind, args and at most a window, nothing else")
        if not isinstance(part["args"], Mapping):
            raise ValueError(f"part {number} must have named args")
        window_of(part)
        if part["kind"] not in known:
            raise ValueError(f"part {number} must be one of {', '.join(known)}")
        if part["args"].get("in_channels") != in_channels:
            raise ValueError(f"part {number} must have {in_channels} in_channels, as all of them")
    counts = [part["args"].get("out_channels") for part in parts]
    if not all(type(count) is int for count in counts) or sum(counts) != out_channels:
        raise ValueError(f"the parts' out_channels are {counts}, but must add up to {out_channels}")


def window_of(part: Mapping[str, Any]) -> Window | None:
    """A part's window, where it has one. Raises: ValueError for one that is not of four numbers, the range rising."""
    window = part.get("window")
    if window is None:
        return None
    numbers = list(window.values()) if isinstance(window, Mapping) else []
    if not all(isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n) for n in numbers):
        raise ValueError("a window must be of finite numbers")
    if not isinstance(window, Mapping) or set(window) != {"scale", "shift", "low", "high"}:
        raise ValueError("a window must have scale, shift, low and high, nothing else")
    if window["scale"] <= 0 or window["low"] >= window["high"]:
        raise ValueError("a window must have a scale above 0, and a low below its high")
    return Window(**{name: float(number) for name, number in window.items()})


def beside(specs: Sequence[NetworkSpec], windows: Sequence[Window | None]) -> NetworkSpec:
    """These networks as one."""
    parts: list[dict[str, Any]] = [{"kind": spec.kind, "args": dict(spec.args)} for spec in specs]
    for part, window in zip(parts, windows, strict=True):
        if window is not None:
            part["window"] = asdict(window)
    args: dict[str, Any] = {
        "in_channels": specs[0].args["in_channels"],
        "out_channels": sum(spec.args["out_channels"] for spec in specs),
        "parts": parts,
    }
    return NetworkSpec(kind=SIDE_BY_SIDE, args=args)


def part_name(number: int, name: str) -> str:
    """What a part's weight is called in the whole."""
    return f"{_PREFIX}{number}.{name}"


def first_part(spec: NetworkSpec) -> NetworkSpec:
    """The network that a student starts from: the first of several, or the one that there is."""
    if spec.kind != SIDE_BY_SIDE:
        return spec
    part = spec.args["parts"][0]
    return NetworkSpec(kind=part["kind"], args=dict(part["args"]))


def first_part_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the first part, under the names that it has by itself."""
    prefix = part_name(0, "")
    return {name.removeprefix(prefix): weight for name, weight in state.items() if name.startswith(prefix)}


def common_multiple(factors: Sequence[tuple[int, int, int]]) -> tuple[int, int, int]:
    """Per axis the smallest multiple of all parts' factors."""
    depth, height, width = (math.lcm(*along) for along in zip(*factors, strict=True))
    return depth, height, width
