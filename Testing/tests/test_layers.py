"""Who may import whom on the Slicer side, read from the sources."""

import ast
from pathlib import Path

import pytest

MODULES = Path(__file__).resolve().parents[2] / "OrganIncrement"
LIBRARY = MODULES / "OrganIncrementLib"
VIEWER = {"qt", "ctk", "slicer", "vtk"}
# what Slicer's own Python has, without anything installed
ALWAYS_THERE = {"numpy", "slicer", "qt", "ctk", "vtk", "vtkSegmentationCore", "vtkSegmentationCorePython", "SampleData"}
FORBIDDEN = {
    "Engine": VIEWER,
    "Panels": {"vtk"},
    "Logics": {"qt", "ctk"},
}


def imports_of(path: Path) -> set[str]:
    """Full names of all that a file imports, wherever it stands."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def sources() -> list[Path]:
    return sorted(MODULES.rglob("*.py"))


@pytest.mark.parametrize("layer", FORBIDDEN)
def test_a_layer_does_not_reach_past_its_neighbours(layer):
    for path in (LIBRARY / layer).glob("*.py"):
        tops = {name.partition(".")[0] for name in imports_of(path)}
        assert not tops & FORBIDDEN[layer], path.name


def test_panels_know_slicer_by_its_words_alone():
    for path in (LIBRARY / "Panels").glob("*.py"):
        of_slicer = {name for name in imports_of(path) if name.partition(".")[0] == "slicer"}
        assert of_slicer <= {"slicer.i18n.tr", "slicer.i18n.translate"}, path.name


def test_of_the_engine_only_the_contract_is_imported():
    for path in sources():
        of_engine = {name for name in imports_of(path) if name.partition(".")[0] == "organincrement"}
        assert all(name.startswith("organincrement.contract") for name in of_engine), path.name


def test_nothing_is_imported_that_a_bare_slicer_lacks():
    import sys

    known = ALWAYS_THERE | set(sys.stdlib_module_names) | {"OrganIncrementLib", "organincrement"}
    for path in sources():
        tops = {name.partition(".")[0] for name in imports_of(path)}
        # the installer on request may name Slicer's own extension for torch
        assert tops - known <= {"PyTorchUtils"}, path.name


def test_files_and_entries_stay_short():
    for path in sources():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        is_entry = path.parent.parent == MODULES and path.stem == path.parent.name
        assert lines <= (150 if is_entry else 300), f"{path.name}: {lines} lines"


def test_no_name_says_nothing():
    vague = {"utils", "helpers", "common", "misc", "manager"}
    assert not [path.name for path in sources() if path.stem.lower() in vague]
