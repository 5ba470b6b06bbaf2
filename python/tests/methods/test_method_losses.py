"""What tells the methods apart: whom each believes about which voxel."""

from dataclasses import replace

import pytest
import torch
from method_inputs import OLD, inputs_for, random_batch
from torch import nn

from organincrement.methods.bla_uag import BlaUag
from organincrement.methods.fine_tune import FineTune
from organincrement.methods.labelled import as_student_labels
from organincrement.methods.lwf import Lwf
from organincrement.methods.mib import Mib
from organincrement.methods.protocol import Batch
from organincrement.methods.self_training import SelfTraining
from organincrement.methods.supervised import Supervised

BACKGROUND, LIVER, SPLEEN, STOMACH = range(4)


class Says(nn.Module):
    """A student that gives these channels everywhere the same logit, and the others a logit of 0."""

    def __init__(self, *channels: int, logit: float = 20.0) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(4))
        with torch.no_grad():
            self.logits[list(channels)] = logit

    def forward(self, image_BCDHW):
        shape = (len(image_BCDHW), 4, *image_BCDHW.shape[2:])
        return self.logits.reshape(1, 4, 1, 1, 1).expand(shape)


def batch_of(label: int) -> Batch:
    batch = random_batch()
    return replace(batch, labels_BDHW=torch.full_like(batch.labels_BDHW, label))


def certain_of(method_type, channel: int, **settings):
    """The method with a teacher that says one channel everywhere."""
    inputs = inputs_for(method_type, settings)
    head = inputs.teachers[0].network.decoder.seg_layers[0]
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(20.0 * nn.functional.one_hot(torch.tensor(channel), 1 + len(OLD)))
    return method_type(inputs)


def gradient(method, student, batch, *terms):
    found = method.loss(student, batch).terms
    sum(found[name] for name in terms or found).backward()
    return student.logits.grad


def test_new_labels_are_counted_behind_the_old_organs():
    labels = torch.tensor([-1, 0, 1, 2])
    assert as_student_labels(labels, 5).tolist() == [-1, 0, 6, 7]


@pytest.mark.parametrize("method_type", [BlaUag, Mib])
def test_with_alignment_a_background_label_leaves_the_choice_among_old_organs_to_the_teacher(method_type):
    method = certain_of(method_type, LIVER)
    liver, spleen = (method.loss(Says(organ), batch_of(BACKGROUND)) for organ in (LIVER, SPLEEN))
    assert liver.values()["new_organ"] == pytest.approx(spleen.values()["new_organ"], abs=1e-5)
    assert liver.total.item() < spleen.total.item() - 10


def test_with_alignment_a_new_label_is_background_to_the_teacher():
    method = certain_of(BlaUag, BACKGROUND, smoothing=0.0)
    right = method.loss(Says(STOMACH), batch_of(1)).values()
    assert right["pseudo_label"] == pytest.approx(0, abs=1e-5) and right["distillation"] == pytest.approx(0, abs=1e-5)
    assert right["new_organ"] == pytest.approx(0, abs=1e-5) and right["new_dice"] == pytest.approx(0, abs=1e-3)
    assert method.loss(Says(LIVER), batch_of(1)).total.item() > 100


def test_bla_uag_starts_without_any_divergence_from_its_teacher():
    method = BlaUag(inputs_for(BlaUag))
    terms = method.loss(method.build_student(), random_batch()).values()
    assert terms["distillation"] == pytest.approx(0, abs=1e-5)
    assert terms["pseudo_label"] > 0.01 and terms["new_organ"] > 0.1


def test_bla_uag_weighs_its_terms_as_it_is_told():
    weights = ("pseudo_label_weight", "distillation_weight", "new_organ_weight", "old_dice_weight", "new_dice_weight")
    student = Says(LIVER, STOMACH)
    ones, twos = (
        BlaUag(inputs_for(BlaUag, dict.fromkeys(weights, w))).loss(student, random_batch()).values() for w in (1.0, 2.0)
    )
    assert ones.keys() == {"pseudo_label", "distillation", "new_organ", "old_dice", "new_dice"}
    assert all(value > 0 for value in ones.values())
    assert twos == pytest.approx({name: 2 * value for name, value in ones.items()}, rel=1e-5)


def test_bla_uag_of_the_paper_has_the_papers_three_terms_only():
    method = BlaUag(inputs_for(BlaUag, BlaUag.presets["paper"].settings))
    assert method.loss(Says(LIVER), random_batch()).terms.keys() == {"pseudo_label", "distillation", "new_organ"}


@pytest.mark.parametrize("mode", ["paper", "inverse", "exp", "relative", "offset"])
def test_guidance_changes_how_much_the_teacher_is_heeded_and_not_the_new_organ(mode):
    guided, plain = (
        BlaUag(inputs_for(BlaUag, {"uncertainty": u})).loss(Says(SPLEEN, logit=2.0), random_batch()).values()
        for u in (mode, "none")
    )
    assert guided["distillation"] != pytest.approx(plain["distillation"], rel=1e-3)
    assert guided["new_organ"] == plain["new_organ"]


def test_a_certain_teacher_is_not_heard_with_the_papers_guidance_and_is_with_ours():
    by_mode = {
        mode: certain_of(BlaUag, LIVER, uncertainty=mode)
        .loss(Says(SPLEEN), batch_of(BACKGROUND))
        .values()["pseudo_label"]
        for mode in ("paper", "offset", "none")
    }
    assert by_mode["paper"] == pytest.approx(0, abs=1e-3)
    assert by_mode["offset"] == pytest.approx(by_mode["none"], rel=1e-3) and by_mode["none"] > 15


def test_fine_tuning_pushes_old_organs_into_the_background_and_asks_no_teacher():
    method = certain_of(FineTune, LIVER)
    slope = gradient(method, Says(LIVER, logit=2.0), batch_of(BACKGROUND))
    assert slope[LIVER] > 0.1 and slope[BACKGROUND] < -0.1


def test_lwf_is_torn_between_the_label_and_the_teacher():
    method = certain_of(Lwf, LIVER)
    student = Says(SPLEEN, logit=2.0)
    by_label = gradient(method, student, batch_of(BACKGROUND), "cross_entropy").clone()
    student.logits.grad = None
    by_teacher = gradient(method, student, batch_of(BACKGROUND), "distillation")
    assert by_label[BACKGROUND] < -0.1 and by_label[LIVER] > 0
    assert by_teacher[LIVER] < -0.1 and by_teacher[STOMACH] == 0


@pytest.mark.parametrize("method_type", [Lwf, FineTune])
def test_overlap_is_asked_of_the_new_organs_only_where_old_ones_have_no_labels(method_type):
    method = certain_of(method_type, LIVER)
    assert method.loss(Says(LIVER), batch_of(BACKGROUND)).values()["dice"] == pytest.approx(0, abs=1e-3)
    assert method.loss(Says(STOMACH), batch_of(BACKGROUND)).values()["dice"] > 0.9


def searched_for_stomach(label: int) -> Batch:
    """A batch that numbers all organs of the student, of which only the new one was looked for."""
    return replace(batch_of(label), annotated_BL=torch.tensor([[False, False, True]] * 2))


def test_self_training_believes_the_teacher_where_the_labels_name_no_new_organ():
    method, batch = certain_of(SelfTraining, LIVER), searched_for_stomach(BACKGROUND)
    assert method.loss(Says(LIVER), batch).values()["cross_entropy"] == pytest.approx(0, abs=1e-5)
    assert method.loss(Says(BACKGROUND), batch).values()["cross_entropy"] > 15


def test_self_training_believes_the_label_where_it_names_a_new_organ():
    method = certain_of(SelfTraining, LIVER)
    assert method.loss(Says(STOMACH), searched_for_stomach(STOMACH)).values()["cross_entropy"] == pytest.approx(
        0, abs=1e-5
    )


@pytest.mark.parametrize("said", [BACKGROUND, LIVER])
def test_self_training_leaves_unlabelled_what_is_beyond_the_labels_whatever_the_teacher_says(said):
    method = certain_of(SelfTraining, said)
    assert not gradient(method, Says(STOMACH, logit=1.0), searched_for_stomach(-1)).any()


def test_supervised_training_needs_labels_only():
    inputs = inputs_for(Supervised)
    method = Supervised(inputs)
    assert not inputs.teachers and method.loss(method.build_student(), random_batch()).total.item() > 0.3
