"""What a confirmed program is kept from, for as long as the process lives: the network, and other programs.

On Linux (x86-64 and ARM64) the process gives up, for good and for all its threads, opening sockets other than local
ones (AF_UNIX), io_uring (which could open them unseen) and starting other programs with more rights than it has: a
seccomp filter, which needs no administrator. Elsewhere, and where the system refuses the filter, nothing of this holds;
what protects there is what protects everywhere: code is scanned as text before it is loaded, and only operators of
`program_operators` pass, none of which can open a socket or a file, or start a program. Temporary files of the process
go to a folder of its own, which only this user can read and which is removed at the end.
"""

import atexit
import ctypes
import os
import platform
import shutil
import struct
import sys
import tempfile
from collections.abc import Sequence

_SOCKET = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}  # AUDIT_ARCH, number of the system call
_IO_URING_SETUP = 425
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16  # places in struct seccomp_data
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | 1  # EPERM
_AF_UNIX = 1
_X32_BIT = 0x40000000  # the numbers of a third set of system calls, which nobody uses
_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER, _ALL_THREADS = 1, 1
_SYS_SECCOMP = {"x86_64": 317, "aarch64": 277}

_STATE = {"confined": False, "offline": False}


def confine() -> bool:
    """Confine this process for good; again does nothing. Returns: whether the network is out of reach."""
    if not _STATE["confined"]:
        folder = tempfile.mkdtemp(prefix="organincrement-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        _STATE.update(confined=True, offline=_without_network())
    return _STATE["offline"]


def _without_network() -> bool:
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _SOCKET:
        return False
    steps = _filter(*_SOCKET[machine])
    code = b"".join(struct.pack("<HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HxxxxxxP", len(steps), ctypes.addressof(buffer))
    system = ctypes.CDLL(None, use_errno=True)
    if system.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(system.syscall(_SYS_SECCOMP[machine], _SET_MODE_FILTER, _ALL_THREADS, program) == 0)


def _filter(arch: int, socket: int) -> Sequence[tuple[int, int, int, int]]:
    """(code, steps to skip when true, when false, value): refuse sockets but AF_UNIX, io_uring, other architectures."""
    return (
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 0, 7, arch),
        (_LOAD, 0, 0, _NUMBER),
        (_EQUAL, 5, 0, _IO_URING_SETUP),
        (_EQUAL, 1, 0, socket),
        (_AT_LEAST, 3, 2, _X32_BIT),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUAL, 0, 1, _AF_UNIX),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    )
