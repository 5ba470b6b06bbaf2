"""Stand-ins for the ctk widgets that hold numbers: sliders, spin boxes, ranges."""

import math

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal

from harness.pythonqt.shim_tools import stored, with_setters

BIG = 1e15  # QDoubleSpinBox cannot use infinite limits


def finite(value):
    return max(-BIG, min(BIG, float(value)))


def reported(value):
    """The limit as the module set it."""
    return math.copysign(math.inf, value) if abs(value) >= BIG else value


@with_setters
class ctkDoubleSpinBox(QtWidgets.QDoubleSpinBox):
    cpp_class = True
    DecimalsOption = 0
    decimalsOption = stored(int, "decimalsOption", 0)

    def __init__(self, parent=None):
        super().__init__(parent)

    def setMinimum(self, value):
        QtWidgets.QDoubleSpinBox.setMinimum(self, finite(value))

    def setMaximum(self, value):
        QtWidgets.QDoubleSpinBox.setMaximum(self, finite(value))

    minimum = Property(float, lambda s: reported(QtWidgets.QDoubleSpinBox.minimum(s)), setMinimum)
    maximum = Property(float, lambda s: reported(QtWidgets.QDoubleSpinBox.maximum(s)), setMaximum)


@with_setters
class ctkDoubleSlider(QtWidgets.QWidget):
    """A slider over floating point values."""

    cpp_class = True
    valueChanged = Signal(float)
    sliderMoved = Signal(float)
    sliderPressed = Signal()
    sliderReleased = Signal()
    rangeChanged = Signal(float, float)
    STEPS = 1000

    def __init__(self, *args):
        orientation = next((a for a in args if isinstance(a, QtCore.Qt.Orientation)), QtCore.Qt.Horizontal)
        super().__init__(next((a for a in args if isinstance(a, QtWidgets.QWidget)), None))
        self._bar = QtWidgets.QSlider(orientation, self)
        self._bar.setRange(0, self.STEPS)
        self._range, self._value_ = (0.0, 99.0), 0.0
        box = QtWidgets.QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self._bar)
        self._bar.valueChanged.connect(self._moved)
        self._bar.sliderPressed.connect(self.sliderPressed)
        self._bar.sliderReleased.connect(self.sliderReleased)

    def _moved(self, step):
        low, high = self._range
        self._apply(low + (high - low) * step / self.STEPS, from_bar=True)

    def _apply(self, value, from_bar=False):
        value = min(max(float(value), self._range[0]), self._range[1])
        if not from_bar:
            low, high = self._range
            span = (high - low) or 1.0
            self._bar.blockSignals(True)
            self._bar.setValue(round((value - low) / span * self.STEPS))
            self._bar.blockSignals(False)
        if value != self._value_:
            self._value_ = value
            self.valueChanged.emit(value)

    def setRange(self, low, high):
        self._range = (finite(low), max(finite(low), finite(high)))
        self.rangeChanged.emit(*self._range)
        self._apply(self._value_)

    value = Property(float, lambda s: s._value_, _apply)
    minimum = Property(float, lambda s: reported(s._range[0]), lambda s, v: s.setRange(v, max(v, s._range[1])))
    maximum = Property(float, lambda s: reported(s._range[1]), lambda s, v: s.setRange(min(v, s._range[0]), v))
    singleStep = stored(float, "singleStep", 1.0)
    pageStep = stored(float, "pageStep", 10.0)
    tracking = stored(bool, "tracking", True)


@with_setters
class ctkSliderWidget(QtWidgets.QWidget):
    """A slider next to a spin box, always showing the same value."""

    cpp_class = True
    valueChanged = Signal(float)
    valueIsChanging = Signal(float)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._slider, self._spin = ctkDoubleSlider(self), ctkDoubleSpinBox(self)
        box = QtWidgets.QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self._slider, 1)
        box.addWidget(self._spin)
        self._value_ = 0.0
        self.setRange(0.0, 99.0)
        self._slider.valueChanged.connect(self._apply)
        self._spin.valueChanged.connect(self._apply)

    def _apply(self, value):
        value = min(max(float(value), self.minimum), self.maximum)
        value = round(value, self._spin.decimals)
        for part in (self._slider, self._spin):
            part.blockSignals(True)
            part.setValue(value)
            part.blockSignals(False)
        if value != self._value_:
            self._value_ = value
            self.valueIsChanging.emit(value)
            self.valueChanged.emit(value)

    def setRange(self, low, high):
        self._slider.setRange(low, high)
        self._spin.setRange(finite(low), finite(high))
        self._apply(self._value_)

    def slider(self):
        return self._slider

    def spinBox(self):
        return self._spin

    def reset(self):
        self._apply(min(max(0.0, self.minimum), self.maximum))

    value = Property(float, lambda s: s._value_, _apply)
    minimum = Property(float, lambda s: s._slider.minimum, lambda s, v: s.setRange(v, max(v, s.maximum)))
    maximum = Property(float, lambda s: s._slider.maximum, lambda s, v: s.setRange(min(v, s.minimum), v))
    decimals = Property(int, lambda s: s._spin.decimals, lambda s, v: s._spin.setDecimals(v))
    singleStep = Property(float, lambda s: s._spin.singleStep, lambda s, v: s._spin.setSingleStep(v))
    pageStep = stored(float, "pageStep", 10.0)
    suffix = Property(str, lambda s: s._spin.suffix, lambda s, v: s._spin.setSuffix(v))
    prefix = Property(str, lambda s: s._spin.prefix, lambda s, v: s._spin.setPrefix(v))
    tracking = stored(bool, "tracking", True)
    spinBoxVisible = Property(bool, lambda s: not s._spin.isHidden(), lambda s, v: s._spin.setVisible(v))


@with_setters
class ctkRangeWidget(QtWidgets.QWidget):
    """Two values, the lower and the upper end of a range."""

    cpp_class = True
    valuesChanged = Signal(float, float)
    minimumValueChanged = Signal(float)
    maximumValueChanged = Signal(float)
    minimumValueIsChanging = Signal(float)
    maximumValueIsChanging = Signal(float)
    rangeChanged = Signal(float, float)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._low, self._high = ctkDoubleSpinBox(self), ctkDoubleSpinBox(self)
        self._bar = ctkDoubleSlider(self)
        self._bar.setEnabled(False)
        box = QtWidgets.QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        for part, stretch in ((self._low, 0), (self._bar, 1), (self._high, 0)):
            box.addWidget(part, stretch)
        self._values, self._limits = (0.0, 99.0), (0.0, 99.0)
        self.setRange(0.0, 99.0)
        self._low.valueChanged.connect(lambda v: self.setValues(v, self._values[1]))
        self._high.valueChanged.connect(lambda v: self.setValues(self._values[0], v))

    def setRange(self, low, high):
        self._limits = (finite(low), max(finite(low), finite(high)))
        for part in (self._low, self._high, self._bar):
            part.blockSignals(True)
            part.setRange(*self._limits)
            part.blockSignals(False)
        self.rangeChanged.emit(*self._limits)
        self.setValues(*self._values)

    def setValues(self, low, high):
        clamp = lambda v: min(max(float(v), self._limits[0]), self._limits[1])  # noqa: E731
        new, old = tuple(sorted((clamp(low), clamp(high)))), self._values
        for part, value in ((self._low, new[0]), (self._high, new[1]), (self._bar, new[1])):
            part.blockSignals(True)
            part.setValue(value)
            part.blockSignals(False)
        self._values = new
        if new[0] != old[0]:
            self.minimumValueChanged.emit(new[0])
        if new[1] != old[1]:
            self.maximumValueChanged.emit(new[1])
        if new != old:
            self.valuesChanged.emit(*new)

    def setMinimumValue(self, value):
        self.setValues(value, max(value, self._values[1]))

    def setMaximumValue(self, value):
        self.setValues(min(value, self._values[0]), value)

    minimum = Property(float, lambda s: s._limits[0], lambda s, v: s.setRange(v, max(v, s._limits[1])))
    maximum = Property(float, lambda s: s._limits[1], lambda s, v: s.setRange(min(v, s._limits[0]), v))
    minimumValue = Property(float, lambda s: s._values[0], setMinimumValue)
    maximumValue = Property(float, lambda s: s._values[1], setMaximumValue)
    decimals = Property(
        int, lambda s: s._low.decimals, lambda s, v: [box.setDecimals(v) for box in (s._low, s._high)] and None
    )
    singleStep = Property(
        float, lambda s: s._low.singleStep, lambda s, v: [box.setSingleStep(v) for box in (s._low, s._high)] and None
    )
    tracking = stored(bool, "tracking", True)


class ctkDoubleRangeSlider(ctkRangeWidget):
    pass


@with_setters
class ctkCoordinatesWidget(QtWidgets.QWidget):
    cpp_class = True
    coordinatesChanged = Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._boxes = [ctkDoubleSpinBox(self) for _ in range(3)]
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for box in self._boxes:
            box.setRange(-BIG, BIG)
            box.valueChanged.connect(lambda *_: self.coordinatesChanged.emit([b.value for b in self._boxes]))
            layout.addWidget(box)

    def _put(self, text):
        for box, number in zip(self._boxes, str(text).split(","), strict=False):
            box.setValue(float(number))

    coordinates = Property(str, lambda s: ",".join(f"{b.value:g}" for b in s._boxes), _put)
    decimals = Property(int, lambda s: s._boxes[0].decimals, lambda s, v: [b.setDecimals(v) for b in s._boxes] and None)
