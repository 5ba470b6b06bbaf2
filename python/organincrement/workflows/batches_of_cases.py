"""What a job trains on: mini-batches of its prepared cases, and teachers that answer them."""

from collections.abc import Sequence
from pathlib import Path

import torch

from organincrement.imaging.cache import CachedCase, private_folder
from organincrement.imaging.patches import PatchSampler
from organincrement.methods.teacher import FrozenTeacher
from organincrement.methods.teacher_memory import RememberedTeacher, bytes_for
from organincrement.training.batches import BatchSource
from organincrement.training.patch_plan import FixedBatches
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.setup import Setup
from organincrement.workflows.student_package import PreparedCases


def batches(setup: Setup, training: Sequence[CachedCase], exemplars: Sequence[CachedCase], fill: float) -> BatchSource:
    """The mini-batch of each step. Args: fill: the value beyond a case."""
    plan = setup.plan
    sampler = PatchSampler(
        cases=training,
        patch=plan.training.patch,  # type: ignore[arg-type]
        batch=plan.training.batch,
        foreground=max(1, plan.training.batch // 2),
        seed=plan.seed,
        fill=fill,
        exemplars=exemplars,
        replay_at_most=float(getattr(setup.config, "replay_at_most", 1.0)),
    )
    # the augmentation mirrors the last axis, which runs from right to left unless the model turns its axes
    turned = tuple(setup.preprocessing.axis_order) != (0, 1, 2)
    mirrored = not (turned or setup.organs.has_laterality)
    if count := _patch_plan(setup):
        return FixedBatches(sampler=sampler, mirror_left_right=mirrored, count=count)
    return BatchSource(sampler=sampler, mirror_left_right=mirrored)


def annotated_of(setup: Setup, prepared: PreparedCases, exemplars: Sequence[CachedCase]) -> dict[str, tuple[bool, ...]]:
    """Of each case, which of the organs that can be labelled were looked for; in an exemplar none."""
    return {
        **{case_id: setup.looked_for(known.annotated) for case_id, (_, known) in prepared.items()},
        **{case.id: setup.looked_for(()) for case in exemplars},
    }


def teachers_for(setup: Setup, device: torch.device, folder: Path, alone: bool) -> Sequence[FrozenTeacher]:
    """The teachers on the device; over a fixed plan of patches they keep their answers in a folder.

    Raises: WorkflowError where several processes would share such a plan.
    """
    teachers = setup.frozen_teachers(device)
    if not _patch_plan(setup):
        return teachers
    if not alone:
        raise WorkflowError("setting 'patch_plan': is for one process alone; set it to 0")
    private_folder(folder)
    room = remembered_bytes(setup)
    return [RememberedTeacher(teacher, folder, room) for teacher in teachers]


def remembered_bytes(setup: Setup) -> int:
    """What a teacher keeps on disk at most."""
    training = setup.plan.training
    return bytes_for(_patch_plan(setup), training.batch, setup.transition.old_count, training.patch)


def _patch_plan(setup: Setup) -> int:
    """How many mini-batches are used in turn; 0: there are new ones in every step."""
    return int(getattr(setup.config, "patch_plan", 0))
