"""Lets a model segment the cases of a dataset in the background, into `results/<model sha, 8 characters>/`."""

from organincrement.contract.errors import ContractError
from OrganIncrementLib.Controllers.BackgroundTask import BackgroundTask
from OrganIncrementLib.Logics.ReviewResults import caseResults, imageStem
from OrganIncrementLib.Panels.ReviewRunPanel import ReviewRunPanel, ReviewRunState
from OrganIncrementLib.Translation import _
from OrganIncrementLib.Workspace import WorkspaceError

BATCH = 20  # scans of one command: its line has a limit on Windows, and the table fills while the run goes on


class ReviewRunController:
    """Orders runs of the engine, one batch of cases after the other; needs an engine, the rest of a review does not."""

    def __init__(self, ui, services, session):
        self.services = services
        self.session = session
        self.panel = ReviewRunPanel(ui)
        self._task = BackgroundTask(self._onEnded)
        self._dataset = None  # whose cases are segmented, also when another is shown meanwhile
        self._model = None
        self._waiting = []
        self._batch = []
        self._done = self._total = 0
        self._message = ""
        self._known = None
        panel = self.panel
        panel.modelChosen.connect(self._onModel)
        panel.modelFileWanted.connect(self._onLoad)
        panel.runWanted.connect(self.start)
        panel.cancelWanted.connect(self.cancel)
        session.changed.connect(self.refresh)

    def start(self):
        """Segment every case without results of the chosen model."""
        why = self._whyNot()
        if why:
            self._say(why)
            return
        self._dataset, self._model = self.session.dataset, self._chosen()
        images, skipped = self._images()
        self._waiting, self._done, self._total = images, 0, len(images)
        self._message = ""
        if skipped:
            self._message = _("Left out, because their scans are missing or share a name: {cases}.").format(
                cases=", ".join(skipped[:5]) + (", ..." if len(skipped) > 5 else "")
            )
        if images:
            self._next()
        elif not skipped:
            self._message = _("Every case has results of this model.")
        self.refresh()

    def cancel(self):
        """End the run; what is done stays."""
        self._waiting = []
        self._task.cancel()
        self.refresh()

    def tick(self):
        """Look at the run."""
        if self._task.tick():
            self.refresh()

    def close(self):
        """The module goes."""
        self._waiting = []
        self._task.close()

    def refresh(self):
        """Show the models and the run."""
        if self.session.parameters is None:
            return
        task = self._task.state()
        chosen = self._chosen()
        fraction = task.done / task.total if task is not None and task.total else 0.0
        self.panel.show(
            ReviewRunState(
                models=tuple((str(entry.path), entry.name) for entry in self._models()),
                model=str(chosen.path) if chosen else "",
                noRun=self._whyNot(),
                isRunning=task is not None,
                done=round(100 * (self._done + fraction * len(self._batch))),
                total=100 * self._total,
                message=task.text if task is not None else self._message,
            )
        )

    def _whyNot(self):
        dataset = self.session.dataset
        if self._task.running:
            return _("A run is under way.")
        if dataset is None:
            return _("Open a dataset first.")
        if dataset.readOnly:
            return _("Results are kept with the dataset, in whose folder you may not write: copy the dataset.")
        if self._chosen() is None:
            return _("Load a model first.")
        if not self.services.engine.python:
            return _("The engine is not there: choose its Python in the module OrganIncrement (Other Python…).")
        return ""

    def _models(self):
        """Looked for again when a case or dataset is opened, not in every tick of a run."""
        if self._known is None or not self._task.running:
            self._known = [entry for entry in self.services.workspace.models() if not entry.problem]
        return self._known

    def _chosen(self):
        models = self._models()
        path = self.session.parameters.runModel if self.session.parameters else ""
        return next((entry for entry in models if str(entry.path) == path), models[0] if models else None)

    def _images(self):
        """(case id, scan) of all cases without results, and the ids of those that cannot be segmented here."""
        folder, key = self._dataset.folder, self._model.sha256[:8]
        wanted, skipped = [], []
        rows = [row.id for row in self._dataset.rows() if not row.problem]
        names = set()
        for caseId in rows:
            case = self._dataset.case(caseId)
            if caseResults(folder, case, key).folder is not None:
                continue
            name = imageStem(case.image)
            clashes = name in names or (name != caseId and name in rows)
            try:
                path = folder.image_path(case)
            except ContractError:
                path = None
            if clashes or path is None or not path.is_file():
                skipped.append(caseId)
                continue
            names.add(name)
            wanted.append((caseId, path))
        return wanted, skipped

    def _next(self):
        self._batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        out = self._dataset.path / "results" / self._model.sha256[:8]
        command = self.services.engine.run(
            "segment", "--model", self._model.path, "--out", out, *(path for _case, path in self._batch)
        )
        self._task.start(command, _("{model} segments").format(model=self._model.name))

    def _onEnded(self, command):
        self._done += len(self._batch)
        self._batch = []
        if command.state == "finished" and self._waiting:
            self._next()
        elif command.state == "finished":
            self._message = _("Done: the cases are ordered by the uncertainty of {model}.").format(
                model=self._model.name
            )
        else:
            self._waiting = []
            self._message = command.message
        self._dataset.forgetResults()
        if self._dataset is self.session.dataset:
            if not self._dataset.resultKey or not self._task.running:
                self._dataset.useResults(self._model.sha256[:8] if self._hasResults() else self._dataset.resultKey)
            self.session.forgetRows()
            self.session.changed()

    def _hasResults(self):
        return any(one.key == self._model.sha256[:8] for one in self._dataset.resultSets())

    def _onModel(self, path):
        if self.session.parameters is not None:
            self.session.parameters.runModel = path
            self.refresh()

    def _onLoad(self):
        path = self.services.dialogs.openFile(_("Model package"), _("Model packages (*.oimodel model.json)"))
        if not path:
            return
        try:
            entry = self.services.workspace.addModel(path.parent if path.name == "model.json" else path)
        except WorkspaceError as error:
            self.services.dialogs.error(str(error))
            return
        self._onModel(str(entry.path))

    def _say(self, text):
        self._message = text
        self.refresh()
