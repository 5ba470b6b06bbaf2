"""What the file of `--network` says of a model that is weights or a program alone, and the manifest that follows."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from organincrement.contract import codec
from organincrement.contract.codec import added
from organincrement.contract.errors import ContractError
from organincrement.contract.labels import Organ
from organincrement.contract.model import (
    Head,
    Inference,
    ModelManifest,
    Network,
    Preprocessing,
    TrainedOn,
)
from organincrement.models.errors import ModelError
from organincrement.models.formats.foreign import NOT_TOLD, ImportOptions, refused_as


@dataclass(frozen=True, kw_only=True)
class DescribedNetwork:
    """A class of the networks' fixed table and its arguments, as in model.json."""

    kind: str
    args: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Description:
    """What the file of `--network` says; `labels`: the value of each organ, from 1."""

    labels: dict[str, int]
    preprocessing: Preprocessing
    inference: Inference
    network: DescribedNetwork | None = added(None)  # noqa: RUF009
    name: str = added("")
    licence: str = added("")
    citation: str = added("")


def read_description(file: Path, what_to_do: str) -> Description:
    """Read the file. Args: what_to_do: said where it is wrong. Raises: ModelError in one line."""
    try:
        return codec.read(Description, file)
    except ContractError as error:
        raise ModelError(f"{str(error).replace(str(file), file.name)}; {what_to_do}") from None


def described_manifest(
    path: Path, told: Description, options: ImportOptions, organs: tuple[Organ, ...], network: Network, head: Head
) -> ModelManifest:
    """The manifest of a model as described, but for what the user says otherwise. Raises: ModelError in one line."""
    with refused_as(path.name):
        preprocessing = replace(
            told.preprocessing,
            orientation=options.orientation or told.preprocessing.orientation,
            spacing_mm=options.spacing_mm or told.preprocessing.spacing_mm,
            channels=(options.modality,) if options.modality else told.preprocessing.channels,
        )
        return ModelManifest(
            name=options.name or told.name or path.stem, organs=organs, network=network, head=head,
            preprocessing=preprocessing, inference=told.inference,
            trained_on=TrainedOn(
                modality=next(iter(preprocessing.channels), ""), cases=None, spacing_mm=None, intensity_percentiles={}
            ),
            licence=told.licence, citation=told.citation, **NOT_TOLD,
        )  # fmt: skip
