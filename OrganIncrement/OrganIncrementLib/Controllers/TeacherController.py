"""Section 1: the list of installed packages, the chosen one's facts, and the sample data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from organincrement.contract.model import ModelManifest
from OrganIncrementLib.Controllers.Amounts import lengthsText
from OrganIncrementLib.Controllers.EntryChoices import entryChoice, withChosen
from OrganIncrementLib.Controllers.HeadWords import headText
from OrganIncrementLib.Controllers.ModelWords import ancestorLines, factLines, factsOfManifest, noteLines
from OrganIncrementLib.Engine.ModelFacts import keptFacts
from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.ChoiceBox import Choice
from OrganIncrementLib.Panels.OrganChips import chipsOf
from OrganIncrementLib.Panels.TaskBar import TaskState
from OrganIncrementLib.Panels.TeacherPanel import TeacherPanel, TeacherState
from OrganIncrementLib.WorkspaceEntries import ModelEntry

NO_TEACHER = "none"  # chosen on purpose: a first model, from labels alone


class TeacherController:
    """`path`: the chosen package, "" or NO_TEACHER; `entry`: what it is. Intent: loaded(), when the list has grown."""

    def __init__(self, ui, services) -> None:
        self.panel = TeacherPanel(ui)
        self.loaded = Intent()
        self.entry: ModelEntry | None = None
        self.sampleState: Callable[[], TaskState | None] = lambda: None
        self.sampleHindrance = ""
        self._services, self._parameters, self._entries, self._shownPath = services, None, [], None
        self._details, self._message = (), ("", "")
        self.panel.teacherChosen.connect(self.choose)

    @property
    def path(self) -> str:
        """The chosen package's path; "" where none is chosen."""
        return self._parameters.teacherPath if self._parameters is not None else ""

    @property
    def manifest(self) -> ModelManifest | None:
        """The chosen package's, None where none is chosen or it cannot be read."""
        return self.entry.manifest if self.entry is not None else None

    @property
    def hindrance(self) -> str:
        """Why nothing can be done with the chosen teacher, "" when it can; a first model needs none."""
        if not self.path:
            return _("choose a teacher (section 1)")
        return self.entry.problem if self.entry is not None else ""

    def attach(self, parameters: Any) -> None:
        """Follow a parameter node."""
        self._parameters = parameters
        self.refresh()

    def detach(self) -> None:
        """The parameter node goes."""
        self._parameters = None

    def parametersModified(self) -> None:
        """Another teacher may be chosen."""
        if self.path != self._shownPath:
            self.refresh()

    def tick(self) -> None:
        """Nothing runs here."""

    def close(self) -> None:
        """The module goes."""

    def choose(self, path: Path | str) -> None:
        """Take a package as the teacher; parametersModified follows."""
        if self._parameters is not None and self.path != str(path):
            self._parameters.teacherPath = str(path)

    def refresh(self) -> None:
        """Read the list of packages again, and show it; without a parameter node, later."""
        if self._parameters is None:
            return
        self._shownPath = path = self.path
        self.entry = None if path in ("", NO_TEACHER) else self._services.workspace.model(Path(path))
        self._entries = withChosen(self._services.workspace.models(), self.entry)
        self._details = self._detailLines()
        self.show()

    def tell(self, message: str) -> None:
        """Show a line about the chosen model, as long as it is chosen."""
        self._message = (self.path, message)
        self.show()

    def show(self) -> None:
        """Show what is known."""
        manifest = self.manifest
        self.panel.show(
            TeacherState(
                choices=self._choices(),
                chosen=self.path,
                placeholder=_("Choose a teacher…"),
                organs=chipsOf(manifest.organs) if manifest else (),
                facts=_facts(manifest) if manifest else self._hints(),
                details=self._details,
                message=self._message[1] if self._message[0] == self.path else "",
                problem=self.entry.problem if self.entry is not None else "",
                sampleBusy=self.sampleState(),
                sampleHindrance=self.sampleHindrance,
            )
        )

    def _choices(self) -> tuple[Choice, ...]:
        first = _("No teacher: train a first model from labels alone")
        return (*map(entryChoice, self._entries), Choice(value=NO_TEACHER, text=first, toolTip=first))

    def _hints(self) -> tuple[str, ...]:
        if self.path == NO_TEACHER:
            return (_("A first model is trained; it can be the teacher of the next one."),)
        if not self._entries:
            return (_("There is no model on this computer yet: load one, or use the sample data."),)
        return ()

    def _detailLines(self) -> tuple[str, ...]:
        """All that is known of the chosen model beside what is always shown."""
        manifest = self.manifest
        if manifest is None:
            return ()
        workspace = self._services.workspace
        facts, isChecked = keptFacts(workspace.root, self.entry.sha256)
        facts = facts or factsOfManifest(manifest)
        return (*factLines(facts), *noteLines(facts), *ancestorLines(workspace.ancestors(manifest), isChecked))


def _facts(manifest: ModelManifest) -> tuple[str, ...]:
    trained, spacing = manifest.trained_on, manifest.trained_on.spacing_mm
    cases = _("{count} ").format(count=trained.cases) if trained.cases is not None else ""
    text = _("Trained on {cases}{modality} scans").format(cases=cases, modality=trained.modality)
    if spacing is not None:
        text += _(", voxels of {size} mm").format(size=lengthsText(round(x, 2) for x in spacing.median))
    patch = _("Looks at {patch} voxels at a time").format(patch=lengthsText(manifest.inference.patch))
    licence = _("Licence: {licence}").format(licence=manifest.licence or _("not stated"))
    if manifest.metrics.recommended:
        advice = _("✓ Recommended: it met its goals on held-back scans.")
    else:
        advice = _("⚠ Not recommended: on held-back scans it did not meet its goals. Check its results closely.")
    return tuple(line for line in (text, headText(manifest), patch, licence, advice) if line)
