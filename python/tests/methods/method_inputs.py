"""What the tests of this folder hand to a method: tiny teachers, one new organ, random patches, as the method needs."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch
from tiny_models import organs, tiny_manifest, tiny_network, tiny_spec

from organincrement.contract.channels import channel_count
from organincrement.contract.labels import LabelSpace, LabelTransition
from organincrement.methods.protocol import Batch, ContinualMethod, MethodInputs, configure
from organincrement.methods.teacher import FrozenTeacher

OLD, NEW = organs("liver", "spleen"), organs("stomach")
CPU = torch.device("cpu")
TINY_NETWORK: Mapping[str, Any] = {"features": (4, 8), "blocks": (1, 1), "spacing_mm": (2.0, 2.0, 2.0)}


def frozen(transition: LabelTransition, seed: int = 0, scale: float = 3.0) -> FrozenTeacher:
    """A teacher with random weights, whose output layer is scaled so that it has opinions."""
    spec = tiny_spec(1 + len(transition.old))
    return FrozenTeacher(
        tiny_network(spec, seed=seed, scale=scale),
        spec,
        channel_of=transition.teacher_to_student,
        old_count=transition.old_count,
    )


def frozen_single(transition: LabelTransition, number: int, scale: float = 3.0) -> FrozenTeacher:
    """A teacher of the old organ with this number alone."""
    spec = tiny_spec(2)
    network = tiny_network(spec, seed=number, scale=scale)
    return FrozenTeacher(network, spec, channel_of=(0, number), old_count=transition.old_count)


def inputs_for(
    method: type[ContinualMethod],
    settings: Mapping[str, Any] | None = None,
    *,
    new: LabelSpace = NEW,
    merges: Mapping[str, str] | None = None,
) -> MethodInputs:
    """As many teachers as the method needs; without one, all organs are new."""
    teachers, manifests = [], []
    transition = LabelTransition(OLD if method.needs.teachers != "none" else LabelSpace(()), new, merges or {})
    if method.needs.teachers == "one":
        teachers, manifests = [frozen(transition)], [tiny_manifest(OLD, tiny_spec(1 + len(OLD)))]
    if method.needs.teachers == "many":
        teachers = [frozen_single(transition, number) for number in (1, 2)]
        manifests = [tiny_manifest(LabelSpace((organ,)), tiny_spec(2)) for organ in OLD.organs]
    known = {field.name for field in fields(method.Config)}
    sized = {name: value for name, value in TINY_NETWORK.items() if name in known}
    config = configure(method.Config, {**(settings or {}), **sized})
    head = method.plan_head(transition, manifests)
    channels = channel_count(head, transition.student)
    return MethodInputs(
        transition=transition,
        teachers=teachers,
        network=method.plan_network(config, transition, manifests, channels),
        head=head,
        config=config,
        device=CPU,
    )


def random_batch(new_count: int = 1, *, seed: int = 0, labelled: bool = True) -> Batch:
    """Two patches of 8 voxels an edge; a tenth of the voxels, or all, are unlabelled; all organs were looked for."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 1 + new_count, (2, 8, 8, 8), generator=generator)
    unknown = torch.rand(labels.shape, generator=generator) < (0.1 if labelled else 1.0)
    image = torch.randn(2, 1, 8, 8, 8, generator=generator) + labels.unsqueeze(1)
    return Batch(
        image_BCDHW=image, labels_BDHW=labels.masked_fill(unknown, -1),
        annotated_BL=torch.full((2, new_count), labelled), case_ids=("a", "b"), generator=generator,
    )  # fmt: skip


def batch_for(made: ContinualMethod, *, seed: int = 0, labelled: bool = True) -> Batch:
    """A random batch with the labels that this method is given."""
    transition = made.inputs.transition
    count = len(transition.student) if made.needs.labels == "student" else transition.new_count
    return random_batch(count, seed=seed, labelled=labelled)
