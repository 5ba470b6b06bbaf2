"""Which steps of a training belong to which phase of its method."""

from collections.abc import Sequence

from organincrement.contract.plan import Plan
from organincrement.methods.protocol import ContinualMethod, Phase


def phases_of(method: ContinualMethod, plan: Plan) -> Sequence[Phase]:
    """The phases of a plan: a second one is entered by scores, of which there are none unless cases are held back."""
    return method.phases() if plan.validation.cases else method.phases()[:1]


class PhasePlan:
    """Phases one after another, each with its share of the steps, at least one."""

    def __init__(self, phases: Sequence[Phase], steps: int) -> None:
        self.names = [phase.name for phase in phases]
        self._validations = [phase.validations for phase in phases]
        total, before = sum(phase.share for phase in phases), 0.0
        self._first = [0]
        for phase in phases[:-1]:
            before += phase.share
            self._first.append(max(round(steps * before / total), self._first[-1] + 1))
        self._end = [*self._first[1:], max(steps, self._first[-1] + 1)]

    def begins(self, phase: int, step: int) -> bool:
        """Whether there is such a phase and it begins at or before this step."""
        return phase < len(self._first) and step >= self._first[phase]

    def within(self, phase: int, step: int) -> tuple[int, int]:
        """How far a step is in its phase, and how long the phase is."""
        return step - self._first[phase], self._end[phase] - self._first[phase]

    def validated_every(self, steps: int) -> int:
        """So many steps, or fewer where a next phase is entered by more validations than these would give it."""
        asked = zip(self._first[:-1], self._end, self._validations, strict=False)  # nothing follows the last
        return max(1, min([steps, *((end - first) // (count + 1) for first, end, count in asked if count > 1)]))
