"""New organs are scored against the labels, old ones against the teacher, and unlabelled voxels do not count."""

import numpy as np
import pytest
import torch
from torch import nn

from organincrement.contract.labels import LabelSpace
from organincrement.contract.organs import organ_from_name
from organincrement.imaging.cache import write_case
from organincrement.inference.readout import Readout
from organincrement.methods.teacher import FrozenTeacher
from organincrement.training.calibration import CalibratedTeacher, fitted_temperature
from organincrement.training.validation import HeldBackCase, Segmenter, ValidationResult, validate

ORGANS = LabelSpace(tuple(organ_from_name(name) for name in ("liver", "spleen", "stomach")))
READOUT = Readout.softmax(4)
SEGMENTER = Segmenter(
    patch=(8, 8, 8), step=0.5, fill=0.0, device=torch.device("cpu"), autocast=None, between=lambda: None
)  # fmt: skip
SHAPE = (8, 8, 12)


class Painted(nn.Module):
    """Says the channel that the image's value is, with this certainty."""

    def __init__(self, channels: int, certainty: float = 10.0) -> None:
        super().__init__()
        self.channels, self.certainty = channels, certainty

    def forward(self, x_BCDHW):
        channels = torch.arange(self.channels).reshape(1, -1, 1, 1, 1)
        return self.certainty * (x_BCDHW.round() == channels).float()


def held_case(tmp_path, image, labels, teacher=None, annotated=("stomach",), labelled="stomach"):
    case = write_case(tmp_path, "pt", image.astype(np.float32), labels, seed=0)
    return HeldBackCase(
        case=case, annotated=annotated, label_values={labelled: 1}, teacher_labels_DHW=teacher
    )  # fmt: skip


def band(value, columns, start=None):
    array = np.zeros(SHAPE, np.int16) if start is None else start.copy()
    array[:, :, columns] = value
    return array


def test_dice_is_measured_per_new_organ_and_agreement_per_old_one(tmp_path):
    predicted = band(3, slice(0, 4), band(1, slice(6, 8)))
    held = held_case(tmp_path, predicted, band(1, slice(2, 4)), teacher=band(1, slice(6, 10), band(2, slice(11, 12))))
    result = validate(Painted(4), [held], ORGANS, 2, READOUT, SEGMENTER)
    assert result.dice == {"stomach": [pytest.approx(2 * 2 / (4 + 2))]}
    assert result.agreement == {"liver": [pytest.approx(2 * 2 / (2 + 4))], "spleen": [0.0]}
    assert result.score == pytest.approx((2 / 3 + (2 / 3 + 0) / 2) / 2)


def test_voxels_that_nobody_looked_at_do_not_count_against_the_student(tmp_path):
    labels = band(-1, slice(4, 12), band(1, slice(0, 4)))
    held = held_case(tmp_path, band(3, slice(0, 8)), labels)
    assert validate(Painted(4), [held], ORGANS, 2, READOUT, SEGMENTER).dice == {"stomach": [1.0]}


def test_an_organ_nobody_looked_for_or_that_neither_shows_has_no_figure(tmp_path):
    nowhere = np.zeros(SHAPE, np.int16)
    held = held_case(tmp_path, nowhere, nowhere, teacher=nowhere, annotated=())
    result = validate(Painted(4), [held], ORGANS, 2, READOUT, SEGMENTER)
    assert result.means(result.dice) == {"stomach": None}
    assert result.means(result.agreement) == {"liver": None, "spleen": None}
    assert result.score == 0.0 and result.labelled_dice is None


def test_agreement_with_the_teacher_is_no_dice_of_the_labelled_organs():
    unseen = ValidationResult(dice={"stomach": []}, agreement={"liver": [1.0], "spleen": [0.5]})
    assert unseen.labelled_dice is None and unseen.score == 0.75
    seen = ValidationResult(dice={"stomach": [0.4, 0.6]}, agreement={"liver": [1.0]})
    assert seen.labelled_dice == pytest.approx(0.5)


def test_old_organs_have_a_figure_only_where_some_scan_was_looked_at_for_them(tmp_path):
    truth = band(1, slice(0, 4), band(3, slice(6, 8)))
    case = write_case(tmp_path, "pt", truth.astype(np.float32), truth, seed=0)
    values = {"liver": 1, "spleen": 2, "stomach": 3}
    for annotated in (("stomach",), ("liver", "stomach")):
        held = HeldBackCase(case=case, annotated=annotated, label_values=values, teacher_labels_DHW=None)
        found = validate(Painted(4), [held], ORGANS, 2, READOUT, SEGMENTER)
        assert found.dice == {organ: [1.0] for organ in annotated}


def test_a_score_weighs_new_and_old_organs_alike_however_many_they_are():
    rows = ValidationResult(dice={"stomach": [0.4, 0.6]}, agreement={"liver": [1.0], "spleen": [0.8], "aorta": [0.6]})
    assert rows.score == pytest.approx((0.5 + 0.8) / 2)


def test_a_case_smaller_than_the_patch_is_segmented_on_its_own_grid(tmp_path):
    image = np.full((3, 5, 4), 2.0, np.float32)
    case = write_case(tmp_path, "small", image, np.zeros(image.shape, np.int16), seed=0)
    labels = SEGMENTER.labels(Painted(4), case, 4)
    assert labels.shape == image.shape and (labels == 2).all()


def test_an_overconfident_model_gets_a_temperature_above_one_and_a_timid_one_below(tmp_path):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, SHAPE).astype(np.int16)
    seen = np.where(rng.random(SHAPE) < 0.8, truth, 1 - truth)  # right in four of five voxels
    held = [held_case(tmp_path, seen, truth, annotated=ORGANS.ids, labelled="liver")]
    temperatures = [
        fitted_temperature(Painted(4, certainty), held, None, ORGANS, SEGMENTER, seed=0) for certainty in (20.0, 0.5)
    ]
    assert temperatures[0] > 2 and 0 < temperatures[1] < 0.5


def test_a_student_is_as_sure_of_an_old_organ_as_its_calibrated_teacher(tmp_path):
    held = [held_case(tmp_path, band(2, slice(0, 6)), np.zeros(SHAPE, np.int16))]
    frozen = FrozenTeacher(Painted(3, 12.0), None, channel_of=(0, 1, 2), old_count=2)
    fitted = fitted_temperature(
        Painted(4, 24.0), held, CalibratedTeacher(frozen=frozen, temperature=4.0), ORGANS, SEGMENTER, seed=0
    )
    teacher_p, student_p = (
        np.exp(sure) / (np.exp(sure) + others) for sure, others in ((12 / 4.0, 2), (24 / fitted, 3))
    )
    assert student_p == pytest.approx(teacher_p, abs=0.01)


def test_new_labels_count_as_certain_whatever_the_teacher_says(tmp_path):
    everywhere = slice(0, SHAPE[2])
    held = [held_case(tmp_path, band(3, everywhere), band(1, everywhere))]
    unsure = CalibratedTeacher(
        frozen=FrozenTeacher(Painted(3, 0.0), None, channel_of=(0, 1, 2), old_count=2), temperature=1.0
    )
    assert fitted_temperature(Painted(4, 5.0), held, unsure, ORGANS, SEGMENTER, seed=0) < 0.2


def test_a_teacher_calibrates_also_where_nobody_looked_for_the_new_organ(tmp_path):
    seen = band(2, slice(0, 6))
    frozen = FrozenTeacher(Painted(3, 12.0), None, channel_of=(0, 1, 2), old_count=2)
    teacher = CalibratedTeacher(frozen=frozen, temperature=4.0)
    fitted = [
        fitted_temperature(Painted(4, 24.0), [held_case(tmp_path, seen, labels)], teacher, ORGANS, SEGMENTER, seed=0)
        for labels in (np.zeros(SHAPE, np.int16), np.full(SHAPE, -1, np.int16))
    ]
    assert fitted[1] == pytest.approx(fitted[0], rel=0.15)


def test_on_a_scan_of_old_data_the_new_organ_is_left_open(tmp_path):
    frozen = FrozenTeacher(Painted(3, 12.0), None, channel_of=(0, 1, 2), old_count=2)
    teacher, said = CalibratedTeacher(frozen=frozen, temperature=4.0), band(3, slice(0, 6))
    fitted = []
    for labels in (np.zeros(SHAPE, np.int16), np.full(SHAPE, -1, np.int16)):
        held = held_case(tmp_path, said, labels, annotated=("liver", "spleen"), labelled="liver")
        fitted.append(fitted_temperature(Painted(4, 24.0), [held], teacher, ORGANS, SEGMENTER, seed=0))
    assert fitted[0] == fitted[1]


def test_without_a_teacher_the_background_of_partly_labelled_cases_leaves_the_other_organs_open(tmp_path):
    """The model says spleen with certainty where the labels, made by somebody who looked for livers, say nothing."""
    labels = band(1, slice(6, 12))
    seen = band(2, slice(0, 6)) + labels
    partly, wholly = (
        held_case(tmp_path / name, seen, labels, annotated=annotated, labelled="liver")
        for name, annotated in (("partly", ("liver",)), ("wholly", ORGANS.ids))
    )
    fitted = [fitted_temperature(Painted(4), [held], None, ORGANS, SEGMENTER, seed=0) for held in (partly, wholly)]
    assert fitted[0] < 0.5 and fitted[1] > 2


def test_without_held_back_cases_or_labelled_background_the_temperature_is_one(tmp_path):
    unlabelled = held_case(tmp_path / "a", np.zeros(SHAPE), np.full(SHAPE, -1, np.int16))
    organs_alone = held_case(tmp_path / "b", np.ones(SHAPE), band(-1, slice(4, 12), np.ones(SHAPE, np.int16)))
    for cases in ([], [unlabelled], [organs_alone]):
        assert fitted_temperature(Painted(4), cases, None, ORGANS, SEGMENTER, seed=0) == 1.0
