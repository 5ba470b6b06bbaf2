"""The reviewer's module: the dataset and its table; the open case, decisions and runs have parts of their own."""

import contextlib
from pathlib import Path

import slicer

from OrganIncrementLib.Controllers.ReviewCaseController import ReviewCaseController
from OrganIncrementLib.Controllers.ReviewDecisionController import ReviewDecisionController
from OrganIncrementLib.Controllers.ReviewRows import caseRow, filterEntries, progressText, resultText
from OrganIncrementLib.Controllers.ReviewRunController import ReviewRunController
from OrganIncrementLib.Controllers.ReviewSession import ReviewSession
from OrganIncrementLib.Logics import ReviewOrder
from OrganIncrementLib.Logics.CaseThumbnails import CaseThumbnails
from OrganIncrementLib.Logics.ReviewDataset import ReviewDataset, ReviewError, goneText, tamperedText
from OrganIncrementLib.Panels.ReviewCasesPanel import ReviewCasesPanel, ReviewCasesState
from OrganIncrementLib.Panels.ReviewShortcuts import ReviewShortcuts
from OrganIncrementLib.Services import Services
from OrganIncrementLib.Translation import _
from OrganIncrementLib.Workspace import WorkspaceError

PICTURES_S = 0.02  # for small pictures in one tick
NEWS_TICKS = 10  # every two seconds: has a colleague decided?


class ReviewController:
    """Opens datasets, orders and filters cases, shows their pictures; keeps no node."""

    def __init__(self, ui, services=None):
        self.services = services or Services.forSlicer()
        self.session = ReviewSession()
        self.panel = ReviewCasesPanel(ui)
        self.thumbnails = CaseThumbnails()
        self.shortcuts = ReviewShortcuts(slicer.util.mainWindow())
        self.caseController = ReviewCaseController(ui, self.services, self.session)
        self.decisions = ReviewDecisionController(ui, self.services, self.session)
        self.run = ReviewRunController(ui, self.services, self.session)
        self._problem = ""
        self._known = {}
        self._returnTo = ""
        self._ticks = 0
        panel = self.panel
        panel.datasetChosen.connect(self.openDataset)
        panel.folderWanted.connect(self._onFolder)
        panel.readAgainWanted.connect(self.readAgain)
        panel.filterChosen.connect(self._onFilter)
        panel.organChosen.connect(self._onOrgan)
        panel.resultsChosen.connect(self._onResults)
        panel.caseWanted.connect(self.caseController.open)
        self.session.changed.connect(self.refresh)
        self.session.caseWanted.connect(self.caseController.open)
        self.session.leaveWanted.connect(self._onLeave)
        self.shortcuts.nextRegionWanted.connect(self.caseController.nextRegion)
        self.shortcuts.previousRegionWanted.connect(self.caseController.previousRegion)
        self.shortcuts.approveWanted.connect(self.decisions.approve)
        self.shortcuts.flagWanted.connect(self.decisions.flag)

    # -- what the module's widget calls

    def attach(self, parameters):
        """Follow a parameter node: its dataset is shown, its case too where the scene still holds it."""
        self.session.parameters = parameters
        self.session.forgetRows()
        self._listDatasets()
        self._takeDataset()
        self.caseController.attach()
        self.session.changed()

    def detach(self):
        """Let go of the parameter node; a dataset stays open, for the scene that comes."""
        self.caseController.detach()
        self.session.parameters = None

    def parametersModified(self):
        """A parameter has changed, by a widget, a script or an undo."""
        if self.session.parameters is None:
            return
        self._takeDataset()
        self.caseController.applyDisplay()

    def setShown(self, isShown):
        """The module is on the screen, so that its keys work, or not."""
        self.shortcuts.setActive(isShown)
        if isShown and self._returnTo and self.session.parameters is not None:
            caseId, self._returnTo = self._returnTo, ""
            self.caseController.open(caseId)

    def tick(self):
        """Small pictures, the run in the background, and now and then what colleagues did."""
        if self.session.parameters is None:
            self.run.tick()
            return
        self._ticks += 1
        if self.thumbnails.pending:
            for caseId, png in self.thumbnails.work(PICTURES_S):
                self.panel.showPicture(caseId, png)
        self.run.tick()
        dataset = self.session.dataset
        if dataset is not None and self._ticks % NEWS_TICKS == 0:
            news = dataset.readNews()
            self.thumbnails.forgetCases(news)
            if news:
                self.session.forgetRows()
                self.session.changed()

    def close(self):
        """The module goes."""
        self.shortcuts.setActive(False)
        self.run.close()
        self.detach()

    # -- datasets

    def openDataset(self, folder):
        """Show another dataset; the present one stays where the folder is none."""
        folder = str(Path(folder).absolute())
        if self.session.dataset is not None and str(self.session.dataset.path) == folder:
            return
        if not self.caseController.close():
            self.refresh()
            return
        try:
            dataset = ReviewDataset(folder)
        except ReviewError as error:
            self.services.dialogs.error(str(error))
            self.refresh()
            return
        self._show(dataset)
        self._remember(folder)
        self._listDatasets()
        self.session.changed()

    def readAgain(self):
        """Read everything again, after files were copied or restored."""
        if self.session.dataset is not None:
            self.session.dataset.readAgain()
            self.thumbnails.forget()
            self.session.forgetRows()
            self.session.changed()

    def refresh(self):
        """Show the table as things are now, and ask for pictures that are missing."""
        session = self.session
        if session.parameters is None:
            return
        dataset, rows = session.dataset, session.rows()
        shown = ReviewOrder.shown(rows, session.parameters.casesShown)
        message, isWarning = self._message(rows)
        facts = ReviewOrder.progress(rows)
        sets = dataset.resultSets() if dataset else []
        self.panel.show(
            ReviewCasesState(
                datasets=self._datasets(),
                dataset=str(dataset.path) if dataset else "",
                message=message,
                isWarning=isWarning,
                noDataset="" if dataset else _("Open a dataset first."),
                filters=filterEntries(),
                filter=session.parameters.casesShown,
                organs=self._organs(),
                organ=session.organ,
                results=tuple((one.key, resultText(one)) for one in sets),
                result=dataset.resultKey if dataset else "",
                rows=tuple(caseRow(session, row) for row in shown),
                reviewed=facts.reviewed,
                total=facts.handedIn,
                progress=progressText(facts) if dataset else "",
            )
        )
        self._askForPictures(shown)

    def _takeDataset(self):
        """Open what the parameter node names; a node that names none is told of the dataset that is open."""
        session = self.session
        folder = session.parameters.datasetFolder
        if not folder:
            if session.dataset is not None:
                session.parameters.datasetFolder = str(session.dataset.path)
            return
        if session.dataset is not None and str(session.dataset.path) == folder:
            return
        try:
            dataset = ReviewDataset(folder)
            self._problem = ""
        except ReviewError as error:
            self._problem, dataset = str(error), None
        self._show(dataset)

    def _show(self, dataset):
        session = self.session
        session.dataset, session.opened = dataset, None
        session.forgetRows()
        self.panel.forgetPictures()
        self.thumbnails.forget()
        if dataset is None:
            return
        self._problem = ""
        known = {one.key for one in dataset.resultSets()}
        if session.parameters.resultsKey in known:
            dataset.useResults(session.parameters.resultsKey)
        session.parameters.datasetFolder = str(dataset.path)

    def _remember(self, folder):
        with contextlib.suppress(WorkspaceError):  # it is shown all the same; the next session's list may not have it
            self.services.workspace.addDataset(Path(folder))

    def _listDatasets(self):
        """Asked for now and then only: the workspace looks at every case file."""
        self._known = {str(entry.path): entry.name for entry in self.services.workspace.datasets() if entry.manifest}

    def _datasets(self):
        entries, dataset = dict(self._known), self.session.dataset
        if dataset is not None:
            entries.setdefault(str(dataset.path), dataset.name)
        return tuple(sorted(entries.items(), key=lambda entry: entry[1].casefold()))

    def _organs(self):
        organs = self.session.dataset.organs if self.session.dataset else ()
        return (("", _("all organs")), *((organ.id, organ.name) for organ in organs))

    def _message(self, rows):
        dataset = self.session.dataset
        if dataset is None:
            return self._problem, bool(self._problem)
        if dataset.record.problem:
            return "⚠ " + tamperedText(dataset.record.problem), True
        if dataset.isGone:
            return "⚠ " + goneText(dataset.path), True
        texts = []
        if dataset.readOnly:
            texts.append(_("You may only read this dataset: look at the cases, but decisions cannot be recorded."))
        bad = [row.id for row in rows if row.problem]
        if bad:
            texts.append(_("Cannot be read: {cases}; copy the dataset again, or open the case for the reason.").format(
                cases=", ".join(bad[:3]) + (", ..." if len(bad) > 3 else "")))  # fmt: skip
        return " ".join(f"⚠ {text}" for text in texts), bool(texts)

    def _askForPictures(self, rows):
        dataset = self.session.dataset
        colors = [organ.color for organ in dataset.organs] if dataset else []
        for row in rows:
            case = dataset.case(row.id)
            if case is not None:
                self.thumbnails.ask(
                    row.id, dataset.path / case.image, dataset.path / case.label if case.label else None, colors
                )

    # -- what the panel wants

    def _onFolder(self):
        folder = self.services.dialogs.folder(_("Dataset to review"), str(self.services.workspace.datasetsFolder))
        if folder:
            self.openDataset(str(folder))

    def _onFilter(self, key):
        if self.session.parameters is not None and key:
            self.session.parameters.casesShown = key
            self.refresh()

    def _onOrgan(self, organ):
        if self.session.parameters is not None:
            self.session.parameters.organ = organ
            self.session.forgetRows()
            self.refresh()

    def _onResults(self, key):
        session = self.session
        if session.parameters is None or session.dataset is None or not key or key == session.dataset.resultKey:
            return
        session.parameters.resultsKey = key
        session.dataset.useResults(key)
        session.forgetRows()
        opened = session.opened.id if session.opened else ""
        session.changed()
        if opened:
            self.caseController.open(opened)

    def _onLeave(self, caseId):
        if self.caseController.close():
            self._returnTo = caseId
            self.session.changed()
