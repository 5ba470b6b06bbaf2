"""The frozen teacher: the only place of training that puts a network into eval mode and under inference mode."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from organincrement.imaging.perturbation import perturb
from organincrement.inference.readout import Readout
from organincrement.losses.alignment import group_channels
from organincrement.losses.guidance import entropy
from organincrement.networks.ensemble import start_of
from organincrement.networks.sizing import NetworkSpec


@dataclass(frozen=True, kw_only=True)
class TeacherView:
    """The teacher's opinion of a batch: log_p_BKDHW (1 + K channels, merged organs summed), a constant."""

    log_p_BKDHW: Tensor

    @property
    def p_BKDHW(self) -> Tensor:
        """Probabilities."""
        return self.log_p_BKDHW.exp()

    @property
    def labels_BDHW(self) -> Tensor:
        """The most probable channel of each voxel."""
        return self.log_p_BKDHW.argmax(1)


class FrozenTeacher:
    """A network that only answers.

    Args: readout: of its channels. channel_of: for each of its classes the old channel (0..K) it counts as; organs
        merged into a new organ count as background here. old_count: K.
    """

    def __init__(
        self,
        network: nn.Module,
        spec: NetworkSpec,
        *,
        channel_of: tuple[int, ...],
        old_count: int,
        readout: Readout | None = None,
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.spec = spec
        self.channel_of = channel_of
        self.old_count = old_count
        self.readout = readout or Readout.softmax(len(channel_of))

    @property
    def start(self) -> nn.Module:
        """The network whose weights a student starts from: of an ensemble the first member."""
        return start_of(self.network)

    def __call__(self, image_BCDHW: Tensor) -> TeacherView:
        """The teacher's log-probabilities on this input."""
        with torch.inference_mode():
            log_p = self._log_p(image_BCDHW)
        # autograd refuses to save inference tensors; a clone made outside the mode is an ordinary constant
        return TeacherView(log_p_BKDHW=log_p.clone())

    def logits(self, image_BCDHW: Tensor) -> Tensor:
        """All channels of the network on this input, float32, a constant."""
        with torch.inference_mode():
            logits = self.network(image_BCDHW).float()
        return logits.clone()

    def uncertainty(self, image_BCDHW: Tensor, perturbations: int, generator: torch.Generator) -> Tensor:
        """Entropy of the mean prediction over perturbed copies (arXiv 2103.05227, eq. 7). Returns: (B, D, H, W)."""
        with torch.inference_mode():
            # summed as they come: Q maps of all organs at once would be the largest thing in memory
            total = self._log_p(perturb(image_BCDHW, generator)).exp_()
            for _ in range(perturbations - 1):
                total += self._log_p(perturb(image_BCDHW, generator)).exp_()
            u_BDHW = entropy(total.div_(perturbations))
        return u_BDHW.clone()

    def fold(self, log_p_BKDHW: Tensor) -> Tensor:
        """Sum the classes that count as one organ: from the network's classes to 1 + K."""
        return group_channels(log_p_BKDHW, self.channel_of, 1 + self.old_count)

    def old_log_p(self, logits_BCDHW: Tensor) -> Tensor:
        """From the network's channels to the log-probabilities of background and the K old organs."""
        return self.fold(self.readout.joint_log_p(logits_BCDHW))

    def old_labels(self, logits_CDHW: Tensor) -> Tensor:
        """From the network's channels at some voxels to the old organ, 0..K, that it shows there."""
        if len(self.readout.groups) == 1:  # merged organs are summed before the most probable is taken
            return self.old_log_p(logits_CDHW[None])[0].argmax(0)
        place_of = torch.tensor(self.channel_of, device=logits_CDHW.device)
        return place_of[self.readout.labels(logits_CDHW).long()]

    def _log_p(self, image_BCDHW: Tensor) -> Tensor:
        return self.old_log_p(self.network(image_BCDHW).float())
