"""What folders of nnU-Net v1 and v2 have in common: where models lie in them, and what to know of their answers."""

from collections.abc import Callable
from pathlib import Path

from organincrement.contract.model import STORED, ModelManifest
from organincrement.models.errors import ModelError

CITATION = "F. Isensee et al.: nnU-Net. Nature Methods 18 (2021) 203–211"
MOST_ENTRIES = 1000
Find = Callable[[Path], list[Path]]  # the model folders that a path is, holds, or lies in, whole or half copied


def subfolders(path: Path) -> list[Path]:
    """The folders in a folder, in the order of their names; of huge ones not all."""
    if not path.is_dir():
        return []
    entries = sorted(entry for entry, _ in zip(path.iterdir(), range(MOST_ENTRIES), strict=False))
    return [entry for entry in entries if entry.is_dir()]


def any_found(path: Path, find: Find) -> bool:
    """Whether a path is, holds, or lies in a model folder; never raises."""
    try:
        return bool(find(path))
    except (OSError, ValueError):
        return False


def all_found(path: Path, find: Find, nothing: str) -> list[Path]:
    """The model folders. Args: nothing: said where there is none. Raises: ModelError."""
    try:
        folders = find(path)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path.name}: cannot be read ({error.__class__.__name__}); try again") from None
    if not folders:
        raise ModelError(f"{path.name}: {nothing}")
    return folders


def the_only(path: Path, folders: list[Path], shown: Callable[[Path], str]) -> Path:
    """Raises: ModelError naming what to choose from. Args: shown: what a folder is called there."""
    if len(folders) != 1:
        there = ", ".join(map(shown, folders)) or "none of that configuration"
        raise ModelError(
            f"{path.name}: holds several models ({there}); choose with --configuration, or give one folder"
        )
    return folders[0]


def of_several_folds(count: int) -> list[str]:
    """What to know of an ensemble."""
    return [f"an ensemble of {count} folds: each scan takes {count} times as long"] if count > 1 else []


def of_its_answers(manifest: ModelManifest) -> list[str]:
    """What to know of how it sees a scan."""
    notes = []
    if manifest.preprocessing.orientation == STORED:
        notes.append("axes of scans are taken as their files store them, as nnU-Net does; --orientation LPS turns them")
    if manifest.inference.mirror_axes and manifest.label_space.has_laterality:
        notes.append("it answers mirrored copies as well, as it was trained, although some organs have a side")
    return notes
