"""A model of any known format becomes a package of ours: described, checked, written whole or not at all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

from organincrement.contract.errors import ContractError
from organincrement.contract.model import ModelManifest, TorchScriptHead
from organincrement.contract.package import manifest_sha256, open_member, read_manifest
from organincrement.models.confirmed_code import WHAT_CONFIRMING_DOES, confirm
from organincrement.models.errors import ModelError
from organincrement.models.formats import FORMATS, LOOKS, check_options, format_module
from organincrement.models.formats.foreign import Foreign, ImportOptions, StoredTensor
from organincrement.models.package import Provenance, check_runnable, save_package, with_all_names
from organincrement.models.program import CODE_FILE, check_program, save_program
from organincrement.networks.build import build_network
from organincrement.networks.errors import NetworkError
from organincrement.workflows.check_code import LIMITS, check_code
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.model_facts import OWN, model_facts
from organincrement.workflows.model_lineage import chain_breaks
from organincrement.workflows.package_copy import copy_package, new_package
from organincrement.workflows.whole_folder import check_free

AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class ImportRequest:
    """What to import, where to, and as what. notice: told, in a line, what is being done."""

    path: Path
    out: Path
    format: str = AUTO
    options: ImportOptions = field(default_factory=ImportOptions)
    notice: Callable[[str], None] = lambda line: None


@dataclass(frozen=True, kw_only=True)
class ImportedModel:
    """A package that is on disk now. notes: what the user should know, one line each."""

    package: Path
    format: str
    manifest: ModelManifest
    sha256: str
    notes: tuple[str, ...]

    @property
    def facts(self) -> dict[str, Any]:
        """What the viewer shows."""
        return {**model_facts(self.manifest, self.format, self.notes), "package": str(self.package)}


def import_model(request: ImportRequest) -> ImportedModel:
    """Make a package of a model; nothing of the model is run unless its code was confirmed.

    Raises: WorkflowError, ModelError or ContractError with one line; then `out` is as it was before.
    """
    path, out = request.path, request.out
    if not (path.is_file() or path.is_dir()):  # opening a pipe would wait for ever
        is_there = "is neither a file nor a folder" if path.exists() else "there is no such file or folder"
        raise WorkflowError(f"{path.name}: {is_there}")
    if out.resolve() == path.resolve() or (path.is_dir() and out.resolve().is_relative_to(path.resolve())):
        raise WorkflowError(f"{out}: lies in the model that is imported; give another place")
    check_free(out)  # before a large model is read for nothing
    form = find_format(path) if request.format == AUTO else request.format
    if form is None:
        raise not_known(path)
    check_options(form, request.options)
    request.notice(f"{path.name}: {LOOKS[form]}")
    if form == OWN:
        return _taken_over(request)
    foreign = read_foreign(path, form, request.options)
    request.notice(f"{foreign.manifest.name}: {len(foreign.manifest.organs)} organs; writing the package")
    notes = _written(request, foreign, form)
    return ImportedModel(
        package=out, format=form, manifest=read_manifest(out), sha256=manifest_sha256(out), notes=notes
    )


def find_format(path: Path) -> str | None:
    """The format of a file or folder, None where no format recognises it."""
    if path.suffix == ".oimodel" or (path / "model.json").is_file():
        return OWN
    return next((form for form in FORMATS if format_module(form).recognise(path)), None)


def not_known(path: Path) -> WorkflowError:
    """The error that says what was looked for."""
    return WorkflowError(f"{path.name}: is no model that is known here; looked for: {'; '.join(LOOKS.values())}")


def read_foreign(path: Path, form: str, options: ImportOptions) -> Foreign:
    """Read a model's description and check it against the network that it is said to be of.

    Raises: ModelError or ContractError with one line, whatever the files hold.
    """
    try:
        foreign = format_module(form).read(path, options)
        _check_fits(foreign)
    except (ModelError, ContractError, NetworkError, OSError):
        raise
    except MemoryError:
        raise ModelError(f"{path.name}: claims more than memory holds; it is damaged, or no model") from None
    except Exception as error:  # whatever a stranger's file makes a reader stumble over
        raise ModelError(
            f"{path.name}: cannot be read as {LOOKS[form]} ({type(error).__name__}); it is damaged, or a kind not known"
        ) from error
    if not foreign.members and foreign.code is None:
        raise ModelError(f"{path.name}: holds no weights; copy it again, whole")
    return foreign


def _check_fits(foreign: Foreign) -> None:
    """Each member against the one network that is described."""
    if not foreign.members:
        return
    described = foreign.manifest.network
    with torch.device("meta"):
        network = build_network(described.kind, described.args)
    for member in foreign.members:
        _check_member(foreign.manifest, network, member)


def _check_member(manifest: ModelManifest, network: nn.Module, member: Mapping[str, StoredTensor]) -> None:
    wanted = network.state_dict()
    for name, tensor in member.items():
        if name not in wanted:
            raise ModelError(f"{manifest.name}: weight '{name}' has no place in the network that is described")
        if tuple(tensor.shape) != tuple(wanted[name].shape):
            raise ModelError(
                f"{manifest.name}: weight '{name}' is {list(tensor.shape)}, but the network that is described needs "
                f"{list(wanted[name].shape)}"
            )
        if wanted[name].is_floating_point() and not tensor.dtype.is_floating_point:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise ModelError(f"{manifest.name}: weight '{name}' is of {kind}; save the network in single precision")
    named = with_all_names(network, dict.fromkeys(member))
    missing = [name for name in wanted if name not in named]
    if missing:
        raise ModelError(f"{manifest.name}: has no weight '{missing[0]}', which the network that is described needs")


def _written(request: ImportRequest, foreign: Foreign, form: str) -> tuple[str, ...]:
    """Write the package whole. Returns: the notes on it."""
    manifest, notes = foreign.manifest, foreign.notes
    with new_package(request.out) as folder:
        if foreign.code is None:
            today = datetime.now(UTC).date().isoformat()
            made = Provenance(method=f"imported from {form}", dataset_sha256="", made=today)
            save_package(folder, manifest, foreign.members, made)
        else:
            save_program(folder, manifest, foreign.code)
            request.notice(f"running the program once, on an empty patch; at most {LIMITS.wall_s:g} s")
            notes += (check_code(folder / CODE_FILE, manifest, request.path.name),)
            confirm(foreign.code)
    return notes


def _taken_over(request: ImportRequest) -> ImportedModel:
    """Copy a package of ours, its files checked by their hashes."""
    path = request.path
    manifest, sha256 = read_manifest(path), manifest_sha256(path)
    if isinstance(manifest.head, TorchScriptHead):
        check_program(manifest, path.name)
        if not request.options.confirmed:
            raise ModelError(f"{path.name}: {WHAT_CONFIRMING_DOES}")
    else:
        check_runnable(manifest, path.name)
    copy_package(path, manifest, request.out)
    if isinstance(manifest.head, TorchScriptHead):
        confirm(open_member(request.out, manifest.head.file))
    breaks = tuple(f"the lineage is broken: {line}" for line in chain_breaks(manifest, sha256))
    return ImportedModel(package=request.out, format=OWN, manifest=manifest, sha256=sha256, notes=breaks)
