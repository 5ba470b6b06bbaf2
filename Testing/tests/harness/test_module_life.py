"""A module is opened, left, reloaded and closed as in the application."""

from pathlib import Path

import pytest
import qt
import slicer

from harness import module_loader, records

SOURCE = """
import qt, slicer
from slicer.ScriptedLoadableModule import *

class LifeOf(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "Life of"

class LifeOfWidget(ScriptedLoadableModuleWidget):
    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.label = qt.QLabel("VERSION")
        self.layout.addWidget(self.label)
        self.say("setup")
    def say(self, what):
        slicer.lifeOf.append("VERSION " + what)
    def enter(self):
        self.say("enter")
    def exit(self):
        self.say("exit")
    def cleanup(self):
        self.say("cleanup")
"""


@pytest.fixture
def module(tmp_path):
    """A module's file on disk, loaded; what its widget does is noted in slicer.lifeOf."""
    slicer.lifeOf = []
    path = tmp_path / "LifeOf.py"
    path.write_text(SOURCE.replace("VERSION", "one"), encoding="utf-8")
    yield module_loader.load_scripted_module(path)
    module_loader.close_panel("LifeOf")
    del slicer.lifeOf


def test_a_module_is_opened_left_and_opened_again(module):
    module_loader.load_scripted_module(Path(__file__).parent / "example" / "HelloOverlay" / "HelloOverlay.py")
    for name in ("LifeOf", "HelloOverlay", "LifeOf"):
        slicer.util.selectModule(name)
    assert slicer.lifeOf == ["one setup", "one enter", "one exit", "one enter"]
    module_loader.close_panel("HelloOverlay")


def test_a_closed_panel_is_cleaned_up_once(module):
    slicer.util.selectModule("LifeOf")
    module_loader.close_panel("LifeOf")
    assert slicer.lifeOf == ["one setup", "one enter", "one exit", "one cleanup"]


def test_a_reloaded_module_is_the_new_one(module):
    slicer.util.selectModule("LifeOf")
    old = slicer.util.getModuleWidget("LifeOf")
    Path(module.path).write_text(SOURCE.replace("VERSION", "two!"), encoding="utf-8")
    slicer.util.reloadScriptedModule("LifeOf")
    new = slicer.util.getModuleWidget("LifeOf")
    assert new is not old
    assert slicer.lifeOf == ["one setup", "one enter", "one cleanup", "two! setup"]
    slicer.app.runOnce()
    panel = slicer.modules.lifeof.widgetRepresentation()
    assert [label.text for label in panel.findChildren(qt.QLabel) if label.isVisible()] == ["two!"]
    module_loader.close_panel("LifeOf")
    assert slicer.lifeOf[-2:] == ["two! exit", "two! cleanup"]
    assert slicer.lifeOf.count("one cleanup") == 1


def test_an_exception_in_a_slot_is_noted(expectErrors):
    expectErrors("division by zero")
    button = qt.QPushButton()
    button.connect("clicked()", lambda: 1 / 0)
    button.click()
    assert [kind for kind, _, _ in records.errors] == [ZeroDivisionError]
