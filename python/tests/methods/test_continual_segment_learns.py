"""Continual Segment on one small case: the new organ is learnt and pruned, the old decoder says what it said."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from test_bla_uag_learns import LIVER, NEW, OLD, SPLEEN, STOMACH, dice, labels_by, made, scan, trained
from tiny_models import tiny_manifest, tiny_spec
from torch import Tensor, nn

from organincrement.contract.channels import channel_count
from organincrement.contract.labels import LabelSpace, LabelTransition
from organincrement.contract.model import Decoder, MultiDecoderHead
from organincrement.inference.readout import Readout
from organincrement.methods.continual_segment import ContinualSegment
from organincrement.methods.protocol import Batch, MethodError, MethodInputs, Product, configure
from organincrement.methods.teacher import FrozenTeacher
from organincrement.networks.pruning import prunable
from organincrement.networks.sizing import NetworkSpec

CPU = torch.device("cpu")
TARGETS = (0.5, 0.8)


class World(NamedTuple):
    image: Tensor
    truth_DHW: np.ndarray
    teacher: nn.Module
    spec: NetworkSpec


class Outcome(NamedTuple):
    """A run of the method: the student after each phase, the scores, and what is packaged."""

    product: Product
    scores: list[float]
    unpruned: nn.Module
    rejected: bool


@pytest.fixture(scope="module")
def world() -> World:
    image, truth = scan()
    plain = tiny_spec(1 + len(OLD))
    spec = NetworkSpec(kind=plain.kind, args={**plain.args, "features": [8, 16]})
    old_labels = np.where(truth == STOMACH, 0, truth)
    teacher = trained(made("supervised", LabelSpace(()), OLD, None, spec), image, old_labels, steps=60)
    return World(image, truth, teacher, spec)


def method_for(world: World, **settings: object) -> ContinualSegment:
    transition = LabelTransition(OLD, NEW, {})
    manifest = tiny_manifest(OLD, world.spec)
    config = configure(ContinualSegment.Config, settings)
    head = ContinualSegment.plan_head(transition, [manifest])
    channels = channel_count(head, transition.student)
    teacher = FrozenTeacher(world.teacher, world.spec, channel_of=transition.teacher_to_student, old_count=len(OLD))
    return ContinualSegment(
        MethodInputs(
            transition=transition, teachers=[teacher], config=config, device=CPU, head=head,
            network=ContinualSegment.plan_network(config, transition, [manifest], channels),
        )
    )  # fmt: skip


def run(world: World, method: ContinualSegment, steps: Sequence[int], scores: Sequence[float] = ()) -> Outcome:
    """Train through the phases. Args: steps: of each phase. scores: instead of the measured ones."""
    torch.manual_seed(0)
    student, measured, rejected = method.build_student(), [], False
    unpruned = None
    for phase, count in enumerate(steps):
        if phase and not method.enter(student, phase, scores[:phase] or measured):
            rejected = True
            break
        method.freeze(student, phase)
        train(world, method, student, count)
        measured.append(new_dice(world, method, student))
        unpruned = unpruned or method.product(student).network
    method.settle(student, scores[: len(measured)] or measured)
    return Outcome(method.product(student), measured, unpruned, rejected)


def train(world: World, method: ContinualSegment, student: nn.Module, steps: int) -> None:
    optimizer = torch.optim.AdamW((w for w in student.parameters() if w.requires_grad), lr=1e-2)
    labels = torch.from_numpy((world.truth_DHW == STOMACH).astype(np.int64))[None]
    annotated = torch.ones(1, 1, dtype=torch.bool)
    for step in range(steps):
        generator = torch.Generator().manual_seed(step)
        batch = Batch(
            image_BCDHW=world.image, labels_BDHW=labels, annotated_BL=annotated, case_ids=("one",), generator=generator
        )
        student.train()
        optimizer.zero_grad()
        method.loss(student, batch).total.backward()
        optimizer.step()
        method.after_step(student)
    student.eval()


@torch.no_grad()
def merged(world: World, method: ContinualSegment, network: nn.Module) -> np.ndarray:
    logits_CDHW = network.eval()(world.image)[0]
    return Readout.of(method.inputs.head, method.inputs.organs).labels(logits_CDHW).numpy()


def new_dice(world: World, method: ContinualSegment, network: nn.Module) -> float:
    return dice(merged(world, method, network) == STOMACH, world.truth_DHW == STOMACH)


@pytest.fixture(scope="module")
def outcome(world: World) -> Outcome:
    return run(world, method_for(world, targets=TARGETS, rewind=True), steps=(40, 30, 40))


def test_the_teacher_knows_its_organs(world):
    labels = labels_by(world.teacher, world.image)
    assert all(dice(labels == organ, world.truth_DHW == organ) > 0.9 for organ in (LIVER, SPLEEN))


def test_the_new_organ_is_learnt_and_pruned_within_the_rule(world, outcome):
    first, *pruned = outcome.scores
    assert first > 0.9 and all(first - score <= 0.02 for score in pruned)
    assert outcome.product.head.decoders[1].sparsity == pytest.approx(0.8, abs=1e-3)
    weights = prunable(outcome.product.network.decoders[1])
    zeros = sum(int((weight == 0).sum()) for weight in weights)
    assert zeros == round(0.8 * sum(weight.numel() for weight in weights))


def test_the_old_decoder_says_what_the_teacher_said_bit_for_bit(world, outcome):
    with torch.no_grad():
        before, now = world.teacher(world.image), outcome.product.network(world.image)
    assert torch.equal(now[:, :3], before)
    encoder, own = outcome.product.network.encoder.state_dict(), world.teacher.encoder.state_dict()
    assert all(torch.equal(encoder[name], weight) for name, weight in own.items())


def test_the_old_organs_stay_after_merging(world, outcome):
    labels, by_teacher = (
        merged(world, method_for(world), outcome.product.network),
        labels_by(world.teacher, world.image),
    )
    assert all(dice(labels == organ, by_teacher == organ) > 0.95 for organ in (LIVER, SPLEEN))


def test_at_the_first_rejection_the_last_accepted_decoder_is_kept(world):
    method = method_for(world, targets=TARGETS)
    rejected = run(world, method, steps=(4, 2, 2), scores=(0.9, 0.87, 0.99))
    assert rejected.rejected and rejected.product.head.decoders[1].sparsity == 0.0
    kept, expected = rejected.product.network.state_dict(), rejected.unpruned.state_dict()
    assert all(torch.equal(kept[name], weight) for name, weight in expected.items())


def test_the_last_target_is_judged_as_well(world):
    method = method_for(world, targets=TARGETS)
    last_fails = run(world, method, steps=(4, 2, 2), scores=(0.9, 0.9, 0.8))
    assert not last_fails.rejected and last_fails.product.head.decoders[1].sparsity == pytest.approx(0.5, abs=1e-3)
    last_holds = run(world, method, steps=(4, 2, 2), scores=(0.9, 0.9, 0.89))
    assert last_holds.product.head.decoders[1].sparsity == pytest.approx(0.8, abs=1e-3)


def test_the_weights_that_stay_go_back_to_their_first_values(world):
    method = method_for(world, targets=(0.5,), rewind=True)
    torch.manual_seed(0)
    student = method.build_student()
    first = [weight.clone() for weight in prunable(student.decoder)]
    train(world, method, student, 3)
    assert all(not torch.equal(weight, start) for weight, start in zip(prunable(student.decoder), first, strict=True))
    assert method.enter(student, 1, [0.5])
    for weight, start in zip(prunable(student.decoder), first, strict=True):
        kept = weight != 0
        assert torch.equal(weight[kept], start[kept])
    train(world, method, student, 2)
    assert sum(int((w == 0).sum()) for w in prunable(student.decoder)) >= sum(w.numel() for w in first) // 2


@pytest.mark.parametrize("scores", [[], [0.0, 0.0], [0.01, 0.015], [0.4, 0.02]])
def test_without_an_organ_found_nothing_is_pruned_and_the_training_goes_on(world, scores):
    method = method_for(world, targets=TARGETS)
    student = method.build_student()
    before = [weight.clone() for weight in prunable(student.decoder)]
    assert method.enter(student, 1, scores)
    assert all(torch.equal(weight, was) for weight, was in zip(prunable(student.decoder), before, strict=True))
    assert method.product(student).head.decoders[1].sparsity == 0.0
    assert not student.pruned and method.enter(student, 2, [0.0, 0.7])  # found in the second phase
    assert method.product(student).head.decoders[1].sparsity == 0.0  # until what is pruned is accepted
    method.settle(student, [0.69])
    assert method.product(student).head.decoders[1].sparsity == pytest.approx(TARGETS[1], abs=1e-3)


@pytest.mark.parametrize("found", [0.7, 0.021])
def test_a_pruned_decoder_that_finds_nothing_is_not_taken(world, found):
    method = method_for(world, targets=TARGETS)
    student = method.build_student()
    assert method.enter(student, 1, [found])
    assert not method.enter(student, 2, [0.0])
    assert method.product(student).head.decoders[1].sparsity == 0.0


def test_a_third_group_of_organs_goes_on_from_several_decoders(world, outcome):
    """Both earlier decoders stay bit for bit, whether or not the third reads their features."""
    first, second = method_for(world), outcome.product
    space, new = first.inputs.organs, LabelSpace((replace(NEW.organs[0], id="lump", name="Lump", type=None),))
    manifest = replace(tiny_manifest(space, second.spec), head=second.head)
    transition = LabelTransition(space, new, {})
    for supporting in (False, True):
        config = configure(ContinualSegment.Config, {"supporting": supporting})
        head = ContinualSegment.plan_head(transition, [manifest])
        teacher = FrozenTeacher(
            second.network, second.spec, channel_of=transition.teacher_to_student, old_count=3,
            readout=Readout.of(second.head, space),
        )  # fmt: skip
        inputs = MethodInputs(
            transition=transition, teachers=[teacher], config=config, device=CPU, head=head,
            network=ContinualSegment.plan_network(config, transition, [manifest], 7),
        )  # fmt: skip
        method = ContinualSegment(inputs)
        student = method.build_student()
        train(world, method, student, 3)
        with torch.no_grad():
            before, now = second.network(world.image), student(world.image)
        assert now.shape[1] == 7 and torch.equal(now[:, :5], before)
        assert [part.sparsity for part in head.decoders] == [0.0, second.head.decoders[1].sparsity, 0.0]


def test_frozen_statistics_do_not_move_while_training(world):
    method = method_for(world)
    student = method.build_student().train()
    assert not any(module.training for module in student.network.encoder.modules())
    assert student.decoder.training and not student.network.decoders[0].training


@pytest.mark.parametrize("targets", [(0.9, 0.8), (0.0,), (1.0,), (0.5, 0.5), (-0.1, 0.5)])
def test_targets_that_do_not_rise_between_none_and_all_are_refused(world, targets):
    with pytest.raises(MethodError, match="targets"):
        method_for(world, targets=targets)


@pytest.mark.parametrize(
    ("ranges_mm", "merged_mm"),
    [
        ({"liver": (0.0, 100.0), "spleen": (200.0, 300.0)}, {"spleen": (0.0, 300.0)}),
        ({"spleen": (200.0, 300.0)}, None),
        ({"liver": (0.0, 100.0)}, None),
    ],
)
def test_an_organ_that_others_count_as_may_lie_wherever_they_may(ranges_mm, merged_mm):
    before = Decoder(organs=("liver", "spleen"), temperature=1.0, range_mm=ranges_mm, sparsity=0.0)
    transition = LabelTransition(OLD, NEW, {"liver": "spleen"})
    teacher = replace(tiny_manifest(OLD, tiny_spec(3)), head=MultiDecoderHead(decoders=(before,)))
    after = ContinualSegment.plan_head(transition, [teacher]).decoders[0]
    assert after.organs == ("spleen", "spleen") and after.range_mm == merged_mm


def test_a_merged_organ_is_still_seen_where_it_lay_before():
    before = Decoder(
        organs=("liver", "spleen"), temperature=1.0, sparsity=0.0,
        range_mm={"liver": (0.0, 100.0), "spleen": (200.0, 300.0)},
    )  # fmt: skip
    teacher = replace(tiny_manifest(OLD, tiny_spec(3)), head=MultiDecoderHead(decoders=(before,)))
    head = ContinualSegment.plan_head(LabelTransition(OLD, NEW, {"liver": "spleen"}), [teacher])
    old_alone = MultiDecoderHead(decoders=head.decoders[:1])
    logits_C111, at_mm = torch.tensor([0.0, 9.0, 0.0]).reshape(3, 1, 1, 1), torch.tensor([50.0]).reshape(1, 1, 1)
    readout = Readout.of(old_alone, LabelSpace((OLD.organs[1],)))
    assert readout.reduce(lambda channel: logits_C111[channel], None, 1.0, at_mm).labels.item() == 1
