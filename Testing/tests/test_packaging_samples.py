"""Sample data in Slicer: offered once, made by the real engine, opened or announced; progress and a way out."""

import logging
import shutil
import sys
from types import SimpleNamespace

import pytest
import qt
import slicer

from OrganIncrementLib import Samples, Startup
from OrganIncrementLib.Engine.EngineEnvironment import EngineEnvironment
from OrganIncrementLib.Services import Services
from OrganIncrementLib.Settings import DictStore, Settings
from OrganIncrementLib.Workspace import Workspace


class Dialogs:
    """Notes what it would show."""

    def __init__(self):
        self.shown = []

    def info(self, text):
        self.shown.append(("info", text))

    def error(self, text):
        self.shown.append(("error", text))


class Offers:
    """As much of Slicer's SampleData as other modules use."""

    def __init__(self, monkeypatch):
        self.made = []
        monkeypatch.setattr(slicer.modules, "sampleDataSources", {}, raising=False)
        logic = SimpleNamespace(registerCustomSampleDataSource=self._register)
        monkeypatch.setitem(sys.modules, "SampleData", SimpleNamespace(SampleDataLogic=logic))

    def _register(self, category, **details):
        self.made.append(details)
        slicer.modules.sampleDataSources.setdefault(category, []).append(SimpleNamespace(**details))


@pytest.fixture
def services(tmp_path):
    settings = Settings(DictStore())
    engine = EngineEnvironment(settings, sys.executable, dict)
    workspace = Workspace(tmp_path / "workspace", settings)
    return Services(settings=settings, workspace=workspace, engine=engine, dialogs=Dialogs())


def progressDialogs():
    return [widget for widget in slicer.app.topLevelWidgets() if isinstance(widget, qt.QProgressDialog)]


def test_three_samples_are_offered_once_with_a_picture_each(monkeypatch):
    offers = Offers(monkeypatch)
    Samples.register()
    Samples.register()
    names = [details["sampleName"] for details in offers.made]
    assert names == ["OrganIncrementScan", "OrganIncrementDataset", "OrganIncrementTeacher"]
    for details in offers.made:
        assert callable(details["customDownloader"])
        assert qt.QImage(details["thumbnailFileName"]).width() == 240
        assert details["uris"].startswith("organincrement:")


def test_start_up_goes_on_where_a_part_cannot_be_registered(monkeypatch, caplog):
    def refuse():
        raise RuntimeError("another SampleData")

    monkeypatch.setattr(Samples, "register", refuse)
    with caplog.at_level(logging.ERROR):
        Startup.register()
    assert "Samples could not be registered" in caplog.text


@pytest.mark.slow
def test_the_scan_is_made_by_the_engine_and_opened(services):
    node = Samples.provide("scan", services)
    assert node.GetImageData().GetDimensions() == tuple(reversed(slicer.util.arrayFromVolume(node).shape))
    assert node.GetName() == "Phantom scan"
    assert slicer.util.arrayFromVolume(node).min() < -900 < 100 < slicer.util.arrayFromVolume(node).max()
    background = slicer.app.layoutManager().sliceWidget("Red").sliceLogic().GetBackgroundLayer().GetVolumeNode()
    assert background is node
    assert services.dialogs.shown == []


@pytest.mark.slow
def test_a_teacher_that_is_there_is_found_among_the_models_without_the_engine(services, engineWorld):
    shutil.copytree(engineWorld.teacher, services.workspace.samplesFolder / "phantom-teacher")
    services.engine.setPython("/nowhere/python")
    path = Samples.provide("teacher", services)
    assert [model.path for model in services.workspace.models()] == [path]
    ((kind, text),) = services.dialogs.shown
    assert kind == "info" and "phantom-teacher" in text and str(path) in text


@pytest.mark.slow
def test_a_dataset_that_is_there_is_found_among_the_datasets(services, engineWorld):
    shutil.copytree(engineWorld.dataset, services.workspace.samplesFolder / "phantom-stomach")
    there = Samples.rememberSamples(services)
    assert [dataset.path for dataset in services.workspace.datasets()] == [there.dataset]
    assert there.teacher is None and there.scan is None


def test_an_engine_that_cannot_start_is_said_in_one_sentence_and_nothing_is_there(services):
    services.engine.setPython("/nowhere/python")
    assert Samples.provide("dataset", services) is None
    ((kind, text),) = services.dialogs.shown
    assert kind == "error" and "/nowhere/python" in text and "\n" not in text
    assert Samples.samplesThere(services) == Samples.SampleFiles()
    assert not [dialog for dialog in progressDialogs() if dialog.visible]


@pytest.mark.slow
def test_cancel_ends_the_engine_says_nothing_and_the_next_time_starts_afresh(services):
    def cancel():
        (dialog,) = [dialog for dialog in progressDialogs() if dialog.visible]
        (button,) = slicer.util.findChildren(dialog, className="QPushButton")
        button.click()

    timer = qt.QTimer()
    timer.setSingleShot(True)
    timer.setInterval(1500)
    timer.connect("timeout()", cancel)
    timer.start()
    assert Samples.provide("teacher", services) is None
    assert services.dialogs.shown == []
    assert Samples.samplesThere(services).teacher is None


@pytest.mark.slow
def test_the_command_reports_progress_and_its_results_are_remembered(services, settle):
    command = Samples.makeSamplesCommand(services, "scan", "dataset").start()
    reports = []

    def over():
        progress = command.poll()
        if progress is not None and progress not in reports:
            reports.append(progress)
        return not command.running

    settle(until=over, seconds=120)
    assert command.state == "finished", command.message
    assert any(0 < report.percent < 100 for report in reports)
    there = Samples.rememberSamples(services)
    assert services.workspace.datasets()[0].counts == {"approved": 10, "submitted": 2}
    assert there.scan.is_file()
