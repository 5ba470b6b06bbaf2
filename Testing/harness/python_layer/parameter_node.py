"""`slicer.parameterNodeWrapper`: typed access to a vtkMRMLScriptedModuleNode.

A class decorated with @parameterNodeWrapper declares its parameters as annotated attributes.  The
values live in the node (text parameters and node references), so they are saved with the scene.
"""

import typing

import vtk

from harness.python_layer import parameter_types as pt
from harness.python_layer.parameter_gui import connector, parameter_widgets
from harness.python_layer.parameter_types import (
    Choice,
    Decimals,
    Default,
    FloatRange,
    Maximum,
    Minimum,
    NotNone,
    SingleStep,
    WithinRange,
)

__all__ = [
    "Choice",
    "Decimals",
    "Default",
    "FloatRange",
    "Maximum",
    "Minimum",
    "NotNone",
    "SingleStep",
    "WithinRange",
    "parameterNodeWrapper",
]


class _Parameter:
    """Descriptor of one parameter."""

    def __init__(self, name, annotation, default):
        self.name = name
        self.kind, self.extras = pt.split(annotation)
        self.nodes = pt.node_classes(self.kind)
        given = next((e for e in self.extras if isinstance(e, Default)), None)
        self.default = default if default is not None or given is None else given.value
        self.checks = [e for e in self.extras if hasattr(e, "validate")]

    def initial(self):
        return self.default if self.default is not None else pt.zero(self.kind)

    def validate(self, value):
        base = pt.plain(self.kind)
        if self.nodes:
            if value is not None and not any(value.IsA(n) for n in self.nodes):
                raise TypeError(f"{self.name} expects {self.nodes}, not {value.GetClassName()}")
        elif value is None and not pt.is_optional(self.kind):
            raise TypeError(f"{self.name} must not be None")
        elif base in (int, bool, str) and value is not None and type(value) is not base:
            raise TypeError(f"{self.name} expects {base.__name__}, not {type(value).__name__}")
        for check in self.checks:
            check.validate(value)

    def __get__(self, wrapper, owner=None):
        if wrapper is None:
            return self
        node, key = wrapper.parameterNode, wrapper._key(self.name)
        if self.nodes:
            return node.GetNodeReference(key)
        return pt.decode(node.GetParameter(key), self.kind) if wrapper._has(key) else self.initial()

    def __set__(self, wrapper, value):
        if pt.plain(self.kind) is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        self.validate(value)
        node, key = wrapper.parameterNode, wrapper._key(self.name)
        if self.nodes:
            node.SetNodeReferenceID(key, value.GetID() if value is not None else None)
        else:
            node.SetParameter(key, pt.encode(value, self.kind))


class _Connection:
    """All widgets of one connectGui() call."""

    def __init__(self, wrapper, widgets):
        self.wrapper, self.parts, self.busy = wrapper, [], False
        for name, widget in widgets.items():
            parameter = wrapper.allParameters.get(name)
            if parameter is None:
                raise ValueError(f"No parameter named {name!r} for the widget {widget.objectName}")
            signal, read, write = connector(widget, parameter.kind, parameter.extras)
            self.parts.append((name, widget, signal, read, write, self._handler(name, widget, read)))
        self.update()
        for _, widget, signal, _, _, handler in self.parts:
            if signal:
                getattr(widget, signal).connect(handler)
        self.tag = wrapper.parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self.update())

    def _handler(self, name, widget, read):
        def changed():
            if not self.busy:
                value = read(widget)
                if value != getattr(self.wrapper, name):
                    setattr(self.wrapper, name, value)

        return changed

    def update(self):
        if self.busy:
            return
        self.busy = True
        try:
            for name, widget, _, read, write, _ in self.parts:
                value = getattr(self.wrapper, name)
                if read(widget) != value:
                    write(widget, value)
        finally:
            self.busy = False

    def close(self):
        for _, widget, signal, _, _, handler in self.parts:
            if signal:
                getattr(widget, signal).disconnect(handler)
        self.wrapper.parameterNode.RemoveObserver(self.tag)


class _Wrapper:
    """Methods of every wrapped class."""

    def __init__(self, parameterNode, prefix=None):
        object.__setattr__(self, "parameterNode", parameterNode)
        object.__setattr__(self, "_prefix", f"{prefix}." if prefix else "")
        object.__setattr__(self, "_connections", {})
        with_defaults = [p for p in self.allParameters.values() if not p.nodes and not self._has(self._key(p.name))]
        for parameter in with_defaults:
            parameter.validate(parameter.initial()) if parameter.default is not None else None
            parameterNode.SetParameter(self._key(parameter.name), pt.encode(parameter.initial(), parameter.kind))

    def _key(self, name):
        return self._prefix + name

    def _has(self, key):
        return key in self.parameterNode.GetParameterNames()

    def __setattr__(self, name, value):
        if name not in self.allParameters and not name.startswith("_"):
            raise AttributeError(f"{type(self).__name__} has no parameter {name}")
        object.__setattr__(self, name, value)

    def __getattr__(self, name):
        if name[:1].isupper():  # VTK methods of the node: AddObserver, StartModify, GetID...
            return getattr(self.parameterNode, name)
        raise AttributeError(f"{type(self).__name__} has no parameter {name}")

    def default(self, name):
        return Default(self.allParameters[name].initial())

    def getValue(self, name):
        return getattr(self, name)

    def setValue(self, name, value):
        setattr(self, name, value)

    def dataType(self, name):
        return self.allParameters[name].kind

    def connectGui(self, gui):
        """Connect every widget whose SlicerParameterName names a parameter; returns a tag."""
        tag = max(self._connections, default=0) + 1
        self._connections[tag] = _Connection(self, parameter_widgets(gui))
        return tag

    connectParametersToGui = connectGui

    def disconnectGui(self, tag):
        self._connections.pop(tag).close()


def parameterNodeWrapper(cls=None):
    """Class decorator: annotated attributes become parameters."""
    if cls is None:
        return parameterNodeWrapper
    hints = typing.get_type_hints(cls, include_extras=True)
    own = {
        name: member
        for name, member in vars(cls).items()
        if name not in hints and name not in ("__dict__", "__weakref__", "__annotations__")
    }
    parameters = {name: _Parameter(name, kind, getattr(cls, name, None)) for name, kind in hints.items()}
    return type(cls.__name__, (_Wrapper,), {**own, **parameters, "allParameters": parameters})
