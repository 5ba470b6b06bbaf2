"""Clicks, keys, timers, processes, settings: what modules get from Qt, and the probe of the event loop."""

import sys
import time

import pytest
import qt
import slicer

from harness import mouse, responsiveness


@pytest.fixture
def window():
    """A window with a table of three rows."""
    widget = qt.QWidget()
    qt.QVBoxLayout(widget)
    table = qt.QTableWidget(3, 2)
    for row in range(3):
        table.setItem(row, 0, qt.QTableWidgetItem(f"case {row}"))
    table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
    widget.layout().addWidget(table)
    widget.resize(300, 200)
    widget.show()
    slicer.app.processEvents()
    yield widget
    widget.close()
    widget.deleteLater()


def table_of(window):
    return window.findChild(qt.QTableWidget)


def test_a_click_on_a_row_selects_it(window):
    table, clicked = table_of(window), []
    table.connect("cellClicked(int,int)", lambda row, column: clicked.append((row, column)))
    mouse.click_cell(table, 1)
    assert table.currentRow() == 1
    assert clicked == [(1, 0)]


def test_a_double_click_on_a_row_is_told(window):
    table, rows = table_of(window), []
    table.connect("cellDoubleClicked(int,int)", lambda row: rows.append(row))
    mouse.double_click_cell(table, 2)
    assert rows == [2]


def test_a_shortcut_hears_its_key(window):
    pressed = []
    shortcut = qt.QShortcut(qt.QKeySequence("N"), window)
    shortcut.connect("activated()", lambda: pressed.append("N"))
    mouse.press(window, "n")
    assert pressed == ["N"]
    shortcut.enabled = False
    mouse.press(window, "n")
    assert pressed == ["N"]
    shortcut.setKey(qt.QKeySequence("B"))
    shortcut.enabled = True
    mouse.press(window, "b")
    assert pressed == ["N", "N"]


def test_a_timer_ticks_until_it_is_stopped(settle):
    ticks, timer = [], qt.QTimer()
    timer.setInterval(5)
    timer.singleShot = False
    timer.connect("timeout()", lambda: ticks.append(1))
    timer.start()
    assert timer.active
    settle(until=lambda: len(ticks) > 2, seconds=5)
    timer.stop()
    count = len(ticks)
    settle(seconds=0.05)
    assert len(ticks) == count and not timer.active


def test_a_process_runs_and_is_read(settle):
    process, ended = qt.QProcess(), []
    process.connect("finished(int,QProcess::ExitStatus)", lambda code, status: ended.append(code))
    process.start(sys.executable, ["-c", "print('grüße'); raise SystemExit(3)"])
    settle(until=lambda: ended, seconds=20)
    assert ended == [3]
    assert process.readAllStandardOutput().data().decode("utf-8").strip() == "grüße"
    assert process.state() == qt.QProcess.NotRunning


def test_settings_keep_what_they_are_given():
    settings = slicer.app.userSettings()
    settings.setValue("HarnessTest/list", ["a", "b"])
    assert list(settings.value("HarnessTest/list")) == ["a", "b"]
    assert settings.value("HarnessTest/nothing") is None
    assert settings.contains("HarnessTest/list")
    settings.remove("HarnessTest")
    assert not settings.contains("HarnessTest/list")


def test_the_probe_sees_what_blocks_the_event_loop(settle):
    qt.QTimer.singleShot(20, lambda: time.sleep(0.2))
    with responsiveness.watching() as loop:
        settle(seconds=0.4)
    assert loop.longest_s > 0.15
    assert loop.longest_busy_s < 0.15


def test_the_probe_is_content_with_an_idle_loop(settle):
    with responsiveness.watching() as loop:
        settle(seconds=0.2)
    assert loop.beats > 5
    assert loop.longest_busy_s < 0.05


def test_drawing_in_software_is_not_the_modules_doing(settle, phantomVolume):
    slicer.util.forceRenderAllViews()
    with responsiveness.watching() as loop:
        for _ in range(3):
            slicer.util.forceRenderAllViews()
            settle(seconds=0.02)
    assert loop.longest_s < loop.longest_with_drawing_s
