"""The few tags of a DICOM file that tell where its pixels lie and what they mean; nothing about the patient is kept.

Explicit and implicit value types, either byte order, the deflated form, nested items of stated and unstated length.
Source: DICOM PS3.5 (2024), sections 7 and A, and PS3.10, section 7.
"""

import io
import os
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

from organincrement.imaging.errors import ImageError

MAX_ELEMENTS = 400_000
MAX_DEPTH = 12
MAX_VALUE_BYTES = 1024
MAX_INFLATED_BYTES = 256 * 2**20
UNSTATED = 0xFFFFFFFF
IMPLICIT_LITTLE, DEFLATED, EXPLICIT_BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
LONG_TYPES = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
SHORT_TYPES = {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH",
               b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}  # fmt: skip
PIXEL_DATA = 0x7FE00010
FLOAT_PIXELS = (0x7FE00008, 0x7FE00009)
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD

# What is kept, by its value type. None of it identifies a person.
WANTED = {
    0x00020010: "UI", 0x00080016: "UI", 0x00080060: "CS", 0x00200032: "DS", 0x00200037: "DS", 0x0020000E: "UI",
    0x00200052: "UI", 0x00180050: "DS", 0x00180088: "DS", 0x00280002: "US", 0x00280004: "CS", 0x00280008: "IS",
    0x00280010: "US", 0x00280011: "US", 0x00280030: "DS", 0x00280100: "US", 0x00280101: "US", 0x00280102: "US",
    0x00280103: "US", 0x00281052: "DS", 0x00281053: "DS", 0x00620001: "CS", 0x00620004: "US", 0x0062000B: "US",
    0x60000100: "US", 0x60000102: "US",
}  # fmt: skip
# Sequences that are looked into; the rest are passed over.
WANTED_SEQUENCES = {0x52009229, 0x52009230, 0x00209113, 0x00209116, 0x00289110, 0x00289145, 0x0062000A, 0x00620002,
                    0x00283000}  # fmt: skip


@dataclass
class Dataset:
    """Wanted values as bytes, and wanted sequences as lists of data sets, by tag (group << 16 | element)."""

    order: Literal["little", "big"] = "little"
    values: dict[int, bytes] = field(default_factory=dict)
    sequences: dict[int, list["Dataset"]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PixelData:
    """Where the pixels begin in `file_bytes` (a deflated file's content) or in the file, and how long they are.

    `bytes` is None for the compressed form, in which items follow; `words` means that they were stored as 16-bit words.
    """

    offset: int
    bytes: int | None
    words: bool
    file_bytes: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class DicomFile:
    """What the header of one file says; `pixels` is None when it holds none."""

    path: Path
    syntax: str
    tags: Dataset
    pixels: PixelData | None
    big_endian: bool


def has_dicom_mark(path: Path) -> bool:
    """Whether the letters DICM stand where they do in every DICOM file."""
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}); check the file and its disk") from None


def read_dicom_file(path: Path) -> DicomFile:
    """Read the header of a DICOM file up to its pixels; raises ImageError when it is damaged or none."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if file.read(132)[128:] != b"DICM":
                raise _DamagedError("is no DICOM file, or a damaged slice")
            return _read_file(path, file, size)
    except _DamagedError as error:
        raise ImageError(f"{path}: {error}; export the series again or move it away") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}); check the file and its disk") from None


def _read_file(path: Path, file: BinaryIO, size: int) -> DicomFile:
    meta, _ = _Reader(file, size, explicit=True, order="<").dataset(group=2)
    syntax = meta.values.get(0x00020010, b"").rstrip(b"\0 ").decode("ascii", "replace")
    if not syntax.startswith("1.2.840.10008.1.2"):
        raise _DamagedError("says no transfer syntax, or a private one")
    content = _inflated(file) if syntax == DEFLATED else None
    source: BinaryIO = file if content is None else io.BytesIO(content)
    big = syntax == EXPLICIT_BIG
    reader = _Reader(
        source, size if content is None else len(content), explicit=syntax != IMPLICIT_LITTLE, order=">" if big else "<"
    )
    tags, pixels = reader.dataset()
    if pixels is not None and content is not None:
        pixels = PixelData(offset=pixels.offset, bytes=pixels.bytes, words=pixels.words, file_bytes=content)
    return DicomFile(path=path, syntax=syntax, tags=tags, pixels=pixels, big_endian=big)


def _inflated(file: BinaryIO) -> bytes:
    unpack = zlib.decompressobj(wbits=-15)
    try:
        content = unpack.decompress(file.read(MAX_INFLATED_BYTES), MAX_INFLATED_BYTES)
    except zlib.error:
        raise _DamagedError("is damaged, it cannot be decompressed") from None
    if not unpack.eof:
        raise _DamagedError("is cut off, or too large once decompressed")
    return content


class _DamagedError(Exception):
    """What is wrong with the file, in words that fit behind its name."""


class _Reader:
    """Walks through elements; `end` is where the file ends."""

    def __init__(self, file: BinaryIO, end: int, *, explicit: bool, order: str) -> None:
        self.file, self.end, self.explicit = file, end, explicit
        self.order: Literal["little", "big"] = "big" if order == ">" else "little"
        self.tag_form, self.long_form = struct.Struct(order + "HH"), struct.Struct(order + "I")
        self.short_form = struct.Struct(order + "H")
        self.elements = 0

    def dataset(
        self, *, end: int | None = None, group: int | None = None, depth: int = 0, keep: bool = True
    ) -> tuple[Dataset, PixelData | None]:
        """Elements up to `end`, to the end of an item of unstated length, past a group, or to the pixels."""
        found, last = Dataset(order=self.order), -1
        stop = self.end if end is None else end
        while self.file.tell() < stop:
            start = self.file.tell()
            tag = self._tag()
            if group is not None and tag >> 16 != group:
                self.file.seek(start)
                break
            if tag == ITEM_END and end is None and depth:
                self._word()
                return found, None
            if tag <= last and keep:
                raise _DamagedError("is damaged, its tags are out of order or there twice")
            last = tag
            kind, length = self._kind_and_length()
            if depth == 0 and tag in (PIXEL_DATA, *FLOAT_PIXELS):
                return found, self._pixels(tag, kind, length)
            self._element(found if keep else Dataset(), tag, kind, length, depth=depth, keep=keep)
        if end is None and depth:
            raise _DamagedError("is cut off within a nested item")
        if end is not None and self.file.tell() != end:
            raise _DamagedError("is damaged, a nested item is longer than it says")
        return found, None

    def _element(self, found: Dataset, tag: int, kind: bytes | None, length: int, *, depth: int, keep: bool) -> None:
        if keep and tag in WANTED_SEQUENCES:
            if kind not in (None, b"SQ"):
                raise _DamagedError("is damaged, a tag has another type than it must")
            found.sequences[tag] = self._items(length, depth + 1, keep=True)
        elif length == UNSTATED:
            self._unstated(kind, depth + 1)
        elif keep and tag in WANTED:
            if kind is not None and kind != WANTED[tag].encode():
                raise _DamagedError("is damaged, a tag has another type than it must")
            if length > MAX_VALUE_BYTES:
                raise _DamagedError("is damaged, a number is too long")
            found.values[tag] = self._read(length)
        else:
            self._pass_over(length)

    def _unstated(self, kind: bytes | None, depth: int) -> None:
        """Pass over a sequence of unstated length; what has an unknown type is implicit and little endian inside."""
        if kind in (None, b"SQ"):
            self._items(UNSTATED, depth, keep=False)
            return
        if kind in (b"OB", b"OW"):  # the compressed pixels of an icon
            self._fragments()
            return
        if kind != b"UN":
            raise _DamagedError("is damaged, a value has no length")
        inner = _Reader(self.file, self.end, explicit=False, order="<")
        inner.elements = self.elements
        inner._items(UNSTATED, depth, keep=False)
        self.elements = inner.elements

    def _fragments(self) -> None:
        while (tag := self._tag()) != SEQUENCE_END:
            if tag != ITEM:
                raise _DamagedError("is damaged within compressed pixels")
            self._pass_over(self._word())
        self._word()

    def _items(self, length: int, depth: int, *, keep: bool) -> list[Dataset]:
        if depth > MAX_DEPTH:
            raise _DamagedError(f"nests its items more than {MAX_DEPTH} deep")
        stop = None if length == UNSTATED else self.file.tell() + length
        if stop is not None and stop > self.end:
            raise _DamagedError("is cut off")
        items = []
        while stop is None or self.file.tell() < stop:
            tag, size = self._tag(), self._word()
            if tag == SEQUENCE_END and stop is None:
                return items
            if tag != ITEM or (size != UNSTATED and self.file.tell() + size > self.end):
                raise _DamagedError("is cut off or damaged within a sequence")
            end = None if size == UNSTATED else self.file.tell() + size
            items.append(self.dataset(end=end, depth=depth, keep=keep)[0])
        if self.file.tell() != stop:
            raise _DamagedError("is damaged, a sequence is longer than it says")
        return items

    def _pixels(self, tag: int, kind: bytes | None, length: int) -> PixelData:
        if tag in FLOAT_PIXELS:
            raise _DamagedError("holds pixels as floating point numbers, which are not read")
        if kind not in (None, b"OB", b"OW"):
            raise _DamagedError("is damaged, its pixels have another type than they must")
        start = self.file.tell()
        if length != UNSTATED and start + length > self.end:
            raise _DamagedError(f"is cut off: {self.end - start} of {length} bytes of its pixels are there")
        return PixelData(offset=start, bytes=None if length == UNSTATED else length, words=kind != b"OB")

    def _kind_and_length(self) -> tuple[bytes | None, int]:
        if not self.explicit:
            return None, self._word()
        kind = self._read(2)
        if kind in SHORT_TYPES:
            return kind, int(self.short_form.unpack(self._read(2))[0])
        if kind not in LONG_TYPES:
            raise _DamagedError("is damaged, a tag has an unknown type")
        self._read(2)
        return kind, self._word()

    def _tag(self) -> int:
        self.elements += 1
        if self.elements > MAX_ELEMENTS:
            raise _DamagedError(f"has more than {MAX_ELEMENTS} tags")
        group, element = self.tag_form.unpack(self._read(4))
        return int(group) << 16 | int(element)

    def _word(self) -> int:
        return int(self.long_form.unpack(self._read(4))[0])

    def _read(self, size: int) -> bytes:
        data = self.file.read(size)
        if len(data) != size:
            raise _DamagedError("is cut off")
        return data

    def _pass_over(self, size: int) -> None:
        if self.file.tell() + size > self.end:
            raise _DamagedError("is cut off")
        self.file.seek(size, os.SEEK_CUR)
