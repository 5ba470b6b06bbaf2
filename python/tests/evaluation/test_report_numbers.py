"""How numbers, axes and outliers of a report come out."""

import math

import pytest

from organincrement.evaluation.axes import Scale, apart, percent_floor, ticks
from organincrement.evaluation.number_format import decimal, duration, interval, p_value, percent, signed_percent
from organincrement.evaluation.organ_charts import tukey


def test_fractions_are_printed_in_per_cent_and_missing_values_as_a_dash():
    assert [percent(v) for v in (0.8125, 1.0, 0.0, None, math.nan)] == ["81.2", "100.0", "0.0", "–", "–"]


def test_differences_carry_a_sign_unless_they_round_to_nothing():
    assert [signed_percent(v) for v in (0.021, -0.021, 0.0002, -0.0002, None)] == ["+2.1", "−2.1", "0.0", "0.0", "–"]


def test_distances_keep_their_decimals_and_infinity_its_sign():
    assert [decimal(v, 2) for v in (1.005e1, -0.001, math.inf, -math.inf)] == ["10.05", "0.00", "∞", "−∞"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.42, "0.4 s"),
        (45, "45 s"),
        (59.7, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (11400, "3 h 10 min"),
        (None, "–"),
    ],
)
def test_durations_use_the_two_largest_units(seconds: float | None, text: str):
    assert duration(seconds) == text


def test_intervals_and_p_values_read_as_in_a_paper():
    assert interval((0.781, 0.834)) == "78.1–83.4"
    assert interval(None) == interval((math.nan, math.nan)) == "–"
    assert [p_value(p) for p in (0.0004, 0.0211, 1.0, None)] == ["< 0.001", "0.021", "1.000", "–"]


def test_ticks_are_round_and_within_the_axis():
    assert ticks(0, 100) == [0, 20, 40, 60, 80, 100]
    assert ticks(60, 100) == [60, 70, 80, 90, 100]
    assert ticks(0, 3.7) == [0, 1, 2, 3]
    assert ticks(0, 0.9) == [0, 0.2, 0.4, 0.6, 0.8]


def test_a_per_cent_axis_starts_below_the_smallest_value_and_never_below_zero():
    assert percent_floor([83.0, 91.0]) == 80
    assert percent_floor([83.0, 61.5]) == 50
    assert percent_floor([83.0, 1.0]) == 0
    assert percent_floor([]) == 80


def test_a_logarithmic_scale_puts_decades_at_equal_distance():
    scale = Scale(low=0.01, high=100, start=0, stop=400, logarithmic=True)
    assert [scale(v) for v in (0.01, 0.1, 1, 100, 1e6)] == [0, 100, 200, 400, 400]


def test_labels_that_collide_are_moved_apart_in_order_and_stay_on_the_drawing():
    placed = apart([100, 101, 20, 102], gap=14, low=10, high=120)
    assert placed[2] == 20
    assert placed[0] < placed[1] < placed[3] <= 120
    assert placed[1] - placed[0] >= 14 and placed[3] - placed[1] >= 14


def test_whiskers_end_at_the_last_case_within_one_and_a_half_boxes():
    assert tukey([1, 2, 3, 4, 5, 6, 7, 8, 9, 30]) == (1, 3.25, 5.5, 7.75, 9)
