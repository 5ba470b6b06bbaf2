"""Taking a model package over: every file checked against its manifest while it is copied, nothing else copied."""

import hashlib
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from organincrement.contract.errors import ContractError
from organincrement.contract.model import ModelManifest, TorchScriptHead, Weights
from organincrement.contract.package import MAX_MANIFEST_BYTES, member_stream, open_member
from organincrement.workflows.whole_folder import built_beside, check_free

PREVIEW = "preview.png"
ZIP_ENDING = ".oimodel"
_MAX_PREVIEW_BYTES = 16 * 2**20
_BLOCK_BYTES = 2**20
T = TypeVar("T")


class _WriteError(Exception):
    """Carries the system's error out of the block that reads, which would take it for one of reading."""


@contextmanager
def new_package(out: Path) -> Iterator[Path]:
    """A place to make a package folder in, which becomes `out` when the block ends well, else nothing stays.

    Args: out: a new or empty folder, or a new file ending in .oimodel.
    Raises: WorkflowError where `out` is taken or cannot be written.
    """
    check_free(out)
    with built_beside(out) as partial:
        yield partial / "package"  # what is written beside it first goes with it
        if out.suffix == ZIP_ENDING:
            _turned_into_zip(partial)
        else:
            for member in (partial / "package").iterdir():
                member.rename(partial / member.name)
            (partial / "package").rmdir()


def _turned_into_zip(folder: Path) -> None:
    """The package in a folder as a zip in the folder's place, uncompressed; each file goes as soon as it is in."""
    zipped, package = folder / f"package{ZIP_ENDING}", folder / "package"
    members = sorted(path for path in package.rglob("*") if path.is_file())
    with zipped.open("xb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for member in members:
                with member.open("rb") as source, archive.open(_info(member, package), "w") as target:
                    shutil.copyfileobj(source, target, _BLOCK_BYTES)
                member.unlink()
        file.flush()
        os.fsync(file.fileno())
    aside = zipped.rename(folder.with_name(f"{folder.name}.zip"))
    shutil.rmtree(folder)
    aside.rename(folder)


def _info(member: Path, folder: Path) -> zipfile.ZipInfo:
    """Without a date, which would make equal packages differ."""
    info = zipfile.ZipInfo(member.relative_to(folder).as_posix())
    info.file_size = member.stat().st_size  # tells zipfile whether it needs 64-bit sizes
    return info


def copy_package(source: Path, manifest: ModelManifest, out: Path) -> None:
    """Copy what the manifest lists, each file checked, and a preview. Args: out: as in `new_package`.

    Raises: ContractError naming a file that is not the one listed, WorkflowError where `out` cannot be written.
    """
    with new_package(out) as folder:
        folder.mkdir()
        (folder / "model.json").write_bytes(open_member(source, "model.json", limit_bytes=MAX_MANIFEST_BYTES))
        for weights in listed_weights(manifest):
            (folder / weights.file).parent.mkdir(parents=True, exist_ok=True)
            check_weights(source, weights, folder / weights.file)
        preview = _preview(source)
        if preview is not None:
            (folder / PREVIEW).write_bytes(preview)
        for written in folder.rglob("*"):
            _to_disk(written)


def check_weights(source: Path, weights: Weights, to: Path | None = None) -> None:
    """Read one file of weights in parts; raises ContractError when it is not the one listed. Args: to: copied there."""
    digest, size = hashlib.sha256(), 0
    try:
        with member_stream(source, weights.file, limit_bytes=weights.bytes) as stream, _written_to(to) as write:
            while block := stream.read(_BLOCK_BYTES):
                digest.update(block)
                size += len(block)
                write(block)
    except _WriteError as error:
        raise error.args[0] from None
    if size != weights.bytes or digest.hexdigest() != weights.sha256:
        raise ContractError(
            f"{source}: {weights.file} is not the file that model.json describes; get the package again"
        )


@contextmanager
def _written_to(path: Path | None) -> Iterator[Callable[[bytes], None]]:
    """What appends to a new file, or does nothing where there is no path."""
    if path is None:
        yield lambda block: None
        return
    target = _as_writing(lambda: path.open("xb"))
    try:
        yield lambda block: _as_writing(lambda: target.write(block))
    finally:
        _as_writing(target.close)  # the last bytes of a file meet a full disk only here


def _as_writing(step: Callable[[], T]) -> T:
    try:
        return step()
    except OSError as error:
        raise _WriteError(error) from error


def listed_weights(manifest: ModelManifest) -> tuple[Weights, ...]:
    """The files of a manifest. Raises: ContractError where one is listed twice, or code without a hash."""
    head = manifest.head
    if isinstance(head, TorchScriptHead) and head.file not in [weights.file for weights in manifest.weights]:
        raise ContractError(f"model.json does not list the hash of {head.file}; get the package again")
    files = [weights.file.casefold() for weights in manifest.weights]
    if len({*files, "model.json", PREVIEW}) != len(files) + 2:
        raise ContractError("model.json lists a file twice, or itself, as weights; get the package again")
    return manifest.weights


def _preview(source: Path) -> bytes | None:
    try:
        return open_member(source, PREVIEW, limit_bytes=_MAX_PREVIEW_BYTES)
    except ContractError:
        return None


def _to_disk(path: Path) -> None:
    if path.is_file():
        with path.open("rb") as file:
            os.fsync(file.fileno())
