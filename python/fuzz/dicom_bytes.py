"""DICOM files byte by byte, so that each of them can be wrong in every way."""

import struct
from collections.abc import Mapping
from typing import Any

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
RUN_LENGTHS = "1.2.840.10008.1.2.5"
LONG = ("OB", "OW", "SQ", "UN", "UT")
UNSTATED = 0xFFFFFFFF

# Tag -> (type, value): a number for US, text, bytes as they are, or a list of elements for SQ.
Elements = Mapping[int, tuple[str, Any]]


def dicom_file(elements: Elements, syntax: str = EXPLICIT, *, unstated: bool = False) -> bytes:
    """A whole file; `unstated` leaves out the lengths of sequences and items."""
    meta = {0x00020002: elements.get(0x00080016, ("UI", "1.2")), 0x00020010: ("UI", syntax)}
    head = dataset(meta, EXPLICIT, unstated=False)
    length = element(0x00020000, "UL", struct.pack("<I", len(head)), EXPLICIT, unstated=False)
    return bytes(128) + b"DICM" + length + head + dataset(elements, syntax, unstated=unstated)


def dataset(elements: Elements, syntax: str, *, unstated: bool) -> bytes:
    """Elements in the order of their tags."""
    parts = (element(tag, kind, value, syntax, unstated=unstated) for tag, (kind, value) in sorted(elements.items()))
    return b"".join(parts)


def element(tag: int, kind: str, value: Any, syntax: str, *, unstated: bool) -> bytes:
    """One element."""
    order = ">" if syntax == BIG else "<"
    data = _value(kind, value, syntax, unstated=unstated)
    length = UNSTATED if kind == "SQ" and unstated else len(data)
    if kind == "SQ" and unstated:
        data += struct.pack(order + "HHI", 0xFFFE, 0xE0DD, 0)
    head = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
    if syntax == IMPLICIT:
        return head + struct.pack("<I", length) + data
    if kind in LONG:
        if tag == 0x7FE00010 and syntax == RUN_LENGTHS:
            length = UNSTATED
        return head + kind.encode() + struct.pack(order + "HI", 0, length) + data
    return head + kind.encode() + struct.pack(order + "H", length & 0xFFFF) + data


def _value(kind: str, value: Any, syntax: str, *, unstated: bool) -> bytes:
    order = ">" if syntax == BIG else "<"
    if isinstance(value, bytes):
        data = value
    elif isinstance(value, int):
        data = struct.pack(order + "H", value & 0xFFFF)
    elif isinstance(value, list):
        data = b"".join(_item(item, syntax, order, unstated=unstated) for item in value)
    else:
        data = str(value).encode()
    return data + (b"\0" if kind in ("UI", "OB", "OW") else b" ") * (len(data) % 2)


def _item(item: Elements, syntax: str, order: str, *, unstated: bool) -> bytes:
    data = dataset(item, syntax, unstated=unstated)
    head = struct.pack(order + "HHI", 0xFFFE, 0xE000, UNSTATED if unstated else len(data))
    return head + data + (struct.pack(order + "HHI", 0xFFFE, 0xE00D, 0) if unstated else b"")


def run_lengths(pixels: bytes, width: int) -> bytes:
    """One frame of little-endian pixels of `width` bytes in items, run-length coded without any long run."""
    segments = []
    for plane in reversed(range(width)):
        data = pixels[plane::width]
        runs = (data[place : place + 128] for place in range(0, len(data), 128))
        packed = b"".join(bytes([len(run) - 1]) + run for run in runs)
        segments.append(packed + bytes(len(packed) % 2))
    starts = [64 + sum(map(len, segments[:number])) for number in range(width)]
    frame = struct.pack("<16I", width, *starts, *[0] * (15 - width)) + b"".join(segments)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(frame)) + frame
    return struct.pack("<HHI", 0xFFFE, 0xE000, 0) + item + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
