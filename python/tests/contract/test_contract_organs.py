import pytest

from organincrement.contract.errors import ContractError
from organincrement.contract.labels import LabelSpace
from organincrement.contract.organs import TERMS, organ_from_name, search_organs


@pytest.mark.parametrize(
    ("name", "organ_id", "code", "side"),
    [
        ("Mandible", "mandible", "91609006", None),
        ("SpinalCord", "spinal_cord", "2748008", None),
        ("brain stem", "brainstem", "15926001", None),
        ("Oesophagus", "esophagus", "32849002", None),
        ("RightParotid", "parotid_right", "45289007", "24028007"),
        ("Parotid_L", "parotid_left", "45289007", "7771000"),
        ("kidney_left", "kidney_left", "64033007", "7771000"),
        ("lung_upper_lobe_right", "lung_upper_lobe_right", "45653009", "24028007"),
        ("vertebrae_L5", "vertebrae_l5", "49668003", None),
        ("Larynx", "larynx", "4596009", None),
    ],
)
def test_common_spellings_give_the_coded_organ(name: str, organ_id: str, code: str, side: str | None) -> None:
    organ = organ_from_name(name)
    assert organ.id == organ_id
    assert organ.type is not None
    assert organ.type.value == code
    assert (organ.modifier.value if organ.modifier else None) == side


def test_an_unknown_organ_has_no_code_but_keeps_its_side_and_colour() -> None:
    organ = organ_from_name("rib_left_1")
    assert (organ.id, organ.type, organ.has_laterality) == ("rib_left_1", None, True)
    assert organ.color == organ_from_name("rib_left_1").color != organ_from_name("rib_left_2").color


def test_an_anomaly_names_its_host() -> None:
    tumour = organ_from_name("Liver tumor")
    assert (tumour.id, tumour.kind, tumour.host) == ("liver_tumour", "anomaly", "liver")
    cyst = organ_from_name("kidney_cyst_left")
    assert (cyst.id, cyst.host, cyst.has_laterality) == ("kidney_cyst_left", "kidney_left", True)


def test_no_two_terms_are_the_same_organ_and_each_is_found_by_its_name() -> None:
    assert len(LabelSpace(tuple(organ_from_name(term.name) for term in TERMS.values()))) == len(TERMS)
    for term_id in TERMS:
        assert organ_from_name(term_id).id == term_id


def test_search_offers_both_sides_of_paired_organs() -> None:
    assert [organ.id for organ in search_organs("parotid")] == ["parotid_left", "parotid_right"]
    assert [organ.id for organ in search_organs("LEFT kid")] == ["kidney_left"]


def test_a_name_without_letters_is_refused() -> None:
    with pytest.raises(ContractError, match="no Latin letters"):
        organ_from_name("下颌骨")
