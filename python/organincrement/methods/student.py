"""The start of a student from its one teacher, which several methods share."""

from torch import nn

from organincrement.methods.protocol import MethodInputs
from organincrement.networks.head import grow


def student_from_teacher(inputs: MethodInputs, prior: float = 0.0) -> nn.Module:
    """The teacher's weights, with a head for the new organs on the inputs' device.

    Args: prior: probability of a new organ at the start, as a share of the background's; 0: MiB's start.
    """
    teacher, transition = inputs.teachers[0], inputs.transition
    old_organs = transition.student.organs[: transition.old_count]
    kept = (0, *(transition.old.index(organ.id) for organ in old_organs))
    state = {name: weight.detach().cpu() for name, weight in teacher.network.state_dict().items()}
    return grow(teacher.spec, state, kept, transition.new_count, prior).to(inputs.device)
