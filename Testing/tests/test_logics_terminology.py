"""Organs as segments and back: nothing is lost, and Slicer, the engine and we write the same."""

import re

import pytest
import slicer
import vtk

from organincrement.contract.labels import Code, LabelSpace, Organ
from organincrement.contract.organs import TERMS, organ_from_name, search_organs
from organincrement.imaging.writing import segment_fields
from OrganIncrementLib.Logics import Terminology

KNOWN = search_organs("")
ANOMALIES = [
    organ_from_name(f"{host} {what}")
    for host in ("liver", "left kidney", "lung")
    for what in ("tumour", "cyst", "lesion")
]
OWN = [
    organ_from_name("thing of mine"),
    Organ(id="x1", name="Œdème: 50 %", color=(1, 2, 3)),
    Organ(id="mass", name="Mass", kind="anomaly", host="liver", color=(250, 0, 5)),
    Organ(
        id="parotid_site_b", name="Parotis rechts", color=(9, 9, 9),
        category=Code("SCT", "123037004", "Anatomical structure"),
        type=Code("99LOCAL", "P|1~2^3", "Ohr|speichel~drüse^"), modifier=Code("SCT", "24028007", "Right"),
    ),
]  # fmt: skip


def segmentOf(organ):
    segment = slicer.vtkSegment()
    Terminology.apply(segment, organ)
    return segment


def tag(segment, name):
    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else None


def test_every_organ_comes_back_from_its_segment():
    organs = [*KNOWN, *ANOMALIES, *OWN[:3]]
    assert [Terminology.organOf(segmentOf(organ)) for organ in organs] == organs


def test_separators_in_codes_do_not_break_the_entry():
    again = Terminology.organOf(segmentOf(OWN[3]))
    assert again.name == OWN[3].name
    assert again.type == Code("99LOCAL", "P 1 2 3", "Ohr speichel drüse ")
    assert again.modifier == OWN[3].modifier


@pytest.mark.parametrize("organ", [KNOWN[0], organ_from_name("right lung"), *ANOMALIES[:2]], ids=lambda organ: organ.id)
def test_entry_is_what_slicers_terminology_logic_writes(organ):
    logic = slicer.vtkSlicerTerminologiesModuleLogic
    entry = slicer.vtkSlicerTerminologyEntry()
    assert logic().DeserializeTerminologyEntry(Terminology.entryOf(organ), entry)
    assert entry.GetTypeObject().GetCodeValue() == organ.type.value
    assert (entry.GetTypeModifierObject().GetCodeValue() or None) == (organ.modifier.value if organ.modifier else None)
    assert logic.SerializeTerminologyEntry(entry) == Terminology.entryOf(organ)


def test_entry_is_what_the_engine_writes():
    organs = tuple(KNOWN + ANOMALIES + OWN)
    fields = segment_fields(LabelSpace(organs), (2, 3, 4))
    for i, organ in enumerate(organs):
        entry = Terminology.entryOf(organ)
        tags = fields[f"Segment{i}_Tags"].split("|")
        assert [tag for tag in tags if tag.startswith(f"{Terminology.ENTRY_TAG}:")] == (
            [f"{Terminology.ENTRY_TAG}:{entry}"] if entry else []
        )


def test_every_organ_is_known_by_codes_and_name_alone():
    for organ in [*KNOWN, *ANOMALIES]:
        segment = segmentOf(organ)
        segment.RemoveTag(Terminology.ORGAN_TAG)
        assert Terminology.organOf(segment) == organ


def test_name_in_another_language_is_known_by_its_codes():
    segment = segmentOf(organ_from_name("left kidney"))
    segment.RemoveTag(Terminology.ORGAN_TAG)
    segment.SetName("Linke Niere")
    organ = Terminology.organOf(segment)
    assert (organ.id, organ.name) == ("kidney_left", "Linke Niere")


def test_terminology_chosen_anew_in_slicer_counts_more_than_what_was_noted():
    segment = segmentOf(organ_from_name("liver"))
    segment.SetTag("TerminologyEntry", Terminology.entryOf(organ_from_name("spleen")))
    segment.SetName("Spleen")
    assert Terminology.organOf(segment).id == "spleen"


def test_segment_without_codes_renamed_is_another_organ():
    segment = segmentOf(organ_from_name("thing of mine"))
    segment.SetName("Liver")
    assert Terminology.organOf(segment).id == "liver"


def test_fresh_segment_of_slicer_is_no_tissue_organ():
    segment = slicer.vtkSegment()
    segment.SetName("Segment_1")
    organ = Terminology.organOf(segment)
    assert (organ.id, organ.type) == ("segment_1", None)


def test_organ_without_codes_is_not_called_tissue():
    segment = segmentOf(organ_from_name("thing of mine"))
    assert tag(segment, "TerminologyEntry") is None


@pytest.mark.parametrize(
    "entry", ["", "~~~~~~", "a~b~c", "x~^^~^^~^^~~^^~^^", "~SCT^1~SCT^2~^^~~^^~^^", "nonsense" * 100]
)
def test_broken_entries_are_taken_for_none(entry):
    assert Terminology.codesOf(entry) == (None, None, None)


def test_broken_notes_are_ignored():
    for text in ("", "/", "//", "../x/y/z", "a b/c/d", "liver/liver/00000000"):
        segment = segmentOf(organ_from_name("liver"))
        segment.SetTag(Terminology.ORGAN_TAG, text)
        assert Terminology.organOf(segment) == organ_from_name("liver")


def test_note_survives_the_tags_of_a_file():
    """Slicer's files separate tags by | and names from values by a colon."""
    for organ in [*KNOWN, *ANOMALIES, *OWN]:
        assert not re.search(r"[|:\n]", tag(segmentOf(organ), Terminology.ORGAN_TAG))


def test_search_finds_by_every_word():
    assert [organ.id for organ in Terminology.search("left kidn")] == ["kidney_left"]
    assert len(Terminology.search("")) >= len(TERMS)
    assert Terminology.search("no such organ") == []
