"""Which organ each label of a .seg.nrrd stands for, from the key/value pairs of its header.

Source: the segment fields of Slicer's "Segmentations" developer guide. Ours and Slicer's files are read alike.
"""

import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from organincrement.contract.errors import ContractError
from organincrement.contract.labels import Code, Organ, check_id
from organincrement.contract.organs import organ_from_name
from organincrement.imaging.errors import ImageError
from organincrement.imaging.header import open_regular
from organincrement.imaging.nrrd_header import MAX_HEADER_BYTES, MAX_HEADER_LINES
from organincrement.imaging.writing import HOST_TAG

_PAIR = re.compile(r"Segment(\d{1,5})_(ID|Name|Color|LabelValue|Tags):=(.*)")
# Slicer's own names of segments that nobody named, and its UIDs: they say nothing of an organ.
_NO_ID = re.compile(r"Segment(_\d+)*|[\d.]+", re.IGNORECASE)
_TISSUE = "85756007"  # what Slicer calls every segment that nobody gave a terminology


def read_segments(path: Path | str) -> dict[int, Organ]:
    """Label value -> organ, in the order of the file's segments; empty where it names none.

    Raises ImageError for a header that is none, a segment without a name or a value, and one value of two segments.
    """
    path = Path(path)
    organs: dict[int, Organ] = {}
    for number, fields in sorted(_fields(path).items()):
        value = fields.get("LabelValue", "1")
        if not re.fullmatch(r"[1-9]\d{0,4}", value):
            raise ImageError(f"{path}: its segment {number} has no label value; save it again")
        if int(value) in organs:
            raise ImageError(f"{path}: two of its segments have the value {value}; save it as one layer")
        organs[int(value)] = _organ(path, number, fields)
    return organs


def _fields(path: Path) -> dict[int, dict[str, str]]:
    """By the segment's number, what its header says."""
    found: dict[int, dict[str, str]] = {}
    with open_regular(path).open("rb") as file:
        if not re.fullmatch(rb"NRRD000[1-5]\r?\n", file.readline(16)):
            raise ImageError(f"{path}: is no NRRD image; save the segmentation as .seg.nrrd")
        for _ in range(MAX_HEADER_LINES):
            line = file.readline(MAX_HEADER_BYTES).decode("utf-8", errors="replace").rstrip("\r\n")
            if not line or file.tell() > MAX_HEADER_BYTES:
                break
            if pair := _PAIR.fullmatch(line):
                found.setdefault(int(pair[1]), {})[pair[2]] = pair[3].strip()
    return found


def _organ(path: Path, number: int, fields: dict[str, str]) -> Organ:
    name, segment_id = fields.get("Name", ""), fields.get("ID", "")
    try:
        named = organ_from_name(name or segment_id)
    except ContractError:
        raise ImageError(f"{path}: its segment {number} is called {name[:40]!r}; give it an organ's name") from None
    tags = dict(part.split(":", 1) for part in fields.get("Tags", "").split("|") if ":" in part)
    category, kind, modifier = _codes(tags.get("TerminologyEntry", ""))
    if kind is not None and kind.value != _TISSUE:
        named = replace(named, category=category, type=kind, modifier=modifier)
    with suppress(ContractError):
        check_id(segment_id)
        if not _NO_ID.fullmatch(segment_id):
            named = replace(named, id=segment_id)
    with suppress(ContractError, KeyError):
        check_id(tags[HOST_TAG])
        named = replace(named, kind="anomaly", host=tags[HOST_TAG])
    return replace(named, name=name or named.name, color=_color(fields.get("Color", "")) or named.color)


def _codes(entry: str) -> tuple[Code | None, ...]:
    """Category, type and modifier of context~category~type~modifier~…, each scheme^value^meaning."""
    parts = [part.split("^") for part in entry.split("~")[1:4]]
    codes = [Code(*part) if len(part) == 3 and part[0] and part[1] else None for part in parts]
    return (*codes, None, None, None)[:3]


def _color(text: str) -> tuple[int, int, int] | None:
    numbers = [float(word) for word in text.split() if re.fullmatch(r"[01](\.\d{1,9})?", word)]
    if len(numbers) != 3 or max(numbers) > 1:
        return None
    red, green, blue = (round(255 * number) for number in numbers)
    return red, green, blue
