"""Section 1: takes a model of any format in: it is looked at, shown, and made a package when the user says so."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from organincrement.contract.errors import ContractError
from organincrement.contract.model import TorchScriptHead
from OrganIncrementLib.Controllers.BackgroundTask import BackgroundTask
from OrganIncrementLib.Controllers.LoadWords import (
    dangerText,
    filterText,
    loadedText,
    questionsAbout,
    refusalText,
    shownOf,
    verifiedText,
)
from OrganIncrementLib.Engine.ModelDescription import DescriptionError, writeDescription, writeExample
from OrganIncrementLib.Engine.ModelFacts import ModelFacts, factsOf, keepFacts
from OrganIncrementLib.Engine.ModelImport import (
    CONFIRM,
    Answers,
    askedIn,
    foldersIn,
    foldsIn,
    importArguments,
    mayBeImportedYet,
    ownPackage,
    tookTooLong,
)
from OrganIncrementLib.Panels.LoadPanel import DESCRIPTION, LoadPanel, LoadQuestions, LoadState
from OrganIncrementLib.Workspace import WorkspaceError

TORCHSCRIPT = "torchscript"
LOOKS = 3


class LoadController:
    """Fills the choices of TeacherController, whose button begins it."""

    def __init__(self, ui, services, teacher, engineHindrance: Callable[[], str]) -> None:
        self.panel = LoadPanel(ui)
        self._services, self._teacher, self._hindrance = services, teacher, engineHindrance
        self._task, self._command = BackgroundTask(self._onEnded), None
        self._then: Callable[[Any], None] = lambda command: None
        self._state, self._path, self._facts = LoadState(), Path(), None
        self._target, self._scratch, self._looksLeft = Path(), None, 0
        teacher.panel.loadWanted.connect(self._onLoad)
        self.panel.importWanted.connect(self._onImport)
        self.panel.closeWanted.connect(self._onClose)
        self.panel.cancelWanted.connect(self._task.cancel)
        self.panel.descriptionWanted.connect(self._onDescription)
        self.panel.exampleWanted.connect(self._onExample)

    def attach(self, parameters: Any) -> None:
        """Nothing of its own is in the parameter node."""

    def detach(self) -> None:
        """What is being taken in goes on."""

    def parametersModified(self) -> None:
        """Nothing here depends on what is chosen."""

    def tick(self) -> None:
        """Look after what runs."""
        if self._task.tick():
            self._show()

    def close(self) -> None:
        """The module goes."""
        self._task.close()
        self._tidyUp()

    def take(self, path: Path) -> None:
        """Begin with a file or folder."""
        self._task.drop()
        self._tidyUp()
        own = ownPackage(path)
        self._path, self._facts = own or path, None
        self._state = LoadState(open=True, title=_("{name}:").format(name=self._path.name), missing=_("Wait"))
        if own is not None:
            self._takeOwn(own)
        elif self._hindrance():
            self._refuse(self._hindrance())
        else:
            self._look(LOOKS)
        self._show()

    def _look(self, times: int) -> None:
        """times: how often at most, for it is given little time, which a busy computer may need to start the engine."""
        self._looksLeft = times - 1
        self._run(("inspect", self._path), _("Looking at {name}").format(name=self._path.name), self._onLooked)

    def _takeOwn(self, path: Path) -> None:
        """A package of our own stays where it is; a program in it runs only where this computer's user allowed it."""
        entry = self._services.workspace.model(path)
        if entry.problem:
            self._refuse(_("This model cannot be loaded. {reason}").format(reason=entry.problem))
        elif isinstance(entry.manifest.head, TorchScriptHead):
            self._facts = ModelFacts(format=TORCHSCRIPT, name=entry.manifest.name)
            self._import(Answers())
        elif self._hindrance():
            self._chosen(path, "", _("Loaded, but not checked: {reason}").format(reason=self._hindrance()))
        else:
            ancestors = self._services.workspace.ancestors(entry.manifest)
            atHand = [step.path for step in ancestors if hasattr(step, "path") and step.path != path]
            given = ("--ancestors", *atHand) if atHand else ()
            self._run(("model", "verify", path, *given), _("Checking the hashes"), self._onVerified)

    def _onVerified(self, command: Any) -> None:
        if command.state != "finished":
            self._refuse(verifiedText(command.output) or self._told(command.message))
            return
        self._chosen(self._path, "", "", checked=True)

    def _onLooked(self, command: Any) -> None:
        facts = factsOf(command.output) if command.state == "finished" else None
        message = command.message if command.state != "finished" else ""
        if tookTooLong(message) and self._looksLeft > 0:
            self._look(self._looksLeft)
            return
        if facts is not None and facts.kind != "model":
            message = _("{name} is no model, but holds: {kind}.").format(name=self._path.name, kind=facts.kind)
            facts = None
        elif facts is not None and not facts.canTeach:
            message = facts.whyNot
        self._facts = facts
        asked = askedIn(message)
        if facts is None and not asked and not mayBeImportedYet(message):
            self._refuse(message or _("The engine gave no answer."))
            return
        questions = questionsAbout(
            self._path, facts, message, models=foldersIn(self._path), folds=foldsIn(self._path)
        )  # fmt: skip
        self._state = replace(
            self._state, **shownOf(facts), questions=questions, message=self._told(message, questions), missing=""
        )

    def _onImport(self) -> None:
        if not self._task.running:
            self._import(self.panel.answers())

    def _import(self, answers: Answers) -> None:
        """Ask for leave where it is a program, then make the package."""
        isProgram = self._facts is not None and self._facts.format == TORCHSCRIPT
        try:
            answers = self._withDescription(answers)
            name = answers.name or self._state.questions.name or Path(answers.model or self._path).stem
            self._target = self._services.workspace.newModelFolder(name)
        except (DescriptionError, WorkspaceError, ContractError, OSError) as error:
            self._ask(str(error))
            return
        if isProgram and not self._services.dialogs.allow(*dangerText(self._path.name)):
            self._refuse(_("Not loaded: {name} may hold any program, and you did not allow it to run.").format(
                name=self._path.name))  # fmt: skip
            self._show()
            return
        arguments = importArguments(self._path, self._target, answers, isProgram)
        self._run(arguments, _("Loading {name}").format(name=self._path.name), self._onImported)
        self._show()

    def _withDescription(self, answers: Answers) -> Answers:
        """With the file that describes plain weights: the one chosen, else one of what was typed."""
        if DESCRIPTION not in self._state.questions.fields:
            return answers
        if answers.description:
            return replace(answers, modality="")
        self._tidyUp()
        self._scratch = tempfile.TemporaryDirectory(prefix="OrganIncrement-")
        path = Path(self._scratch.name) / "description.json"
        writeDescription(path, self.panel.described())
        return replace(answers, description=str(path), orientation="")

    def _onImported(self, command: Any) -> None:
        self._tidyUp()
        if command.state == "cancelled":
            self._state = replace(self._state, message=_("Cancelled; nothing was loaded."))
        elif command.state != "finished" or factsOf(command.output) is None:
            message = command.message or _("The engine gave no answer.")
            if self._facts is None and CONFIRM in askedIn(message):  # not known before, where the look took too long
                self._facts = ModelFacts(format=TORCHSCRIPT, name=self._path.stem)
            self._ask(message)
        else:
            self._chosen(self._target, command.output, "", checked=True)

    def _ask(self, message: str) -> None:
        """Show why it did not work, with fields for what the message names, beside those that are there."""
        before = self._state.questions
        new = questionsAbout(
            self._path, self._facts, message, models=foldersIn(self._path), folds=foldsIn(self._path)
        )  # fmt: skip
        isMore = bool(new.fields - before.fields)
        fields = before.fields | new.fields
        questions = replace(new, fields=fields) if isMore else before
        told = self._told(message, questions)
        self._state = replace(self._state, message=told, questions=questions, missing="")
        self._show()

    def _chosen(self, path: Path, answer: str, message: str, *, checked: bool = False) -> None:
        workspace = self._services.workspace
        try:
            entry = workspace.addModel(path)
        except WorkspaceError as error:
            self._refuse(_("This model cannot be loaded. {reason}").format(reason=error))
            return
        if checked:
            keepFacts(workspace.root, entry.sha256, answer)
        self._state = LoadState()
        self._teacher.choose(entry.path)
        self._teacher.refresh()
        self._teacher.tell(message or loadedText(entry.manifest))
        self._teacher.loaded()

    def _refuse(self, message: str) -> None:
        self._state = replace(self._state, message=self._told(message), missing=_("It cannot be loaded"))

    def _run(self, arguments, text: str, then: Callable[[Any], None]) -> None:
        self._then, self._command = then, self._services.engine.run(*arguments)
        self._state = replace(self._state, message="")
        self._task.start(self._command, text)

    def _onEnded(self, command: Any) -> None:
        if command.state == "cancelled" and self._then != self._onImported:
            self._tidyUp()
            self._state = LoadState()
            return
        self._then(command)

    def _onLoad(self) -> None:
        if self._task.running and self._then == self._onImported:  # another would take its place, unasked
            self._services.dialogs.info(
                _("{name} is still being loaded: wait for it, or press Cancel first.").format(name=self._path.name)
            )
            return
        chosen = self._services.dialogs.fileOrFolder(_("Load a teacher"), filterText(), _("Take this folder"))
        if chosen is not None:
            self.take(chosen)

    def _onClose(self) -> None:
        self._tidyUp()
        self._state = LoadState()
        self._show()

    def _onDescription(self) -> None:
        chosen = self._services.dialogs.openFile(_("The description"), _("JSON files (*.json);;All files (*)"))
        if chosen is not None:
            self.panel.setDescription(str(chosen))

    def _onExample(self) -> None:
        dialogs = self._services.dialogs
        chosen = dialogs.saveFile(_("Write an example of a description"), _("JSON files (*.json)"), "description.json")
        try:
            if chosen is not None:
                writeExample(chosen)
                self.panel.setDescription(str(chosen))
        except OSError as error:
            dialogs.error(_("{name} cannot be written: {reason}.").format(name=chosen.name, reason=error.strerror))

    def _told(self, message: str, questions: LoadQuestions | None = None) -> str:
        """A line of the engine, with the name of what is taken in instead of its whole path."""
        return refusalText(message.replace(f"{self._path.parent}{os.sep}", ""), questions)

    def _tidyUp(self) -> None:
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None

    def _show(self) -> None:
        busy = self._task.state()
        if busy is not None and self._command.said:
            busy = replace(busy, text=f"{busy.text} · {self._command.said[-1].rpartition(': ')[2]}")
        self.panel.show(replace(self._state, busy=busy))
