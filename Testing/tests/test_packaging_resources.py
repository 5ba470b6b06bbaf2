"""Icons, the entry for the Extensions Index, and the terminology, as files and in Slicer's own logic."""

import importlib.util
import json
import struct
from pathlib import Path

import pytest
import slicer
import vtk

from organincrement.contract.organs import TERMS, organ_from_name
from OrganIncrementLib import TerminologyFiles

ROOT = Path(__file__).resolve().parents[2]
ICONS = [
    ROOT / "Resources/Icons/OrganIncrementExtension.png",
    *(ROOT / f"OrganIncrement/{n}/Resources/Icons/{n}.png" for n in ("OrganIncrement", "OrganAnnotate", "OrganReview")),
]
# the fields of the catalogue's schema, version 1.0.2
ENTRY_FIELDS = {
    "$schema": str, "category": str, "scm_url": str, "scm_revision": str, "scm_type": str, "build_dependencies": list,
    "dicom_support_rule": str, "build_subdirectory": str, "enabled": bool, "tier": int,
}  # fmt: skip


def tool(name: str):
    specification = importlib.util.spec_from_file_location(name, ROOT / "Resources/tools" / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", ICONS, ids=lambda path: path.stem)
def test_icons_are_128_pixels_square_with_transparency(path):
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height, depth, kind = struct.unpack(">IIBB", data[16:26])
    assert (width, height, depth, kind) == (128, 128, 8, 6)


def test_icons_differ_from_one_another():
    assert len({path.read_bytes() for path in ICONS}) == len(ICONS)


def test_the_index_entry_keeps_to_the_schema():
    entry = json.loads((ROOT / "Resources/ExtensionsIndex/OrganIncrement.json").read_text(encoding="utf-8"))
    assert {"$schema", "category", "scm_url"} <= set(entry)
    assert entry["$schema"].endswith("slicer-extension-catalog-entry-schema-v1.0.2.json#")
    for key, value in entry.items():
        assert type(value) is ENTRY_FIELDS[key], key
    assert entry["category"] == "Segmentation" and entry["build_dependencies"] == ["PyTorch"]
    assert entry["scm_type"] in ("git", "local") and 1 <= entry["tier"] <= 5
    assert entry["scm_url"].startswith("https://") and entry["scm_url"].endswith(".git")


def test_index_entry_and_cmake_name_the_same_repository_and_category():
    entry = json.loads((ROOT / "Resources/ExtensionsIndex/OrganIncrement.json").read_text(encoding="utf-8"))
    cmake = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert f'set(EXTENSION_HOMEPAGE "{entry["scm_url"].removesuffix(".git")}")' in cmake
    assert f'set(EXTENSION_CATEGORY "{entry["category"]}")' in cmake
    assert 'set(EXTENSION_DEPENDS "PyTorch")' in cmake


def test_terminology_files_are_in_step_with_the_engine():
    writer = tool("write_terminology")
    contexts = {writer.ORGANS_FILE: writer.organs_context(), writer.REGIONS_FILE: writer.regions_context()}
    for path, context in contexts.items():
        stale = path.read_text(encoding="utf-8") != writer.dumped(context)
        assert not stale, "run: python Resources/tools/write_terminology.py"


def test_the_modules_know_the_names_of_the_contexts():
    writer = tool("write_terminology")
    assert (TerminologyFiles.ORGANS_CONTEXT, TerminologyFiles.REGIONS_CONTEXT) == (
        writer.ORGANS_CONTEXT,
        writer.REGIONS_CONTEXT,
    )


@pytest.fixture(scope="module")
def logic():
    if not hasattr(slicer, "vtkSlicerTerminologiesModuleLogic"):
        pytest.skip("this slicer-core has no terminologies")
    logic = slicer.vtkSlicerTerminologiesModuleLogic()
    logic.SetMRMLScene(slicer.mrmlScene)
    TerminologyFiles.loadInto(logic)
    return logic


@pytest.fixture(scope="module")
def looks(logic):
    """(type's code, modifier's code or "") -> (type's meaning, colour), as Slicer's terminology selector sees them."""
    context, category = TerminologyFiles.ORGANS_CONTEXT, slicer.vtkSlicerTerminologyCategory()
    assert logic.GetNthCategoryInTerminology(context, 0, category)
    found = {}
    for i in range(logic.GetNumberOfTypesInTerminologyCategory(context, category)):
        kind = slicer.vtkSlicerTerminologyType()
        assert logic.GetNthTypeInTerminologyCategory(context, category, i, kind)
        found[kind.GetCodeValue(), ""] = (kind.GetCodeMeaning(), tuple(kind.GetRecommendedDisplayRGBValue()))
        for j in range(logic.GetNumberOfTypeModifiersInTerminologyType(context, category, kind)):
            side = slicer.vtkSlicerTerminologyType()
            assert logic.GetNthTypeModifierInTerminologyType(context, category, kind, j, side)
            color = tuple(side.GetRecommendedDisplayRGBValue())
            found[kind.GetCodeValue(), side.GetCodeValue()] = (kind.GetCodeMeaning(), color)
    return found


@pytest.mark.parametrize("term_id", TERMS)
def test_slicer_finds_every_organ_with_its_colour(looks, term_id):
    for side in ("_right", "_left") if TERMS[term_id].paired else ("",):
        organ = organ_from_name(term_id + side)
        key = (organ.type.value, organ.modifier.value if organ.modifier else "")
        assert looks[key] == (organ.type.meaning, organ.color)


@pytest.mark.parametrize("name", ["stomach", "kidney left"])
def test_slicer_finds_our_context_by_the_codes_of_a_segment(logic, name):
    organ = organ_from_name(name)
    modifier = ("SCT", organ.modifier.value) if organ.modifier else ("", "")
    names = logic.FindTerminologyNames("SCT", organ.category.value, "SCT", organ.type.value, *modifier, [])
    assert TerminologyFiles.ORGANS_CONTEXT in names


def test_loading_again_changes_nothing(logic):
    names = vtk.vtkStringArray()
    TerminologyFiles.loadInto(logic)
    logic.GetLoadedTerminologyNames(names)
    loaded = [names.GetValue(i) for i in range(names.GetNumberOfValues())]
    assert loaded.count(TerminologyFiles.ORGANS_CONTEXT) == 1


def test_every_organ_is_also_a_place_for_an_anomaly(logic):
    count = logic.GetNumberOfRegionsInRegionContext(TerminologyFiles.REGIONS_CONTEXT)
    assert count == len({term.code for term in TERMS.values()}) == len(TERMS)
