"""Another Slicer on the same workspace: `python second_application.py FOLDER` prints what its panel shows, as JSON."""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness

slicer = harness.boot()
from fixtures.modules import loadModule, runEventLoop  # noqa: E402


def main(folder):
    for store in (slicer.app.settings(), slicer.app.userSettings()):
        store.setValue("OrganIncrement/folder", folder)
        store.setValue("OrganIncrement/engine/python", sys.executable)
    loadModule("OrganIncrement")
    started_s = time.thread_time()
    slicer.util.selectModule("OrganIncrement")
    opened_s = time.thread_time() - started_s  # of this thread alone: other programs of the computer do not count
    ui = slicer.util.getModuleWidget("OrganIncrement").ui
    if "--only-open" not in sys.argv:
        runEventLoop(until=lambda: "running" in ui.jobTitleLabel.text and ui.jobPhaseLabel.text != "", seconds=30)
    print(
        json.dumps(
            {
                "opened_s": opened_s, "torch": "torch" in sys.modules, "title": ui.jobTitleLabel.text,
                "message": ui.jobMessageLabel.text, "pause": ui.pauseButton.enabled, "hint": ui.pauseButton.toolTip,
            }
        )
    )  # fmt: skip


main(sys.argv[1])
