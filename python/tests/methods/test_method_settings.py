"""Settings come from plans and forms: what does not fit is refused by name, in one line."""

import pytest
from method_inputs import inputs_for

from organincrement.methods.bla_uag import BlaUag, BlaUagConfig
from organincrement.methods.protocol import MethodError, configure
from organincrement.methods.supervised import SupervisedConfig


def test_values_are_taken_and_the_rest_keeps_its_default():
    config = configure(BlaUagConfig, {"perturbations": 4.0, "distillation_weight": 3, "uncertainty": "paper"})
    assert (config.perturbations, config.distillation_weight, config.uncertainty) == (4, 3.0, "paper")
    assert isinstance(config.perturbations, int) and isinstance(config.distillation_weight, float)
    assert config.new_organ_weight == BlaUagConfig().new_organ_weight


def test_a_list_becomes_the_tuple_that_the_setting_is():
    assert configure(SupervisedConfig, {"features": [8, 16]}).features == (8, 16)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"lambda": 1}, "'lambda' is unknown; there are: pseudo_label_weight"),
        ({"perturbations": 0}, "at least 1"),
        ({"perturbations": 33}, "at most 32"),
        ({"perturbations": 2.5}, "a whole number"),
        ({"perturbations": "2"}, "a whole number"),
        ({"perturbations": True}, "a whole number"),
        ({"smoothing": -0.1}, "at least 0"),
        ({"smoothing": float("nan")}, "a finite number"),
        ({"distillation_weight": float("inf")}, "a finite number"),
        ({"distillation_weight": None}, "a finite number"),
        ({"uncertainty": "loud"}, "one of paper, inverse, exp"),
        ({"uncertainty": 1}, "one of paper, inverse, exp"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(values, says):
    with pytest.raises(MethodError, match=says) as caught:
        configure(BlaUagConfig, values)
    assert f"'{next(iter(values))}'" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("features", [8, "8,16", ["8"], [8, None], [True]])
def test_a_list_of_anything_but_numbers_is_refused(features):
    with pytest.raises(MethodError, match="'features'"):
        configure(SupervisedConfig, {"features": features})


def test_the_reverse_direction_without_smoothing_is_refused_before_training():
    with pytest.raises(MethodError, match="'smoothing' is 0"):
        BlaUag(inputs_for(BlaUag, {"direction": "reverse", "smoothing": 0.0}))
