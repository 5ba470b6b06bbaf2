"""The most main memory that this process has had since a moment of one's choice."""

import sys
from pathlib import Path

import psutil

_MARK = "VmHWM:"
_RESET = "5"  # proc(5): sets the high-water mark to what is resident


def resident_bytes() -> int:
    """What this process has now, without its children."""
    return int(psutil.Process().memory_info().rss)


def reset_high_water() -> None:
    """Count from now on. Only Linux can; elsewhere the mark is that of the whole process, which is no less."""
    if sys.platform == "linux":
        try:
            Path("/proc/self/clear_refs").write_text(_RESET, encoding="ascii")
        except OSError:
            return  # a kernel built without it


def high_water_bytes() -> int:
    """The most since the last reset."""
    if sys.platform == "linux":
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(_MARK))
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
