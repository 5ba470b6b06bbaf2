"""Whether this Python can run the engine, and on what: versions, what is missing, device, memory.

Runs where nothing is installed: nothing is imported that is not there, and only torch is imported at all.
"""

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from organincrement import __version__

OLDEST_PYTHON = (3, 11)
# as in pyproject.toml, which does not come with an installed extension; the modules are named where they differ
REQUIREMENTS = {
    "torch": ">=2.4", "monai": ">=1.4", "SimpleITK": ">=2.4", "numpy": ">=1.26", "scipy": ">=1.11",
    "safetensors": ">=0.4", "blosc2": ">=3.0", "psutil": ">=5.9", "tqdm": ">=4.66", "matplotlib": ">=3.8",
    "jinja2": ">=3.1", "dynamic-network-architectures": ">=0.4",
}  # fmt: skip
_MODULES = {"dynamic-network-architectures": "dynamic_network_architectures"}


@dataclass(frozen=True, kw_only=True)
class Package:
    """A requirement and what is there of it: `installed` is its version, "" where it tells none, None where absent."""

    name: str
    required: str
    installed: str | None

    @property
    def ok(self) -> bool:
        """Whether it is there and new enough."""
        if self.installed is None:
            return False
        return not self.installed or _numbers(self.installed) >= _numbers(self.required)


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What was found.

    device: as in a job's `started`. gpu_bytes: None without a GPU. broken: why torch does not load, "" where it does.
    """

    packages: tuple[Package, ...]
    device: str
    gpu_bytes: int | None
    ram_bytes: int | None
    broken: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """Requirements that are not met, as pip takes them."""
        return tuple(f"{package.name}{package.required}" for package in self.packages if not package.ok)

    @property
    def ok(self) -> bool:
        """Whether the engine can run."""
        return not self.missing and not self.broken and sys.version_info >= OLDEST_PYTHON

    @property
    def message(self) -> str:
        """One line for people."""
        if sys.version_info < OLDEST_PYTHON:
            wanted = ".".join(map(str, OLDEST_PYTHON))
            return f"Python {platform.python_version()} is too old: the engine needs {wanted} or newer"
        if self.missing:
            return f"missing: {', '.join(self.missing)}"
        if self.broken:
            return f"torch is installed but does not load ({self.broken}): install it again"
        gpu = f" with {_shown(self.gpu_bytes)} of GPU memory" if self.gpu_bytes else ""
        ram = f", {_shown(self.ram_bytes)} of memory" if self.ram_bytes else ""
        return f"engine {__version__} is ready on {self.device}{gpu}{ram}"


def look_at_environment() -> Environment:
    """Look at the Python that runs this."""
    packages = tuple(
        Package(name=name, required=required, installed=_installed(name)) for name, required in REQUIREMENTS.items()
    )
    device, gpu_bytes, broken = f"cpu: {os.cpu_count() or 1} threads", None, ""
    if packages[0].installed is not None:
        try:
            device, gpu_bytes = _torch_device()
        except Exception as error:  # a broken installation raises whatever it likes
            broken = " ".join(str(error).split()) or type(error).__name__
    return Environment(packages=packages, device=device, gpu_bytes=gpu_bytes, ram_bytes=_ram_bytes(), broken=broken)


def as_json(found: Environment) -> dict[str, Any]:
    """For programs."""
    return {
        "ok": found.ok,
        "message": found.message,
        "engine": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "packages": [
            {"name": p.name, "required": p.required, "installed": p.installed, "ok": p.ok} for p in found.packages
        ],
        "missing": list(found.missing),
        "device": found.device,
        "gpu_bytes": found.gpu_bytes,
        "ram_bytes": found.ram_bytes,
    }


def _installed(name: str) -> str | None:
    """A package's version, without importing it."""
    try:
        if importlib.util.find_spec(_MODULES.get(name, name)) is None:
            return None
    except (ImportError, ValueError, AttributeError):
        return None
    try:
        return importlib.metadata.version(name) or ""
    except importlib.metadata.PackageNotFoundError:
        return ""  # built into an application, which then answers for it


def _torch_device() -> tuple[str, int | None]:
    torch = importlib.import_module("torch")
    if torch.cuda.is_available():
        facts = torch.cuda.get_device_properties(0)
        return f"cuda: {facts.name}", int(facts.total_memory)
    return f"cpu: {torch.get_num_threads()} threads", None


def _ram_bytes() -> int | None:
    """The computer's memory; None where the system does not tell."""
    with suppress(Exception):  # whatever is wrong with an installed psutil, the system can still be asked
        return int(importlib.import_module("psutil").virtual_memory().total)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _numbers(version: str) -> tuple[int, ...]:
    """The release part of a version: (2, 4) of `>=2.4` or `2.4.1rc1+cpu`."""
    release = re.match(r"[><=~! ]*(\d+(?:\.\d+)*)", version)
    return tuple(int(part) for part in release[1].split(".")) if release else ()


def _shown(n_bytes: int | None) -> str:
    return f"{(n_bytes or 0) / 2**30:.1f} GiB"
