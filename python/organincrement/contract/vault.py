"""vault.json: which pieces of old scans a vault holds for replay, chosen by which model and how."""

import re
from dataclasses import dataclass
from math import prod
from typing import ClassVar, Literal

from .errors import ContractError
from .model import Preprocessing

Voxel = tuple[int, int, int]

_MOST_VOXELS = 2**30
_HEX = re.compile(r"[0-9a-f]{64}")
_FILE = re.compile(r"[0-9]{4,6}\.b2nd")


@dataclass(frozen=True, kw_only=True)
class ChosenFor:
    """Why an exemplar was chosen: an organ, and its place in that organ's greedy order, from 1.

    uncertainty: variance of the organ's probability under dropout. coverage: of the whole old set, after this choice.
    point: a voxel of the organ in the exemplar.
    """

    organ: str
    rank: int
    uncertainty: float
    coverage: float
    point: Voxel

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ContractError(f"rank {self.rank} must be at least 1")


@dataclass(frozen=True, kw_only=True)
class Exemplar:
    """One slab of an old scan, D, H, W on the network's grid, normalised; its file is named by its number alone."""

    file: str
    sha256: str
    bytes: int
    shape: Voxel
    chosen_for: tuple[ChosenFor, ...]

    def __post_init__(self) -> None:
        if not _FILE.fullmatch(self.file):
            raise ContractError(f"file {self.file!r} must be a number and '.b2nd'")
        if not _HEX.fullmatch(self.sha256):
            raise ContractError(f"sha256 {self.sha256[:70]!r} must have 64 hex digits")
        if min(self.shape) < 1 or prod(self.shape) > _MOST_VOXELS or not 0 < self.bytes <= 4 * prod(self.shape) + 2**20:
            raise ContractError(f"shape {list(self.shape)} and bytes {self.bytes} do not fit together")
        for chosen in self.chosen_for:
            if not all(0 <= p < n for p, n in zip(chosen.point, self.shape, strict=True)):
                raise ContractError(f"point {list(chosen.point)} lies outside the shape {list(self.shape)}")
        if not self.chosen_for:
            raise ContractError(f"{self.file}: chosen_for is empty; name the organ")


@dataclass(frozen=True, kw_only=True)
class Vault:
    """vault.json. The exemplars stand in the order of choice, so that those at the end can be done without first.

    model_sha256: of the model.json of the model that chose. slab: its thickness, in voxels of the network's first axis.
    features: what the likeness of images was measured by, in words. salt, machine: a mark of the computer it is of.
    """

    schema: ClassVar[str] = "organincrement/vault/1"
    model_sha256: str
    preprocessing: Preprocessing
    slab: int
    by: Literal["aeiseg", "coriseg"]
    features: str
    salt: str
    machine: str
    exemplars: tuple[Exemplar, ...]

    def __post_init__(self) -> None:
        files = [exemplar.file for exemplar in self.exemplars]
        if not files:
            raise ContractError("exemplars: there are none; select them again")
        if len(set(files)) < len(files):
            raise ContractError("exemplars: a file is there twice; select them again")
        for name in ("model_sha256", "machine"):
            if not _HEX.fullmatch(getattr(self, name)):
                raise ContractError(f"{name} must have 64 hex digits")

    @property
    def organs(self) -> tuple[str, ...]:
        """The organs for which exemplars were chosen."""
        return tuple(dict.fromkeys(chosen.organ for exemplar in self.exemplars for chosen in exemplar.chosen_for))
