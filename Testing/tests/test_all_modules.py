"""What all three modules do when they are left, taken up again, and when their scene is closed."""

import gc

import pytest
import qt
import slicer

from OrganIncrementLib.Panels.ReviewShortcuts import isTyping

MODULES = ("OrganIncrement", "OrganAnnotate", "OrganReview")


def parameterNodesInUse(module):
    """The parameter node wrappers of a module that somebody still holds."""
    gc.collect()
    name = f"{module.moduleName}Parameters"
    return [held for held in gc.get_objects() if type(held).__name__ == name]


@pytest.mark.parametrize("name", MODULES)
def test_a_parameter_node_that_was_left_is_held_by_nobody(openModule, workFolder, name):
    module = openModule(name)
    assert len(parameterNodesInUse(module)) == 1
    for _time in range(3):
        module.exit()
        assert parameterNodesInUse(module) == []
        module.enter()
    assert len(parameterNodesInUse(module)) == 1


@pytest.mark.parametrize("name", MODULES)
def test_a_closed_scene_leaves_one_parameter_node(openModule, workFolder, name):
    module = openModule(name)
    for _time in range(3):
        slicer.mrmlScene.Clear(0)
    assert len(parameterNodesInUse(module)) == 1


@pytest.mark.parametrize("name", MODULES)
def test_a_hidden_module_takes_nothing_up_when_the_scene_is_closed(openModule, workFolder, name):
    module = openModule(name)
    module.exit()
    slicer.mrmlScene.Clear(0)
    assert parameterNodesInUse(module) == []
    module.enter()
    assert len(parameterNodesInUse(module)) == 1


@pytest.mark.parametrize("name", MODULES)
def test_a_panel_can_be_made_without_a_parent(openModule, workFolder, name):
    another = type(openModule(name))()
    try:
        assert another.controller is not None
        assert another.ui.researchUseLabel.text.startswith("Research use only")
    finally:
        another.cleanup()
        another.parent.hide()
        another.parent.deleteLater()


@pytest.fixture
def shownField():
    """A function: a widget that has the keyboard."""
    made = []

    def show(field):
        made.append(field)
        field.show()
        field.activateWindow()
        field.setFocus()
        slicer.app.runOnce()
        assert qt.QApplication.focusWidget() == field
        return field

    yield show
    for field in made:
        field.hide()
        field.deleteLater()
    slicer.util.mainWindow().activateWindow()  # it has the keyboard again
    slicer.app.runOnce()


class SearchField(qt.QLineEdit):
    """As Slicer's own search boxes are made."""


@pytest.mark.parametrize("kind", [qt.QLineEdit, qt.QPlainTextEdit, qt.QSpinBox, qt.QDoubleSpinBox, SearchField])
def test_a_reviewers_keys_are_letters_where_somebody_types(shownField, kind):
    shownField(kind())
    assert isTyping()


def test_a_reviewers_keys_work_in_a_table(shownField):
    shownField(qt.QTableWidget())
    assert not isTyping()
