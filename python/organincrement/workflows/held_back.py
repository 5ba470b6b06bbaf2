"""The cases held back for validation, and looking at them: of several processes, each looks at some."""

import json
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch

from organincrement.imaging.cache import CachedCase
from organincrement.methods.teacher import FrozenTeacher
from organincrement.training.distributed import Group
from organincrement.training.validation import HeldBackCase, Rows, Segmenter, ValidationResult
from organincrement.workflows.setup import Setup
from organincrement.workflows.student_package import PreparedCases

Look = Callable[[Sequence[HeldBackCase]], ValidationResult]


def held_back(setup: Setup, prepared: PreparedCases, segmenter: Segmenter, group: Group) -> list[HeldBackCase]:
    """The validation cases; teachers can be asked about those that this process looks at, in the student's labels."""
    teachers, held = setup.frozen_teachers(segmenter.device), list[HeldBackCase]()
    for number, case_id in enumerate(setup.plan.validation.cases):
        cached, known = prepared[case_id]
        own = number % group.size == group.rank
        held.append(
            HeldBackCase(
                case=cached, annotated=known.annotated, label_values=setup.label_values,
                teacher_labels_DHW=partial(_labels_of, teachers, cached, segmenter) if own else None,
            )
        )  # fmt: skip
    return held


def _labels_of(teachers: Sequence[FrozenTeacher], case: CachedCase, segmenter: Segmenter) -> np.ndarray | None:
    """The most probable old organ of each voxel; of several teachers the first that names one. None without any."""
    merged = None
    for teacher in teachers:

        def labelled(logits_CDHW: torch.Tensor, teacher: FrozenTeacher = teacher) -> torch.Tensor:
            return teacher.old_labels(logits_CDHW)

        labels = segmenter.labels(teacher.network, case, teacher.readout.channels, labelled)
        merged = labels if merged is None else np.where(merged > 0, merged, labels)
    return merged


def looked_at(look: Look, held: Sequence[HeldBackCase], organs: Sequence[str], group: Group) -> ValidationResult:
    """What a look at all cases tells, in their order, wherever each was looked at. Args: organs: of the student."""
    if group.is_alone:
        return look(held)

    def own() -> str:
        found = {number: look(held[number : number + 1]) for number in range(group.rank, len(held), group.size)}
        return json.dumps({number: (result.dice, result.agreement) for number, result in found.items()})

    answers = [json.loads(answer) for answer in group.together(own)]
    of_case = {int(number): rows for answer in answers for number, rows in answer.items()}
    dice, agreement = ([of_case[number][which] for number in range(len(held))] for which in range(2))
    return ValidationResult(dice=_joined(dice, organs), agreement=_joined(agreement, organs))


def _joined(of_cases: Sequence[Rows], organs: Sequence[str]) -> Rows:
    named = [organ for organ in organs if any(organ in rows for rows in of_cases)]
    return {organ: [value for rows in of_cases for value in rows.get(organ, [])] for organ in named}
