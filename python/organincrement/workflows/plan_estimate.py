"""The estimate of a plan, made to fit: where a step does not fit into memory, in smaller parts, then on the CPU."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from organincrement.contract.plan import Plan
from organincrement.inference.memory import free_gpu_memory, whose_memory
from organincrement.planning.errors import PlanningError
from organincrement.planning.estimate import CaseSize, estimate
from organincrement.planning.limits import check_norms
from organincrement.training.device import Hardware, resolve_hardware
from organincrement.training.signals import Diverged, is_disk_full
from organincrement.workflows.plan_rehearsal import rehearse
from organincrement.workflows.setup import Setup

_NO_ROOM = "the disk for temporary files is full: free space there, or name another folder in TMPDIR"


def fitted_plan(
    setup: Setup,
    hardware: Hardware,
    sizes: Sequence[CaseSize],
    notice: Callable[[str], None],
    clock: Callable[[], float] = time.perf_counter,
) -> Plan:
    """The plan with its estimate, its accumulation raised or its device changed to what memory allows.

    Args: sizes: of each case of the setup. notice: told of every change, in a line. clock: seconds to estimate in.
    Raises: PlanningError where one patch is too small or does not fit into main memory, or nothing can be tried.
    """
    plan = setup.plan
    while True:
        check_norms(plan.training, setup.network)
        try:
            found = rehearse(setup, plan, hardware, sizes, clock)
            return replace(plan, estimate=estimate(found.work, found.costs, hardware.description))
        except Diverged as error:
            raise PlanningError(f"a step on trial failed: {error}") from error
        except (RuntimeError, MemoryError, OSError) as error:
            if is_disk_full(error):
                raise PlanningError(_NO_ROOM) from error
            if (whose := whose_memory(error)) is None:
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
            raise PlanningError(_too_large(plan, whose))


def _too_large(plan: Plan, whose: str) -> str:
    return (
        f"training.patch: there is not enough {whose} memory for one patch of {list(plan.training.patch)}: close other "
        "programs, or plan with a smaller one"
    )


def _part(plan: Plan) -> int:
    return -(-plan.training.batch // plan.training.accumulation)
