"""What every format's reader is asked, and what it answers: a model of another tool, described in our own terms."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from organincrement.contract.errors import ContractError
from organincrement.contract.model import Metrics, ModelManifest, Uncertainty, Vector
from organincrement.models.errors import ModelError
from organincrement.networks.build import build_network
from organincrement.networks.errors import NetworkError
from organincrement.networks.sizing import NetworkSpec

# of a manifest, what no other tool's files say
NOT_TOLD: Mapping[str, Any] = {
    "uncertainty": Uncertainty(kind="perturbation", perturbations=6),  # arXiv 2103.05227: Q
    "lineage": (),
    "metrics": Metrics(validation=(), agreement_with_teacher=(), recommended=True),
    "weights": (),
}


class StoredTensor(Protocol):
    """A tensor that is still in its file: what it claims is checked, its values are read when asked for."""

    @property
    def dtype(self) -> torch.dtype:
        """The type of its values as stored."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its edges."""

    @property
    def nbytes(self) -> int:
        """What its values take."""

    def read(self) -> Tensor:
        """The values, in memory of their own."""


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """What the user says of a model that its files do not say, or that is to differ; each None or empty: as it says.

    `configuration`, `folds`, `checkpoint`: which of an nnU-Net folder's networks. `orientation`: of the scans that the
    network saw, such as LPS, or `stored` (as the file has them). `network`: a JSON file that describes network and
    preprocessing. `labels`: what the user calls a label of the model, {name: value}. `confirmed`: code may run.
    """

    name: str | None = None
    configuration: str | None = None
    folds: tuple[str, ...] = ()
    checkpoint: str | None = None
    orientation: str | None = None
    network: Path | None = None
    labels: Mapping[str, int] = field(default_factory=dict)
    spacing_mm: Vector | None = None
    modality: str | None = None
    confirmed: bool = False


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """A model as its files describe it; nothing of it has been run, and no weights have been read yet.

    `manifest`: complete but for `weights`, which stay empty. `members`: of each network of an ensemble the weights
    under the names of our network's state. `notes`: what the user should know, one line each. `code`: a TorchScript
    file's bytes, for a model that has no members.
    """

    manifest: ModelManifest
    members: tuple[Mapping[str, StoredTensor], ...]
    notes: tuple[str, ...] = ()
    code: bytes | None = None


@contextmanager
def refused_as(where: str) -> Iterator[None]:
    """What a model's files say and no manifest can hold is refused as theirs. Raises: ModelError in one line."""
    try:
        yield
    except ContractError as error:
        raise ModelError(f"{where}: {error}") from None


def on_meta(spec: NetworkSpec, where: str) -> nn.Module:
    """A described network without memory for its weights. Raises: ModelError where there is none such."""
    try:
        with torch.device("meta"):
            return build_network(spec.kind, spec.args)
    except NetworkError as error:
        raise ModelError(f"{where}: {error}") from None


def printable(text: str) -> str:
    """A stranger's text with nothing in it that a terminal would act on."""
    return "".join(character if character.isprintable() else "?" for character in text)
