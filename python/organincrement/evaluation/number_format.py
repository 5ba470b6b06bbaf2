"""How numbers are written in a report; a value that does not exist is a dash."""

import math
from collections.abc import Sequence
from typing import TypeGuard

MISSING = "–"
MINUS = "−"


def exists(value: float | None) -> TypeGuard[float]:
    """True for a number that can be shown: not None, not nan."""
    return value is not None and not math.isnan(value)


def decimal(value: float | None, digits: int = 1) -> str:
    """A number with a fixed count of decimals and a real minus sign; -0.0 is 0.0."""
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", MINUS)


def percent(fraction: float | None) -> str:
    """A fraction as per cent with one decimal, without the sign: 0.8125 is 81.2."""
    return MISSING if fraction is None else decimal(100 * fraction)


def signed_percent(fraction: float | None) -> str:
    """A difference of fractions in percentage points, with its sign."""
    text = percent(fraction)
    return text if fraction is None or text in (MISSING, "0.0") or text.startswith(MINUS) else f"+{text}"


def interval(ci95: Sequence[float] | None) -> str:
    """A confidence interval of fractions in per cent."""
    if ci95 is None or not all(exists(end) for end in ci95):
        return MISSING
    return f"{percent(ci95[0])}–{percent(ci95[1])}"


def duration(seconds: float | None) -> str:
    """Seconds as the two largest units: 45 s, 12 min 5 s, 3 h 10 min."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    large, small, names = (whole // 60, whole % 60, ("min", "s"))
    if whole >= 3600:
        large, small, names = (whole // 3600, whole % 3600 // 60, ("h", "min"))
    return f"{large} {names[0]}" + (f" {small} {names[1]}" if small else "")


def p_value(p: float | None) -> str:
    """A p value as papers print it."""
    if p is None or math.isnan(p):
        return MISSING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
