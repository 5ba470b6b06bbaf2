"""What the modules' controllers are given: settings, dialogs, and the engine of this Slicer."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import slicer

from harness import records
from OrganIncrementLib.Dialogs import Dialogs
from OrganIncrementLib.Services import Services, slicerPython
from OrganIncrementLib.Settings import DictStore, Settings


@pytest.fixture(params=["dict", "application"])
def settings(request, setting):
    """On a dict, and on the application's own store."""
    return Settings(DictStore() if request.param == "dict" else slicer.app.userSettings())


@pytest.mark.parametrize(
    ("value", "default"),
    [
        ("text", ""), ("", "default"), (True, False), (False, True), (3, 0), (-1.5, 0.0), (["a", "b,c"], []),
        ([], ["x"]),
        (Path("/a b/ü"), ""), (0, 7),
    ],
)  # fmt: skip
def test_what_was_set_comes_back_in_the_type_of_the_default(settings, value, default):
    settings.set("test/key", value)
    expected = {"": default}.get(value, value) if isinstance(value, str) else value
    found = settings.get("test/key", default)
    assert found == (str(expected) if isinstance(value, Path) else expected) and type(found) is type(default)
    settings.set("test/key", None)
    assert settings.get("test/key", default) == default


def test_a_key_may_be_given_with_its_group(settings):
    settings.set("OrganIncrement/test/key", "one")
    assert settings.get("test/key", "") == "one"


@pytest.mark.parametrize("default", [1, 1.0, ["x"]])
def test_what_is_stored_and_makes_no_sense_counts_as_nothing(settings, default):
    settings.set("test/key", "what?")
    assert settings.get("test/key", default) == default


def test_what_is_kept_is_there_after_a_restart(slicerApp, setting):
    Settings(slicer.app.userSettings()).set("test/flag", True)
    assert Settings(slicer.app.userSettings()).get("test/flag", False) is True


def test_the_services_of_slicer_follow_its_settings(workFolder):
    services = Services.forSlicer()
    assert services.workspace.root == workFolder and services.engine.python == sys.executable
    assert services.engine.isExternal and "PYTHONPATH" in services.engine.environment()
    assert services.settings.get("folder", "") == str(workFolder)


def app(**places):
    return SimpleNamespace(**{"slicerHome": "", "launcherExecutableFilePath": "", **places})


def test_slicers_python_is_looked_for_where_slicer_keeps_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "SlicerApp-real"))
    assert slicerPython(app()) == ""
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3.12")
    assert slicerPython(app()) == "/usr/bin/python3.12"
    program = tmp_path / "bin" / ("PythonSlicer.exe" if sys.platform == "win32" else "PythonSlicer")
    program.parent.mkdir()
    program.touch(mode=0o755)
    assert slicerPython(app(slicerHome=str(tmp_path))) == str(program)
    assert slicerPython(app(launcherExecutableFilePath=str(tmp_path / "Slicer"))) == str(program)
    monkeypatch.setenv("PATH", str(program.parent))
    assert slicerPython(app()) == str(program)


def test_messages_are_shown_as_they_are(slicerApp):
    dialogs = Dialogs()
    dialogs.error("It did not work.")
    dialogs.warn("Look twice.")
    dialogs.info("By the way.")
    assert [(record["kind"], record["text"]) for record in records.dialogs] == [
        ("error", "It did not work."), ("warning", "Look twice."), ("info", "By the way."),
    ]  # fmt: skip


@pytest.mark.parametrize("answer", [True, False])
def test_a_question_gives_yes_or_no(slicerApp, answer):
    records.answer("confirmYesNo", answer)
    assert Dialogs().confirm("Really?") is answer


@pytest.mark.parametrize(
    ("method", "kind"),
    [("openFile", "getOpenFileName"), ("saveFile", "getSaveFileName"), ("folder", "getExistingDirectory")],
)
def test_what_is_chosen_is_a_path_and_nothing_is_none(slicerApp, method, kind, tmp_path):
    dialogs = Dialogs()
    records.answer(kind, str(tmp_path / "a b.oimodel"))
    assert getattr(dialogs, method)("Choose") == tmp_path / "a b.oimodel"
    assert getattr(dialogs, method)("Choose") is None
    records.answer(kind, ("/x/y", "All files (*)"))
    assert getattr(dialogs, method)("Choose") == Path("/x/y")
