"""The vaults that AeiSeg and CoRiSeg replay in the comparison."""

import shutil
from pathlib import Path

from benchmarks.methods_run import Vault
from organincrement.workflows.select_exemplars import SelectRequest, select_exemplars


def make_vault(vault: Vault, teacher: Path, dataset: Path, out: Path) -> Path:
    """Select exemplars of a teacher's data. Returns: the vault."""
    shutil.rmtree(out, ignore_errors=True)
    select_exemplars(
        SelectRequest(
            model=teacher, dataset=dataset, by=vault.by, out=out, most_certain=vault.most_certain, keep=vault.keep,
            passes=vault.passes, device="cpu",
        )
    )  # fmt: skip
    return out
