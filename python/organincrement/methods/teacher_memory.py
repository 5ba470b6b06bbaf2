"""A teacher that answers a mini-batch once, and reads its answer back when the very same mini-batch comes again.

Mini-batches come again only where the training runs over a fixed plan of patches (training/patch_plan.py). A mini-batch
is known by what is in it, so an answer can never be that to another patch, place or augmentation. For the same reason
its perturbations are drawn by its contents: once for each mini-batch of the plan, alike before and after a resume.
"""

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from organincrement.methods.teacher import FrozenTeacher, TeacherView

_BYTES = 4  # of float32, in which teachers answer: nothing is rounded


class RememberedTeacher(FrozenTeacher):
    """A frozen teacher with a memory on disk; beyond `most_bytes` it answers as one without.

    Args: folder: for a file that has no name there, where the system can do that, and ends with the process.
    """

    def __init__(self, teacher: FrozenTeacher, folder: Path | None, most_bytes: int) -> None:
        super().__init__(
            teacher.network, teacher.spec, channel_of=teacher.channel_of, old_count=teacher.old_count,
            readout=teacher.readout,
        )  # fmt: skip
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - it is closed with the teacher
        self._places: dict[bytes, tuple[int, torch.Size, torch.dtype]] = {}
        self._most_bytes, self.used_bytes = most_bytes, 0

    def __call__(self, image_BCDHW: Tensor) -> TeacherView:
        """As of the teacher. Raises: OSError where the disk is full."""
        answer = FrozenTeacher.__call__
        return TeacherView(
            log_p_BKDHW=self._recall(_key(image_BCDHW), image_BCDHW, lambda: answer(self, image_BCDHW).log_p_BKDHW)
        )

    def uncertainty(self, image_BCDHW: Tensor, perturbations: int, generator: torch.Generator) -> Tensor:
        """As of the teacher, with draws that follow from the image in place of `generator`'s."""
        key, answer = _key(image_BCDHW, perturbations), FrozenTeacher.uncertainty
        own = torch.Generator().manual_seed(int.from_bytes(key[:4], "little"))
        return self._recall(key, image_BCDHW, lambda: answer(self, image_BCDHW, perturbations, own))

    def _recall(self, key: bytes, image_BCDHW: Tensor, answer: Callable[[], Tensor]) -> Tensor:
        if key in self._places:
            return self._read(key).to(image_BCDHW.device)
        found = answer()
        if self.used_bytes + found.nbytes <= self._most_bytes:
            self._write(key, found)
        return found

    def _write(self, key: bytes, found: Tensor) -> None:
        self._file.seek(self.used_bytes)
        self._file.write(found.cpu().contiguous().numpy().data.cast("B"))
        self._places[key] = (self.used_bytes, found.shape, found.dtype)
        self.used_bytes += found.nbytes

    def _read(self, key: bytes) -> Tensor:
        place, shape, dtype = self._places[key]
        found = torch.empty(shape, dtype=dtype)
        self._file.seek(place)
        self._file.readinto(found.numpy().data.cast("B"))  # type: ignore[attr-defined]
        return found


def bytes_for(batches: int, batch: int, old_count: int, patch: Sequence[int]) -> int:
    """Disk for a plan of so many mini-batches: 1 + K log-probabilities and the uncertainty of each voxel."""
    return _BYTES * batches * batch * (1 + old_count + 1) * int(torch.Size(patch).numel())


def _key(image_BCDHW: Tensor, perturbations: int = 0) -> bytes:
    """Of what is in a mini-batch and what is asked of it; 0 perturbations: of the clean scan."""
    contents = image_BCDHW.detach().cpu().contiguous().numpy().data.cast("B")
    return hashlib.blake2b(contents, digest_size=16, salt=perturbations.to_bytes(4, "little")).digest()
