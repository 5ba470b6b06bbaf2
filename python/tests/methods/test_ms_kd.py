"""Whom MS-KD believes where: teachers in their regions, and labels of organs that no teacher knows."""

from dataclasses import replace

import pytest
import torch
from method_inputs import inputs_for, random_batch
from tiny_models import organs, tiny_manifest, tiny_spec
from torch import nn

from organincrement.contract.labels import LabelSpace
from organincrement.methods.many_teachers import check_teachers, check_terms, mean_organs, opinion_of
from organincrement.methods.ms_kd import MsKd
from organincrement.methods.protocol import Batch, MethodError, configure
from organincrement.networks.sizing import NetworkSpec

LIVER, SPLEEN, STOMACH = 1, 2, 3
NONE = LabelSpace(())
LOGITS_ALONE = {"feature_weight": 0.0, "organ_dice_weight": 0.0, "new_dice_weight": 0.0}


class Says(nn.Module):
    """A student that gives one channel everywhere a large logit, and the others one of 0."""

    def __init__(self, channel: int, count: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(20.0 * nn.functional.one_hot(torch.tensor(channel), count).float())

    def forward(self, image_BCDHW):
        return self.logits.reshape(1, -1, 1, 1, 1).expand(len(image_BCDHW), -1, *image_BCDHW.shape[2:])


def with_teachers(*says_organ: bool, new: LabelSpace = NONE, **settings) -> MsKd:
    """Two teachers, of the liver and of the spleen, that say everywhere their organ or the background."""
    inputs = inputs_for(MsKd, {**LOGITS_ALONE, **settings}, new=new)
    for teacher, organ in zip(inputs.teachers, says_organ, strict=True):
        head = teacher.network.decoder.seg_layers[0]
        with torch.no_grad():
            head.weight.zero_()
            head.bias.copy_(20.0 * nn.functional.one_hot(torch.tensor(int(organ)), 2))
    return MsKd(inputs)


def batch_of(label: int, *annotated: bool) -> Batch:
    batch = random_batch()
    listed = torch.tensor([annotated] * 2)
    return replace(batch, labels_BDHW=torch.full_like(batch.labels_BDHW, label), annotated_BL=listed)


def values(method: MsKd, channel: int, batch: Batch) -> dict[str, float]:
    return method.loss(Says(channel, 1 + len(method.inputs.organs)), batch).values()


def test_where_one_teacher_sees_its_organ_the_student_is_to_see_it_too():
    method, nothing = with_teachers(True, False), batch_of(-1, False, False)
    right, wrong = (values(method, channel, nothing) for channel in (LIVER, SPLEEN))
    assert right == {"organs": pytest.approx(0, abs=1e-4), "background": 0.0}
    assert wrong["organs"] > 10 and wrong["background"] == 0


def test_where_no_teacher_sees_an_organ_the_student_is_to_see_none():
    method, nothing = with_teachers(False, False), batch_of(-1, False, False)
    assert values(method, 0, nothing)["background"] == pytest.approx(0, abs=1e-4)
    assert values(method, SPLEEN, nothing)["background"] > 10 and values(method, SPLEEN, nothing)["organs"] == 0


def test_where_two_teachers_see_their_organs_both_pull():
    method, nothing = with_teachers(True, True), batch_of(-1, False, False)
    one = values(with_teachers(True, False), SPLEEN, nothing)["organs"]
    assert values(method, SPLEEN, nothing)["organs"] == pytest.approx(one, rel=1e-3)
    assert values(method, 0, nothing)["organs"] == pytest.approx(2 * one, rel=1e-3)


def test_an_organ_that_only_labels_know_is_background_to_the_teachers_and_learned_where_it_was_looked_for():
    method = with_teachers(False, False, new=organs("stomach"))
    found = values(method, STOMACH, batch_of(STOMACH, False, False, True))
    assert found == {name: pytest.approx(0, abs=1e-4) for name in ("organs", "background", "new_cross_entropy")}
    assert values(method, 0, batch_of(STOMACH, False, False, True))["new_cross_entropy"] > 10
    assert values(method, STOMACH, batch_of(0, False, False, True))["new_cross_entropy"] > 10
    assert values(method, STOMACH, batch_of(0, True, True, False))["new_cross_entropy"] == 0


def test_labels_of_old_organs_count_only_where_asked_and_only_where_their_teachers_organ_was_looked_for():
    """The liver's teacher sees none; the labels say liver."""
    searched, not_searched = batch_of(LIVER, True, False), batch_of(LIVER, False, False)
    for truth, batch, believed in ((False, searched, 0), (True, not_searched, 0), (True, searched, LIVER)):
        method = with_teachers(False, False, ground_truth=truth)
        right, wrong = (sum(values(method, channel, batch).values()) for channel in (believed, LIVER - believed))
        assert right < 1e-3 and wrong > 10


def test_a_switched_off_part_is_not_among_the_terms():
    names = {
        "LW": ({"feature_weight": 0.0}, {"organs", "background", "organ_dice"}),
        "FW": ({"logit_weight": 0.0}, {"features", "organ_dice"}),
        "paper": (dict(MsKd.presets["paper"].settings), {"organs", "background", "features"}),
    }
    for settings, expected in names.values():
        method = MsKd(inputs_for(MsKd, settings, new=NONE))
        assert set(method.loss(method.build_student(), random_batch(2)).terms) == expected


def test_the_weights_are_those_of_equation_8():
    batch, student = random_batch(3), MsKd(inputs_for(MsKd)).build_student()
    once, sevenfold = (MsKd(inputs_for(MsKd, {"feature_weight": w})).loss(student, batch).values() for w in (1.0, 7.0))
    assert sevenfold["features"] == pytest.approx(7 * once["features"], rel=1e-5) and once["features"] > 0
    assert sevenfold["organs"] == once["organs"]
    nothing = batch_of(-1, False, False)
    once, threefold = (values(with_teachers(False, False, background_weight=w), LIVER, nothing) for w in (1.0, 3.0))
    assert threefold["background"] == pytest.approx(3 * once["background"], rel=1e-5) and once["background"] > 0


def test_an_organ_that_two_teachers_know_is_their_mean():
    inputs = inputs_for(MsKd)
    pair = [opinion_of(inputs.teachers[0], random_batch().image_BCDHW, None)] * 2
    other = replace(pair[1], log_q_BKDHW=(pair[1].log_q_BKDHW.exp() * 0.5).log())
    torch.testing.assert_close(mean_organs([pair[0], other])[:, 0], 0.75 * pair[0].log_q_BKDHW[:, LIVER].exp())


def test_a_fresh_student_has_nothing_of_its_teachers_and_another_starts_as_the_first():
    inputs = inputs_for(MsKd)
    taken, fresh = (MsKd(inputs_for(MsKd, {"start": start})).build_student() for start in ("first-teacher", "fresh"))
    name = "encoder.stages.0.0.convs.0.conv.weight"
    first = inputs.teachers[0].network.state_dict()[name]
    assert torch.equal(taken.state_dict()[name], first) and not torch.equal(fresh.state_dict()[name], first)
    image = random_batch().image_BCDHW
    with torch.no_grad():
        said = taken.eval()(image).log_softmax(1)[:, LIVER]
    torch.testing.assert_close(said, inputs.teachers[0](image).log_p_BKDHW[:, LIVER], rtol=1e-4, atol=1e-4)


def test_a_teacher_that_cannot_see_the_firsts_patch_is_refused_by_name():
    space, plain = organs("liver"), tiny_spec(2)
    deep = NetworkSpec(
        kind=plain.kind,
        args={**plain.args, "features": [4] * 5, "blocks": [1] * 5, "decoder_blocks": [1] * 4},
    )
    first, second = tiny_manifest(space, plain), replace(tiny_manifest(organs("spleen"), deep), name="deep")
    with pytest.raises(MethodError, match=r"'deep' sees patches of multiples of \[16, 16, 16\].* of \[8, 8, 8\]"):
        check_teachers([first, second], None)


def test_settings_that_leave_nothing_to_learn_are_refused():
    nothing = configure(MsKd.Config, {"logit_weight": 0.0, "feature_weight": 0.0, "organ_dice_weight": 0.0})
    with pytest.raises(MethodError, match="'logit_weight', 'feature_weight', 'organ_dice_weight' are all 0"):
        check_terms(nothing, new_count=0)
    check_terms(nothing, new_count=1)
    check_terms(configure(MsKd.Config, LOGITS_ALONE), new_count=0)


def test_teachers_whose_features_lie_on_different_grids_are_refused_by_name_and_taken_without_them():
    plain = {**tiny_spec(2).args, "features": [4, 8, 8], "blocks": [1] * 3, "decoder_blocks": [1] * 2}
    flat = {**plain, "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2]]}
    first, second = (tiny_manifest(organs("liver"), NetworkSpec(kind="PlainConvUNet", args=a)) for a in (plain, flat))
    for pair in ([first, replace(second, name="flat")], [second, replace(first, name="flat")]):
        with pytest.raises(MethodError, match=r"'flat' .* level 1 .* grid .* 'tiny': set feature_weight to 0"):
            check_teachers(pair, 1)
        check_teachers(pair, None)
        check_teachers(pair, 0)
