"""Work-around for PySide6 6.12 with Python older than 3.12.

That release returns None, True and False without counting the reference (they are immortal from
Python 3.12 on).  In an older Python the counts go down with every call until the interpreter stops
with "deallocating None".  Giving the objects a count that cannot be used up avoids it.
"""

import ctypes
import sys


def protect():
    if sys.version_info < (3, 12) and sys.implementation.name == "cpython":
        for constant in (None, True, False, Ellipsis, NotImplemented):
            ctypes.c_ssize_t.from_address(id(constant)).value += 1 << 40
