"""The case that is drawn: its state in words, the organ, what to start from, save and hand in."""

from dataclasses import dataclass

from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.AnnotateDatasetPanel import OrganChip
from OrganIncrementLib.Panels.ListWidgets import currentKey, fillCombo, swatch
from OrganIncrementLib.Panels.Permission import allow
from OrganIncrementLib.Translation import _


@dataclass(frozen=True)
class DrawState:
    """What the panel shows. models, segments: (key, text); no…: why a button cannot work, empty where it can."""

    text: str = ""
    organs: tuple[OrganChip, ...] = ()
    organ: str = ""
    models: tuple[tuple[str, str], ...] = ()
    model: str = ""
    modelNote: str = ""
    segments: tuple[tuple[str, str], ...] = ()
    noCase: str = ""
    noModel: str = ""
    noSegment: str = ""
    noSave: str = ""
    noHandIn: str = ""


class AnnotateDrawPanel:
    """Shows the open case; says what its user wants of it."""

    def __init__(self, ui):
        self.ui = ui
        self.organChosen = Intent()  # organ id
        self.modelChosen = Intent()  # path
        self.presegmentWanted = Intent()
        self.copyWanted = Intent()  # segment id
        self.saveWanted = Intent()
        self.handInWanted = Intent()
        self._state = DrawState()
        ui.organComboBox.connect("activated(int)", self._onOrgan)
        ui.modelComboBox.connect("activated(int)", self._onModel)
        ui.presegmentButton.connect("clicked(bool)", self._onPresegment)
        ui.copySegmentButton.connect("clicked(bool)", self._onCopy)
        ui.saveButton.connect("clicked(bool)", self._onSave)
        ui.handInButton.connect("clicked(bool)", self._onHandIn)

    def show(self, state: DrawState) -> None:
        """Show a state; the lists are filled anew only where they changed, so that an open one stays open."""
        ui, before = self.ui, self._state
        self._state = state
        ui.caseStateLabel.text = state.text
        if state.organs != before.organs or state.organ != before.organ:
            self._fillOrgans(state)
        if state.models != before.models or state.model != before.model:
            fillCombo(ui.modelComboBox, state.models, state.model)
        if state.segments != before.segments:
            fillCombo(ui.segmentComboBox, state.segments, currentKey(ui.segmentComboBox) or _first(state.segments))
        allow(ui.organComboBox, state.noCase, _("The organ that is drawn now"))
        noModels = "" if state.models else _("No model is known: load one in the module OrganIncrement.")
        allow(ui.modelComboBox, noModels, _("A model that knows the organ draws a first version"))
        ui.modelNoteLabel.text = state.modelNote
        ui.modelNoteLabel.visible = bool(state.modelNote)
        noSegments = "" if state.segments else _("Choose a segmentation above that has segments.")
        allow(ui.segmentComboBox, noSegments, _("Which of its segments is the organ"))
        allow(ui.presegmentButton, state.noModel, _("Let the model draw this organ; then correct it"))
        allow(ui.copySegmentButton, state.noSegment, _("Make the segment the label of the organ chosen above"))
        allow(ui.saveButton, state.noSave, _("Write the label into the dataset; nothing is trained"))
        allow(ui.handInButton, state.noHandIn, _("Save, check, and give the case to a reviewer"))

    def _fillOrgans(self, state):
        box = self.ui.organComboBox
        box.blockSignals(True)
        box.clear()
        for organ in state.organs:
            box.addItem(swatch(organ.color), organ.name, organ.id)
        box.currentIndex = next((i for i, organ in enumerate(state.organs) if organ.id == state.organ), -1)
        box.blockSignals(False)

    def _onOrgan(self):
        self.organChosen(currentKey(self.ui.organComboBox))

    def _onModel(self):
        self.modelChosen(currentKey(self.ui.modelComboBox))

    def _onPresegment(self):
        self.presegmentWanted()

    def _onCopy(self):
        self.copyWanted(currentKey(self.ui.segmentComboBox))

    def _onSave(self):
        self.saveWanted()

    def _onHandIn(self):
        self.handInWanted()


def _first(entries) -> str:
    return entries[0][0] if entries else ""
