"""Whether an error says that memory is exhausted, and whose: the GPU's or the computer's."""

from typing import Literal

import psutil
import torch

_LEAST_BUDGET_BYTES, _MOST_BUDGET_BYTES = 256 * 2**20, 2**30
_OF_THE_GPU = (
    "out of memory",  # CUDA's own calls, outside torch's allocator
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
_OF_THE_COMPUTER = (
    "DefaultCPUAllocator",  # torch on the CPU: "DefaultCPUAllocator: can't allocate memory"
    "can't allocate memory",
    "not enough memory",  # the same on Windows
    "Cannot allocate memory",  # the system's own words, where torch maps a file
)


def whose_memory(error: BaseException) -> Literal["GPU", "main"] | None:
    """Whose memory an error is for want of: the GPU's, the computer's, or None where it says something else.

    Only the first is a reason to go on on the CPU: there, what does not fit into main memory fits even less.
    """
    if isinstance(error, torch.OutOfMemoryError):  # torch's type for the GPU; there are plain RuntimeErrors besides
        return "GPU"
    if isinstance(error, MemoryError):
        return "main"
    if not isinstance(error, RuntimeError):
        return None
    if any(saying in str(error) for saying in _OF_THE_COMPUTER):
        return "main"
    return "GPU" if any(saying in str(error) for saying in _OF_THE_GPU) else None


def roomy_budget_bytes(device: torch.device) -> int:
    """For what is accumulated of a scan: an eighth of the memory that is free there, from 256 MiB to 1 GiB.

    With room for a scan's whole width, no window is computed twice.
    """
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    return max(_LEAST_BUDGET_BYTES, min(free // 8, _MOST_BUDGET_BYTES))


def free_gpu_memory() -> None:
    """Hand what torch holds in reserve back to the GPU, so that a smaller attempt finds one piece."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
