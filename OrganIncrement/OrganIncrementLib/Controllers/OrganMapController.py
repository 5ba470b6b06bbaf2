"""Section 3: the merge map of a plan, asked of the user where organs of the teacher are in the new data as well."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from organincrement.contract.errors import ContractError
from organincrement.contract.labels import LabelSpace, LabelTransition, Organ
from OrganIncrementLib.Controllers.ModelWords import plainText
from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.ChoiceBox import Choice
from OrganIncrementLib.Panels.OrganMapPanel import OrganMapPanel, OrganMapRow, OrganMapState

STAYS = "-"  # an organ of its own; stands in the parameter node, so that it need not be asked again
_MERGE = re.compile(r"--merge ([^\s=]+)=([^\s,;]+)")
_SHOWN = 300


class OrganMapController:
    """Intent: changed(), when something was answered. `merges`: (organ of the teacher, what it counts as)."""

    def __init__(self, ui, services, teacher, inputs) -> None:
        self.panel, self.changed = OrganMapPanel(ui), Intent()
        self._services, self._teacher, self._inputs, self._parameters = services, teacher, inputs, None
        self._old, self._new = LabelSpace(()), ()
        self._of: Any = None
        self._suggested: dict[str, str] = {}
        self._required: dict[str, str] = {}
        self.panel.answered.connect(self._onAnswered)
        self.panel.added.connect(self._onAdded)

    def attach(self, parameters: Any) -> None:
        """Follow a parameter node."""
        self._parameters, self._of = parameters, None
        self.parametersModified()

    def detach(self) -> None:
        """The parameter node goes."""
        self._parameters = None

    def parametersModified(self) -> None:
        """Teacher, datasets or method may be others."""
        if self._parameters is None:
            return
        self._read()
        self._show()

    def tick(self) -> None:
        """Nothing runs here."""

    def close(self) -> None:
        """The module goes."""

    @property
    def merges(self) -> tuple[tuple[str, str], ...]:
        """What was answered, of what is there now."""
        new = {organ.id for organ in self._new}  # one of these may have the very id of the old one

        def isThere(organ: str, target: str) -> bool:
            return organ in self._old.ids and (target in new or (target in self._old.ids and target != organ))

        return tuple((organ, target) for organ, target in self._answers().items() if isThere(organ, target))

    @property
    def hindrance(self) -> str:
        """What is still to be answered before anything can be planned, or why the answers do not go together."""
        answers = dict(self.merges)
        for old in self._required:
            if answers.get(old) != self._required[old]:
                name = self._old.organs[self._old.index(old) - 1].name
                return _(
                    "To start: {organ} is known to the teacher already, and is in the new data; say above Start what "
                    "the teacher's counts as, or choose another teacher or dataset."
                ).format(organ=name)
        try:
            if self._new:
                LabelTransition(self._old, LabelSpace(self._new), answers)
        except ContractError as error:
            return _("Teacher and dataset do not go together: {reason}.").format(reason=plainText(str(error)))
        return ""

    def hear(self, lines: Iterable[str]) -> tuple[str, ...]:
        """Take the questions out of what a plan said. Returns: the other lines, in words for people."""
        others = []
        for line in lines:
            found = _MERGE.search(line)
            if found is None or found[1] not in self._old.ids:
                others.append(plainText(line))
            else:
                self._suggested.setdefault(found[1], found[2])
        self._show()
        return tuple(others)

    def _read(self) -> None:
        """Which organs there are; worked out once for a teacher and its datasets."""
        teacher, method = self._teacher.manifest, self._inputs.method()
        isOne = method is None or method.teachers == "one"  # of several teachers, the scans may show any organ
        datasets = [self._services.workspace.dataset(Path(path)).manifest for path in self._inputs.datasets]
        of = (teacher, tuple(datasets), isOne)
        if self._of is not None and self._of == of:
            return
        self._of, self._suggested, self._required = of, {}, {}
        self._old = teacher.label_space if teacher is not None and isOne else LabelSpace(())
        self._new = _together(dataset.organs for dataset in datasets if dataset is not None) if len(self._old) else ()
        for new in self._new:
            for old in self._old.organs:
                if new.same_as(old):
                    self._required.setdefault(old.id, new.id)

    def _answers(self) -> dict[str, str]:
        if self._parameters is None:
            return {}
        try:
            said = json.loads(self._parameters.organMap or "{}")
        except (ValueError, RecursionError):
            return {}
        return {str(old): str(new) for old, new in said.items()} if isinstance(said, dict) else {}

    def _onAnswered(self, organ: str, value: str) -> None:
        if self._parameters is not None:
            self._parameters.organMap = json.dumps({**self._answers(), organ: value})
            self.changed()

    def _onAdded(self, organ: str) -> None:
        self._onAnswered(organ, STAYS)

    def _show(self) -> None:
        answers = self._answers()
        asked = [old for old in self._old.organs if old.id in {*self._required, *self._suggested, *answers}]
        rows = tuple(self._row(organ, answers.get(organ.id, "")) for organ in asked)
        others = [organ for organ in self._old.organs if organ not in asked] if self._new else []
        self.panel.show(
            OrganMapState(
                question=_question(len(self._required), [self._names(*pair) for pair in self._suggested.items()]),
                rows=rows, others=tuple(Choice(value=organ.id, text=organ.name) for organ in others[:_SHOWN]),
            )
        )  # fmt: skip

    def _row(self, organ: Organ, answer: str) -> OrganMapRow:
        if organ.id in self._required:
            new = next(new for new in self._new if new.id == self._required[organ.id])
            return OrganMapRow(organ=organ.id, name=organ.name, choices=(_anew(new),), answer=answer)
        stays = Choice(value=STAYS, text=_("an organ of its own, as before"))
        others = tuple(
            Choice(value=old.id, text=_("{organ} of the teacher").format(organ=old.name),
                   toolTip=_("The student has one organ in the place of the two"))
            for old in self._old.organs if old.id != organ.id
        )  # fmt: skip
        new = tuple(_anew(one) for one in self._new)
        return OrganMapRow(organ=organ.id, name=organ.name, choices=(stays, *new, *others), answer=answer)

    def _names(self, old: str, new: str) -> tuple[str, str]:
        names = {organ.id: organ.name for organ in (*self._new, *self._old.organs)}
        return names.get(old, old), names.get(new, new)


def _anew(new: Organ) -> Choice:
    return Choice(
        value=new.id, text=_("{organ} of the new data").format(organ=new.name),
        toolTip=_("The student learns it anew from the new labels; what the teacher says of it no longer counts"),
    )  # fmt: skip


def _together(spaces: Iterable[Sequence[Organ]]) -> tuple[Organ, ...]:
    organs: list[Organ] = []
    for space in spaces:
        organs += [organ for organ in space if not any(organ.same_as(other) for other in organs)]
    return tuple(organs)


def _question(required: int, suggested: list[tuple[str, str]]) -> str:
    if required:
        return _("The teacher knows an organ already that is in the new data. What is the teacher's to count as?")
    if suggested:
        old, new = suggested[0]
        return _(
            "The teacher's {old} may be, or hold, {new} of the new data. Left as it is, the student will have both."
        ).format(old=old, new=new)
    return _("What organs of the teacher are to count as:")
