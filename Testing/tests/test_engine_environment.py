"""Which Python runs the engine, in what environment, what it has, and what installing would do."""

import os
import sys
from pathlib import Path

import pytest
import slicer
from engine_jobs import untilEnded

from harness import records
from OrganIncrementLib.Dialogs import Dialogs
from OrganIncrementLib.Engine.EngineEnvironment import EngineEnvironment
from OrganIncrementLib.Engine.EngineFolder import engineFolder
from OrganIncrementLib.Engine.InstallPlan import InstallPlan, installPlan
from OrganIncrementLib.Logics.EngineInstall import InstallError, install
from OrganIncrementLib.Settings import DictStore, Settings


@pytest.fixture
def engine():
    """In this Python, as if it were Slicer's."""
    return EngineEnvironment(Settings(DictStore()), sys.executable, lambda: {"STARTED": "before Slicer"})


@pytest.fixture
def pythonOf(tmp_path):
    """A function: an executable script that stands for a Python of some kind."""

    def make(text, name="python"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        return path

    return make


def checked(engine):
    return engine.facts(untilEnded(engine.checkCommand().start())[0])


def test_slicers_python_is_used_until_the_user_chooses_another(engine, tmp_path):
    assert (engine.python, engine.isExternal) == (sys.executable, False)
    engine.setPython("/opt/other/bin/python")
    assert (engine.python, engine.isExternal) == ("/opt/other/bin/python", True)
    engine.setPython(None)
    assert (engine.python, engine.isExternal) == (sys.executable, False)


@pytest.mark.parametrize("name", ["bin/python", "Scripts/python.exe", "python.exe"])
def test_the_folder_of_an_environment_may_be_chosen(engine, pythonOf, tmp_path, name):
    found = pythonOf("", name)
    engine.setPython(tmp_path)
    assert engine.python == str(found)


def test_the_environment_holds_this_engine_and_nothing_of_slicers_changes(engine, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/slicers/lib")
    before = dict(os.environ)
    of_slicer = engine.environment()
    assert of_slicer["PYTHONPATH"] == f"{engineFolder()}{os.pathsep}/slicers/lib"
    assert of_slicer["PYTHONIOENCODING"] == "utf-8" and of_slicer["PATH"] == os.environ["PATH"]
    engine.setPython(sys.executable)
    external = engine.environment()
    assert external["STARTED"] == "before Slicer" and "PATH" not in external
    assert external["PYTHONPATH"] == str(engineFolder())
    assert dict(os.environ) == before


def test_a_command_works_from_any_folder_whatever_lies_there(engine, tmp_path):
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')", encoding="utf-8")
    (tmp_path / "organincrement").mkdir()
    command = engine.run("--version")
    command._cwd = tmp_path
    untilEnded(command.start())
    assert command.state == "finished" and command.output.startswith("organincrement ")


def test_a_check_tells_versions_device_and_memory(engine):
    facts = checked(engine)
    assert facts.ok and facts.missing == () and "torch" in facts.versions and "ready on" in facts.message
    assert facts.device.startswith(("cpu: ", "cuda: ")) and facts.memoryBytes in (facts.gpuBytes, facts.ramBytes)
    assert engine.installPlan(facts).isEmpty


def test_a_python_that_lacks_packages_says_which(engine, pythonOf):
    engine.setPython(pythonOf(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n'))
    facts = checked(engine)
    assert not facts.ok and "torch>=2.4" in facts.missing and facts.message.startswith("missing: torch")
    plan = engine.installPlan(facts)
    assert plan.byHand and "The chosen Python lacks: torch>=2.4" in plan.text


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("#!/bin/sh\necho 'Unknown option: -P' >&2; exit 2\n", "too old"),
        ("#!/bin/sh\necho hello\n", "gave no answer"),
        ("#!/bin/sh\nexit 1\n", "without saying why"),
        ("not a program", "cannot be started"),
    ],
)
def test_a_python_that_is_none_is_said_in_words(engine, pythonOf, script, says):
    engine.setPython(pythonOf(script))
    facts = checked(engine)
    assert not facts.ok and says in facts.message and facts.missing == ()


def test_without_any_python_the_user_is_asked_for_one():
    facts = checked(EngineEnvironment(Settings(DictStore()), "", dict))
    assert (
        facts.message == "There is no Python for the engine: choose one in the module OrganIncrement (Other Python…)."
    )


def test_what_is_missing_is_sorted_by_how_it_is_installed():
    missing = ("torch>=2.4", "monai>=1.4", "SimpleITK>=2.4", "scipy>=1.11", "dynamic-network-architectures>=0.4")
    plan = installPlan(missing, external=False)
    assert plan.torch == "torch>=2.4" and plan.packages == ("monai>=1.4", "scipy>=1.11")
    assert plan.alone == ("dynamic-network-architectures>=0.4",) and plan.skipped == ("torch", "SimpleITK")
    assert "downloaded from the internet" in plan.text and "Install them now?" in plan.text
    assert installPlan((), external=False).isEmpty


class TorchLogic:
    """Stands in for the PyTorch extension's logic."""

    asked = None

    def installTorch(self, askConfirmation=True, forceComputationBackend=None, torchVersionRequirement=None):
        TorchLogic.asked = (askConfirmation, torchVersionRequirement)
        return object()


@pytest.fixture
def torchExtension(monkeypatch):
    """The PyTorch extension is there."""
    import types

    module = types.ModuleType("PyTorchUtils")
    module.PyTorchUtilsLogic = TorchLogic
    monkeypatch.setitem(sys.modules, "PyTorchUtils", module)
    TorchLogic.asked = None


WANTED = installPlan(("torch>=2.4", "monai>=1.4", "dynamic-network-architectures>=0.4"), external=False)


def installed():
    return [record["text"] for record in records.dialogs if record["kind"].startswith("pip")]


def test_nothing_is_installed_without_a_yes(torchExtension, slicerApp):
    records.answer("confirmYesNo", False)
    assert install(WANTED, Dialogs()) is False
    assert installed() == [] and TorchLogic.asked is None
    assert WANTED.text in records.texts("confirmYesNo")


def test_after_a_yes_torch_comes_through_its_extension_and_the_rest_without_it(torchExtension, slicerApp, monkeypatch):
    calls = []
    monkeypatch.setattr(slicer.util, "pip_install", lambda text, **named: calls.append((text, named)))
    packaging = _packaging()
    if packaging is not None:
        ensure = lambda wanted, **named: calls.append((wanted, named))  # noqa: E731
        monkeypatch.setattr(packaging, "pip_ensure", ensure, raising=False)
    records.answer("confirmYesNo", True)
    assert install(WANTED, Dialogs()) is True
    assert TorchLogic.asked == (False, ">=2.4")
    assert calls[0] == ("--no-deps dynamic-network-architectures>=0.4", {})
    wanted, named = calls[-1]
    assert wanted == ["monai>=1.4"] and named["skip_packages"] == ["torch", "SimpleITK"]
    assert named["prompt_install"] is False


def _packaging():
    try:
        from slicer import packaging
    except ImportError:
        return None
    return packaging


def test_an_older_slicer_gets_no_second_torch(torchExtension, slicerApp, monkeypatch):
    calls = []
    monkeypatch.setattr(slicer.util, "pip_install", lambda text, **named: calls.append(text))
    packaging = _packaging()
    if packaging is not None and hasattr(packaging, "pip_ensure"):
        monkeypatch.delattr(packaging, "pip_ensure")
    records.answer("confirmYesNo", True)
    install(installPlan(("monai>=1.4", "scipy>=1.11", "tqdm>=4.66"), external=False), Dialogs())
    assert calls == ["--no-deps monai>=1.4", "scipy>=1.11 tqdm>=4.66"]


def test_without_the_torch_extension_the_user_is_told_what_to_install(slicerApp):
    with pytest.raises(InstallError, match="Extensions Manager"):
        install(WANTED, Dialogs())
    assert installed() == []


def test_a_failed_installation_is_said_in_a_sentence(torchExtension, slicerApp, monkeypatch):
    def offline(*args, **named):
        raise RuntimeError("No matching distribution\nfound for monai")

    monkeypatch.setattr(slicer.util, "pip_install", offline)
    records.answer("confirmYesNo", True)
    with pytest.raises(InstallError, match=r"No matching distribution found for monai.*internet"):
        install(WANTED, Dialogs())


def test_an_external_python_is_left_to_its_owner(slicerApp):
    with pytest.raises(InstallError, match="Install them there"):
        install(installPlan(("torch>=2.4",), external=True), Dialogs())
    assert install(InstallPlan(), Dialogs()) is True
    assert records.dialogs == []


def test_the_engine_is_the_one_of_this_extension():
    assert (engineFolder() / "organincrement" / "cli" / "main.py").is_file()
    assert Path(engineFolder()).name in ("python", "OrganIncrementEngine")
