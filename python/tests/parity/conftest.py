"""Beside stock nnU-Net and MONAI: `make parity`, in an environment of its own. Elsewhere nothing here is collected.

Trained models, scans and results are made once a run, under a folder that pytest keeps for a while.
"""

import importlib.util
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).with_name("stand_ins")))  # for what nnunetv2 only imports
collect_ignore_glob = [] if importlib.util.find_spec("nnunetv2") else ["test_*.py"]


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where everything of this run lies."""
    return tmp_path_factory.mktemp("parity")
