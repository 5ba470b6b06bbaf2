"""Running a confirmed program once, in a process with limits of its own, to see that it answers as described."""

from pathlib import Path
from typing import Any

import torch

from organincrement.contract.model import ModelManifest
from organincrement.imaging.limited import LimitError, Limits, run_limited
from organincrement.models.errors import ModelError
from organincrement.models.program import load_program

LIMITS = Limits(memory_bytes=16 * 2**30, wall_s=120.0, file_bytes=2**20)


def check_code(file: Path, manifest: ModelManifest, name: str) -> str:
    """One forward on an empty patch. Returns: a note on what the program was kept from.

    Args: name: of the model, for messages. Raises: ModelError where the answer is not as described, or never comes.
    """
    arguments = {
        "file": str(file), "name": name, "patch": list(manifest.inference.patch),
        "out_channels": manifest.network.args["out_channels"],
    }  # fmt: skip
    try:
        said = run_limited("organincrement.workflows.check_code:answer", arguments, LIMITS)
    except LimitError as error:
        raise ModelError(f"{name}: the program {error} on one empty patch; it is not imported") from None
    if "refused" in said:
        raise ModelError(said["refused"])
    if said["offline"]:
        return "the program runs with the network out of its reach; of files, its operators can open none"
    return "this system does not let a process give up the network; the program's operators can open none, nor files"


def answer(file: str, name: str, patch: list[int], out_channels: int) -> dict[str, Any]:
    """In the process with limits: whether the network was out of reach, or the reason why the program is refused."""
    from organincrement.models.confinement import confine

    try:
        network = load_program(Path(file).read_bytes(), out_channels, name)
        with torch.inference_mode():
            logits = network(torch.zeros(1, 1, *patch))
        if not logits.isfinite().all():
            raise ModelError(f"{name}: the program answers an empty patch with values that are no numbers")
    except ModelError as error:
        return {"refused": str(error) if str(error).startswith(name) else f"{name}: {error}"}
    except RuntimeError as error:
        reason = next((line for line in reversed(str(error).splitlines()) if line.strip()), "")
        return {"refused": f"{name}: the program cannot be run on a patch of {patch} ({reason.strip()[:160]})"}
    return {"offline": confine()}
