"""The temperature of a student's softmax, fitted after training on held-back cases.

Label smoothing alone would leave a third of the maximum entropy everywhere (arXiv 2103.05227 smooths 0.7 / 0.3).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from organincrement.contract.channels import ChannelGroup
from organincrement.contract.labels import LabelSpace
from organincrement.evaluation.calibration import fit_temperature
from organincrement.inference.readout import Readout
from organincrement.methods.teacher import FrozenTeacher
from organincrement.training.validation import HeldBackCase, Segmenter

_VOXELS_PER_CASE = 20_000
_IMPOSSIBLE = -1e4  # below the background, as a logit


@dataclass(frozen=True, kw_only=True)
class CalibratedTeacher:
    """What is known of the old organs on cases whose labels are of the new ones: the teacher's tempered opinion."""

    frozen: FrozenTeacher
    temperature: float

    def probabilities(self, held: HeldBackCase, indices: np.ndarray, segmenter: Segmenter) -> np.ndarray:
        """(N, 1 + K) at these flat voxel indices; background also stands for the new organs."""
        logits_NC = segmenter.logits_at(self.frozen.network, held.case, self.frozen.readout.channels, indices)
        return self.frozen.old_log_p(logits_NC / self.temperature).exp().numpy()


def fitted_temperature(
    network: nn.Module,
    cases: Sequence[HeldBackCase],
    teacher: CalibratedTeacher | None,
    organs: LabelSpace,
    segmenter: Segmenter,
    seed: int,
) -> float:
    """T of one softmax over `organs` that best explains the labels, and outside them the teacher.

    1 where neither is known of the background. The teacher's hard labels would do it an injustice: they are right about
    as often as it is sure, and no more.
    """
    if teacher is None and not any((held.case.labels_DHW() == 0).any() for held in cases):
        return 1.0
    drawn = [_draw(network, held, teacher, organs, segmenter, seed) for held in cases]
    if not drawn:
        return 1.0
    logits_NC, targets_NC = (np.concatenate(part) for part in zip(*drawn, strict=True))
    return round(fit_temperature(logits_NC, targets_NC), 4)


def fitted_group_temperatures(
    network: nn.Module,
    cases: Sequence[HeldBackCase],
    organs: LabelSpace,
    readout: Readout,
    segmenter: Segmenter,
    seed: int,
) -> tuple[float | None, ...]:
    """T of each group of channels that best explains the labels; None where its organs were not looked for."""
    known: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in readout.groups]
    for held in cases:
        searched = [{organs.ids[label - 1] for label in g.labels} <= set(held.annotated) for g in readout.groups]
        if not any(searched):
            continue
        logits_NC, truth_N = _raw_draw(network, held, readout.channels, segmenter, seed)
        for group, found, looked in zip(readout.groups, known, searched, strict=True):
            if looked:
                found.append((_group_logits(group, logits_NC), _group_truth(held, group, organs, truth_N)))
    return tuple(_fitted(found) for found in known)


def _fitted(known: list[tuple[np.ndarray, np.ndarray]]) -> float | None:
    if not known:
        return None
    logits_NC, truth_N = (np.concatenate(part) for part in zip(*known, strict=True))
    return round(fit_temperature(logits_NC.astype(float), truth_N), 4) if (truth_N > 0).any() else None


def _raw_draw(
    network: nn.Module, held: HeldBackCase, channels: int, segmenter: Segmenter, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """All channels, and the labels, of voxels drawn evenly among those that somebody looked at."""
    truth_M = held.case.labels_DHW().ravel()
    known = np.flatnonzero(truth_M >= 0)
    drawn = np.random.default_rng(seed).choice(known, min(_VOXELS_PER_CASE, known.size), replace=False)
    return segmenter.logits_at(network, held.case, channels, drawn).numpy(), truth_M[drawn]


def _group_logits(group: ChannelGroup, logits_NC: np.ndarray) -> np.ndarray:
    organs, own = logits_NC[:, list(group.channels)], group.background
    background = np.zeros((len(organs), 1), np.float32) if own is None else logits_NC[:, [own]]
    return np.concatenate([background, organs], axis=1)


def _group_truth(held: HeldBackCase, group: ChannelGroup, organs: LabelSpace, truth_N: np.ndarray) -> np.ndarray:
    """0 for anything that is not one of the group's organs; a map of its own holds its organ's anomalies as well."""
    found_N = np.zeros(truth_N.shape, np.int64)
    for place, label in enumerate(group.labels, start=1):
        own = organs.ids[label - 1]
        inside = [organ.id for organ in organs.organs if group.background is None and organ.host == own]
        values = [held.label_values[name] for name in (own, *inside) if name in held.label_values]
        found_N[np.isin(truth_N, values)] = place
    return found_N


def _draw(
    network: nn.Module,
    held: HeldBackCase,
    teacher: CalibratedTeacher | None,
    organs: LabelSpace,
    segmenter: Segmenter,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Logits and target probabilities of voxels drawn evenly among those of which something is known."""
    truth_M = held.case.labels_DHW().ravel()
    known = np.flatnonzero(truth_M >= 0) if teacher is None else np.arange(truth_M.size)
    drawn = np.random.default_rng(seed).choice(known, min(_VOXELS_PER_CASE, known.size), replace=False)
    truth_N, channels = truth_M[drawn], 1 + len(organs)
    logits_NC = segmenter.logits_at(network, held.case, channels, drawn).numpy().astype(float)
    old_count = 0 if teacher is None else teacher.frozen.old_count
    targets_NC = np.zeros((drawn.size, channels))
    targets_NC[:, 0] = 1.0
    if teacher is not None:
        targets_NC[:, : 1 + old_count] = teacher.probabilities(held, drawn, segmenter)
        looked_for = set(organs.ids[old_count:]) <= set(held.annotated)
        new = list(range(1 + old_count, channels))
        _leave_open(logits_NC, truth_N < 0 if looked_for else truth_N <= 0, new)
    else:
        _leave_open(logits_NC, truth_N == 0, [organs.index(o) for o in organs.ids if o not in held.annotated])
    for organ, value in held.label_values.items():
        labelled = np.flatnonzero(truth_N == value)
        targets_NC[labelled] = 0.0
        targets_NC[labelled, organs.index(organ)] = 1.0
    return logits_NC, targets_NC


def _leave_open(logits_NC: np.ndarray, unlabelled_N: np.ndarray, organs: list[int]) -> None:
    """Where nobody looked for these organs, they and the background are one: the likelier of them."""
    rows = logits_NC[unlabelled_N]
    rows[:, 0] = np.maximum(rows[:, 0], rows[:, organs].max(axis=1, initial=-np.inf))
    rows[:, organs] = rows[:, :1] + _IMPOSSIBLE
    logits_NC[unlabelled_N] = rows
