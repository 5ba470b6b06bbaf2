"""Whether a file or folder may be a model of another tool, going by names and first bytes; takes no time."""

import os
from collections.abc import Iterator
from pathlib import Path

ENDINGS = frozenset({".pt", ".pth", ".ts", ".ckpt", ".safetensors", ".model", ".pkl"})
_NAMES = frozenset({"plans.json", "plans.pkl", "metadata.json", "inference.json"})
_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")  # a zip, a pickle
_MOST_ENTRIES, _DEEPEST = 2000, 4


def may_be_model(path: Path) -> bool:
    """True where it is worth asking the formats, which takes importing torch."""
    if path.is_dir():
        return any(_is_sign(entry) for entry in _entries(path))
    return path.is_file() and (path.suffix.lower() in ENDINGS or _starts_as_model(path))


def _is_sign(entry: os.DirEntry[str]) -> bool:
    ending = Path(entry.name).suffix.lower()
    return ending in ENDINGS or entry.name in _NAMES or (entry.name.startswith("fold_") and entry.is_dir())


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """The first entries of a folder and those below it, level by level; links are not followed."""
    level, left = [str(folder)], _MOST_ENTRIES
    for _ in range(_DEEPEST):
        below = []
        for place in level:
            for entry in _listed(place):
                left -= 1
                if left < 0:
                    return
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.path)
        level = below


def _listed(place: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(place) as entries:
            yield from entries
    except OSError:  # may not be listed
        return


def _starts_as_model(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(9)
            size = path.stat().st_size
    except OSError:
        return False
    header_bytes = int.from_bytes(start[:8], "little")
    return start.startswith(_STARTS) or (start[8:] == b"{" and 0 < header_bytes <= size)
