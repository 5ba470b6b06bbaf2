"""Two networks that are trained side by side, and the moving average of each, as one module."""

import torch
from torch import Tensor, nn

from organincrement.networks.averages import move_average
from organincrement.networks.build import build_network
from organincrement.networks.sizing import NetworkSpec


class CoTrained(nn.Module):
    """Answers as the average of the first network does: that is what is validated, and what is kept in the end."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.networks = nn.ModuleList(build_network(spec.kind, spec.args) for _ in range(2))
        self.means = nn.ModuleList(build_network(spec.kind, spec.args) for _ in range(2))
        for mean, network in zip(self.means, self.networks, strict=True):
            mean.load_state_dict(network.state_dict())
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))

    def forward(self, image_BCDHW: Tensor) -> Tensor:
        """Logits of the first average, (B, channels, D, H, W)."""
        return self.means[0](image_BCDHW)

    def train(self, mode: bool = True) -> "CoTrained":
        """The networks; an average never trains, and never drops anything out."""
        super().train(mode)
        self.means.eval()
        return self

    def update(self, decay: float) -> None:
        """Move each average towards its network; a young one forgets faster, so that the start fades."""
        self.updates += 1
        count = int(self.updates)
        for mean, network in zip(self.means, self.networks, strict=True):
            move_average(mean, network, min(decay, (1 + count) / (10 + count)))
