"""Reading a model package, a folder or an `.oimodel` zip, without trusting it."""

import contextlib
import hashlib
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from . import codec
from .errors import ContractError
from .files import check_relative, open_regular, resolve_inside
from .model import ModelManifest, Weights

MAX_MANIFEST_BYTES = 16 * 2**20
MAX_MEMBERS = 1000
MAX_PACKAGE_BYTES = 64 * 2**30
MAX_LIST_BYTES = 16 * 2**20  # of a zip's list of files
# Packages are stored uncompressed; a real one that was zipped again shrinks by a few per cent.
MAX_RATIO = 20


def read_manifest(path: Path | str) -> ModelManifest:
    """The manifest of a package; raises ContractError for anything that is none."""
    return codec.loads(ModelManifest, _manifest_bytes(path), where=f"{path}: model.json")


def manifest_sha256(path: Path | str) -> str:
    """SHA-256 of a package's model.json, by which lineages and plans name the package."""
    return hashlib.sha256(_manifest_bytes(path)).hexdigest()


def read_weights(path: Path | str, weights: Weights) -> bytes:
    """The bytes of one weight file; raises ContractError when they are not those that the manifest describes."""
    data = open_member(path, weights.file, limit_bytes=weights.bytes)
    if len(data) != weights.bytes or hashlib.sha256(data).hexdigest() != weights.sha256:
        raise ContractError(f"{path}: {weights.file} is not the file that model.json describes; get the package again")
    return data


def open_member(path: Path | str, name: str, *, limit_bytes: int = MAX_PACKAGE_BYTES) -> bytes:
    """One file of a package; raises ContractError for a path that leads out, a malicious zip, or too many bytes."""
    with member_stream(path, name, limit_bytes=limit_bytes) as file:
        return file.read()


@contextlib.contextmanager
def member_stream(path: Path | str, name: str, *, limit_bytes: int = MAX_PACKAGE_BYTES) -> Iterator[IO[bytes]]:
    """One file of a package, to be read in parts; raises ContractError as `open_member` does, also while it is read."""
    path = Path(path)
    if path.is_dir():
        with open_regular(resolve_inside(path, name)) as file:
            _check_size(path, name, os.fstat(file.fileno()).st_size, limit_bytes)
            yield file
        return
    try:
        with open_regular(path) as file, open_zip(file, path) as archive:
            members = {info.filename: info for info in _checked_members(archive, path)}
            if name not in members:
                raise ContractError(f"{path}: holds no {name}; get the package again")
            _check_size(path, name, members[name].file_size, limit_bytes)
            with archive.open(members[name]) as member:
                yield member
    except ContractError:
        raise
    except (zipfile.BadZipFile, zlib.error, struct.error, ValueError, RuntimeError, EOFError) as error:
        raise ContractError(f"{path}: is no readable package ({error}); get the package again") from None


def open_zip(file: IO[bytes], path: Path) -> zipfile.ZipFile:
    """A zip to read; raises ContractError, before its list of files is read, where that alone would fill the memory."""
    ending: Any = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # as zipfile itself finds it
    if ending and ending[zipfile._ECD_SIZE] > MAX_LIST_BYTES:  # type: ignore[attr-defined]
        raise ContractError(f"{path}: lists more files than any model has; get it again")
    return zipfile.ZipFile(file)


def _check_size(path: Path, name: str, size: int, limit_bytes: int) -> None:
    if size > limit_bytes:
        raise ContractError(f"{path}: {name} is larger than the {limit_bytes} bytes it may have; not read")


def _manifest_bytes(path: Path | str) -> bytes:
    return open_member(path, "model.json", limit_bytes=MAX_MANIFEST_BYTES)


def _checked_members(archive: zipfile.ZipFile, path: Path) -> list[zipfile.ZipInfo]:
    """The members of a zip that cannot do harm; raises ContractError for one that could."""
    members = archive.infolist()
    if len(members) > MAX_MEMBERS or sum(info.file_size for info in members) > MAX_PACKAGE_BYTES:
        raise ContractError(f"{path}: over {MAX_MEMBERS} files or {MAX_PACKAGE_BYTES} bytes; it is no model package")
    # Members that share their bytes declare more than the file has: a zip bomb.
    if sum(info.compress_size for info in members) > path.stat().st_size:
        raise ContractError(f"{path}: declares more bytes than it has; get the package again")
    seen = set()
    for info in members:
        try:
            check_relative(info.orig_filename.removesuffix("/"))
        except ContractError as error:
            raise ContractError(f"{path}: {error}") from None
        if stat.S_ISLNK(info.external_attr >> 16):
            raise ContractError(f"{path}: {info.filename} is a link; a package holds files only")
        if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ContractError(f"{path}: {info.filename} is encrypted or oddly compressed; store it as it is")
        if info.file_size > MAX_RATIO * max(info.compress_size, 1):
            raise ContractError(f"{path}: {info.filename} grows more than {MAX_RATIO} times; store it uncompressed")
        # Case is folded because on Windows and macOS the two would be one file.
        if info.filename.casefold() in seen:
            raise ContractError(f"{path}: holds {info.filename} twice; get the package again")
        seen.add(info.filename.casefold())
    return members
