"""Section 3, Advanced: what a training is given beside the teacher and the dataset of sections 1 and 2."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from OrganIncrementLib.Controllers.EntryChoices import entryChoice, withChosen
from OrganIncrementLib.Controllers.MethodList import Given, Method
from OrganIncrementLib.Controllers.PathList import pathsOf, textOf
from OrganIncrementLib.Controllers.TeacherController import NO_TEACHER
from OrganIncrementLib.Panels.InputsPanel import InputsPanel, InputsState
from OrganIncrementLib.Panels.ListInput import ListInputState

TEACHERS, DATASETS, OLD_DATASETS = "moreTeachers", "moreDatasets", "oldDatasets"  # fields of the parameter node


class InputsController:
    """`teachers`, `datasets`, `oldDatasets`, `vault`: all that a plan may be made of, as paths.

    method: asked for the chosen method, which may not use all of it.
    """

    def __init__(self, ui, services, teacher, dataset) -> None:
        self.panel = InputsPanel(ui)
        self.method: Callable[[], Method | None] = lambda: None
        self._services, self._teacher, self._dataset, self._parameters = services, teacher, dataset, None
        self._shownOf, self._added = None, []
        for field, part in (
            (TEACHERS, self.panel.teachers), (DATASETS, self.panel.datasets), (OLD_DATASETS, self.panel.oldDatasets)
        ):  # fmt: skip
            part.added.connect(self._adding(field))
            part.removed.connect(self._removing(field))

    def attach(self, parameters: Any) -> None:
        """Follow a parameter node."""
        self._parameters = parameters
        self.refresh()

    def detach(self) -> None:
        """The parameter node goes."""
        self._parameters = None

    def parametersModified(self) -> None:
        """Something else is chosen; only then it looks at the disk."""
        if self._parameters is not None and self._shownOf != self._choice():
            self.refresh()

    def refresh(self) -> None:
        """Read models and datasets again, and show them; without a parameter node, later."""
        if self._parameters is None:
            return
        self._shownOf, workspace = self._choice(), self._services.workspace
        self._added = [workspace.model(Path(path)) for path in self.teachers[1:]]
        self._added += [workspace.dataset(Path(path)) for path in (*self.datasets[1:], *self.oldDatasets)]
        self._show()

    def tick(self) -> None:
        """Nothing runs here."""

    def close(self) -> None:
        """The module goes."""

    @property
    def teachers(self) -> tuple[str, ...]:
        """Section 1's teacher and the others; none for a first model."""
        first = self._teacher.path
        return () if first in ("", NO_TEACHER) else tuple(dict.fromkeys((first, *self._paths(TEACHERS))))

    @property
    def datasets(self) -> tuple[str, ...]:
        """Section 2's dataset and the others."""
        return tuple(dict.fromkeys(path for path in (self._dataset.path, *self._paths(DATASETS)) if path))

    @property
    def oldDatasets(self) -> tuple[str, ...]:
        """What the teachers were trained on, where the method may see it."""
        method = self.method()
        return self._paths(OLD_DATASETS) if method is not None and method.takesOldData else ()

    @property
    def vault(self) -> str:
        """The vault, where the method replays one."""
        method = self.method()
        return self._vault() if method is not None and method.takesVault else ""

    @property
    def given(self) -> Given:
        """What a method's needs are compared with; before a teacher is chosen, as with one."""
        isFirst = self._teacher.path == NO_TEACHER
        return Given(teachers=0 if isFirst else max(1, len(self.teachers)), vault=bool(self._vault()))

    @property
    def hindrance(self) -> str:
        """What is wrong with one of the things added, "" when nothing is."""
        return next((entry.problem for entry in self._added if entry.problem), "")

    def counts(self) -> dict[str, int]:
        """Cases of each status over all datasets that are given."""
        total: dict[str, int] = {}
        others = [entry for entry in self._added if str(entry.path) in self.datasets]
        for entry in (self._dataset.entry, *others):
            for status, number in entry.counts.items():
                total[status] = total.get(status, 0) + number
        return total

    def _choice(self) -> tuple:
        """All that decides what is shown."""
        method, p = self.method(), self._parameters
        return (
            self._teacher.path, self._dataset.path, method.name if method is not None else "", p.vaultPath,
            p.moreTeachers, p.moreDatasets, p.oldDatasets,
        )  # fmt: skip

    def _paths(self, field: str) -> tuple[str, ...]:
        return pathsOf(getattr(self._parameters, field)) if self._parameters is not None else ()

    def _vault(self) -> str:
        return self._parameters.vaultPath if self._parameters is not None else ""

    def _adding(self, field: str) -> Callable[[str], None]:
        def add(path: str) -> None:
            if self._parameters is not None:
                setattr(self._parameters, field, textOf((*self._paths(field), path)))

        return add

    def _removing(self, field: str) -> Callable[[str], None]:
        def remove(path: str) -> None:
            if self._parameters is not None:
                setattr(self._parameters, field, textOf(p for p in self._paths(field) if p != path))

        return remove

    def _show(self) -> None:
        workspace = self._services.workspace
        datasets = list(workspace.datasets())
        firstTeacher = "" if self._teacher.path not in ("", NO_TEACHER) else _("Choose a teacher in section 1 first")
        firstDataset = "" if self._dataset.path else _("Choose a dataset in section 2 first")
        taken = (*self.datasets, *self._paths(OLD_DATASETS))
        self.panel.show(
            InputsState(
                teachers=self._listed(
                    list(workspace.models()), workspace.model, TEACHERS, self.teachers[:1],
                    (_("Add another teacher…"), _("No other model on this computer"), firstTeacher),
                ),
                datasets=self._listed(
                    datasets, workspace.dataset, DATASETS, taken,
                    (_("Add another dataset…"), _("No other dataset on this computer"), firstDataset),
                ),
                oldDatasets=self._listed(
                    datasets, workspace.dataset, OLD_DATASETS, taken,
                    (_("Add a dataset of old organs…"), _("No other dataset on this computer"), ""),
                ),
                note=self._note(),
            )
        )  # fmt: skip

    def _listed(self, entries, entryAt, field, taken, words) -> ListInputState:
        """entryAt: gives the entry at a path. taken: what cannot be added. words: to add, nothing there, and why not"""
        added, (toAdd, nothing, missing) = self._paths(field), words
        rest = [e for e in withChosen(entries) if str(e.path) not in (*added, *taken) and not e.problem]
        return ListInputState(
            choices=tuple(entryChoice(entry) for entry in rest),
            added=tuple(entryChoice(entryAt(Path(path))) for path in added),
            placeholder=toAdd if rest else nothing,
            missing=missing,
        )

    def _note(self) -> str:
        """Which of what is chosen the method does not use."""
        method = self.method()
        if method is None:
            return ""
        unused = [_("the old data")] if self._paths(OLD_DATASETS) and not method.takesOldData else []
        unused += [_("the vault")] if self._vault() and not method.takesVault else []
        if not unused:
            return ""
        return _("{method} does not use {what}.").format(method=method.title, what=_(" and ").join(unused))
