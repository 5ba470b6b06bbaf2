"""The files of a MONAI bundle, a folder or a zip of one, whose weights are unpacked to where they can be read."""

import shutil
import tempfile
import weakref
import zipfile
from pathlib import Path, PurePosixPath

from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.files import resolve_inside
from organincrement.contract.package import member_stream, open_member, open_zip
from organincrement.models.errors import ModelError
from organincrement.models.formats.monai_config import Config

METADATA, INFERENCE, WEIGHTS = "configs/metadata.json", "configs/inference.json", "models/model.pt"
_MOST_CONFIG_BYTES = 16 * 2**20
_MOST_MEMBERS = 1000


class Bundle:
    """A bundle's files by their paths in it."""

    def __init__(self, path: Path) -> None:
        """Raises: ModelError where it is no folder or zip with a bundle."""
        self.path = path.parent if path.name == "configs" and path.is_dir() else path
        self.name = self.path.name
        inside = [""] if self.path.is_dir() else roots(self.path)
        if len(inside) != 1:
            raise ModelError(
                f"{self.name}: holds {len(inside) or 'no'} bundles; unpack it, and give one bundle's folder"
            )
        self._root = inside[0]
        self._unpacked: Path | None = None

    def holds(self, name: str) -> bool:
        """Whether there is such a file."""
        if self.path.is_dir():
            return (self.path / name).is_file()
        with zipfile.ZipFile(self.path) as archive:
            return self._root + name in archive.namelist()

    def config(self, name: str) -> Config:
        """One of its JSON files, checked as a whole. Raises: ModelError."""
        if not self.holds(name):
            stem = name.removesuffix(".json")
            yaml = next((stem + end for end in (".yaml", ".yml") if self.holds(stem + end)), None)
            if yaml is not None:
                raise ModelError(f"{self.name}/{yaml}: YAML is not read; write the same as {stem}.json")
            raise ModelError(f"{self.name}/{name} is missing; copy the whole bundle again")
        try:
            values = codec.parse(open_member(self.path, self._root + name, limit_bytes=_MOST_CONFIG_BYTES), where=name)
        except ContractError as error:
            raise ModelError(" ".join(str(error).split())) from None
        if not isinstance(values, dict):
            raise ModelError(f"{name}: is no JSON object; get the file again")
        config = Config(values, name)
        config.check()
        return config

    def weights(self, name: str) -> Path:
        """The file of weights. Raises: ModelError naming what is missing, or how a program is imported instead."""
        if not self.holds(name):
            program = next(
                (p for p in (str(PurePosixPath(name).with_suffix(".ts")), "models/model.ts") if self.holds(p)), ""
            )
            if program:
                raise ModelError(
                    f"{self.name}: has no {name}, only the program {program}; import that file itself with "
                    "--format torchscript and --confirm-code"
                )
            raise ModelError(f"{self.name}/{name} is missing; copy the whole bundle again")
        try:
            if self.path.is_dir():
                return resolve_inside(self.path, name)
            return self._unpack(name)
        except ContractError as error:
            raise ModelError(" ".join(str(error).split())) from None

    def _unpack(self, name: str) -> Path:
        """Into a folder that goes when this bundle does."""
        if self._unpacked is None:
            self._unpacked = Path(tempfile.mkdtemp(prefix="organincrement-"))
            weakref.finalize(self, shutil.rmtree, self._unpacked, ignore_errors=True)
        target = self._unpacked / PurePosixPath(name).name
        with member_stream(self.path, self._root + name) as stream, target.open("wb") as file:
            shutil.copyfileobj(stream, file, 2**20)
        return target


def roots(path: Path) -> list[str]:
    """Where in a zip bundles lie, as the start of their files' paths; none where it is no zip."""
    try:
        with path.open("rb") as file, open_zip(file, path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):  # ContractError is a ValueError
        return []
    ends = (METADATA, INFERENCE)
    found = {name[: -len(end)] for name in names[:_MOST_MEMBERS] for end in ends if name.endswith(end)}
    return sorted(root for root in found if root == "" or (root.endswith("/") and root.count("/") == 1))
