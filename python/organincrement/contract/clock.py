"""A clock that never goes back, though the computer's may: it is set by hand, or by a time server."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from .files import utc_now


class SteadyClock:
    """UTC times that only grow: where the computer's clock goes back, time goes on from where it was.

    Args: not_before: an earlier time of another process (ISO 8601), which the first is not to precede.
    """

    def __init__(
        self,
        not_before: str | None = None,
        now: Callable[[], str] = utc_now,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now, self._monotonic_s = now, monotonic_s
        self._last, self._last_s = not_before or "", monotonic_s()

    def __call__(self) -> str:
        """The present time as ISO 8601 in UTC with milliseconds."""
        now_s = self._monotonic_s()
        # times of one format and zone are in order as text
        self._last = max(self._now(), _later(self._last, now_s - self._last_s))
        self._last_s = now_s
        return self._last


def _later(time_text: str, seconds: float) -> str:
    try:
        moment = datetime.fromisoformat(time_text).astimezone(UTC) + timedelta(seconds=seconds)
    except ValueError:
        return time_text
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
