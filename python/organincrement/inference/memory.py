"""Whether an error says that memory is exhausted, and whose: the GPU's or the computer's."""

import torch

_SAYINGS = (
    "out of memory",  # CUDA's own calls, outside torch's allocator
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "can't allocate memory",  # torch on the CPU: "DefaultCPUAllocator: can't allocate memory"
    "not enough memory",  # the same on Windows
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is for want of memory; torch has one type for the GPU, and plain RuntimeErrors besides."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(saying in str(error) for saying in _SAYINGS)


def free_gpu_memory() -> None:
    """Hand what torch holds in reserve back to the GPU, so that a smaller attempt finds one piece."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
