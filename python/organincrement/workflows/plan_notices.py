"""What a plan says of its teachers before anything is trained, and what it refuses of them."""

from collections.abc import Callable, Sequence

import torch

from organincrement.contract.model import ModelManifest
from organincrement.imaging.geometry import orientation_code
from organincrement.imaging.preprocessing import canonical_grid
from organincrement.imaging.safe_read import peek
from organincrement.methods.protocol import MethodError
from organincrement.networks.build import PROGRAM
from organincrement.networks.sizing import NetworkSpec, patch_multiple
from organincrement.planning.teacher_fit import ScanGrid, teacher_notices
from organincrement.workflows.setup import PlannedCase, Setup


def tell_of_teachers(setup: Setup, notice: Callable[[str], None]) -> None:
    """Say, in a line each, what does not fit between a teacher and the new scans, and what that means.

    Raises: MethodError where a teacher cannot answer patches of the plan's size.
    """
    new = [planned for planned in setup.cases if not planned.old]
    dataset = ", ".join(dict.fromkeys(planned.dataset.path.name for planned in new))
    for teacher in setup.teachers:
        _check_patch(teacher.manifest, setup)
        grids = _grids(new, teacher.manifest.preprocessing.orientation)
        for line in teacher_notices(teacher.manifest, grids, setup.transition, dataset):
            notice(line)


def tell_of_phases(setup: Setup, notice: Callable[[str], None]) -> None:
    """Say where a method that prunes what it has trained has nothing to judge that by."""
    if not setup.plan.validation.cases and len(setup.method(torch.device("cpu")).phases()) > 1:
        notice("no case is held back: nothing will be pruned, and all steps are the first training's")


def _grids(cases: Sequence[PlannedCase], orientation: str) -> list[ScanGrid]:
    headers = [(planned.id, peek(planned.dataset.image_path(planned.case))) for planned in cases]
    return [
        ScanGrid(case=case, orientation=orientation_code(header), spacing_mm=canonical_grid(header, orientation)[1])
        for case, header in headers
    ]


def _check_patch(teacher: ModelManifest, setup: Setup) -> None:
    patch, multiple = setup.plan.training.patch, patch_multiple(NetworkSpec.of(teacher.network))
    if any(edge % own for edge, own in zip(patch, multiple, strict=True)):
        program = teacher.network.kind == PROGRAM
        takes = "is a program for patches of" if program else "sees patches of multiples of"
        raise MethodError(
            f"training.patch is {list(patch)}, but teacher '{teacher.name}' {takes} {list(multiple)}: leave the "
            "setting out"
        )
