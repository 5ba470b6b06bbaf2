"""The pictures in README, tutorial and catalogue: the three modules, clicked through on phantoms and on real scans.

    python Testing/screenshots.py [--out docs/images] [--only review headneck] [--work DIR] [--data SHARED_DATA]
                                  [--headneck-model PACKAGE] [--steps 400]

What is shown is made by the engine once and kept in the work folder: samples and a student (ten minutes on two free
cores), then segmentations. Pictures of real scans need the data (--data, by default ../shared/data) and are left out
with a word where they are absent; --headneck-model names a package of head and neck organs, else labels are shown.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "OrganIncrement")]

from screenshot_application import Application, choose, row  # noqa: E402


def options() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE.parent / "docs" / "images")
    parser.add_argument("--only", nargs="+", choices=list(PICTURES), default=list(PICTURES))
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "organincrement-screenshots")
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--headneck-model", type=Path)
    parser.add_argument("--steps", type=int, default=400, help="of the student that is shown")
    return parser.parse_args()


def make(part: str, *arguments: object) -> None:
    """Let the engine make what a picture shows, in a process of its own."""
    print(f"making: {part}", flush=True)
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent / "python")}
    subprocess.run(
        [sys.executable, HERE / "screenshot_world.py", part, *map(str, arguments)], env=environment, check=True
    )


def openIncrement(app: Application):
    """The radiologist's module with the samples chosen, which are there already."""
    ui = app.open("OrganIncrement").ui
    app.wait(until=lambda: ui.sampleDataButton.enabled, seconds=120)
    ui.sampleDataButton.click()
    return ui


def train(app: Application, given: argparse.Namespace) -> None:
    """Teacher and dataset chosen, the estimate, Start."""
    ui = openIncrement(app)
    app.load(app.work / "samples/phantom-scan.nii.gz", "Phantom scan")
    ui.auditButton.click()
    app.wait(until=lambda: ui.auditTable.rowCount > 0 and not ui.auditCancelButton.visible)
    app.wait(until=lambda: "≈" in ui.estimateLabel.text)
    ui.auditTable.cellClicked.emit(0, 0)
    app.show3D()
    app.windowScans()
    app.showFrom(ui, "teacherCollapsibleButton")
    app.save("increment-train")


def progress(app: Application, given: argparse.Namespace) -> None:
    """A paused job goes on; its plots."""
    ui = openIncrement(app)
    app.wait(until=lambda: ui.jobTable.rowCount > 0, seconds=60)
    ui.jobTable.selectRow(row(ui.jobTable, "phantom-stomach"))
    app.load(app.work / "samples/phantom-scan.nii.gz", "Phantom scan")
    if not ui.plotsButton.checked:
        ui.plotsButton.click()
    app.wait(until=lambda: ui.resumeButton.enabled or "finished" in ui.jobTitleLabel.text, seconds=60)
    if ui.resumeButton.enabled:
        begun = ui.jobProgressBar.value
        ui.resumeButton.click()
        app.wait(until=lambda: "running" in ui.jobTitleLabel.text and ui.jobProgressBar.value > begun + 3)
    app.windowScans()
    app.showFrom(ui, "trainCollapsibleButton")
    app.save("increment-progress")
    app.wait(until=lambda: "finished" in ui.jobTitleLabel.text, seconds=7200)


def applyBoth(app: Application, ui) -> None:
    """Teacher and student segment the sample scan; outlines and surfaces."""
    scan = app.load(app.work / "samples/phantom-scan.nii.gz", "Phantom scan")
    ui.inputVolumeSelector.setCurrentNode(scan)
    for name in ("phantom-teacher", "5 organs"):
        choose(ui.segmentModelComboBox, name)
        app.wait(until=lambda: ui.applyButton.enabled, seconds=120)
        ui.applyButton.click()
        app.wait(until=lambda: ui.segmentCancelButton.visible, seconds=60)
        app.wait(until=lambda: not ui.segmentCancelButton.visible)
    ui.show3DCheckBox.checked = True
    app.windowScans()


def result(app: Application, given: argparse.Namespace) -> None:
    """Student against teacher, measured on patients that neither has seen; the student's outlines on a scan."""
    ui = openIncrement(app)
    applyBoth(app, ui)
    choose(ui.studentComboBox, "5 organs")
    choose(ui.evaluationDatasetComboBox, "phantom-test")
    app.wait(until=lambda: ui.evaluateButton.enabled, seconds=60)
    ui.evaluateButton.click()
    app.wait(until=lambda: ui.resultCancelButton.visible, seconds=60)
    app.wait(until=lambda: not ui.resultCancelButton.visible)
    ui.overlayCheckBox.checked = False
    ui.nextRegionButton.click()
    app.showFrom(ui, "resultCollapsibleButton")
    app.save("increment-result")


def uncertainty(app: Application, given: argparse.Namespace) -> None:
    """The overlay over the scan, at the first uncertain region."""
    ui = openIncrement(app)
    applyBoth(app, ui)
    ui.nextRegionButton.click()
    app.showFrom(ui, "segmentCollapsibleButton")
    app.save("increment-uncertainty")


def inputs(app: Application, given: argparse.Namespace) -> None:
    """All methods, two teachers, and the part that makes a vault."""
    ui = openIncrement(app)
    app.load(app.work / "samples/phantom-scan.nii.gz", "Phantom scan")
    app.wait(until=lambda: ui.methodComboBox.enabled, seconds=120)
    ui.trainAdvancedCollapsibleButton.click()
    ui.showBaselinesCheckBox.click()
    choose(ui.moreTeacherComboBox, "bla-uag")
    ui.makeVaultButton.click()
    app.wait(seconds=3.0)
    app.windowScans()
    app.showFrom(ui, "trainCollapsibleButton")
    app.save("increment-inputs")


def merge(app: Application, given: argparse.Namespace) -> None:
    """Teacher's and student's results of one scan merged; the first conflict."""
    import qt

    ui = openIncrement(app)
    applyBoth(app, ui)
    ui.mergeCollapsibleButton.click()
    for index in range(2):  # the newest results come first
        ui.mergePartsList.item(index).setCheckState(qt.Qt.Checked)
    app.wait(until=lambda: ui.mergeButton.enabled, seconds=10)
    ui.mergeButton.click()
    app.wait(until=lambda: not ui.mergeCancelButton.visible)
    if ui.conflictTable.rowCount:
        ui.conflictTable.selectRow(0)
    app.zoom(0.8)
    app.showFrom(ui, "uncertaintyGroupBox")
    app.save("increment-merge")


def load(app: Application, given: argparse.Namespace) -> None:
    """A teacher that another tool trained, looked at before it is taken in."""
    import qt

    from harness import records

    def take(record) -> int:
        record["widget"].setDirectory(str(foreignTeacher(given)))
        record["widget"].findChild(qt.QPushButton, "takeFolderButton").click()
        return qt.QDialog.Accepted

    ui = app.open("OrganIncrement").ui
    for scan in sorted((given.data / "headneck" / "site_a" / "images").glob("*.nii.gz"))[:1]:
        app.load(scan, "Planning CT")
        app.windowScans()
    records.answer("dialog", take)
    ui.loadTeacherButton.click()
    app.wait(until=lambda: ui.loadStartButton.visible, seconds=120)
    app.showFrom(ui, "teacherCollapsibleButton")
    app.save("increment-load")


def foreignTeacher(given: argparse.Namespace) -> Path:
    """A results folder of nnU-Net v2."""
    return given.data.parent / "teachers" / "nnunet_v2_headneck"


def openDataset(app: Application, ui, folder: Path) -> None:
    """As with Open…."""
    from harness import records

    records.answer("getExistingDirectory", str(folder))
    ui.openDatasetButton.click()
    app.wait(until=lambda: ui.caseTable.rowCount > 0, seconds=120)


def annotate(app: Application, given: argparse.Namespace, folder: str = "samples/phantom-stomach") -> None:
    """A case of a dataset in the Segment Editor, checked."""
    ui = app.open("OrganAnnotate").ui
    openDataset(app, ui, app.work / folder)
    ui.caseTable.selectRow(ui.caseTable.rowCount - 1)
    ui.openCaseButton.click()
    app.wait(until=lambda: ui.checkButton.enabled, seconds=120)
    ui.checkButton.click()
    app.wait(seconds=3.0)
    app.show3D()
    app.windowScans()
    app.save("annotate" if "phantom" in folder else "abdomen")


def review(app: Application, given: argparse.Namespace, folder: str = "samples/phantom-stomach") -> None:
    """The most uncertain case, at its first uncertain region."""
    ui = app.open("OrganReview").ui
    openDataset(app, ui, app.work / folder)
    ui.caseTable.cellClicked.emit(0, 0)
    app.wait(seconds=3.0)
    app.show3D()
    app.windowScans()
    if ui.nextRegionButton.enabled:
        ui.nextRegionButton.click()
    app.zoom(0.8 if "phantom" in folder else 0.5)
    app.save("review" if "phantom" in folder else "headneck")


def headneck(app: Application, given: argparse.Namespace) -> None:
    """Planning CTs of the head and neck, with what a model says of the clinic's contours."""
    review(app, given, "datasets/headneck")


def abdomen(app: Application, given: argparse.Namespace) -> None:
    """An abdominal CT with twelve organs."""
    annotate(app, given, "datasets/abdomen")


PICTURES = {
    picture.__name__: picture
    for picture in (train, progress, result, uncertainty, inputs, merge, load, annotate, review, headneck, abdomen)
}


def prepare(name: str, given: argparse.Namespace) -> str:
    """What a picture needs. Returns: why it has to be left out, "" where it need not."""
    if name == "load":
        return "" if foreignTeacher(given).is_dir() else f"there is no {foreignTeacher(given)}"
    if name not in ("headneck", "abdomen"):
        make("phantom", given.work, "--steps", given.steps, "--pause-at", given.steps * 3 // 5)
        if name == "review":
            make("review", given.work)
        return ""
    if not (given.data / name).is_dir():
        return f"there are no data in {given.data / name}"
    model = [given.headneck_model] if name == "headneck" and given.headneck_model else []
    make(name, given.work, given.data, *model)
    return ""


def main() -> None:
    """Make the pictures one after the other."""
    given = options()
    given.work.mkdir(parents=True, exist_ok=True)
    app = None
    for name in given.only:
        if why := prepare(name, given):
            print(f"slicer-{name}.png is left out: {why}")
            continue
        app = app or Application(given.work, given.out)
        PICTURES[name](app, given)


if __name__ == "__main__":
    main()
