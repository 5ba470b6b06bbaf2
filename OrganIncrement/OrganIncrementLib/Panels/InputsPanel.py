"""Section 3, Advanced: more teachers, more datasets, and the old data that some methods may see."""

from dataclasses import dataclass, field

from OrganIncrementLib.Panels.ListInput import ListInput, ListInputState


@dataclass(frozen=True, kw_only=True)
class InputsState:
    """What the part shows. `note`: which of it the chosen method does not use."""

    teachers: ListInputState = field(default_factory=ListInputState)
    datasets: ListInputState = field(default_factory=ListInputState)
    oldDatasets: ListInputState = field(default_factory=ListInputState)
    note: str = ""


class InputsPanel:
    """`teachers`, `datasets`, `oldDatasets`: each has the intents added(path) and removed(path)."""

    def __init__(self, ui) -> None:
        self._ui = ui
        self.teachers = ListInput(ui.moreTeacherComboBox, ui.moreTeacherList, ui.removeTeacherButton)
        self.datasets = ListInput(ui.moreDatasetComboBox, ui.moreDatasetList, ui.removeDatasetButton)
        self.oldDatasets = ListInput(ui.oldDatasetComboBox, ui.oldDatasetList, ui.removeOldDatasetButton)
        self.show(InputsState())

    def show(self, state: InputsState) -> None:
        """Show the state."""
        self.teachers.show(state.teachers)
        self.datasets.show(state.datasets)
        self.oldDatasets.show(state.oldDatasets)
        self._ui.inputsNoteLabel.text = state.note
        self._ui.inputsNoteLabel.visible = bool(state.note)
