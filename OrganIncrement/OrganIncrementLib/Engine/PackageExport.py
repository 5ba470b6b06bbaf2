"""Copies a model package, a folder or an .oimodel file, to pass it on; checked, and whole or not at all.

A program of its own, so that Slicer goes on meanwhile: `python PackageExport.py file|folder SOURCE TARGET`; it needs
the standard library and the engine's contract only, no torch. It tells of progress and errors as the engine does.
"""

import hashlib
import os
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from organincrement.contract.errors import ContractError
from organincrement.contract.files import fsync_folder, resolve_inside
from organincrement.contract.model import ModelManifest, TorchScriptHead
from organincrement.contract.package import read_manifest

FORMATS = ("file", "folder")
_BLOCK_BYTES = 4 * 2**20
_OPTIONAL = ("preview.png",)
DONE, REFUSED, CANCELLED = 0, 3, 4


def exportCommand(python: str, source: Path, target: Path, form: str) -> list[str]:
    """The command line that exports `source` to `target`; form: one of FORMATS."""
    return [python, "-P", str(Path(__file__).resolve()), form, str(source), str(target)]


def partialOf(target: Path) -> Path:
    """Where the copy grows until it is whole; to be removed where the program was ended before."""
    return target.with_name(f".{target.name}.partial")


def removePartial(target: Path) -> None:
    """Remove what an ended export left behind."""
    partial = partialOf(target)
    if partial.is_dir():
        shutil.rmtree(partial, ignore_errors=True)
    else:
        partial.unlink(missing_ok=True)


def exportPackage(
    source: Path, target: Path, form: str, report: Callable[[int, int], None] = lambda done, total: None
) -> None:
    """Write the copy. report: called with bytes done and bytes in all.

    Raises: ContractError for a package that is not whole, a target that is a folder already; OSError for the disk.
    """
    manifest = read_manifest(source)
    if target.resolve() == source.resolve() or (form == "folder" and target.exists()):
        raise ContractError(f"{target.name}: is there already; choose another name")
    removePartial(target)
    partial = partialOf(target)
    try:
        with _opened(source) as package, (_zipped if form == "file" else _foldered)(partial) as write:
            _copy(manifest, package, write, report)
        partial.replace(target)
        fsync_folder(target.parent)
    except BaseException:
        removePartial(target)
        raise


class _Package:
    """Reads members of a package folder or file."""

    def __init__(self, source: Path, archive: zipfile.ZipFile | None) -> None:
        self._source, self._archive = source, archive

    def bytes(self, name: str) -> int | None:
        """Size of a member; None where there is none."""
        if self._archive is not None:
            return self._archive.getinfo(name).file_size if name in self._archive.namelist() else None
        path = resolve_inside(self._source, name)
        return path.stat().st_size if path.is_file() else None

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """A member to read."""
        if self._archive is not None:
            with self._archive.open(name) as stream:
                yield stream  # type: ignore[misc]
        else:
            # not by open_regular, which would take an error of writing for one of reading
            with resolve_inside(self._source, name).open("rb") as stream:
                yield stream


@contextmanager
def _opened(source: Path) -> Iterator[_Package]:
    if source.is_dir():
        yield _Package(source, None)
    else:
        with zipfile.ZipFile(source) as archive:  # its members were checked when the manifest was read
            yield _Package(source, archive)


def _copy(manifest: ModelManifest, package: _Package, write: Callable, report: Callable[[int, int], None]) -> None:
    hashes = {weights.file: weights for weights in manifest.weights}
    extra = [manifest.head.file] if isinstance(manifest.head, TorchScriptHead) else []
    names = ["model.json", *hashes, *extra, *(name for name in _OPTIONAL if package.bytes(name) is not None)]
    sizes = {name: package.bytes(name) for name in names}
    for name, size in sizes.items():
        if size is None or (name in hashes and size != hashes[name].bytes):
            raise ContractError(f"{name} is missing or not whole in this package: get the package again")
    total, done = sum(size or 0 for size in sizes.values()), 0
    for name in names:
        digest = hashlib.sha256()
        with package.open(name) as stream, write(name) as out:
            while block := stream.read(_BLOCK_BYTES):
                digest.update(block)
                out.write(block)
                done += len(block)
                report(done, total)
        if name in hashes and digest.hexdigest() != hashes[name].sha256:
            raise ContractError(f"{name} is not the file that model.json describes: get the package again")


@contextmanager
def _zipped(partial: Path) -> Iterator[Callable]:
    with partial.open("xb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:

            def write(name: str):
                return archive.open(zipfile.ZipInfo(name), "w", force_zip64=True)

            yield write
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _foldered(partial: Path) -> Iterator[Callable]:
    partial.mkdir()

    @contextmanager
    def write(name: str) -> Iterator[BinaryIO]:
        path = partial / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())

    yield write


class _ProgressLines:
    """Tells of every new per cent."""

    def __init__(self) -> None:
        self._percent = -1

    def __call__(self, done: int, total: int) -> None:
        percent = 100 * done // max(total, 1)
        if percent > self._percent:
            self._percent = percent
            print(f"export: {percent} of 100", file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    """Run the export; returns the exit code, one line on standard error says what went wrong."""
    form, source, target = arguments
    try:
        exportPackage(Path(source), Path(target), form, _ProgressLines())
    except KeyboardInterrupt:
        return CANCELLED
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        advice = "free disk space, or choose another folder"
        print(f"organincrement: {Path(target).name} cannot be written ({reason}): {advice}", file=sys.stderr)
        return REFUSED
    except (ValueError, zipfile.BadZipFile) as error:  # ContractError is one
        print(f"organincrement: {error}", file=sys.stderr)
        return REFUSED
    return DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
