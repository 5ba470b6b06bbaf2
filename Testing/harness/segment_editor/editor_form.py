"""What the Segment Editor's widget looks like; object names as in the application."""

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Signal

from harness.segment_editor.segments_table import qMRMLSegmentsTableView
from harness.widgets.qmrml_node_combo import qMRMLNodeComboBox


class EditorForm(QtWidgets.QWidget):
    """A widget whose parts are in `_form`."""

    def buildForm(self):
        self._form = Form(self)


class Form(QtCore.QObject):
    """The parts: selectors, table, buttons, effects, options, masking."""

    cpp_class = False
    effectClicked = Signal(str)

    def __init__(self, widget):
        super().__init__(widget)
        self._box = QtWidgets.QVBoxLayout(widget)
        self._box.setContentsMargins(0, 0, 0, 0)
        self.segmentationRow, self.segmentations = self._selector("Segmentation:", "Segmentation", True)
        self.sourceRow, self.volumes = self._selector("Source volume:", "ScalarVolume", False)
        self._build_segment_buttons()
        self.table = qMRMLSegmentsTableView()
        self.table.setObjectName("SegmentsTableView")
        self.table.setSelectionMode(1)
        self.table.setMaximumHeight(200)
        self._box.addWidget(self.table)
        self._build_effects()
        self.masking = self._group("Masking", "MaskingGroupBox")
        QtWidgets.QVBoxLayout(self.masking).addWidget(QtWidgets.QLabel("Editable area: everywhere"))

    def _selector(self, label, kind, add):
        row = QtWidgets.QWidget()
        line = QtWidgets.QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        combo = qMRMLNodeComboBox()
        combo.setObjectName(("Segmentation" if add else "SourceVolume") + "NodeComboBox")
        combo.nodeTypes = [f"vtkMRML{kind}Node"]
        combo.addEnabled, combo.removeEnabled, combo.noneEnabled = add, False, True
        line.addWidget(QtWidgets.QLabel(label))
        line.addWidget(combo, 1)
        self._box.addWidget(row)
        return row, combo

    def _button(self, layout, text, name, checkable=False):
        button = QtWidgets.QToolButton()
        button.setText(text)
        button.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        button.setObjectName(name)
        button.setCheckable(checkable)
        layout.addWidget(button)
        return button

    def _group(self, title, name):
        group = QtWidgets.QGroupBox(title)
        group.setObjectName(name)
        self._box.addWidget(group)
        return group

    def _build_segment_buttons(self):
        row = QtWidgets.QHBoxLayout()
        self._box.addLayout(row)
        self.addRemove = QtWidgets.QWidget()
        inner = QtWidgets.QHBoxLayout(self.addRemove)
        inner.setContentsMargins(0, 0, 0, 0)
        self.add = self._button(inner, "Add", "AddSegmentButton")
        self.remove = self._button(inner, "Remove", "RemoveSegmentButton")
        row.addWidget(self.addRemove)
        self.show3D = self._button(row, "Show 3D", "Show3DButton", checkable=True)
        self.switchButton = self._button(row, "Segmentations...", "SwitchToSegmentationsButton")
        self.geometryButton = self._button(row, "⊞", "SpecifyGeometryButton")
        self.geometryButton.setToolTip("Specify geometry")

    def _build_effects(self):
        self.effects = self._group("Effects", "EffectsGroupBox")
        self._effect_row = QtWidgets.QHBoxLayout(self.effects)
        self._effect_buttons = {}
        self.addEffect(None)
        self.undoRow = QtWidgets.QWidget()
        row = QtWidgets.QHBoxLayout(self.undoRow)
        row.setContentsMargins(0, 0, 0, 0)
        row.addStretch(1)
        self.undo = self._button(row, "Undo", "UndoButton")
        self.redo = self._button(row, "Redo", "RedoButton")
        self._box.addWidget(self.undoRow)
        self.options = self._group("No editing", "OptionsGroupBox")
        self._options_box = QtWidgets.QVBoxLayout(self.options)

    def addEffect(self, effect):
        """A button for an effect; None is the arrow that stops editing."""
        name = effect.name if effect is not None else ""
        button = QtWidgets.QToolButton()
        button.setObjectName(name or "NULL")
        button.setText(name or "None")
        button.setCheckable(True)
        button.setAutoExclusive(True)
        button.setChecked(effect is None)
        button.clicked.connect(lambda *_: self.effectClicked.emit(name))
        self._effect_row.addWidget(button)
        self._effect_buttons[name] = button
        if effect is not None:
            self._options_box.addWidget(effect.optionsFrame())
            effect.optionsFrame().hide()

    def showEffects(self, names):
        """Only these effects, in this order."""
        for name, button in self._effect_buttons.items():
            button.setVisible(not name or name in names)
        for name in names:
            self._effect_row.removeWidget(self._effect_buttons[name])
            self._effect_row.addWidget(self._effect_buttons[name])

    def showActive(self, effect):
        """Press the button of the active effect and show its options."""
        name = effect.name if effect is not None else ""
        self._effect_buttons[name].setChecked(True)
        self.options.setTitle(name or "No editing")
        for index in range(self._options_box.count()):
            frame = self._options_box.itemAt(index).widget()
            frame.setVisible(effect is not None and frame is effect.optionsFrame())

    def show(self, widget, segmentation, volume, segment_id):
        """Show the nodes and the selected segment, and enable what can be done."""
        self.segmentations.setCurrentNode(segmentation)
        self.volumes.setCurrentNode(volume)
        self.table.setSegmentationNode(segmentation)
        self.table.setSelectedSegmentIDs([segment_id] if segment_id else [])
        self.table.readOnly = widget.readOnly
        logic = widget.segmentEditorLogic()
        self.add.setEnabled(not widget.readOnly and segmentation is not None and logic.CanAddSegments())
        self.remove.setEnabled(not widget.readOnly and segmentation is not None and logic.CanRemoveSegments())
        self.show3D.setEnabled(segmentation is not None)
        self.show3D.blockSignals(True)
        self.show3D.setChecked(segmentation is not None and logic.ContainsClosedSurfaceRepresentation())
        self.show3D.blockSignals(False)
        self.effects.setEnabled(not widget.readOnly and segmentation is not None and volume is not None)
