"""The start of a student, fresh or from its teacher, which several methods share."""

from typing import Any

from torch import nn

from organincrement.methods.protocol import MethodInputs, setting
from organincrement.networks.build import NO_START, SIDE_BY_SIDE, build_network
from organincrement.networks.head import grow
from organincrement.networks.side_by_side import first_part, first_part_state


def new_organ_prior() -> Any:
    """The setting of a Config that `student_from_teacher` takes as its `prior`."""
    return setting(0.02, "share of the background that a new organ has at the start; 0: as in MiB", low=0, high=0.5)


def fresh_student(inputs: MethodInputs) -> nn.Module:
    """The planned network, freshly initialised, on the inputs' device."""
    return build_network(inputs.network.kind, inputs.network.args).to(inputs.device)


def student_from_teacher(inputs: MethodInputs, prior: float = 0.0) -> nn.Module:
    """The teacher's weights, with a head for the new organs on the inputs' device.

    Args: prior: probability of a new organ at the start, as a share of the background's; 0: MiB's start.
    """
    teacher, transition = inputs.teachers[0], inputs.transition
    if teacher.spec.kind in NO_START:
        return fresh_student(inputs)
    if teacher.spec.kind == SIDE_BY_SIDE:
        return _from_first_part(inputs, prior)
    old_organs = transition.student.organs[: transition.old_count]
    kept = (0, *(transition.old.index(organ.id) for organ in old_organs))
    state = {name: weight.detach().cpu() for name, weight in teacher.start.state_dict().items()}
    return grow(teacher.spec, state, kept, transition.new_count, prior).to(inputs.device)


def student_from_first_of_many(inputs: MethodInputs, prior: float = 0.0) -> nn.Module:
    """The first teacher's weights, with a head for every organ that it does not know. Args: prior: as above.

    Its organs come first in `transition.old`; those that are merged away lose their row.
    """
    first = inputs.teachers[0]
    if first.spec.kind in NO_START:
        return fresh_student(inputs)
    if first.spec.kind == SIDE_BY_SIDE:
        return _from_first_part(inputs, prior)
    state = {name: weight.detach().cpu() for name, weight in first.start.state_dict().items()}
    own = inputs.transition.old.organs[: len(first.channel_of) - 1]
    kept = [0, *(n for n, organ in enumerate(own, start=1) if organ.id not in inputs.transition.merges)]
    others = 1 + len(inputs.organs) - len(kept)
    return grow(first.spec, state, kept, others, prior).to(inputs.device)


def _from_first_part(inputs: MethodInputs, prior: float) -> nn.Module:
    """The first of the teacher's networks; every organ that it does not know starts as a share of its background."""
    teacher, transition = inputs.teachers[0], inputs.transition
    state = first_part_state({name: weight.detach().cpu() for name, weight in teacher.start.state_dict().items()})
    known = {label: channel for channel, label in enumerate(teacher.readout.groups[0].labels, start=1)}
    kept = [0]
    for organ in transition.student.organs[: transition.old_count]:
        channel = known.get(transition.old.index(organ.id))
        if channel is None:
            break  # channels are in the order of the organs, and those kept come first
        kept.append(channel)
    others = 1 + len(transition.student.organs) - len(kept)
    return grow(first_part(teacher.spec), state, kept, others, prior).to(inputs.device)
