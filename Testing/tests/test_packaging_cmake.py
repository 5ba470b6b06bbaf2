"""The extension as Slicer's build makes it: built and installed by CMake against a stand-in of Slicer's macros."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import list_files

ROOT = Path(__file__).resolve().parents[2]
STUB = ROOT / "Testing" / "cmake_stub"
MODULES = ("OrganAnnotate", "OrganIncrement", "OrganReview")
WITHIN_S = 240


def cmake() -> str:
    beside = Path(sys.executable).with_name("cmake")
    found = str(beside) if beside.is_file() else shutil.which("cmake")
    if not found:
        pytest.skip("cmake is not installed (it is in Testing/requirements.txt)")
    return found


def run(*command) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, encoding="utf-8", timeout=WITHIN_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The build tree, and beside it the installed tree."""
    folder = tmp_path_factory.mktemp("extension")
    if not (shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")):
        pytest.skip("CMake's project() looks for a compiler, and there is none")
    run(cmake(), "-S", ROOT, "-B", folder / "build", f"-DSlicer_DIR={STUB}")
    run(cmake(), "--build", folder / "build")
    run(cmake(), "--install", folder / "build", "--prefix", folder / "installed")
    return folder


@pytest.fixture(scope="module")
def installed(built):
    """The folder that Slicer loads scripted modules from."""
    (folder,) = (built / "installed").glob("lib/Slicer-*/qt-scripted-modules")
    return folder


@pytest.mark.parametrize("listing", list_files.LISTINGS, ids=lambda listing: listing.cmake)
def test_every_file_is_listed_and_every_listed_file_is_there(listing):
    assert not list_files.stale(listing), "run: python Testing/list_files.py --write"


def test_stale_lists_are_named_and_written_on_request(tmp_path, capsys, monkeypatch):
    (tmp_path / "Lib").mkdir()
    (tmp_path / "Lib/One.py").touch()
    (tmp_path / "Lib/CMakeLists.txt").write_text(
        "set(A_PYTHON_SCRIPTS\n  Gone.py\n  )\nset(A_PYTHON_RESOURCES\n  )\n", encoding="utf-8"
    )
    monkeypatch.setattr(list_files, "ROOT", tmp_path)
    monkeypatch.setattr(list_files, "LISTINGS", [list_files.Listing(cmake="Lib/CMakeLists.txt", prefix="A")])
    assert list_files.main([]) == 1 and "stale" in capsys.readouterr().out
    assert list_files.main(["--write"]) == 0
    assert list_files.main([]) == 0
    text = (tmp_path / "Lib/CMakeLists.txt").read_text(encoding="utf-8")
    assert "  One.py\n" in text and "Gone" not in text


def test_no_list_is_made_by_a_glob():
    for path in (
        ROOT / "CMakeLists.txt",
        ROOT / "OrganIncrement/CMakeLists.txt",
        *(x.path for x in list_files.LISTINGS),
    ):
        assert not re.search(r"GLOB", path.read_text(encoding="utf-8"), re.IGNORECASE), path


@pytest.mark.slow
def test_the_installed_extension_holds_every_file_byte_for_byte(installed):
    homes = {
        "OrganIncrement/OrganIncrementLib/CMakeLists.txt": installed / "OrganIncrementLib",
        "python/CMakeLists.txt": installed / "OrganIncrementEngine",
    }
    for listing in list_files.LISTINGS:
        home = homes.get(listing.cmake, installed)
        for name in listing.files():
            assert (home / name).read_bytes() == (listing.path.parent / name).read_bytes(), name


@pytest.mark.slow
def test_the_catalogue_is_told_what_it_shows(built):
    lines = (built / "build/description.txt").read_text(encoding="utf-8").splitlines()
    description = dict(line.split("=", 1) for line in lines)
    assert description["NAME"] == "OrganIncrement"
    assert description["CATEGORY"] == "Segmentation"
    assert description["DEPENDS"] == "PyTorch"
    assert sorted(description["MODULES"].split(";")) == list(MODULES)
    assert "Research use only" in description["DESCRIPTION"]
    for url in (description["ICONURL"], *description["SCREENSHOTURLS"].split()):
        name = url.partition("/main/")[2]
        assert name.endswith(".png")
        assert (ROOT / name).parent.is_dir(), name
    assert (ROOT / description["ICONURL"].partition("/main/")[2]).is_file()


@pytest.mark.slow
def test_each_module_has_its_own_test_in_ctest(built):
    listed = run(Path(cmake()).with_name("ctest"), "--test-dir", built / "build", "-N")
    assert {f"py_{name}" for name in MODULES} <= set(re.findall(r"py_\w+", listed))


@pytest.mark.slow
def test_a_file_that_is_missing_stops_the_configuration(tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(Broken LANGUAGES NONE)\nfind_package(Slicer REQUIRED)\n"
        "include(${Slicer_USE_FILE})\nslicerMacroBuildScriptedModule(NAME Broken SCRIPTS Broken.py)\n",
        encoding="utf-8",
    )
    command = [cmake(), "-S", tmp_path, "-B", tmp_path / "build", f"-DSlicer_DIR={STUB}"]
    done = subprocess.run(list(map(str, command)), capture_output=True, encoding="utf-8", timeout=WITHIN_S)
    assert done.returncode and "nonexistent file 'Broken.py'" in done.stderr


@pytest.mark.slow
def test_the_three_modules_open_from_the_installed_folder_alone(installed, tmp_path):
    said = run(sys.executable, STUB / "open_installed.py", installed, tmp_path)
    (line,) = [line for line in said.splitlines() if line.startswith("REPORT ")]
    report = json.loads(line.removeprefix("REPORT "))
    assert report["errors"] == []
    assert sorted(report["modules"]) == list(MODULES)
    for name, module in report["modules"].items():
        assert module["icon"] and module["widgets"] > 5, (name, module)
    for part in ("library", "engine", "contract"):
        assert Path(report[part]).is_relative_to(installed), part
