"""TorchScript programs: a network as code, which says nothing of its labels or its preprocessing.

Those come from a JSON file (`--network FILE`), the same as for a state dict but for its `network`.
"""

from pathlib import Path

from organincrement.contract.errors import ContractError
from organincrement.contract.files import read_bytes
from organincrement.contract.model import Network, TorchScriptHead
from organincrement.models.confirmed_code import WHAT_CONFIRMING_DOES
from organincrement.models.errors import ModelError, MoreNeededError
from organincrement.models.formats.described import described_manifest, read_description
from organincrement.models.formats.foreign import Foreign, ImportOptions
from organincrement.models.formats.label_organs import label_organs
from organincrement.models.program import CODE_FILE
from organincrement.models.program_text import MAX_PROGRAM_BYTES, checked_program, looks_like_program, weight_count
from organincrement.networks.build import PROGRAM

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
    told = read_description(options.network, "correct it")
    if told.network is not None:
        raise ModelError(f"{options.network.name}: describes a network, but the program is one; leave `network` out")
    organs = label_organs(told.labels, options.labels, path.name)
    args = {"in_channels": 1, "out_channels": 1 + len(organs), "patch": list(told.inference.patch)}
    network = Network(kind=PROGRAM, args=args, parameters=weight_count(code, path.name))
    head = TorchScriptHead(file=CODE_FILE, confirmed=options.confirmed)
    manifest = described_manifest(path, told, options, organs, network, head)
    return Foreign(manifest=manifest, members=(), code=code)
