"""Beside stock nnU-Net and MONAI: `make parity`, in an environment of its own. Elsewhere nothing here is collected.

Trained models, scans and results are made once a run, under a folder that pytest keeps for a while.
"""

import importlib.util
from pathlib import Path

import pytest

collect_ignore_glob = [] if importlib.util.find_spec("nnunetv2") else ["test_*.py"]


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where everything of this run lies."""
    return tmp_path_factory.mktemp("parity")
