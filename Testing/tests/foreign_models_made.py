"""Tiny models of other tools, made in a process of its own: nothing of the engine is imported beside the modules."""

import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

from fixtures.engine_world import ENGINE

_PATHS = (ENGINE, ENGINE / "tests", ENGINE / "tests" / "foreign_models")
_NNUNET = """
import json, sys
from pathlib import Path
from nnunet2_folder import Nnunet2, write_folder
given = json.loads(sys.argv[2])
write_folder(Path(sys.argv[1]), Nnunet2(**given))
"""
_TOTAL = """
import sys
from pathlib import Path
from foreign_models.totalsegmentator_folder import Part, write_weights
from organincrement.models.formats.totalsegmentator_tasks import TASKS
write_weights(Path(sys.argv[1]), [Part(number=n, classes=c) for n, c in TASKS["total"].parts.items()])
"""
_WEIGHTS = """
import sys, torch
from nnunet2_folder import Nnunet2, network_of
torch.save(network_of(Nnunet2()).state_dict(), sys.argv[1])
"""
_PROGRAM = """
import sys, torch
network = torch.nn.Sequential(torch.nn.Conv3d(1, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv3d(4, 3, 1)).eval()
torch.jit.save(torch.jit.trace(network, torch.zeros(1, 1, 8, 8, 8)), sys.argv[1])
"""


def tinyNnunet(folder: Path, **given: object) -> Path:
    """A results folder of nnU-Net v2 with liver and spleen. Args: given: fields of the maker's Nnunet2."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    return _made(_NNUNET, folder, json.dumps(given))


def tinyTotalSegmentator(folder: Path) -> Path:
    """The five networks of TotalSegmentator's task `total`, each in its data set's folder."""
    return _made(_TOTAL, folder)


def tinyWeights(path: Path) -> Path:
    """A plain state dict of the same network."""
    return _made(_WEIGHTS, path)


def tinyProgram(path: Path) -> Path:
    """A TorchScript file that answers with three channels."""
    return _made(_PROGRAM, path)


class _Bomb:
    def __init__(self, mark: str):
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (open, (self.mark, "w"))


def hostileFile(folder: Path) -> tuple[Path, Path]:
    """A checkpoint whose pickle would make a file, and that file."""
    path, mark = folder / "model.pth", folder / "ran"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"state_dict": _Bomb(str(mark))}))
        archive.writestr("archive/version", "3\n")
    return path, mark


def _made(source: str, path: Path, *arguments: str) -> Path:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(map(str, _PATHS))}
    command = [sys.executable, "-c", source, str(path), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr
    return path
