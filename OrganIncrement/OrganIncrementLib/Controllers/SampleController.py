"""The button "Use sample data": makes a phantom teacher and dataset with the engine, and chooses them."""

from typing import Any

from slicer.i18n import tr as _

from OrganIncrementLib.Controllers.BackgroundTask import BackgroundTask
from OrganIncrementLib.Samples import makeSamplesCommand, rememberSamples, samplesThere


class SampleController:
    """Fills the choices of TeacherController and DatasetController, in whose sections it shows itself."""

    def __init__(self, services, teacher, dataset, engine) -> None:
        self._services, self._teacher, self._dataset, self._engine = services, teacher, dataset, engine
        self._task = BackgroundTask(self._onEnded)
        teacher.sampleState = self._task.state
        teacher.panel.sampleWanted.connect(self._onWanted)
        teacher.panel.sampleCancelWanted.connect(self._task.cancel)

    def attach(self, parameters: Any) -> None:
        """Nothing of its own is in the parameter node."""

    def detach(self) -> None:
        """What is being made is made on."""

    def parametersModified(self) -> None:
        """Whether the engine can make samples may be known by now."""
        if self._teacher.sampleHindrance != self._engine.hindrance:
            self._teacher.sampleHindrance = self._engine.hindrance
            self._teacher.show()

    def tick(self) -> None:
        """Look after it."""
        if self._task.tick():
            self._teacher.show()

    def close(self) -> None:
        """The module goes."""
        self._task.close()

    def _onWanted(self) -> None:
        there = samplesThere(self._services)
        if there.teacher is not None and there.dataset is not None:
            self._choose()
        elif not self._task.running:
            command = makeSamplesCommand(self._services, "teacher", "dataset")
            self._task.start(command, _("Making the sample data"))
            self._teacher.show()

    def _onEnded(self, command: Any) -> None:
        if command.state == "finished":
            self._choose()
        elif command.state == "failed":
            self._services.dialogs.error(_("The sample data was not made. {reason}").format(reason=command.message))

    def _choose(self) -> None:
        made = rememberSamples(self._services)
        self._teacher.choose(made.teacher)
        self._teacher.refresh()
        self._dataset.choose(made.dataset)
        self._dataset.refresh()
        self._teacher.loaded()
