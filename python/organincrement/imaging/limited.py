"""Run a function in a short-lived process of its own, with a limit of memory, of computing and of waiting.

For what a third-party library decodes, and for looking at what a stranger gave: such code may hang, crash, or take all
memory, and then only its process ends. Starting one takes about 0.15 s, with SimpleITK 0.3 s, so that our own
decoders of NIfTI, NRRD, MetaImage and plain DICOM pixels, which allocate only after checking sizes, stay in the process
of the caller.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from organincrement.imaging import limited_child

PACKAGE_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the process may take; memory is address space, not enforced on Windows and macOS, where time still is.

    wall_s: by the clock. cpu_s: of computing, where that is to be less: on a busy computer little work takes long.
    """

    memory_bytes: int = 2 * 2**30
    wall_s: float = 60.0
    file_bytes: int = 16 * 2**30
    cpu_s: float | None = None


class LimitError(RuntimeError):
    """The process ended without an answer; the message says why in a few words that fit behind a file's name."""


class TimeLimitError(LimitError):
    """The process took longer than it may."""


def run_limited(function: str, arguments: dict[str, Any], limits: Limits | None = None) -> Any:
    """What `function` ('package.module:name') returns for keyword arguments, both made of JSON values.

    Raises LimitError when the process crashed or went over a limit, and for an exception of the function. A process
    that is limited already calls the function itself.
    """
    if limited_child.is_limited():
        return limited_child.call(function, arguments)
    limits = limits or Limits()
    request = json.dumps({"function": function, "arguments": arguments, "limits": asdict(limits)})
    process = subprocess.Popen(
        # -P: nothing is imported from the present folder, which may be a stranger's.
        [sys.executable, "-P", "-m", "organincrement.imaging.limited_child"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environment(), close_fds=True,
    )  # fmt: skip
    with process:
        try:
            answer, _ = process.communicate(request.encode(), timeout=limits.wall_s)
        except subprocess.TimeoutExpired:
            raise TimeLimitError(f"took longer than {limits.wall_s:g} s") from None
        finally:
            if process.poll() is None:
                process.kill()
    return _answer(process.returncode, answer, limits)


def _answer(code: int, answer: bytes, limits: Limits) -> Any:
    try:
        said = json.loads(answer)
    except ValueError:
        said = None
    if code or not isinstance(said, dict):
        if code in (-9, -14, -24):
            raise TimeLimitError("took too long")
        raise LimitError("made the reading program crash")
    if "memory" in said:
        raise LimitError(f"needs more than {limits.memory_bytes >> 20} MiB of memory")
    if "failed" in said:
        raise LimitError(f"made the reading program fail ({said['failed']})")
    return said["result"]


def _environment() -> dict[str, str]:
    # One thread: each further one reserves address space, and the work is short.
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
    paths = [str(PACKAGE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, **dict.fromkeys(threads, "1"), "PYTHONPATH": os.pathsep.join(paths)}
