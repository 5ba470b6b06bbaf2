"""Sample data of nobody: in Slicer's Sample Data module, and behind the button of the module; the engine makes it here.

Nothing is fetched, so that there is no download whose SHA-256 could be compared: SampleData is given none. What is made
carries its own: a dataset's cases name the SHA-256 of scan and label, a model names that of its weights, and both are
compared whenever they are opened. The scans are the same each time; trained weights differ between devices.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from OrganIncrementLib.Engine.Paths import isThere
from OrganIncrementLib.Translation import _

CATEGORY = "OrganIncrement"
THUMBNAILS = Path(__file__).resolve().parent / "Resources" / "SampleData"
FILE_NAMES = {"scan": "phantom-scan.nii.gz", "dataset": "phantom-stomach", "teacher": "phantom-teacher"}
_SAMPLE_NAMES = {"scan": "OrganIncrementScan", "dataset": "OrganIncrementDataset", "teacher": "OrganIncrementTeacher"}
_NODE_NAME = "Phantom scan"
_POLL_S = 0.05


@dataclass(frozen=True)
class SampleFiles:
    """Where the samples are; None where one was not made."""

    scan: Path | None = None
    dataset: Path | None = None
    teacher: Path | None = None


def makeSamplesCommand(services, *wanted):
    """The engine's command that makes what is missing of `wanted` (scan, dataset, teacher; all by default).

    Start it, poll it, offer its `cancel`; when it has finished, `rememberSamples` puts the results into the workspace.
    """
    only = ["--only", *wanted] if wanted else []
    return services.engine.run("sample", "--out", services.workspace.samplesFolder, *only)


def samplesThere(services):
    """The samples that are in the workspace already (SampleFiles): asking costs three looks at the disk."""
    folder = services.workspace.samplesFolder
    paths = {name: folder / fileName for name, fileName in FILE_NAMES.items()}
    return SampleFiles(**{name: path for name, path in paths.items() if isThere(path)})


def rememberSamples(services):
    """Let the modules find what was made, among models and datasets. Returns: SampleFiles."""
    there = samplesThere(services)
    if there.teacher is not None:
        services.workspace.addModel(there.teacher)
    if there.dataset is not None:
        services.workspace.addDataset(there.dataset)
    return there


def register():
    """Offer the samples in the Sample Data module; again does nothing. Does nothing where that module is missing."""
    try:
        import SampleData
    except ImportError:
        return
    import slicer

    sources = getattr(slicer.modules, "sampleDataSources", {}).get(CATEGORY, [])
    known = {source.sampleName for source in sources}
    for name, sampleName in _SAMPLE_NAMES.items():
        if sampleName not in known:
            SampleData.SampleDataLogic.registerCustomSampleDataSource(
                category=CATEGORY,
                sampleName=sampleName,
                uris=f"organincrement:{FILE_NAMES[name]}",  # made, not fetched: customDownloader is called instead
                fileNames=FILE_NAMES[name],
                nodeNames=_NODE_NAME if name == "scan" else None,
                thumbnailFileName=str(THUMBNAILS / f"{name}.png"),
                loadFiles=name == "scan",
                customDownloader=_DOWNLOADERS[name],
            )


def provide(name, services=None):
    """Make a sample if it is missing, showing progress and a way out, and open it or say where it is.

    Args: name: scan, dataset or teacher. Returns: the volume node, the folder as a Path, or None where it did not work.
    """
    if services is None:
        from OrganIncrementLib.Services import Services

        services = Services.forSlicer()
    if getattr(samplesThere(services), name) is None:
        command = makeSamplesCommand(services, name)
        _runShowing(command, _DOING[name])
        if command.state == "failed":
            services.dialogs.error(_("The sample data could not be made. {reason}").format(reason=command.message))
        if command.state != "finished":
            return None
    path = getattr(rememberSamples(services), name)
    if name == "scan":
        return _opened(path)
    services.dialogs.info(_FOUND[name].format(path=path))
    return path


def _provideScan(source=None):
    return provide("scan")


def _provideDataset(source=None):
    return provide("dataset")


def _provideTeacher(source=None):
    return provide("teacher")


_DOWNLOADERS = {"scan": _provideScan, "dataset": _provideDataset, "teacher": _provideTeacher}
_DOING = {
    "scan": _("Making a phantom scan…"),
    "dataset": _("Making twelve phantom scans with the stomach labelled…"),
    "teacher": _("Training a teacher of four organs on phantom scans: about two minutes on two processor cores…"),
}
_FOUND = {
    "dataset": _(
        "The dataset is ready: ten approved cases with the stomach labelled, and two that wait for a reviewer.\n"
        "Choose phantom-stomach in the module OrganIncrement, or open it in OrganReview.\n\n{path}"
    ),
    "teacher": _(
        "The teacher is ready: it segments liver, spleen and both kidneys.\n"
        "Choose phantom-teacher in the module OrganIncrement.\n\n{path}"
    ),
}


def _runShowing(command, text):
    """Run a command to its end behind a progress bar with Cancel; the application stays alive meanwhile."""
    import qt
    import slicer

    dialog = qt.QProgressDialog(text, _("Cancel"), 0, 100, slicer.util.mainWindow())
    dialog.setWindowTitle(_("Sample data"))
    dialog.setWindowModality(qt.Qt.WindowModal)
    dialog.setAutoClose(False)
    dialog.setAutoReset(False)
    dialog.setMinimumDuration(0)
    dialog.connect("canceled()", command.cancel)
    dialog.setValue(0)
    dialog.show()
    command.start()
    while command.running:
        progress = command.poll()
        if progress is not None:
            dialog.setValue(progress.percent)
        slicer.app.processEvents()
        time.sleep(_POLL_S)
    dialog.disconnect("canceled()", command.cancel)
    dialog.close()


def _opened(path):
    import slicer

    node = slicer.util.loadVolume(str(path), {"name": _NODE_NAME})
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node
