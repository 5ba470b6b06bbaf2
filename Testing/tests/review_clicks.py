"""What the tests of OrganReview do with its panel again and again, and the dataset that the real engine looked at."""

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import slicer
from review_cases import makeDataset

from harness import mouse, records
from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.package import manifest_sha256

ENGINE = Path(__file__).resolve().parents[2] / "python"


@functools.cache
def segmentedDataset(engineWorld):
    """The world's dataset, all cases handed in, with what the real student says of each; only to be copied."""
    root = Path(tempfile.mkdtemp(prefix="organ-review-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    folder = root / "stomach"
    shutil.copytree(engineWorld.dataset, folder)
    dataset = DatasetFolder.open(folder)
    for case in dataset.cases():
        if case.status != "submitted":
            dataset.move(case.id, "submitted", "Ada", "handed in")
    out = folder / "results" / manifest_sha256(engineWorld.student)[:8]
    images = [str(dataset.image_path(case)) for case in dataset.cases()]
    command = [
        sys.executable,
        "-m",
        "organincrement",
        "segment",
        "--model",
        str(engineWorld.student),
        "--out",
        str(out),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ENGINE), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *images], env=environment, capture_output=True, encoding="utf-8", timeout=200)
    assert done.returncode == 0, done.stderr
    return folder


def copiedDataset(engineWorld, folder):
    """A copy of it that a test may change."""
    shutil.copytree(segmentedDataset(engineWorld), folder / "stomach")
    return DatasetFolder.open(folder / "stomach")


def plainDataset(tmp_path, **statuses):
    return makeDataset(tmp_path / "plain", statuses or {"a": "submitted", "b": "submitted"})


def openDataset(openModule, path):
    """Open the module, and a dataset in it as with Open...; gives the module's widget."""
    widget = openModule("OrganReview")
    records.answer("getExistingDirectory", str(path))
    widget.ui.openDatasetButton.click()
    return widget


def press(key):
    mouse.press(slicer.util.mainWindow(), key)
    slicer.app.processEvents()


def listed(ui):
    return [ui.caseTable.item(row, 0).text().removeprefix("▸") for row in range(ui.caseTable.rowCount)]


def cell(ui, caseId, column):
    return ui.caseTable.item(listed(ui).index(caseId), column).text()


def clickCase(ui, caseId):
    ui.caseTable.setFocus()  # as a click does: the keys are the table's then, not those of a field
    ui.caseTable.cellClicked.emit(listed(ui).index(caseId), 0)


def backgroundName():
    node = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode().GetBackgroundVolumeID()
    return slicer.mrmlScene.GetNodeByID(node).GetName() if node else ""


def sliceOffsets():
    manager = slicer.app.layoutManager()
    return [round(manager.sliceWidget(name).sliceLogic().GetSliceOffset(), 2) for name in ("Red", "Yellow", "Green")]


def dialogTexts():
    return records.texts("error")
