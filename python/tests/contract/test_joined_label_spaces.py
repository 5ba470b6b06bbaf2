"""Several label spaces become one: the same organ once, an anomaly with its host whatever the host is called."""

from dataclasses import replace

import pytest

from organincrement.contract.errors import ContractError
from organincrement.contract.labels import Code, LabelSpace, LabelTransition, Organ
from organincrement.contract.organs import organ_from_name

LIVER_CODE = Code("SCT", "10200004", "Liver")
TUMOUR_CODE = Code("SCT", "126851005", "Neoplasm of liver")


def organ(organ_id: str, code: Code, host: str | None = None) -> Organ:
    kind = "anomaly" if host else "organ"
    return Organ(id=organ_id, name=organ_id, kind=kind, host=host, color=(1, 2, 3), type=code)


FIRST = LabelSpace((organ("liver", LIVER_CODE), organ("liver_tumour", TUMOUR_CODE, "liver")))
SECOND = LabelSpace((organ("Leber", LIVER_CODE), organ("Tumor", TUMOUR_CODE, "Leber")))


def test_the_same_organ_is_there_once_by_its_code_and_so_is_the_anomaly_in_it():
    assert LabelSpace.joined((FIRST, SECOND)).ids == ("liver", "liver_tumour")
    assert LabelSpace.joined((SECOND, FIRST)).ids == ("Leber", "Tumor")


def test_an_anomaly_takes_the_name_that_its_host_has_among_the_others():
    assert [o.host for o in SECOND.hosted_in(FIRST.organs)] == [None, "liver"]
    assert FIRST.has(SECOND.hosted_in(FIRST.organs)[1]) and FIRST.like(SECOND.organs[0]).id == "liver"


def test_an_anomaly_whose_host_is_in_no_space_keeps_what_it_says():
    alone = LabelSpace((organ("Tumor", TUMOUR_CODE, "Leber"),))
    assert LabelSpace.joined((alone,)).organs == alone.organs
    assert not LabelSpace(FIRST.organs[:1]).has(alone.organs[0])


LEFT, RIGHT = (replace(organ_from_name(f"{side} kidney"), id="kidney", name="Kidney") for side in ("left", "right"))
PAIR, UNCODED = replace(LEFT, modifier=None), replace(LEFT, modifier=None, type=None, category=None)
IN_LIVER, IN_SPLEEN = (replace(organ_from_name(f"{host} lesion"), id="lesion") for host in ("liver", "spleen"))
TWO_SIDES = "organ 'kidney' is left here and right there; they are two: rename one of them"


def space(*organs: Organ) -> LabelSpace:
    return LabelSpace(organs)


def test_a_left_and_a_right_organ_of_one_id_are_two_and_never_joined():
    with pytest.raises(ContractError, match=TWO_SIDES):
        LabelSpace.joined((space(LEFT), space(RIGHT)))
    with pytest.raises(ContractError, match=TWO_SIDES):
        space(LEFT, RIGHT)
    assert not space(LEFT).has(RIGHT)
    with pytest.raises(ContractError, match=TWO_SIDES):
        space(LEFT).like(RIGHT)


def test_an_anomaly_of_one_id_in_two_organs_is_two_and_never_joined():
    liver, spleen = organ_from_name("liver"), organ_from_name("spleen")
    says = "organ 'lesion' lies in 'liver' here and in 'spleen' there; they are two: rename one of them"
    with pytest.raises(ContractError, match=says):
        LabelSpace.joined((space(liver, IN_LIVER), space(spleen, IN_SPLEEN)))
    assert not space(liver, IN_LIVER).has(IN_SPLEEN)
    leber = replace(liver, id="Leber")
    assert LabelSpace.joined((space(liver, IN_LIVER), space(leber, replace(IN_LIVER, host="Leber")))).ids == (
        "liver", "lesion",
    )  # fmt: skip


@pytest.mark.parametrize("host", ["leber", "Leber_2"])
def test_an_anomaly_whose_host_has_a_name_of_somebodys_own_is_the_one_of_its_id(host):
    named = replace(IN_LIVER, host=host)
    assert IN_LIVER.same_as(named) and space(named).has(IN_LIVER) and space(IN_LIVER).like(named) is IN_LIVER
    assert LabelSpace.joined((space(IN_LIVER), space(named))).organs == (IN_LIVER,)
    known = LabelTransition(space(organ_from_name("liver"), IN_LIVER), space(named), {"lesion": "lesion"})
    assert known.student.ids == ("liver", "lesion")


@pytest.mark.parametrize("poorer", [PAIR, UNCODED, replace(UNCODED, modifier=LEFT.modifier)])
def test_an_organ_that_says_less_of_itself_is_still_the_one_of_its_id(poorer):
    for one, other in ((poorer, LEFT), (LEFT, poorer)):
        assert one.same_as(other) and space(one).has(other) and space(one).like(other) is one
        assert LabelSpace.joined((space(one), space(other))).organs == (one,)


def test_the_left_and_the_right_one_are_told_apart_behind_one_without_a_side():
    with pytest.raises(ContractError, match=TWO_SIDES):
        LabelSpace.joined((space(PAIR), space(LEFT), space(RIGHT)))


def test_a_side_in_another_coding_scheme_is_known_by_its_word():
    srt = {word: Code("SRT", value, word) for word, value in (("Left", "G-A101"), ("Right", "G-A100"))}
    assert replace(LEFT, modifier=srt["Left"]).same_as(LEFT)
    assert not replace(LEFT, modifier=srt["Right"]).same_as(LEFT)


def test_an_organ_finds_its_side_by_its_codes_where_its_id_is_the_other_ones():
    both = space(LEFT, organ_from_name("right kidney"))
    assert both.like(RIGHT).id == "kidney_right"


@pytest.mark.parametrize("merges", [{}, {"kidney": "kidney"}])
def test_a_teachers_left_organ_is_never_learned_on_as_the_right_one(merges):
    with pytest.raises(ContractError, match=TWO_SIDES):
        LabelTransition(space(LEFT), space(RIGHT), merges)
