"""A training's steps are shared out among its phases, each of which begins anew."""

import pytest

from organincrement.methods.protocol import Phase
from organincrement.training.phases import PhasePlan


def test_one_phase_is_the_whole_training():
    plan = PhasePlan((Phase(name="increment"),), 400)
    assert plan.within(0, 0) == (0, 400) and plan.within(0, 399) == (399, 400)
    assert not plan.begins(1, 400)


def test_phases_share_the_steps_and_each_counts_from_its_own_start():
    plan = PhasePlan((Phase(name="train", share=2), Phase(name="prune", share=1), Phase(name="again", share=1)), 100)
    assert [step for step in range(101) if plan.begins(1, step) and not plan.begins(1, step - 1)] == [50]
    assert plan.within(0, 49) == (49, 50) and plan.within(1, 50) == (0, 25) and plan.within(2, 99) == (24, 25)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_training_shorter_than_its_phases_gives_each_a_step_at_least(steps):
    plan = PhasePlan([Phase(name=str(number)) for number in range(3)], steps)
    lengths = [plan.within(phase, 0)[1] for phase in range(3)]
    assert min(lengths) >= 1


@pytest.mark.parametrize(("steps", "window"), [(2_000_000, 10), (420, 3), (420, 10), (1200, 2)])
def test_validations_come_often_enough_for_what_the_next_phase_is_entered_by(steps, window):
    phases = [Phase(name=str(n), share=share, validations=window) for n, share in enumerate((1, 0.55, 0.55))]
    plan = PhasePlan(phases, steps)
    every = plan.validated_every(max(50, steps // 5))
    first = 0
    for length in [plan.within(phase, 0)[1] for phase in range(2)]:
        within = {step for step in range(every, steps + 1, every) if first < step <= first + length}
        assert len(within | {first + length}) > window
        first += length


def test_one_validation_is_always_at_a_phases_end():
    assert PhasePlan([Phase(name="a"), Phase(name="b", validations=99)], 100).validated_every(60) == 60
