"""What a plan says of its teachers before anything is trained, and what it refuses of them."""

from collections.abc import Callable, Sequence

from organincrement.imaging.geometry import orientation_code
from organincrement.imaging.preprocessing import canonical_grid
from organincrement.imaging.safe_read import peek
from organincrement.methods.protocol import MethodError
from organincrement.networks.build import PROGRAM
from organincrement.planning.teacher_fit import ScanGrid, teacher_notices
from organincrement.workflows.setup import PlannedCase, Setup


def tell_of_teachers(setup: Setup, notice: Callable[[str], None]) -> None:
    """Say, in a line each, what does not fit between a teacher and the new scans, and what that means.

    Raises: MethodError where a teacher cannot answer patches of the plan's size.
    """
    new = [planned for planned in setup.cases if not planned.old]
    dataset = ", ".join(dict.fromkeys(planned.dataset.path.name for planned in new))
    for teacher in setup.teachers:
        _check_patch(teacher.manifest.network.kind, teacher.manifest.inference.patch, setup)
        grids = _grids(new, teacher.manifest.preprocessing.orientation)
        for line in teacher_notices(teacher.manifest, grids, setup.transition, dataset):
            notice(line)


def _grids(cases: Sequence[PlannedCase], orientation: str) -> list[ScanGrid]:
    headers = [(planned.id, peek(planned.dataset.image_path(planned.case))) for planned in cases]
    return [
        ScanGrid(case=case, orientation=orientation_code(header), spacing_mm=canonical_grid(header, orientation)[1])
        for case, header in headers
    ]


def _check_patch(kind: str, taken: Sequence[int], setup: Setup) -> None:
    patch = setup.plan.training.patch
    if kind == PROGRAM and any(edge % own for edge, own in zip(patch, taken, strict=True)):
        raise MethodError(
            f"training.patch is {list(patch)}, but the teacher is a program for patches of {list(taken)}: leave the "
            "setting out"
        )
