"""Names of files that may be people's do not become case ids; codes do."""

from pathlib import Path

import pytest

from organincrement.workflows.case_names import PRIVATE_LIST, is_code, neutral, write_private_list
from organincrement.workflows.pairing import Pair


def pair(name: str, group: str | None = None) -> Pair:
    return Pair(id=name, group=group or name, image=Path(f"/in/{name}.nii.gz"), label=Path(f"/labels/{name}.nrrd"))


@pytest.mark.parametrize(
    "name",
    ["pt_12", "site-b_007", "case12", "neck_001", "liver_1", "kidney_left_3", "phantom_b_0011", "a", "s0011", "0042",
     "patient-3_scan-2", "PT.7"],
)  # fmt: skip
def test_codes_are_codes(name):
    assert is_code(name)


@pytest.mark.parametrize(
    "name",
    ["Doe_Jane", "DOE", "JaneDoe_1", "Mustermann01", "JD_12", "J_D", "19500312", "pt_1950-03-12", "12_1950",
     "", "-", "_._", "MRN1234567", "pt_123456", "1_2_3", "ward_7_Smith", "Müller_1"],
)  # fmt: skip
def test_what_may_be_a_name_an_id_or_a_date_is_none(name):
    assert not is_code(name)


def test_ids_that_are_all_codes_stay():
    pairs = [pair("pt_1", "site_1"), pair("pt_2"), pair("pt_3", "pt_2")]
    assert neutral(pairs) == (pairs, False)


def test_groups_that_may_be_names_are_renamed_though_all_ids_are_codes():
    given = [pair("pt_1", "Mueller_Hans_1980"), pair("pt_2"), pair("pt_3", "patient_0001"), pair("pt_4", "anna"),
             pair("pt_5", "Mueller_Hans_1980")]  # fmt: skip
    pairs, renamed = neutral(given)
    assert renamed and [(p.id, p.group) for p in pairs] == [
        ("pt_1", "patient_0002"), ("pt_2", "pt_2"), ("pt_3", "patient_0001"), ("pt_4", "patient_0003"),
        ("pt_5", "patient_0002"),
    ]  # fmt: skip


def test_a_case_in_the_group_of_another_stays_with_it_when_both_are_renamed():
    pairs, _ = neutral([pair("Doe_Jane"), pair("Doe_later", "Doe_Jane"), pair("pt_1", "case_0001")])
    assert [p.group for p in pairs] == ["case_0001", "case_0001", "patient_0001"]


def test_one_name_that_may_be_a_persons_renames_all_with_their_groups():
    pairs, renamed = neutral([pair("Doe_Jane"), pair("Roe_1", "Roe^Rick"), pair("pt_1"), pair("Roe_2", "Roe^Rick")])
    assert renamed and [(p.id, p.group) for p in pairs] == [
        ("case_0001", "case_0001"), ("case_0002", "patient_0001"), ("case_0003", "case_0003"),
        ("case_0004", "patient_0001"),
    ]  # fmt: skip
    assert pairs[0].image == Path("/in/Doe_Jane.nii.gz")


def test_the_private_list_says_which_is_which_to_its_owner_only(tmp_path):
    originals = [pair("Doe_Jane"), pair('Roe, "Rick"')]
    write_private_list(tmp_path, neutral(originals)[0], originals)
    listed = tmp_path / PRIVATE_LIST
    assert listed.read_text(encoding="utf-8").splitlines()[1] == "case_0001,Doe_Jane.nii.gz,Doe_Jane.nrrd,Doe_Jane"
    assert listed.stat().st_mode & 0o077 == 0
