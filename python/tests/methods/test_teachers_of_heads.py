"""Which teachers LwfSeg takes, what it makes of merged organs, and what it refuses in words."""

from dataclasses import replace

import pytest
import torch
from method_inputs import NEW, OLD, inputs_for, random_batch
from tiny_models import tiny_manifest, tiny_spec

from organincrement.contract.labels import LabelTransition
from organincrement.contract.model import DynamicHead, MultiHead, OrganHead
from organincrement.methods.lwfseg import LwfSeg
from organincrement.methods.protocol import MethodError

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
