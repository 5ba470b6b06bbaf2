"""Which teachers LwfSeg takes, what it makes of merged organs, and what it refuses in words."""

import math
from dataclasses import replace

import pytest
import torch
from method_inputs import CPU, NEW, OLD, inputs_for, random_batch
from tiny_models import organs, tiny_manifest, tiny_network, tiny_spec

from organincrement.contract.labels import LabelTransition
from organincrement.contract.model import DynamicHead, MultiHead, OrganHead
from organincrement.inference.readout import Readout
from organincrement.methods.lwfseg import LwfSeg
from organincrement.methods.protocol import MethodError, MethodInputs
from organincrement.methods.teacher import FrozenTeacher
from organincrement.networks.sizing import NetworkSpec

LAYER = "decoder.seg_layers.0"


def planned(head=None, merges=None):
    manifest = tiny_manifest(OLD, tiny_spec(4))
    manifest = manifest if head is None else replace(manifest, head=head)
    return LwfSeg.plan_head(LabelTransition(OLD, NEW, merges or {}), [manifest])


def of(*parts, prefix=LAYER):
    return MultiHead(heads=tuple(OrganHead(organs=organs, prefix=prefix) for organs in parts))


def test_a_softmax_becomes_one_head_and_heads_stay_heads():
    assert planned() == of(("liver", "spleen"), ("stomach",))
    assert planned(of(("spleen",), ("liver",))) == of(("spleen",), ("liver",), ("stomach",))


@pytest.mark.parametrize(
    "head", [DynamicHead(tasks=(("liver",), ("spleen",)), width=8, depth=3), of(("liver",), ("spleen",), prefix="a.b")]
)
def test_any_other_teacher_is_refused_by_name(head):
    with pytest.raises(MethodError, match=r"'lwfseg'.*'tiny'") as refused:
        planned(head)
    assert "\n" not in str(refused.value)


def test_organs_of_different_heads_are_not_merged():
    with pytest.raises(MethodError, match="'spleen' cannot count as 'liver'"):
        planned(of(("liver",), ("spleen",)), {"spleen": "liver"})


def test_a_merged_organ_teaches_the_organ_that_it_counts_as():
    method = LwfSeg(inputs_for(LwfSeg, merges={"spleen": "liver"}))
    batch = random_batch()
    (p,) = method._posteriors(method.teacher.logits(batch.image_BCDHW))
    theirs = method.teacher.network(batch.image_BCDHW).softmax(1)
    torch.testing.assert_close(p[:, 0], theirs[:, 0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(p[:, 1], theirs[:, 1] + theirs[:, 2], rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        kept = method.build_student().eval()(batch.image_BCDHW)[:, :2]
        logits = method.teacher.network(batch.image_BCDHW)[:, :2]
    torch.testing.assert_close(kept, logits, rtol=1e-4, atol=1e-4)


def test_an_organ_that_is_learned_anew_is_background_to_its_old_head():
    method = LwfSeg(inputs_for(LwfSeg, new=organs("spleen"), merges={"spleen": "spleen"}))
    batch = random_batch()
    (p,) = method._posteriors(method.teacher.logits(batch.image_BCDHW))
    theirs = method.teacher.network(batch.image_BCDHW).softmax(1)
    torch.testing.assert_close(p, torch.stack([theirs[:, 0] + theirs[:, 2], theirs[:, 1]], 1), rtol=1e-4, atol=1e-5)
    terms = method.loss(method.build_student(), batch).values()
    assert terms["distillation"] > 0 and all(math.isfinite(term) for term in terms.values())


def test_an_organ_of_the_teacher_can_count_as_another_new_one():
    assert planned(merges={"spleen": "stomach"}) == of(("liver",), ("stomach",))


def test_a_head_of_which_nothing_is_left_is_not_kept():
    transition = LabelTransition(OLD, organs("spleen"), {"spleen": "spleen"})
    spec, head = tiny_spec(4), of(("spleen",), ("liver",))
    manifest = replace(tiny_manifest(OLD, spec), head=head)
    student_head = LwfSeg.plan_head(transition, [manifest])
    assert student_head == of(("liver",), ("spleen",))
    teacher = FrozenTeacher(
        tiny_network(spec), spec, channel_of=transition.teacher_to_student, old_count=1, readout=Readout.of(head, OLD)
    )
    method = LwfSeg(
        MethodInputs(
            transition=transition, teachers=[teacher], network=spec, head=student_head, config=LwfSeg.Config(),
            device=CPU,
        )
    )  # fmt: skip
    batch, student = random_batch(), method.build_student()
    assert method.loss(student, batch).values()["distillation"] > 0
    with torch.no_grad():  # the liver's head of the teacher is its channels 2 and 3
        kept, logits = student.eval()(batch.image_BCDHW)[:, :2], teacher.network(batch.image_BCDHW)[:, 2:]
    torch.testing.assert_close(kept, logits, rtol=1e-4, atol=1e-4)


def test_a_network_to_whose_last_layers_nothing_can_be_added_is_refused_in_words():
    spec = NetworkSpec(kind="UNet", args={"in_channels": 1, "out_channels": 3, "features": [4, 8], "strides": [2]})
    with pytest.raises(MethodError, match=r"'tiny' is a UNet, .* nothing can be added: choose bla-uag") as refused:
        LwfSeg.plan_head(LabelTransition(OLD, NEW, {}), [tiny_manifest(OLD, spec)])
    assert "\n" not in str(refused.value)
