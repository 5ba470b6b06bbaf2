"""What the tests of OrganAnnotate click and draw again and again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import slicer

from fixtures.engine_world import ENGINE
from fixtures.phantoms import phantomArray
from harness import records
from organincrement.contract.dataset import Case, Dataset, DatasetFolder
from organincrement.contract.files import sha256_file
from organincrement.contract.organs import organ_from_name


def makeDataset(widget, folder, *organs, name="liver-site-b"):
    """Click a new dataset together; returns its folder."""
    ui = widget.ui
    folder.mkdir(parents=True, exist_ok=True)
    ui.newDatasetButton.click()
    ui.datasetNameLineEdit.text = name
    for organ in organs:
        ui.organSearchLineEdit.text = organ
        ui.addOrganButton.click()
    records.answer("getExistingDirectory", str(folder))
    ui.createDatasetButton.click()
    return folder


def addOpenVolume(widget, volume, caseId=""):
    """Click the volume into the dataset; it is opened then."""
    ui = widget.ui
    ui.volumeSelector.setCurrentNode(volume)
    ui.addVolumeButton.click()
    if caseId:
        ui.caseIdLineEdit.text = caseId
    ui.createCaseButton.click()


def openCase(widget, row):
    """Double click a row of the table."""
    widget.ui.caseTable.selectRow(row)
    widget.ui.openCaseButton.click()


def opened(openModule, folder, row=0):
    """The module with a written dataset, and one of its cases, open."""
    widget = openModule("OrganAnnotate")
    records.answer("getExistingDirectory", str(folder))
    widget.ui.openDatasetButton.click()
    openCase(widget, row)
    return widget


def draw(widget, mask, organId=None):
    """Put a mask into the open case, as a stroke of the brush would."""
    parameters = widget.controller.session.parameters
    organId = organId or widget.controller.session.currentOrgan().id
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        mask.astype(np.uint8), parameters.caseSegmentation, organId, parameters.caseVolume
    )


def checkRows(widget):
    """The findings that the panel shows, as {code: level}."""
    rows = widget.controller.checking.panel._state.rows
    return {row.key.split("/")[0]: row.level for row in rows}


def selectCheck(widget, code):
    """Select a finding in the table."""
    rows = widget.controller.checking.panel._state.rows
    widget.ui.checksTable.selectRow(next(i for i, row in enumerate(rows) if row.key.startswith(f"{code}/")))


def writtenDataset(folder: Path, organs=("liver",), cases=1, shape_DHW=(20, 28, 32), affine=None):
    """A dataset of phantoms written without the module: NIfTI scans (int16), no labels, all drafts."""
    from OrganIncrementLib.Logics import ImageFile
    from OrganIncrementLib.Logics.Grid import Grid

    manifest = Dataset(name=folder.name, modality="CT", organs=tuple(organ_from_name(organ) for organ in organs))
    dataset = DatasetFolder.create(folder, manifest)
    grid = Grid(shape_DHW, np.diag([6.0, 7.0, 9.0, 1.0]) if affine is None else affine)
    for number in range(1, cases + 1):
        image = folder / "images" / f"pt_{number}.nii.gz"
        ImageFile.write(image, phantomArray(shape_DHW, seed=number), grid)
        dataset.save_case(
            Case(id=f"pt_{number}", group=f"pt_{number}", image=f"images/{image.name}", image_sha256=sha256_file(image))
        )
    return dataset


def writeLabel(dataset, caseId, label_KJI, annotated, affine=None, status="draft"):
    """Give a case a label, as another program or person would, and take it to a status."""
    from dataclasses import replace

    from OrganIncrementLib.Logics import ImageFile
    from OrganIncrementLib.Logics.Grid import Grid

    path = dataset.path / "labels" / f"{caseId}.nii.gz"
    grid = Grid(label_KJI.shape, np.diag([6.0, 7.0, 9.0, 1.0]) if affine is None else affine)
    ImageFile.write(path, label_KJI.astype(np.uint8), grid)
    case = replace(
        dataset.case(caseId), label=f"labels/{path.name}", label_sha256=sha256_file(path), annotated=tuple(annotated)
    )
    dataset.save_case(case)
    for step in {"draft": (), "submitted": ("submitted",), "approved": ("submitted", "approved")}[status]:
        case = dataset.move(caseId, step, "somebody", "")
    return case


def engine(*arguments):
    """Run the engine's command line in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ENGINE), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-m", "organincrement", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=120)


def findings(folder):
    """What the engine finds wrong with a dataset."""
    done = engine("dataset", "check", folder, "--json")
    return json.loads(done.stdout)["findings"]
