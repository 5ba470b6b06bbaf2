"""Partly labelled samples as tasks: which maps are labelled where, what an organ that was not looked for counts as."""

import pytest
import torch
from tiny_models import organs

from organincrement.contract.channels import task_list
from organincrement.contract.model import DynamicHead
from organincrement.losses.partial_labels import as_looked_for, fold_unannotated
from organincrement.methods.partial_tasks import PartialTasks

ORGANS = organs("liver", "spleen", "liver tumour", "colon tumour")
LIVER, SPLEEN, TUMOUR, COLON = 1, 2, 3, 4
LIVER_TASK, SPLEEN_TASK, COLON_TASK = 0, 1, 2


@pytest.fixture
def tasks() -> PartialTasks:
    return PartialTasks.of(DynamicHead(tasks=task_list(ORGANS), width=8, depth=3), ORGANS)


def labelled(*numbers: int) -> torch.Tensor:
    return torch.tensor([[number in numbers for number in range(1, 1 + len(ORGANS))]])


def target(tasks: PartialTasks, task: int, labels: list[int], annotated: torch.Tensor) -> list[list[int]]:
    voxels = torch.tensor(labels).view(1, 1, 1, -1)
    one = torch.tensor([0]), torch.tensor([task])
    return tasks.targets(voxels, annotated, *one)[0, :, 0, 0].tolist()


def test_each_sample_trains_the_tasks_of_which_any_map_was_looked_for(tasks):
    annotated = torch.cat([labelled(LIVER, TUMOUR), labelled(TUMOUR), labelled(), labelled(SPLEEN, COLON)])
    sample, task = tasks.labelled_pairs(annotated)
    assert list(zip(sample.tolist(), task.tolist(), strict=True)) == [
        (0, LIVER_TASK), (1, LIVER_TASK), (3, SPLEEN_TASK), (3, COLON_TASK)
    ]  # fmt: skip


def test_an_organs_map_holds_its_tumour_and_no_other(tasks):
    labels = [0, LIVER, TUMOUR, SPLEEN, COLON, -1]
    everything = labelled(LIVER, SPLEEN, TUMOUR, COLON)
    assert target(tasks, LIVER_TASK, labels, everything) == [[0, 1, 1, 0, 0, -1], [0, 0, 1, 0, 0, -1]]
    assert target(tasks, SPLEEN_TASK, labels, everything) == [[0, 0, 0, 1, 0, -1], [-1] * 6]


def test_the_organ_around_a_tumour_that_alone_was_looked_for_stays_unlabelled(tasks):
    assert target(tasks, COLON_TASK, [0, COLON], labelled(COLON)) == [[-1, -1], [0, 1]]
    assert target(tasks, LIVER_TASK, [0, TUMOUR], labelled(TUMOUR)) == [[-1, -1], [0, 1]]


def test_a_batch_without_labels_has_one_pair_and_nothing_labelled_in_it(tasks):
    annotated = torch.cat([labelled(), labelled()])
    pairs = tasks.labelled_pairs(annotated)
    assert [part.tolist() for part in pairs] == [[0], [0]]
    assert (tasks.targets(torch.zeros(2, 1, 1, 3, dtype=torch.long), annotated, *pairs) == -1).all()


def test_organs_that_were_not_looked_for_count_as_background_sample_by_sample():
    log_p = torch.randn(2, 1 + len(ORGANS), 2, 2, 2, dtype=torch.float64).log_softmax(1).requires_grad_()
    folded = fold_unannotated(log_p, torch.cat([labelled(LIVER), labelled(SPLEEN, COLON)])).exp()
    p = log_p.exp()
    torch.testing.assert_close(folded[0, 0], p[0, [0, SPLEEN, TUMOUR, COLON]].sum(0))
    torch.testing.assert_close(folded[1, 0], p[1, [0, LIVER, TUMOUR]].sum(0))
    torch.testing.assert_close(folded[:, 1:], p[:, 1:])
    folded[:, 0].log().sum().backward()
    assert torch.isfinite(log_p.grad).all() and log_p.grad[0, LIVER].abs().max() == 0


def test_a_stray_label_of_an_organ_that_was_not_looked_for_is_background():
    labels = torch.tensor([0, LIVER, SPLEEN, -1]).view(1, 1, 1, 4)
    assert as_looked_for(labels, labelled(LIVER)).flatten().tolist() == [0, LIVER, 0, -1]
