"""Small helpers to write stand-ins for C++ widgets."""

from PySide6.QtCore import Property


def stored(kind, name, default, changed=None):
    """A Qt property kept in the Python object; `changed(self)` is called after a new value."""
    slot = "_" + name

    def get(self):
        value = self.__dict__.get(slot, default)
        return tuple(value) if kind == "QStringList" else value  # PythonQt gives tuples

    def put(self, value):
        if self.__dict__.get(slot, default) != value:
            self.__dict__[slot] = value
            if changed:
                changed(self)

    return Property(kind, get, put)


def delegated(kind, name, child):
    """A Qt property that is the property of the same name of a child widget."""

    def get(self):
        return getattr(getattr(self, child), name)

    def put(self, value):
        setattr(getattr(self, child), name, value)

    return Property(kind, get, put)


def with_setters(cls):
    """Class decorator: add the setX() method of every Qt property that lacks one."""

    def make(name):
        return lambda self, value: setattr(self, name, value)

    for base in cls.__mro__:
        for name, member in list(base.__dict__.items()):
            if isinstance(member, Property):
                setter = "set" + name[0].upper() + name[1:]
                if not hasattr(cls, setter):
                    setattr(cls, setter, make(name))
    return cls
