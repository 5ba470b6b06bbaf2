"""The estimate of a plan, made to fit: where a step does not fit into memory, in smaller parts, then on the CPU."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from organincrement.contract.plan import Estimate, Plan
from organincrement.inference.memory import free_gpu_memory, whose_memory
from organincrement.planning.errors import PlanningError
from organincrement.planning.estimate import estimate
from organincrement.training.device import Hardware, resolve_hardware
from organincrement.workflows.setup import Setup


def fitted_plan(setup: Setup, hardware: Hardware, voxels: Sequence[int], notice: Callable[[str], None]) -> Plan:
    """The plan with its estimate, its accumulation raised or its device changed to what memory allows.

    Args: voxels: of each scan on the network's grid. notice: told of every change, in a line.
    Raises: PlanningError where one patch does not fit into main memory.
    """
    plan = setup.plan
    while True:
        try:
            return replace(plan, estimate=_measured(setup, plan, hardware, voxels))
        except (RuntimeError, MemoryError) as error:
            whose = whose_memory(error)
            if whose is None:
                raise
        free_gpu_memory()  # after the error is gone, and with it the tensors that it held
        part = _part(plan)
        if part > 1:
            parts = -(-plan.training.batch // (part // 2))
            plan = replace(plan, training=replace(plan.training, accumulation=parts))
            notice(f"out of {whose} memory: each batch will be made of {parts} parts")
        elif hardware.device.type != "cpu" and whose == "GPU":
            precision = "auto" if plan.training.precision == "fp16" else plan.training.precision
            hardware = resolve_hardware("cpu", precision)
            plan = replace(setup.plan, device="cpu", training=replace(setup.plan.training, precision=precision))
            notice("one patch does not fit into GPU memory: planned for the CPU, which takes many times as long")
        else:
            raise PlanningError(
                f"training.patch: there is not enough {whose} memory for one patch of {list(plan.training.patch)}: "
                "close other programs, or plan with a smaller one"
            )


def _part(plan: Plan) -> int:
    return -(-plan.training.batch // plan.training.accumulation)


def _measured(setup: Setup, plan: Plan, hardware: Hardware, voxels: Sequence[int]) -> Estimate:
    """By steps of one part of the batch, as many times as there are parts."""
    part = _part(plan)
    parts = -(-plan.training.batch // part)
    one = replace(plan, training=replace(plan.training, batch=part))
    rows = [setup.looked_for(setup.annotated_as(case)) for case in setup.cases]
    expected = estimate(one, setup.method(hardware.device), hardware, voxels, max(rows, key=sum))
    if parts == 1 or expected.seconds is None:
        return expected
    return replace(expected, seconds=round(expected.seconds * parts, 1))
