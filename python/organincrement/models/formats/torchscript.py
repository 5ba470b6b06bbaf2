"""TorchScript programs: a network as code, which says nothing of its labels or its preprocessing.

Those come from a JSON file (`--network FILE`), the same as for a state dict but for its `network`.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.files import read_bytes
from organincrement.contract.model import (
    Metrics,
    ModelManifest,
    Network,
    Preprocessing,
    TorchScriptHead,
    TrainedOn,
    Uncertainty,
)
from organincrement.models.confirmed_code import WHAT_CONFIRMING_DOES
from organincrement.models.errors import ModelError, MoreNeededError
from organincrement.models.formats.foreign import Foreign, ImportOptions
from organincrement.models.formats.label_organs import label_organs
from organincrement.models.formats.state_dict import Description
from organincrement.models.program import CODE_FILE
from organincrement.models.program_text import MAX_PROGRAM_BYTES, checked_program, looks_like_program, weight_count
from organincrement.networks.build import PROGRAM

_PERTURBATIONS = 6
_NEEDED = "--network FILE, JSON as for a state dict (models/formats/state_dict_example.json), without its `network`"


def recognise(path: Path) -> bool:
    """A zip with code/ and constants.pkl."""
    return path.is_file() and looks_like_program(path)


def read(path: Path, options: ImportOptions) -> Foreign:
    """The program as bytes, its operators checked, with what the descriptor says of it; nothing is run.

    Raises: ModelError in one line; MoreNeededError where it was not confirmed, or is not described.
    """
    try:
        code = read_bytes(path, MAX_PROGRAM_BYTES)
    except ContractError as error:
        raise ModelError(str(error)) from None
    checked_program(code, path.name)
    if not options.confirmed:
        raise MoreNeededError(f"{path.name}: {WHAT_CONFIRMING_DOES}; it needs {_NEEDED}")
    if options.network is None:
        raise MoreNeededError(f"{path.name}: is a program, which needs {_NEEDED}")
    manifest = _manifest(path, _described(options.network), options, weight_count(code, path.name))
    return Foreign(manifest=manifest, members=(), code=code)


def _described(file: Path) -> Description:
    try:
        told = codec.read(Description, file)
    except ContractError as error:
        raise ModelError(f"{str(error).replace(str(file), file.name)}; correct it") from None
    if told.network is not None:
        raise ModelError(f"{file.name}: describes a network, but the program is one; leave `network` out")
    return told


def _manifest(path: Path, told: Description, options: ImportOptions, weights: int) -> ModelManifest:
    organs = label_organs(told.labels, options.labels, path.name)
    args: dict[str, Any] = {"in_channels": 1, "out_channels": 1 + len(organs), "patch": list(told.inference.patch)}
    try:
        preprocessing = _preprocessing(told, options)
        return ModelManifest(
            name=options.name or told.name or path.stem, organs=organs,
            network=Network(kind=PROGRAM, args=args, parameters=weights),
            head=TorchScriptHead(file=CODE_FILE, confirmed=options.confirmed), preprocessing=preprocessing,
            inference=told.inference, uncertainty=Uncertainty(kind="perturbation", perturbations=_PERTURBATIONS),
            trained_on=TrainedOn(
                modality=next(iter(preprocessing.channels), ""), cases=None, spacing_mm=None, intensity_percentiles={}
            ),
            lineage=(), metrics=Metrics(validation=(), agreement_with_teacher=(), recommended=True),
            licence=told.licence, citation=told.citation, weights=(),
        )  # fmt: skip
    except ContractError as error:
        raise ModelError(f"{path.name}: {error}") from None


def _preprocessing(told: Description, options: ImportOptions) -> Preprocessing:
    """As described, but for what the user says otherwise."""
    found = told.preprocessing
    return replace(
        found,
        orientation=options.orientation or found.orientation,
        spacing_mm=options.spacing_mm or found.spacing_mm,
        channels=(options.modality,) if options.modality else found.channels,
    )
