"""Where the reference vectors lie, and skipping with a reason where they do not."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

PROJECT_ROOT = Path(__file__).parents[3]


@pytest.fixture
def reference_vectors() -> Callable[[str, str], Mapping[str, np.ndarray]]:
    """Arrays of one case of one file of reference vectors, by name."""
    folder = Path(os.environ.get("ORGANINCREMENT_ORACLES", PROJECT_ROOT.parent / "shared" / "oracles"))

    def load(file: str, case: str) -> Mapping[str, np.ndarray]:
        path = folder / file
        if not path.is_file():
            pytest.skip(f"no reference vectors here: set ORGANINCREMENT_ORACLES to the folder with {file}")
        with np.load(path) as arrays:
            return {name.split(".", 1)[1]: arrays[name] for name in arrays.files if name.startswith(f"{case}.")}

    return load
