"""Times and sizes for people, as short as they can be."""

from slicer.i18n import tr as _

_GIB, _MIB = 2**30, 2**20


def durationText(seconds: float) -> str:
    """`3 h 10`, `4 min`, or `12 s`."""
    if seconds < 90:
        return _("{seconds} s").format(seconds=max(1, round(seconds)))
    minutes = round(seconds / 60)
    if minutes < 60:
        return _("{minutes} min").format(minutes=minutes)
    return _("{hours} h {minutes:02d}").format(hours=minutes // 60, minutes=minutes % 60)


def sizeText(size_bytes: float) -> str:
    """`7.1 GB` or `35 MB`."""
    if size_bytes >= _GIB:
        return _("{size:.1f} GB").format(size=size_bytes / _GIB)
    return _("{size:.0f} MB").format(size=max(1, size_bytes / _MIB))


def lengthsText(lengths_mm) -> str:
    """`2.5 × 3.9 × 3.9`."""
    return " × ".join(f"{length:g}" for length in lengths_mm)
