"""Runs of the engine ordered in OrganReview; its pace, in this process's own time; a picture of the window."""

import functools
import os
import shutil
import time
from pathlib import Path

import pytest
import slicer
from review_clicks import (
    cell,
    clickCase,
    copiedDataset,
    dialogTexts,
    listed,
    openDataset,
    plainDataset,
    press,
)

from harness import records, screenshot

OUT = Path(__file__).resolve().parents[1] / "output"


@pytest.fixture
def dataset(engineWorld, tmp_path):
    """Six cases, with results of the real engine, that a test may change."""
    return copiedDataset(engineWorld, tmp_path)


@pytest.fixture
def opened(openModule, workFolder):
    """A function: opens the module and a dataset in it; gives the module's widget."""
    return functools.partial(openDataset, openModule)


def test_every_button_works_once_and_a_run_of_the_model_orders_the_cases(engineWorld, tmp_path, opened, settle):
    shutil.copytree(engineWorld.dataset, tmp_path / "stomach")
    widget = opened(tmp_path / "stomach")
    ui = widget.ui
    ui.filterComboBox.setCurrentIndex(2)
    assert {cell(ui, name, 1) for name in listed(ui)} == {"no results yet"}
    records.answer("getOpenFileName", str(engineWorld.student / "model.json"))
    ui.loadModelButton.click()
    ui.runButton.click()
    assert not ui.runButton.enabled
    settle(until=lambda: ui.runButton.enabled, seconds=120)
    assert "Done" in ui.runMessageLabel.text, ui.runMessageLabel.text
    figures = [float(cell(ui, name, 1).removesuffix(" %")) for name in listed(ui)]
    assert figures == sorted(figures, reverse=True)
    ui.runButton.click()
    assert "Every case has results" in ui.runMessageLabel.text
    ui.readAgainButton.click()
    ui.previousRegionButton.click()
    assert dialogTexts() == []


def test_a_run_can_be_cancelled_and_leaves_no_process(engineWorld, tmp_path, opened, settle):
    shutil.copytree(engineWorld.dataset, tmp_path / "stomach")
    widget = opened(tmp_path / "stomach")
    ui = widget.ui
    records.answer("getOpenFileName", str(engineWorld.student / "model.json"))
    ui.loadModelButton.click()
    ui.runButton.click()
    command = widget.controller.run._task._command
    pid = command._tree.pid
    ui.cancelRunButton.click()
    settle(until=lambda: not ui.cancelRunButton.enabled, seconds=10)
    assert command.state == "cancelled"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert ui.runButton.enabled


def test_three_hundred_cases_open_at_once_and_pictures_never_hold_the_window(tmp_path, opened):
    folder = plainDataset(tmp_path, pt_0="draft")
    case = (folder.path / "cases" / "pt_0.json").read_text(encoding="utf-8")
    for number in range(1, 300):
        text = case.replace('"pt_0"', f'"pt_{number}"')
        (folder.path / "cases" / f"pt_{number}.json").write_text(text, encoding="utf-8")
    started = time.process_time()
    widget = opened(folder.path)
    widget.ui.filterComboBox.setCurrentIndex(2)
    slicer.app.processEvents()
    elapsed = time.process_time() - started
    assert len(listed(widget.ui)) == 300
    worst, pictures = 0.0, 0
    for _tick in range(400):
        started = time.process_time()
        widget.controller.tick()
        worst = max(worst, time.process_time() - started)
        if not widget.controller.thumbnails.pending:
            break
    started = time.process_time()
    widget.controller.tick()
    idle_s = time.process_time() - started
    started = time.process_time()
    widget.controller.session.forgetRows()
    widget.controller.session.changed()
    again_s = time.process_time() - started
    print(f"idle tick {1000 * idle_s:.1f} ms, table shown again {1000 * again_s:.0f} ms")
    assert idle_s < 0.01
    assert again_s < 0.05
    pictures = sum(not widget.ui.caseTable.item(row, 0).icon().isNull() for row in range(300))
    print(f"opened in {elapsed:.2f} s, longest tick {1000 * worst:.0f} ms, {pictures} pictures")
    assert elapsed < 1.0
    assert pictures == 300
    assert worst < 0.05


def test_the_window_is_photographed(dataset, opened, settle):
    widget = opened(dataset.path)
    ui = widget.ui
    order = listed(ui)
    ui.whoLineEdit.text = "Dr Phantom"
    ui.whoLineEdit.editingFinished.emit()
    clickCase(ui, order[1])
    ui.commentTextEdit.setPlainText("the upper pole is missing")
    ui.flagButton.click()
    clickCase(ui, order[0])
    ui.approveButton.click()
    ui.filterComboBox.setCurrentIndex(2)
    clickCase(ui, order[2])
    settle(until=lambda: not widget.controller.thumbnails.pending, seconds=10)
    press("B")  # the last region, the smallest
    ui.thresholdSlider.value = 60
    OUT.mkdir(exist_ok=True)
    screenshot.save(OUT / "review.png", size=(1400, 1040))
    pixels = slicer.app.layoutManager().sliceWidget("Red").sliceView().pixels().astype(int)
    assert (pixels.max(axis=2) > 60).mean() > 0.05
