"""A package becomes a model that other tools run: an nnU-Net v2 folder, a MONAI bundle, or an ONNX file."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from organincrement.models.package import LoadedModel, load_package
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.whole_folder import built_beside, check_free


class Writer(Protocol):
    """What the module of a format offers."""

    def write(self, model: LoadedModel, folder: Path) -> tuple[str, ...]:
        """Write the model's files into an empty folder; raises ModelError where the format has no place for it.

        Returns: what the user should know, one line each: how it is run, and what will differ from here.
        """


EXPORTS: dict[str, str] = {
    "nnunet2": "organincrement.models.formats.nnunet2_out",
    "monai": "organincrement.models.formats.monai_out",
    "onnx": "organincrement.models.formats.onnx_out",
}


@dataclass(frozen=True, kw_only=True)
class ExportedModel:
    """A folder that is on disk now. notes: what the user should know, one line each."""

    folder: Path
    format: str
    notes: tuple[str, ...]


def export_model(package: Path, form: str, out: Path) -> ExportedModel:
    """Write a package in another tool's format into `out`, a new or empty folder; whole or not at all.

    Args: form: a key of EXPORTS.
    Raises: WorkflowError, ModelError or ContractError with one line; then `out` is as it was before.
    """
    if form not in EXPORTS:
        raise WorkflowError(f"{form!r} is no format to export to; use {', '.join(EXPORTS)}")
    check_free(out)
    if package.is_dir() and out.resolve().is_relative_to(package.resolve()):
        raise WorkflowError(f"{out}: lies in the model that is exported; give another place")
    model = load_package(package)
    writer = cast(Writer, importlib.import_module(EXPORTS[form]))
    with built_beside(out) as partial:
        notes = writer.write(model, partial)
    return ExportedModel(folder=out, format=form, notes=notes)
