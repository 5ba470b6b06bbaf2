"""What the tests of this folder hand to a method: a tiny teacher of two organs, one new organ, random patches."""

from collections.abc import Mapping
from typing import Any

import torch
from tiny_models import organs, tiny_network, tiny_spec

from organincrement.contract.labels import LabelSpace, LabelTransition
from organincrement.methods.protocol import Batch, ContinualMethod, MethodInputs, configure
from organincrement.methods.teacher import FrozenTeacher

OLD, NEW = organs("liver", "spleen"), organs("stomach")
CPU = torch.device("cpu")


def frozen(transition: LabelTransition, seed: int = 0, scale: float = 3.0) -> FrozenTeacher:
    """A teacher with random weights, whose output layer is scaled so that it has opinions."""
    spec = tiny_spec(1 + len(transition.old))
    return FrozenTeacher(
        tiny_network(spec, seed=seed, scale=scale),
        spec,
        channel_of=transition.teacher_to_student,
        old_count=transition.old_count,
    )


def inputs_for(
    method: type[ContinualMethod],
    settings: Mapping[str, Any] | None = None,
    *,
    new: LabelSpace = NEW,
    merges: Mapping[str, str] | None = None,
) -> MethodInputs:
    """As many teachers as the method needs; without one, all organs are new."""
    with_teacher = method.needs.teachers != "none"
    transition = LabelTransition(OLD if with_teacher else LabelSpace(()), new, merges or {})
    return MethodInputs(
        transition=transition,
        teachers=[frozen(transition)] if with_teacher else [],
        network=tiny_spec(1 + len(transition.student)),
        config=configure(method.Config, settings or {}),
        device=CPU,
    )


def random_batch(new_count: int = 1, *, seed: int = 0, labelled: bool = True) -> Batch:
    """Two patches of 8 voxels an edge; a tenth of the voxels, or all, are unlabelled."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 1 + new_count, (2, 8, 8, 8), generator=generator)
    unknown = torch.rand(labels.shape, generator=generator) < (0.1 if labelled else 1.0)
    image = torch.randn(2, 1, 8, 8, 8, generator=generator) + labels.unsqueeze(1)
    return Batch(
        image_BCDHW=image, labels_BDHW=labels.masked_fill(unknown, -1), case_ids=("a", "b"), generator=generator
    )
