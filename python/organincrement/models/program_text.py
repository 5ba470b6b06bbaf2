"""A TorchScript file as text, before anything of it is run: its parts, and the operators that its code names."""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from organincrement.contract.errors import ContractError
from organincrement.contract.package import open_zip
from organincrement.models.errors import ModelError
from organincrement.models.program_operators import refused_operators

MAX_PROGRAM_BYTES = 8 * 2**30
_MAX_PARTS = 20_000
_MAX_TEXT_BYTES = 32 * 2**20
_LOCAL_MARK = b"PK\x03\x04"
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What torch reads of a file of today's format; sources of errors' places (.debug_pkl) and recorded inputs are left out.
_PART = re.compile(r"data/[0-9]+|data\.pkl|constants/[0-9]+|constants\.pkl|code/[A-Za-z0-9_/]+\.py|version|byteorder")
_LEFT_OUT = re.compile(
    r"code/.*\.debug_pkl|traced_inputs.*|\.data/.*|extra/.*|bytecode.*|mobile_debug.*|\.format_version|\.storage_alignment"
)
_STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_SPELT_OUT = re.compile(r"\\[xuU0-7]")
_CLASSES = ("torch.classes", "torch_classes")


def looks_like_program(path: Path) -> bool:
    """Whether a file is a zip with code/ and constants.pkl in one folder; never raises."""
    try:
        with path.open("rb") as file:
            if file.read(len(_LOCAL_MARK)) != _LOCAL_MARK:
                return False
            with open_zip(file, path) as archive:
                names = {name.partition("/")[2] for name in archive.namelist()[:_MAX_PARTS]}
    except (OSError, zipfile.BadZipFile, ValueError, RuntimeError, MemoryError, NotImplementedError):
        return False
    return "constants.pkl" in names and any(name.startswith("code/") for name in names)


def checked_program(data: bytes, name: str) -> bytes:
    """The same program in a file that holds nothing but what was looked at, ready for torch.

    What torch's own reader of zips would make of a malformed file does not matter then: it reads a new one.
    Raises: ModelError naming an operator or a part that a network does not need.
    """
    parts = _parts(data, name)
    for part, content in parts.items():
        if part.endswith(".pkl"):
            _check_classes(content.decode("latin-1"), name)
        elif part.startswith("code/"):
            _check_code(_text(content, part, name), name)
    return _packed(parts)


def weight_count(data: bytes, name: str) -> int:
    """About how many weights a program has: its tensors' bytes by four, constants among them."""
    parts = _parts(data, name)
    return sum(len(content) for part, content in parts.items() if part.startswith("data/")) // 4


def _parts(data: bytes, name: str) -> dict[str, bytes]:
    parts: dict[str, bytes] = {}
    try:
        with open_zip(io.BytesIO(data), Path(name)) as archive:
            members = archive.infolist()
            _check_sizes(members, len(data), name)
            for info in _with_one_root(members, name):
                part = info.filename.partition("/")[2]
                if part in parts:
                    raise ModelError(f"{name}: holds {part} twice; it is damaged, or was tampered with")
                if _PART.fullmatch(part):
                    parts[part] = archive.read(info)
                elif not _LEFT_OUT.fullmatch(part):
                    raise ModelError(f"{name}: holds '{part[:60]}', which no TorchScript file of today has")
    except ContractError as error:
        raise ModelError(str(error)) from None
    except (zipfile.BadZipFile, zlib.error, ValueError, RuntimeError, EOFError, NotImplementedError, OSError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{name}: is no readable TorchScript file; save it again with torch.jit.save") from None
    for needed in ("data.pkl", "constants.pkl", "version"):
        if needed not in parts:
            raise ModelError(f"{name}: has no {needed}; save it again with torch.jit.save")
    return parts


def _check_sizes(members: list[zipfile.ZipInfo], file_bytes: int, name: str) -> None:
    tensor_bytes = sum(info.file_size for info in members if info.compress_type == zipfile.ZIP_STORED)
    if len(members) > _MAX_PARTS or tensor_bytes > min(MAX_PROGRAM_BYTES, file_bytes):
        raise ModelError(f"{name}: unpacks to more than it holds; it is no TorchScript file")
    text_bytes = sum(info.file_size for info in members if info.compress_type != zipfile.ZIP_STORED)
    if text_bytes > _MAX_TEXT_BYTES:
        raise ModelError(f"{name}: holds {text_bytes} bytes of code; no network needs so much")


def _with_one_root(members: list[zipfile.ZipInfo], name: str) -> Iterator[zipfile.ZipInfo]:
    roots = {info.filename.partition("/")[0] for info in members}
    if len(roots) != 1 or any("/" not in info.filename for info in members):
        raise ModelError(f"{name}: holds more than one folder; it is no TorchScript file")
    for info in members:
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
            raise ModelError(f"{name}: is encrypted or oddly compressed; save it again with torch.jit.save")
        yield info


def _text(content: bytes, part: str, name: str) -> str:
    if len(content) > _MAX_TEXT_BYTES:
        raise ModelError(f"{name}: {part} is longer than any network's code")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ModelError(f"{name}: {part} is no text; save it again with torch.jit.save") from None


def _check_code(text: str, name: str) -> None:
    """Look at every word outside text for people: what is no word of the code cannot be called."""
    _check_classes(text, name)
    refused = sorted(set(_WORD.findall(_without_sentences(text, name))) & refused_operators())
    if refused:
        named = ", ".join(f"'{word}'" for word in refused[:5])
        raise ModelError(
            f"{name}: its code uses {named}, which no network that segments needs (arithmetic on tensors alone is "
            "allowed); rename it where it is a variable, and script the model again"
        )


def _without_sentences(text: str, name: str) -> str:
    """The code without strings that hold a space: error messages. Others may name an attribute, as in getattr."""
    names = []

    def taken_out(found: re.Match[str]) -> str:
        names.append(found[1] if " " not in found[1] else "")
        return " "

    code = _STRING.sub(taken_out, text)
    # torch writes none of these outside strings; with them, it might see other strings than are seen here
    odd = next((mark for mark in ('"', "'", "#", "\\") if mark in code), None)
    if odd or '"""' in text or any(_SPELT_OUT.search(found) for found in names):
        raise ModelError(f"{name}: its code is not written as torch writes it; save it again with torch.jit.save")
    return " ".join((code, *names))


def _check_classes(text: str, name: str) -> None:
    if any(word in text for word in _CLASSES):
        raise ModelError(f"{name}: uses classes built into other programs (torch.classes), which are not loaded here")


def _packed(parts: Mapping[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for part, content in parts.items():
            archive.writestr(zipfile.ZipInfo(f"program/{part}"), content)
    return target.getvalue()
