"""Exporting a package: a program of its own; whole, or nothing at all."""

import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from organincrement.contract.errors import ContractError
from organincrement.contract.package import manifest_sha256, read_manifest, read_weights
from OrganIncrementLib.Engine.BackgroundCommand import BackgroundCommand
from OrganIncrementLib.Engine.EngineFolder import engineFolder
from OrganIncrementLib.Engine.PackageExport import exportCommand, exportPackage, partialOf

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(engineFolder())}


@pytest.fixture
def package(engineWorld, tmp_path):
    return shutil.copytree(engineWorld.student, tmp_path / "student")


def test_file_is_stored_uncompressed_and_is_the_same_model(package, tmp_path):
    target = tmp_path / "student.oimodel"
    seen = []
    exportPackage(package, target, "file", lambda done, total: seen.append((done, total)))
    assert manifest_sha256(target) == manifest_sha256(package)
    assert read_weights(target, read_manifest(target).weights[0])
    assert {info.compress_type for info in zipfile.ZipFile(target).infolist()} == {zipfile.ZIP_STORED}
    assert seen[-1][0] == seen[-1][1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["student", "student.oimodel"]


def test_there_and_back_again_loses_nothing(package, tmp_path):
    exportPackage(package, tmp_path / "a.oimodel", "file")
    exportPackage(tmp_path / "a.oimodel", tmp_path / "b", "folder")
    assert {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()} == {
        path.name: path.read_bytes() for path in package.iterdir()
    }


@pytest.mark.parametrize("damage", ["shorter", "other", "gone"])
def test_package_that_is_not_whole_is_refused_and_nothing_stays(package, tmp_path, damage):
    weights = package / "weights.safetensors"
    if damage == "shorter":
        weights.write_bytes(weights.read_bytes()[:-7])
    elif damage == "other":
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(data)
    else:
        weights.unlink()
    with pytest.raises(ContractError, match=r"weights\.safetensors .*get the package again"):
        exportPackage(package, tmp_path / "a.oimodel", "file")
    assert [path.name for path in tmp_path.iterdir()] == ["student"]


def test_folder_that_is_there_is_never_overwritten(package, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(ContractError, match="there already"):
        exportPackage(package, tmp_path / "mine", "folder")
    assert (tmp_path / "mine" / "thesis.txt").exists()
    with pytest.raises(ContractError, match="there already"):
        exportPackage(package, package, "file")


def test_file_that_is_there_is_replaced_when_the_new_one_is_whole(package, tmp_path):
    (tmp_path / "a.oimodel").write_text("old", encoding="utf-8")
    exportPackage(package, tmp_path / "a.oimodel", "file")
    assert manifest_sha256(tmp_path / "a.oimodel") == manifest_sha256(package)


@pytest.mark.parametrize("form", ["file", "folder"])
def test_full_disk_is_told_in_words_and_nothing_stays(package, tmp_path, form):
    (tmp_path / "out").mkdir()
    command = exportCommand(sys.executable, package, tmp_path / "out" / "a", form)
    limited = ["prlimit", "--fsize=4096", *command]
    done = subprocess.run(limited, env=ENVIRONMENT, capture_output=True, encoding="utf-8", timeout=60)
    assert done.returncode == 3
    assert "free disk space" in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr
    assert not list((tmp_path / "out").iterdir())


def test_it_reports_progress_as_the_engine_does(package, tmp_path, settle):
    command = BackgroundCommand(exportCommand(sys.executable, package, tmp_path / "a.oimodel", "file"), ENVIRONMENT)
    command.start()
    settle(until=lambda: command.poll() is not None and not command.running, seconds=30)
    assert command.state == "finished", command.message
    assert (command.progress.done, command.progress.total) == (100, 100)
    assert not partialOf(tmp_path / "a.oimodel").exists()
