"""Time, memory and disk of a plan, from two real steps of the method on noise."""

import time
from collections.abc import Sequence

import torch

from organincrement.contract.plan import Estimate, Plan
from organincrement.methods.protocol import Batch, ContinualMethod
from organincrement.networks.build import count_parameters
from organincrement.training.device import Hardware, ram_bytes
from organincrement.training.optimizer import make_optimizer

_STEPS = 2
_CACHE_BYTES_PER_VOXEL = 1.7  # float16 image and int16 labels after compression, measured on head-and-neck CT
_CHECKPOINTS = 5
_STATES = 4  # weights, their average, two moments


def estimate(
    plan: Plan, method: ContinualMethod, hardware: Hardware, scan_voxels: Sequence[int], annotated: Sequence[bool]
) -> Estimate:
    """What the plan is expected to take on this hardware.

    Args: scan_voxels: of each case on the network's grid. annotated: of the organs that a batch can name, those looked
        for in the case with the most of them: methods with a task for each organ do as much work as there are labels.
    """
    student = method.build_student()
    optimizer = make_optimizer(student, plan.training.optimizer)
    seconds = [_timed_step(plan, method, student, optimizer, hardware, annotated) for _ in range(_STEPS)]
    on_gpu = hardware.device.type == "cuda"
    return Estimate(
        seconds=round(min(seconds) * plan.training.steps * 1.1 + 20, 1),  # validation and preparation: about a tenth
        gpu_bytes=torch.cuda.max_memory_reserved(hardware.device) if on_gpu else None,
        ram_bytes=int(ram_bytes() * 1.3),
        disk_bytes=int(sum(scan_voxels) * _CACHE_BYTES_PER_VOXEL)
        + _CHECKPOINTS * _STATES * 4 * count_parameters(student),
        measured_on=hardware.description,
    )


def _timed_step(
    plan: Plan,
    method: ContinualMethod,
    student: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    hardware: Hardware,
    annotated: Sequence[bool],
) -> float:
    generator = torch.Generator().manual_seed(0)
    shape = (plan.training.batch, *plan.training.patch)
    image = torch.randn(shape[0], 1, *shape[1:], generator=generator)
    known = torch.tensor([0, *(number for number, looked in enumerate(annotated, start=1) if looked)])
    labels = known[torch.randint(0, len(known), shape, generator=generator)]
    batch = Batch(
        image_BCDHW=image.to(hardware.device),
        labels_BDHW=labels.to(hardware.device),
        annotated_BL=torch.tensor([list(annotated)] * shape[0], dtype=torch.bool, device=hardware.device),
        case_ids=("noise",),
        generator=generator,
    )
    started = time.perf_counter()
    with torch.autocast(hardware.device.type, hardware.autocast, enabled=hardware.autocast is not None):
        total = method.loss(student, batch).total
    total.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    if hardware.device.type == "cuda":
        torch.cuda.synchronize(hardware.device)
    return time.perf_counter() - started
