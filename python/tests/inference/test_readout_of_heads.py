"""Whatever a network's head, its channels become labels, one distribution, and a doubt."""

import pytest
import torch
from tiny_models import organs

from organincrement.contract.channels import channel_count, channel_groups, task_list
from organincrement.contract.errors import ContractError
from organincrement.contract.labels import LabelSpace, Organ
from organincrement.contract.model import (
    Decoder,
    DynamicHead,
    MultiDecoderHead,
    MultiHead,
    OrganHead,
    SoftmaxHead,
    TorchScriptHead,
)
from organincrement.inference.merging import Claim, Merger
from organincrement.inference.readout import Readout

SPACE = organs("liver", "spleen", "stomach")
TUMOUR = Organ(id="liver_tumour", name="Liver tumour", kind="anomaly", host="liver", color=(200, 0, 0))
WITH_TUMOUR = LabelSpace((*SPACE.organs, TUMOUR))
TWO_HEADS = MultiHead(
    heads=(OrganHead(organs=("liver", "spleen"), prefix="out"), OrganHead(organs=("stomach",), prefix="out"))
)


def voxels(*rows: list[float]) -> torch.Tensor:
    """One voxel a row: (channels, 1, 1, voxels)."""
    return torch.tensor(rows).T[:, None, None, :]


def labels(readout: Readout, *rows: list[float]) -> list[int]:
    return readout.labels(voxels(*rows)).flatten().tolist()


def test_one_softmax_takes_the_most_probable_channel():
    readout = Readout.of(SoftmaxHead(), SPACE)
    assert readout.is_softmax and readout.channels == 4
    assert labels(readout, [1, 0, 2, 0], [3, 0, 2, 0], [1, 1, 0, 0]) == [2, 0, 0]


def test_of_two_heads_the_higher_probability_wins_and_the_earlier_on_a_tie():
    readout = Readout.of(TWO_HEADS, SPACE)
    assert readout.channels == 5 and not readout.is_softmax
    sure_stomach, sure_spleen, tie = [0, 1, 0, 0, 5], [0, 0, 6, 0, 3], [0, 2, -60, 0, 2]
    assert labels(readout, sure_stomach, sure_spleen, tie, [1, 0, 0, 1, 0]) == [3, 2, 1, 0]


def test_a_task_is_a_sigmoid_for_its_organ_and_one_for_the_anomaly_in_it():
    tasks = task_list(WITH_TUMOUR)
    assert tasks == (("liver", "liver_tumour"), ("spleen",), ("stomach",))
    readout = Readout.of(DynamicHead(tasks=tasks, width=8, depth=3), WITH_TUMOUR)
    assert readout.channels == 6
    tumour_in_liver = [4.0, 0.5, -9, 0, -9, 0]
    tumour_alone, two_organs = [-1.0, 0.5, -9, 0, -9, 0], [1.0, -3, 2.0, 0, -9, 0]
    nothing = [-1.0, -3, -2, 5, -2, 5]  # the second map of a task without an anomaly counts for nothing
    assert labels(readout, tumour_in_liver, tumour_alone, two_organs, nothing) == [4, 4, 2, 0]


def test_decoders_have_their_own_temperatures():
    head = MultiDecoderHead(
        decoders=(
            Decoder(organs=("liver", "spleen"), temperature=4.0, range_mm=None, sparsity=0.0),
            Decoder(organs=("stomach",), temperature=1.0, range_mm=None, sparsity=0.9),
        )
    )
    assert labels(Readout.of(head, SPACE), [0, 3, 0, 0, 1]) == [3]
    assert labels(Readout.of(TWO_HEADS, SPACE), [0, 3, 0, 0, 1]) == [1]


@pytest.mark.parametrize("head", [SoftmaxHead(), TWO_HEADS], ids=lambda head: head.kind)
def test_the_joint_distribution_sums_to_one_and_agrees_with_the_labels_where_they_are_sure(head):
    readout = Readout.of(head, SPACE)
    logits = 8 * torch.randn(2, readout.channels, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    log_p = readout.joint_log_p(logits)
    torch.testing.assert_close(log_p.exp().sum(1), torch.ones(2, 4, 4, 4))
    found = torch.stack([readout.labels(one) for one in logits])
    agree = (log_p.argmax(1) == found).float().mean()
    assert agree == 1.0 if head.kind == "softmax" else agree > 0.9


def test_streaming_one_channel_at_a_time_gives_what_all_at_once_does():
    readout = Readout.of(DynamicHead(tasks=task_list(WITH_TUMOUR), width=8, depth=3), WITH_TUMOUR)
    logits = 3 * torch.randn(6, 5, 5, 5, generator=torch.Generator().manual_seed(1))
    p = readout.probabilities(logits, 2.0)
    claim = readout.reduce(lambda c: logits[c], lambda c: p[c], 2.0)
    assert torch.equal(claim.labels, readout.labels(logits, 2.0))
    torch.testing.assert_close(p[[0, 1, 2, 4]], (logits[[0, 1, 2, 4]] / 2.0).sigmoid())
    assert float(claim.doubt.min()) >= 0 and float(claim.doubt.max()) <= 1
    assert ((claim.confidence > 0.5) == (claim.labels > 0)).all()


def test_certain_background_is_background_in_every_head():
    for head in (SoftmaxHead(), TWO_HEADS, DynamicHead(tasks=task_list(SPACE), width=8, depth=3)):
        readout = Readout.of(head, SPACE)
        logits = readout.background_logits()[:, None, None, None]
        claim = readout.reduce(lambda c, logits=logits: logits[c], None, 1.0)
        assert claim.labels.item() == 0 and claim.doubt.item() < 1e-6


def test_where_nobody_claims_a_voxel_the_greatest_doubt_is_kept_and_else_the_winners():
    merger = Merger()
    for label, confidence, doubt in (([1, 0], [0.9, 0.0], [0.2, 0.7]), ([2, 0], [0.6, 0.0], [0.8, 0.3])):
        merger.add(
            Claim(
                labels=torch.tensor(label, dtype=torch.int16), hosts=None, confidence=torch.tensor(confidence),
                doubt=torch.tensor(doubt),
            )
        )  # fmt: skip
    merged = merger.merged()
    assert merged.labels.tolist() == [1, 0] and merged.doubt.tolist() == pytest.approx([0.2, 0.7])


def test_a_program_answers_with_one_softmax_over_background_and_all_organs():
    program = TorchScriptHead(file="code.pt", confirmed=False)
    assert channel_groups(program, SPACE) == channel_groups(SoftmaxHead(), SPACE)
    assert channel_count(program, SPACE) == 1 + len(SPACE)


def test_a_task_of_two_organs_is_refused():
    with pytest.raises(ContractError, match="not one organ, one anomaly, or an organ with its anomaly"):
        channel_groups(DynamicHead(tasks=(("liver", "spleen"),), width=8, depth=3), SPACE)


def test_a_second_anomaly_in_an_organ_is_a_task_of_its_own():
    cyst = Organ(id="liver_cyst", name="Liver cyst", kind="anomaly", host="liver", color=(0, 0, 200))
    space = LabelSpace((*WITH_TUMOUR.organs, cyst))
    tasks = task_list(space)
    assert sorted(organ for task in tasks for organ in task) == sorted(space.ids)
    assert channel_count(DynamicHead(tasks=tasks, width=8, depth=3), space) == 2 * len(tasks)


def test_a_teacher_with_anomalies_says_the_same_by_labels_and_by_its_distribution():
    readout = Readout.of(DynamicHead(tasks=task_list(WITH_TUMOUR), width=8, depth=3), WITH_TUMOUR)
    tumour, liver_alone, spleen = [6.0, 2, -9, 0, -9, 0], [6.0, -2, -9, 0, -9, 0], [-6.0, -9, 3, 0, -9, 0]
    logits = voxels(tumour, liver_alone, spleen)
    assert readout.labels(logits).flatten().tolist() == [4, 1, 2]
    log_p = readout.joint_log_p(logits[None])
    assert log_p[0].argmax(0).flatten().tolist() == [4, 1, 2]
    torch.testing.assert_close(log_p.exp().sum(1), torch.ones(1, 1, 1, 3))


def test_organs_merged_within_a_frozen_decoder_add_up():
    head = MultiDecoderHead(
        decoders=(Decoder(organs=("liver", "liver"), temperature=1.0, range_mm=None, sparsity=0.0),)
    )
    readout = Readout.of(head, organs("liver"))
    logits = torch.tensor([0.4, 0.3, 0.3]).log()[:, None, None, None]
    claim = readout.reduce(lambda c: logits[c], None, 1.0)
    assert claim.labels.item() == 1 and claim.confidence.item() == pytest.approx(0.6, abs=1e-5)
    assert readout.joint_log_p(logits[None]).argmax(1).item() == 1
