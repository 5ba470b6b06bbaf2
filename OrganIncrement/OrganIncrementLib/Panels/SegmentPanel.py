"""Section 5, upper half: which scan, which model, Apply, progress."""

from dataclasses import dataclass

from slicer.i18n import tr as _

from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.ChoiceBox import Choice, ChoiceBox
from OrganIncrementLib.Panels.TaskBar import TaskBar, TaskState


@dataclass(frozen=True, kw_only=True)
class SegmentState:
    """What is chosen and what is missing; `missing` lists in words what keeps Apply from working."""

    models: tuple[Choice, ...] = ()
    model: str = ""
    uncertaintyKind: str = "entropy"
    missing: tuple[str, ...] = ()
    task: TaskState | None = None
    message: str = ""


class SegmentPanel:
    """Widgets in, SegmentState shown, intents out. The volume's selector is bound to the parameter node."""

    def __init__(self, ui):
        self.ui = ui
        self.modelChosen = Intent()
        self.uncertaintyKindChosen = Intent()
        self.applyWanted = Intent()
        self.cancelWanted = Intent()
        self._models = ChoiceBox(ui.segmentModelComboBox, self.modelChosen)
        self._kinds = ChoiceBox(ui.uncertaintyKindComboBox, self.uncertaintyKindChosen)
        self._bar = TaskBar(ui.segmentProgressBar, ui.segmentCancelButton, ui.segmentStatusLabel)
        ui.applyButton.connect("clicked(bool)", self._onApply)
        ui.segmentCancelButton.connect("clicked(bool)", self._onCancel)
        self.show(SegmentState())

    def show(self, state):
        """Show a SegmentState."""
        self._models.show(state.models, state.model, _("Choose a model"))
        kinds = (
            Choice(value="entropy", text=_("Quick: how sure the model is"), toolTip=_("Entropy of the prediction")),
            Choice(
                value="perturbation",
                text=_("Thorough: under small changes of the scan"),
                toolTip=_("Entropy of the mean over perturbed copies of the scan; takes several times as long"),
            ),
            Choice(value="none", text=_("None: segmentation only"), toolTip=_("Neither overlay nor uncertain regions")),
        )
        self._kinds.show(kinds, state.uncertaintyKind, "")
        self._bar.show(state.task, state.message)
        missing = (_("wait for the running segmentation, or cancel it"),) if state.task else state.missing
        self.ui.applyButton.enabled = not missing
        self.ui.applyButton.toolTip = (
            _("To apply: {what}.").format(what="; ".join(missing))
            if missing
            else _("Segment the volume with this model; earlier results stay")
        )

    def _onApply(self):
        self.applyWanted()

    def _onCancel(self):
        self.cancelWanted()
