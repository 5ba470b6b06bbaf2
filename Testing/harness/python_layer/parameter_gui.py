"""Two-way connection of a parameter and an input widget."""

import math

import ctk
import qt
import slicer

from harness.python_layer import parameter_types as pt


def _limits(widget, extras):
    """The limits come from the annotations, not from the form (as in the application)."""
    low = any(isinstance(e, (pt.WithinRange, pt.Minimum)) for e in extras)
    high = any(isinstance(e, (pt.WithinRange, pt.Maximum)) for e in extras)
    if isinstance(widget, (qt.QSlider, ctk.ctkSliderWidget, ctk.ctkRangeWidget)):
        if not (low and high):
            raise RuntimeError(f"The parameter of a {type(widget).__name__} needs limits (WithinRange)")
    else:
        whole = isinstance(widget, qt.QSpinBox)
        widget.minimum, widget.maximum = (-(2**31), 2**31 - 1) if whole else (-math.inf, math.inf)
    for extra in extras:
        if isinstance(extra, (pt.WithinRange, pt.Minimum)):
            widget.minimum = extra.minimum
        if isinstance(extra, (pt.WithinRange, pt.Maximum)):
            widget.maximum = extra.maximum
        if isinstance(extra, pt.SingleStep):
            widget.singleStep = extra.value
        if isinstance(extra, pt.Decimals) and hasattr(widget, "decimals"):
            widget.decimals = extra.value


def _number(kind):
    return lambda w: kind(w.value)


def connector(widget, kind, extras):
    """(signal name, read function, write function) for a widget and a type."""
    base = pt.plain(kind)
    nodes = pt.node_classes(kind)
    if isinstance(widget, slicer.qMRMLNodeComboBox) and nodes:
        widget.nodeTypes = nodes
        return "currentNodeChanged", lambda w: w.currentNode(), lambda w, v: w.setCurrentNode(v)
    if base is bool and isinstance(widget, qt.QAbstractButton):
        widget.checkable = True
        return "toggled", lambda w: w.checked, lambda w, v: setattr(w, "checked", bool(v))
    if base in (int, float) and isinstance(
        widget, (qt.QSlider, qt.QSpinBox, qt.QDoubleSpinBox, ctk.ctkSliderWidget, ctk.ctkDoubleSlider)
    ):
        _limits(widget, extras)
        return "valueChanged", _number(base), lambda w, v: setattr(w, "value", v)
    if isinstance(widget, qt.QComboBox):
        return _combo(widget, base, extras)
    if base is str and isinstance(widget, (qt.QLineEdit, qt.QLabel)):
        signal = "textChanged" if isinstance(widget, qt.QLineEdit) else None
        return signal, lambda w: w.text, lambda w, v: setattr(w, "text", v)
    if base is str and isinstance(widget, (qt.QTextEdit, qt.QPlainTextEdit)):
        return "textChanged", lambda w: w.plainText, lambda w, v: w.setPlainText(v)
    if isinstance(widget, (ctk.ctkPathLineEdit, ctk.ctkDirectoryButton)):
        return (
            "currentPathChanged",
            lambda w: base(w.currentPath),
            lambda w, v: w.setCurrentPath("" if v is None else str(v)),
        )
    if base is pt.FloatRange and isinstance(widget, ctk.ctkRangeWidget):
        _limits(widget, extras)
        return (
            "valuesChanged",
            lambda w: pt.FloatRange(w.minimumValue, w.maximumValue),
            lambda w, v: w.setValues(v.minimum, v.maximum),
        )
    raise RuntimeError(f"A {type(widget).__name__} cannot be connected to a parameter of type {kind}")


def _combo(widget, base, extras):
    choices = next((e.choices for e in extras if isinstance(e, pt.Choice)), None)
    if choices is None:
        choices = list(base) if isinstance(base, type) and hasattr(base, "__members__") else None
    if choices is None:
        raise RuntimeError("A combo box needs a Choice annotation or an enum type")
    widget.clear()
    for choice in choices:
        label = getattr(choice, "label", None)
        widget.addItem(label() if callable(label) else str(getattr(choice, "value", choice)))
    return (
        "currentIndexChanged",
        lambda w: choices[max(0, w.currentIndex)],
        lambda w, v: setattr(w, "currentIndex", choices.index(v)),
    )


def parameter_widgets(gui):
    """{parameter name: widget} from a dict, a loaded form or the object of childWidgetVariables()."""
    if isinstance(gui, dict):
        return dict(gui)
    candidates = [gui, *gui.findChildren(qt.QWidget)] if isinstance(gui, qt.QWidget) else vars(gui).values()
    named = {}
    for widget in candidates:
        name = widget.property("SlicerParameterName") if isinstance(widget, qt.QWidget) else None
        if name:
            named[name] = widget
    return named
