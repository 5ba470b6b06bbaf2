"""A mark of this computer, so that patient images carried to another are noticed there."""

import hashlib
import platform
import sys
import uuid
from pathlib import Path

_LINUX = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


def machine_mark(salt: str) -> str:
    """64 hex digits that follow from this computer and a salt, and that tell nothing of it.

    It guards against carelessness, not against somebody who wants to make a mark.
    """
    return hashlib.sha256(f"{salt}\n{_identity()}".encode()).hexdigest()


def _identity() -> str:
    told = _windows() if sys.platform == "win32" else _linux()
    if told:
        return told
    address = uuid.getnode()
    made_up = bool(address >> 40 & 1)  # a random number where the system tells no address; it differs from run to run
    return f"{platform.node()} {'' if made_up else address}"


def _linux() -> str:
    for path in _LINUX:
        try:
            found = path.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            continue
        if found:
            return found
    return ""


if sys.platform == "win32":
    import winreg

    def _windows() -> str:
        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SOFTWARE\Microsoft\Cryptography") as key:
                return str(winreg.QueryValueEx(key, "MachineGuid")[0])
        except OSError:
            return ""

else:

    def _windows() -> str:
        return ""
