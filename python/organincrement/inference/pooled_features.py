"""One vector for a whole scan: what the deepest layer of a network saw, averaged over the windows."""

from types import TracebackType

import numpy as np
import torch
from torch import Tensor, nn

_CONVOLUTIONS = (nn.Conv3d, nn.ConvTranspose3d)


class PooledFeatures:
    """Averages the deepest layer's output while the network segments; used as a context around the segmenting.

    The deepest layer is the convolution whose output has the fewest voxels and, of these, the most channels (the last
    one): the bottom of any U-Net, whatever its class calls it. patch: on which this is found out.
    """

    def __init__(self, network: nn.Module, patch: tuple[int, ...], device: torch.device) -> None:
        self._layer = _deepest_layer(network, patch, device)
        self._sum: Tensor | None = None
        self._windows = 0

    @property
    def mean(self) -> np.ndarray | None:
        """(channels,) float64, over all voxels of all windows since the context was entered; None without any."""
        return None if self._sum is None else (self._sum / self._windows).cpu().numpy()

    def __enter__(self) -> "PooledFeatures":
        self._sum, self._windows = None, 0
        self._handle = self._layer.register_forward_hook(self._add)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.remove()

    def _add(self, layer: nn.Module, inputs: object, output_BCDHW: Tensor) -> None:
        of_windows = output_BCDHW.double().mean((2, 3, 4)).sum(0)
        self._sum = of_windows if self._sum is None else self._sum + of_windows
        self._windows += len(output_BCDHW)


def _deepest_layer(network: nn.Module, patch: tuple[int, ...], device: torch.device) -> nn.Module:
    deepest: list[tuple[tuple[int, int], nn.Module]] = []

    def note(layer: nn.Module, inputs: object, output: Tensor) -> None:
        rank = (output[0, 0].numel(), -output.shape[1])
        if not deepest or rank <= deepest[0][0]:
            deepest[:] = [(rank, layer)]

    handles = [layer.register_forward_hook(note) for layer in network.modules() if isinstance(layer, _CONVOLUTIONS)]
    try:
        with torch.inference_mode():
            network(torch.zeros(1, 1, *patch, device=device))
    finally:
        for handle in handles:
            handle.remove()
    if not deepest:
        raise ValueError("the network has no 3-D convolution")
    return deepest[0][1]
