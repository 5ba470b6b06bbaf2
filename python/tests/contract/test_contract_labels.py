from dataclasses import replace

import pytest

from organincrement.contract.errors import ContractError
from organincrement.contract.labels import Code, LabelSpace, LabelTransition, Organ
from organincrement.contract.organs import organ_from_name


def space(*names: str) -> LabelSpace:
    return LabelSpace(tuple(organ_from_name(name) for name in names))


HEAD_NECK = space("brainstem", "spinal_cord", "parotid_right", "parotid_left")


def test_labels_count_from_one_in_order() -> None:
    assert len(HEAD_NECK) == 4
    assert HEAD_NECK.index("brainstem") == 1
    assert HEAD_NECK.index("parotid_left") == 4
    assert HEAD_NECK.ids == ("brainstem", "spinal_cord", "parotid_right", "parotid_left")
    assert HEAD_NECK.names[2] == "Right parotid gland"
    with pytest.raises(ContractError, match="no organ 'liver'; there are brainstem, spinal_cord"):
        HEAD_NECK.index("liver")


def test_only_organs_with_a_side_have_laterality() -> None:
    assert HEAD_NECK.has_laterality
    assert not space("brainstem", "mandible").has_laterality


def test_organs_are_the_same_by_codes_else_by_id() -> None:
    liver = organ_from_name("liver")
    leber = Organ(id="leber", name="Leber", color=(1, 2, 3), type=Code("SCT", "10200004", "Liver structure"))
    assert liver.same_as(leber)
    assert not organ_from_name("parotid_left").same_as(organ_from_name("parotid_right"))
    uncoded = Organ(id="liver", name="Liver", color=(1, 2, 3))
    assert uncoded.same_as(liver)
    assert not replace(uncoded, id="leber").same_as(liver)
    assert not Organ(id="a", name="A", color=(1, 2, 3)).same_as(Organ(id="b", name="B", color=(1, 2, 3)))


def test_tumours_of_two_hosts_are_two_organs() -> None:
    assert len(space("liver", "kidney", "liver_tumour", "kidney_tumour")) == 4


def test_the_same_organ_twice_is_refused_by_name() -> None:
    with pytest.raises(ContractError, match="'liver' and 'leber' are the same organ"):
        LabelSpace((organ_from_name("liver"), replace(organ_from_name("liver"), id="leber")))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": "anomaly"}, "names its host"),
        ({"host": "liver"}, "names its host"),
        ({"id": "../liver"}, "not allowed"),
        ({"id": "liver\n"}, "not allowed"),
        ({"id": ""}, "not allowed"),
        ({"color": (0, 0, -1)}, "0 to 255"),
    ],
)
def test_an_organ_that_makes_no_sense_is_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ContractError, match=says):
        replace(organ_from_name("spleen"), **changes)  # type: ignore[arg-type]


def test_a_transition_appends_the_new_organ() -> None:
    transition = LabelTransition(HEAD_NECK, space("mandible"), {})
    assert (transition.old_count, transition.new_count) == (4, 1)
    assert transition.student.ids == (*HEAD_NECK.ids, "mandible")
    assert transition.teacher_to_student == (0, 1, 2, 3, 4)


def test_a_merged_organ_counts_as_the_other_and_later_channels_move_up() -> None:
    old = space("liver_tumour", "liver", "spleen")
    transition = LabelTransition(old, space("pancreas"), {"liver_tumour": "liver"})
    assert (transition.old_count, transition.new_count) == (2, 1)
    assert transition.student.ids == ("liver", "spleen", "pancreas")
    assert transition.teacher_to_student == (0, 1, 1, 2)


def test_an_organ_the_teacher_knows_already_is_refused_by_name() -> None:
    with pytest.raises(ContractError, match=r"'parotid_left' .Left parotid gland. of the dataset is known"):
        LabelTransition(HEAD_NECK, space("mandible", "parotid_left"), {})


def test_a_refused_organ_names_the_merge_that_learns_it_anew() -> None:
    with pytest.raises(ContractError, match="give --merge parotid_left=parotid_left, else leave it out"):
        LabelTransition(HEAD_NECK, space("mandible", "parotid_left"), {})


@pytest.mark.parametrize(
    ("new", "merges"),
    [("mandible", {"jaw": "mandible"}), ("jaw", {"jaw": "jaw"}), ("jaw", {"jaw": "jaw", "liver_tumour": "liver"})],
)
def test_an_organ_that_counts_as_a_new_one_is_background_to_the_teacher(new: str, merges: dict[str, str]) -> None:
    transition = LabelTransition(space("liver", "jaw", "liver_tumour", "spleen"), space(new), merges)
    kept = [organ for organ in ("liver", "liver_tumour", "spleen") if organ not in merges]
    assert transition.student.ids == (*kept, new)
    assert (transition.old_count, transition.new_count) == (len(kept), 1)
    assert transition.replaced == ("jaw",)
    tumour = 1 if "liver_tumour" in merges else 2
    assert transition.teacher_to_student == (0, 1, 0, tumour, tumour + 1 if tumour == 2 else 2)


@pytest.mark.parametrize(
    ("merges", "says"),
    [
        ({"lung": "liver"}, "the teacher has no organ 'lung'"),
        ({"liver": "lung"}, "the teacher has no organ 'lung'"),
        ({"liver": "kidney"}, "the teacher has no organ 'kidney'"),
        ({"pancreas": "liver"}, "the teacher has no organ 'pancreas'"),
        ({"liver": "liver"}, "the dataset has no organ 'liver' to learn it from; drop the merge"),
        ({"liver": "spleen", "spleen": "liver"}, "'liver' counts as 'spleen'"),
        ({"liver_tumour": "liver", "liver": "spleen"}, "'liver_tumour' counts as 'liver'"),
    ],
)
def test_merges_that_are_unknown_chained_or_circular_are_refused(merges: dict[str, str], says: str) -> None:
    with pytest.raises(ContractError, match=says):
        LabelTransition(space("liver", "liver_tumour", "spleen"), space("pancreas"), merges)
