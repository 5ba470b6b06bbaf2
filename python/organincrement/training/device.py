"""Which device and precision a job uses; `auto` is resolved here and recorded in the `started` event."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import psutil
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from organincrement.contract.plan import DEVICES
from organincrement.networks.heap import keep_freed_memory

_THIN = 2  # voxels
_PRECISIONS = ("auto", "bf16", "fp16", "fp32", "fp64")


class DeviceError(ValueError):
    """The device asked for is not there."""


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """device: where training runs. precision: bf16, fp16, fp32, or fp64, which is for comparing processes (slow)."""

    device: torch.device
    precision: str

    @property
    def autocast(self) -> torch.dtype | None:
        """The type that matrix work is done in, None where it is that of the weights."""
        return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.precision)

    @property
    def weights(self) -> torch.dtype:
        """The type of weights and images."""
        return torch.float64 if self.precision == "fp64" else torch.float32

    @contextmanager
    def computing(self) -> Iterator[None]:
        """To compute a loss in."""
        thin = self.precision == "bf16" and self.device.type == "cpu"
        exceptions = _AllDouble() if self.precision == "fp64" else _WholeWhereThin() if thin else nullcontext()
        with torch.autocast(self.device.type, self.autocast, enabled=self.autocast is not None), exceptions:
            yield

    def keep_memory(self) -> None:
        """On a CPU the memory of one pass of a network is kept for the next (networks/heap.py)."""
        if self.device.type == "cpu":
            keep_freed_memory()

    def adopt(self, network: nn.Module) -> None:
        """Give a network's weights their type; it then takes images of any type."""
        if self.precision == "fp64":
            network.to(self.weights).register_forward_pre_hook(_in_type_of_weights)

    @property
    def description(self) -> str:
        """For people: the kind and, for a GPU, its name."""
        if self.device.type == "cuda":
            return f"cuda: {torch.cuda.get_device_name(self.device)}"
        return f"cpu: {torch.get_num_threads()} threads"


def resolve_hardware(device: str, precision: str) -> Hardware:
    """Resolve `auto`: a GPU where there is one; bf16 where the hardware computes it, which halves a CPU's time.

    Raises: DeviceError where CUDA is asked for and absent, or a name is unknown.
    """
    if device not in DEVICES or precision not in _PRECISIONS:
        raise DeviceError(
            f"device '{device}' with precision '{precision}' is unknown; use auto, cpu or cuda with "
            f"{', '.join(_PRECISIONS[:-1])} or {_PRECISIONS[-1]}"
        )
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceError("no CUDA device was found: use --device cpu, or check the driver with nvidia-smi")
    chosen = torch.device("cuda" if device == "cuda" or (device == "auto" and torch.cuda.is_available()) else "cpu")
    if precision == "fp16" and chosen.type == "cpu":
        raise DeviceError("fp16 is for CUDA only: use bf16 or fp32 on a CPU")
    return Hardware(device=chosen, precision=_fastest_precision(chosen) if precision == "auto" else precision)


class _AllDouble(TorchFunctionMode):
    """What losses widen to float32, so as not to compute in bfloat16, stays float64."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return args[0].double() if func is torch.Tensor.float else func(*args, **(kwargs or {}))


class _WholeWhereThin(TorchFunctionMode):
    """Convolutions over one or two voxels along an axis are done in float32, also where all else is in bfloat16.

    For their weights torch 2.13 gives gradients on a CPU that hold whatever lay in memory before, and may end the
    process (oneDNN). They are the coarsest level's and cost next to nothing.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is not torch.conv3d or not _is_thin(*args[:2]):
            return func(*args, **kwargs)
        with torch.autocast("cpu", enabled=False):
            return func(*(a.float() if isinstance(a, torch.Tensor) else a for a in args), **kwargs)


def _is_thin(x_BCDHW: torch.Tensor, weight_OIDHW: torch.Tensor) -> bool:
    sizes = zip(x_BCDHW.shape[2:], weight_OIDHW.shape[2:], strict=True)
    return any(size <= _THIN and kernel > 1 for size, kernel in sizes)


def _in_type_of_weights(network: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    kind = next(network.parameters()).dtype
    return tuple(image.to(kind) for image in inputs)


def _fastest_precision(device: torch.device) -> str:
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    able = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "bf16" if able.get("avx512_bf16") or able.get("amx_bf16") else "fp32"


def ram_bytes() -> int:
    """Resident memory of this process and its children."""
    me = psutil.Process()
    return me.memory_info().rss + sum(_rss(child) for child in me.children(recursive=True))


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0  # it ended between the listing and the question
