"""Which cases are held back: every fifth patient, whole patients only, the same for the same seed."""

from dataclasses import replace

import pytest

from organincrement.contract.dataset import Case
from organincrement.planning.split import held_back


def cases(*groups: str) -> list[Case]:
    return [
        Case(id=f"case_{number:02d}", group=group, image=f"images/{number}.nii.gz", image_sha256="0" * 64)
        for number, group in enumerate(groups)
    ]


@pytest.mark.parametrize("seed", range(12))
def test_a_patient_is_never_on_both_sides(seed):
    of_two_scans = cases(*(f"patient_{number // 2}" for number in range(40)))
    held = set(held_back(of_two_scans, seed))
    held_patients = {case.group for case in of_two_scans if case.id in held}
    trained_patients = {case.group for case in of_two_scans if case.id not in held}
    assert held and not held_patients & trained_patients


@pytest.mark.parametrize(("patients", "expected"), [(3, 1), (5, 1), (10, 2), (15, 3), (30, 6), (100, 6)])
def test_every_fifth_patient_is_held_back_and_at_most_six_cases(patients, expected):
    assert len(held_back(cases(*(f"p{number}" for number in range(patients))), seed=0)) == expected


def test_fewer_than_three_patients_are_all_trained_on():
    assert held_back(cases("a", "a", "b", "b", "b"), seed=0) == ()


def test_the_seed_alone_decides_and_another_seed_decides_otherwise():
    many = cases(*(f"p{number}" for number in range(30)))
    assert held_back(many, seed=4) == held_back(list(reversed(many)), seed=4)
    assert len({held_back(many, seed) for seed in range(5)}) > 1


def test_a_patient_with_many_scans_is_held_back_whole_and_then_alone():
    many = cases(*["p0"] * 9, *["p1"] * 9, *["p2"] * 9, *(f"p{number}" for number in range(3, 10)))
    for seed in range(20):
        held = held_back(many, seed)
        by_patient = [sum(case.group == group for case in many if case.id in held) for group in ("p0", "p1", "p2")]
        assert set(by_patient) <= {0, 9} and len(held) <= 10


def partly_labelled(*organs: str) -> list[Case]:
    return [
        Case(
            id=f"case_{number:02d}", group=f"p{number}", image=f"images/{number}.nii.gz", image_sha256="0" * 64,
            label=f"labels/{number}.nii.gz" if organ else None, label_sha256="0" * 64 if organ else None,
            annotated=(organ,) if organ else (),
        )
        for number, organ in enumerate(organs)
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_every_labelled_organ_is_validated_where_the_patients_suffice(seed):
    several = partly_labelled(*["liver"] * 20, *["spleen"] * 7, *["stomach"] * 3)
    held = held_back(several, seed)
    assert len(held) == 6
    assert {case.annotated[0] for case in several if case.id in held} == {"liver", "spleen", "stomach"}


@pytest.mark.parametrize(("each", "expected"), [(2, 2), (3, 3), (4, 3), (5, 3), (6, 3), (10, 6)])
def test_more_than_every_fifth_patient_is_held_back_only_to_show_every_organ(each, expected):
    several = partly_labelled(*["liver"] * each, *["spleen"] * each, *["stomach"] * each)
    for seed in range(6):
        held = held_back(several, seed)
        shown = {case.annotated[0] for case in several if case.id in held}
        assert len(held) == expected and len(shown) == min(3, expected)


@pytest.mark.parametrize("seed", range(12))
def test_no_organ_loses_all_its_labels_to_validation(seed):
    rare = partly_labelled(*["liver"] * 8, "spleen", "stomach", "stomach")
    trained_on = {case.annotated for case in rare if case.id not in held_back(rare, seed)}
    assert trained_on == {("liver",), ("spleen",), ("stomach",)}
    assert held_back(partly_labelled("liver", "spleen", "stomach"), seed) == ()


@pytest.mark.parametrize("seed", range(6))
def test_a_draw_that_shows_every_organ_anyhow_is_left_as_it_falls(seed):
    labelled, unknown = partly_labelled(*["liver"] * 30), partly_labelled(*[""] * 30)
    assert held_back(labelled, seed) == held_back(unknown, seed)


@pytest.mark.parametrize("seed", range(12))
def test_a_patient_with_many_scans_stays_where_others_will_do(seed):
    held = held_back(cases(*["p0"] * 30, "p1", "p2"), seed)
    assert held in (("case_30",), ("case_31",))


@pytest.mark.parametrize("seed", range(12))
def test_of_patients_with_many_scans_each_one_with_the_fewest_is_held_back(seed):
    held = held_back(cases(*["p0"] * 9, *["p1"] * 7, *["p2"] * 8), seed)
    assert held == tuple(f"case_{number:02d}" for number in range(9, 16))


@pytest.mark.parametrize("seed", range(24))
def test_an_organ_is_shown_by_a_patient_with_few_scans_where_one_has_too_many(seed):
    several = partly_labelled(*["liver"] * 6, *["liver"] * 6, *["spleen"] * 6)
    several = [replace(case, group="p0") if number < 6 else case for number, case in enumerate(several)]
    held = held_back(several, seed)
    assert {case.annotated[0] for case in several if case.id in held} == {"liver", "spleen"} and len(held) <= 6
