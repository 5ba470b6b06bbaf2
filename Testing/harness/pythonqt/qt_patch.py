"""Make PySide6 classes behave like PythonQt wrappers.

The PySide6 classes are changed in place (not subclassed), so an object that C++ created, for
instance a child widget from a .ui file, has the same type and behaviour as one made in Python:

* Qt properties are attributes (`button.enabled = False`, `label.text`), no longer methods;
* `obj.connect('clicked(bool)', f)` and `obj.disconnect('clicked(bool)', f)`;
* an unknown attribute cannot be set on an object of a C++ class;
* dynamic properties can be read as attributes, `name` is `objectName`, `className()` exists.
"""

import contextlib
import inspect
import re
import types

import shiboken6
from PySide6 import QtCore

loading_form = [False]  # PySide6 sets every child of a form as an attribute of it: not wanted here
_connections = {}  # C++ address -> list of (signal name, target, wrapper, bound signal)


class QtPropertyAttribute:
    """A Qt property as an attribute; on the class itself the original method stays reachable."""

    def __init__(self, name, getter, setter, original):
        self.name, self.getter, self.setter, self.original = name, getter, setter, original

    def __get__(self, obj, owner=None):
        if obj is None:
            return self.original if self.original is not None else self
        return self.getter(obj) if self.getter else obj.property(self.name)

    def __set__(self, obj, value):
        if self.setter:
            try:
                self.setter(obj, value)
                return
            except TypeError as error:
                problem = error
        else:
            problem = AttributeError(f"property '{self.name}' of {type(obj).__name__} is read-only")
        meta = obj.metaObject()
        prop = meta.property(meta.indexOfProperty(self.name))
        if not (prop.isWritable() and QtCore.QObject.setProperty(obj, self.name, value)):
            raise problem


def _plain(cls, name):
    """The unpatched C++ method `name` of cls, or None."""
    for base in cls.__mro__:
        member = base.__dict__.get(name)
        if isinstance(member, QtPropertyAttribute):
            member = member.original
        if member is not None and callable(getattr(cls, name, None)) and not isinstance(member, property):
            return member if not isinstance(member, (staticmethod, classmethod)) else None
    return None


def _bindable(member):
    return (lambda obj, *args: member.__get__(obj, type(obj))(*args)) if member is not None else None


def _properties(cls):
    meta = cls.staticMetaObject
    for index in range(meta.propertyCount()):
        own = index >= meta.propertyOffset()
        prop = meta.property(index)
        name = prop.name()
        inherited_override = name in cls.__dict__ and not isinstance(cls.__dict__[name], QtPropertyAttribute)
        if own or inherited_override:
            yield name, prop


def patch_properties(cls):
    for name, _ in list(_properties(cls)):
        if not name.isidentifier():
            continue
        cap = name[0].upper() + name[1:]
        original = cls.__dict__.get(name)
        if isinstance(original, QtPropertyAttribute):
            original = original.original
        if name == "singleShot":  # QTimer: a static method and a property of the same name
            getter = QtCore.QTimer.isSingleShot
        else:
            getter = _plain(cls, name) or _plain(cls, "is" + cap) or _plain(cls, "has" + cap)
        setter = _plain(cls, "set" + cap)
        shown = getattr(cls, name, None) if original is not None else None
        setattr(cls, name, QtPropertyAttribute(name, _bindable(getter), _bindable(setter), shown))


def positional_capacity(function):
    """How many positional arguments a callable takes (None: any number)."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


def split_signature(signature):
    match = re.fullmatch(r"\s*[12]?(\w+)\s*(?:\((.*)\))?\s*", signature)
    if not match:
        raise ValueError(f"Not a signal or slot signature: {signature!r}")
    name, args = match.groups()
    types_ = [a.strip() for a in args.split(",")] if args and args.strip() else []
    return name, types_, args is not None


def find_signal(obj, signature):
    """The bound signal for 'name(types)', and how many of its arguments the signature asks for."""
    name, types_, explicit = split_signature(signature)
    overloads = getattr(type(obj), "signal_overloads", {})
    if explicit and f"{name}({','.join(types_)})" in overloads:
        name = overloads[f"{name}({','.join(types_)})"]
    signal = getattr(obj, name, None)
    if signal is None or not hasattr(signal, "emit"):
        raise AttributeError(f"{type(obj).__name__} has no signal {signature}")
    meta = obj.metaObject()
    cpp = QtCore.QMetaObject.normalizedSignature(f"{name}({','.join(types_)})")
    cpp = bytes(cpp.data()).decode() if hasattr(cpp, "data") else str(cpp)
    if explicit and not getattr(type(obj), "cpp_class", False) and meta.indexOfSignal(cpp) < 0:
        raise AttributeError(f"{type(obj).__name__} has no signal {signature}")
    if types_ and meta.indexOfSignal(cpp) >= 0:
        with contextlib.suppress(KeyError, IndexError, TypeError):
            signal = signal[tuple(types_)] if len(types_) > 1 else signal[types_[0]]
    return signal, (len(types_) if explicit else None)


def connect(self, signature, target, slot=None):
    if slot is not None:
        target = getattr(target, split_signature(slot)[0])
    if hasattr(target, "emit") and not callable(target):
        target = target.emit
    signal, offered = find_signal(self, signature)
    capacity = positional_capacity(target)

    def call(*args):
        args = args[:offered] if offered is not None else args
        return target(*(args if capacity is None else args[:capacity]))

    address = shiboken6.getCppPointer(self)[0]
    if address not in _connections:
        _connections[address] = []
        self.destroyed.connect(lambda *_: _connections.pop(address, None))
    _connections[address].append((split_signature(signature)[0], target, call, signal))
    signal.connect(call)
    return True


def disconnect(self, signature=None, target=None, slot=None):
    if slot is not None:
        target = getattr(target, split_signature(slot)[0])
    wanted = split_signature(signature)[0] if signature else None
    kept, gone = [], []
    for entry in _connections.get(shiboken6.getCppPointer(self)[0], []):
        match = wanted in (None, entry[0]) and (target is None or entry[1] == target)
        (gone if match else kept).append(entry)
    for _, _, wrapper, signal in gone:
        signal.disconnect(wrapper)
    _connections[shiboken6.getCppPointer(self)[0]] = kept
    return bool(gone)


def _attribute_access(cls):
    original_get = cls.__getattribute__

    def getter(self, name):
        if name == "connect":
            return types.MethodType(connect, self)
        if name == "disconnect":
            return types.MethodType(disconnect, self)
        try:
            return original_get(self, name)
        except AttributeError:
            if not name.startswith("_") and self.dynamicPropertyNames():
                value = QtCore.QObject.property(self, name)
                if value is not None:
                    return value
            raise

    def setter(self, name, value):
        kind = type(self)
        if not hasattr(kind, name):
            if loading_form[0] and isinstance(value, QtCore.QObject) and not name.startswith("_"):
                return
            if getattr(kind, "cpp_class", None) is None:
                python_subclass = not kind.__module__.startswith("PySide6.")
                allowed = python_subclass
            else:  # a stand-in for a C++ class: only its own underscore-prefixed internals
                allowed = name.startswith("_") or not kind.cpp_class
            if not allowed:
                raise AttributeError(f"{kind.__name__} has no attribute '{name}', and C++ objects take no new ones")
        member = getattr(kind, name, None)
        if isinstance(member, QtCore.Property):  # a property of a stand-in widget
            if member.fset is None:
                raise AttributeError(f"property '{name}' of {kind.__name__} is read-only")
            member.fset(self, value)
        else:
            shiboken6.Shiboken.Object.__setattr__(self, name, value)

    return getter, setter


def patch(modules):
    """Patch every QObject class of the given PySide6 modules, base classes first."""
    classes = set()
    for module in modules:
        for name in dir(module):
            member = getattr(module, name)
            if inspect.isclass(member) and issubclass(member, QtCore.QObject):
                classes.add(member)
    access = {cls: _attribute_access(cls) for cls in classes}  # read originals before any change
    for cls in sorted(classes, key=lambda c: (len(c.__mro__), c.__name__)):
        patch_properties(cls)
    for cls, (getter, setter) in access.items():
        cls.__getattribute__ = getter
        cls.__setattr__ = setter
        if cls.__dict__.get("exec") is not None:
            cls.exec_ = cls.exec
    QtCore.QObject.name = property(lambda self: self.objectName, lambda self, value: self.setObjectName(value))
    QtCore.QObject.className = lambda self: (
        type(self).__name__ if getattr(type(self), "cpp_class", None) else self.metaObject().className()
    )
