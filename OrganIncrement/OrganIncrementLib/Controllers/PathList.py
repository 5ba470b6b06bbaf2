"""Lists of paths in a parameter node, which holds texts: written as JSON, read with care."""

import json
from collections.abc import Iterable


def pathsOf(text: str) -> tuple[str, ...]:
    """The paths, each once and in their order; none where a scene holds something else."""
    try:
        paths = json.loads(text or "[]")
    except (ValueError, RecursionError):
        return ()
    if not isinstance(paths, list):
        return ()
    return tuple(dict.fromkeys(path for path in paths if isinstance(path, str) and path))


def textOf(paths: Iterable[str]) -> str:
    """The text for a parameter node; empty for no path."""
    unique = list(dict.fromkeys(paths))
    return json.dumps(unique) if unique else ""
