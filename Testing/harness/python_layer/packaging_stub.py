"""`slicer.packaging`: installations are recorded, never carried out."""

import importlib.metadata
import re

from harness import records


def pip_check(requirements):
    """True if every named distribution is installed (versions are not compared)."""
    names = [requirements] if isinstance(requirements, str) else list(requirements)
    for name in names:
        try:
            importlib.metadata.distribution(re.split(r"[\s<>=!~\[;]", str(name).strip())[0])
        except importlib.metadata.PackageNotFoundError:
            return False
    return True


def pip_install(requirements, **kwargs):
    records.ask("pip_install", None, text=str(requirements))


def pip_uninstall(requirements, **kwargs):
    records.ask("pip_uninstall", None, text=str(requirements))


def pip_ensure(requirements, **kwargs):
    if not pip_check(requirements):
        pip_install(requirements, **kwargs)
