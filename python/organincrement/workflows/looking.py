"""What looking at many scans shares: the device, a package on it, the folder for results, reasons fit for a report."""

import os
from collections.abc import Callable
from pathlib import Path

from organincrement.models.package import LoadedModel
from organincrement.planning.teacher_view import Asked
from organincrement.training.device import Hardware, resolve_hardware
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.failures import without_places


def hardware_for_scans(device: str) -> Hardware:
    """The device asked for; on a CPU the memory of one window is kept for the next. Raises: DeviceError."""
    hardware = resolve_hardware(device, "auto")
    hardware.keep_memory()
    return hardware


def asked_model(
    model: LoadedModel,
    device: str,
    between: Callable[[], None] = lambda: None,
    notice: Callable[[str], None] = lambda line: None,
    within: Callable[[int, int], None] = lambda done, total: None,
) -> Asked:
    """A loaded package on the device asked for.

    Args: notice: told, in a line, where memory makes it slower. within: told how much of a scan is done, of how much.
    """
    hardware = hardware_for_scans(device)
    return Asked(
        network=model.network.to(hardware.device), manifest=model.manifest, device=hardware.device,
        autocast=hardware.autocast, between=between, notice=notice, within=within,
    )  # fmt: skip


def named_within(error: Exception, folder: Path) -> str:
    """The error's reason in one line, with files named from `folder` on: a report names no place of this computer."""
    return without_places(error, [folder]).removeprefix(f"{folder.name}{os.sep}")


def made_folder(out: Path) -> Path:
    """The folder for results, made before hours of work are put into them. Raises: WorkflowError where it cannot be."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkflowError(
            f"{out.name}: cannot be made a folder ({error.strerror or error}); choose another"
        ) from error
    return out
