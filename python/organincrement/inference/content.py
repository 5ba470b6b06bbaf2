"""The content of a picture as one vector, whose squared distances are CoRiSeg's content distance (eq. 3).

    d(I, J) = sum over layers l, filters f of mean over positions of (R_lf(I) - R_lf(J))^2

so that an activation takes part divided by the root of its layer's number of positions. Where all activations of all
pictures do not fit into memory, a count sketch of them does: each activation is added, with a random sign, to one of a
few thousand numbers, which leaves squared distances as they are on average (M. Charikar et al., ICALP 2002).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from organincrement.networks.vgg import Vgg16, resized

PICTURE_EDGE = 192  # as the paper's images
MOST_NUMBERS, FEWEST_NUMBERS = 4096, 256
_LARGEST = 2**63 - 1
_PIECE = 2**20  # activations that are sketched at once
Take = Callable[[Tensor], None]
Activations = Callable[[np.ndarray, Take], None]  # of a slab, each layer's (filters, positions…) handed over in turn


def vgg_activations(vgg: Vgg16, device: torch.device) -> Activations:
    """Of VGG16, on the middle slice of a slab."""
    vgg = vgg.to(device)

    def look(slab_DHW: np.ndarray, take: Take) -> None:
        picture = torch.from_numpy(np.ascontiguousarray(slab_DHW[len(slab_DHW) // 2], np.float32)).to(device)
        for layer in vgg.activations(resized(picture, PICTURE_EDGE)):
            take(layer)

    return look


def trunk_activations(network: nn.Module, patch: tuple[int, int, int], device: torch.device) -> Activations:
    """Of all spatial convolutions of the segmentation network itself, on the slab scaled to its patch."""
    layers = [m for m in network.modules() if isinstance(m, nn.Conv3d) and max(m.kernel_size) > 1]

    def look(slab_DHW: np.ndarray, take: Take) -> None:
        whole = torch.from_numpy(np.ascontiguousarray(slab_DHW, np.float32))[None, None].to(device)
        x = functional.interpolate(whole, size=patch, mode="trilinear", align_corners=False)
        handles = [layer.register_forward_hook(lambda layer, given, y: take(y[0])) for layer in layers]
        try:
            network(x)
        finally:
            for handle in handles:
                handle.remove()

    return look


@dataclass(kw_only=True)
class ContentVectors:
    """Turns pictures into vectors of one length, within a budget for all of them.

    count: how many pictures there will be. The sketch, where there is one, follows from the seed.
    """

    activations: Activations
    count: int
    seed: int = 0
    budget_bytes: int = 256 * 2**20
    numbers: int = 0
    _exact: bool = False

    @property
    def words(self) -> str:
        """How exact the distances are, for the report."""
        return "exact" if self._exact else f"of sketches of {self.numbers} numbers, exact to about {self._error:.0%}"

    @torch.inference_mode()
    def of(self, slab_DHW: np.ndarray) -> np.ndarray:
        """(numbers,) float32."""
        if not self.numbers:
            lengths: list[int] = []
            self.activations(slab_DHW, lambda layer: lengths.append(layer.numel()))
            self._settle(sum(lengths))
        parts: list[Tensor] = []
        total = torch.zeros(0 if self._exact else self.numbers)

        def take(layer: Tensor) -> None:
            scaled = (layer.float() / layer[0].numel() ** 0.5).flatten().cpu()
            if not self._exact:
                self._sketch(scaled, len(parts), total)
            parts.append(scaled if self._exact else scaled[:0])

        self.activations(slab_DHW, take)
        return (torch.cat(parts) if self._exact else total).numpy()

    @property
    def _error(self) -> float:
        return float((2 / self.numbers) ** 0.5)

    def _settle(self, length: int) -> None:
        fitting = self.budget_bytes // (4 * max(self.count, 1))
        self._exact = length <= fitting
        self.numbers = length if self._exact else int(min(MOST_NUMBERS, max(FEWEST_NUMBERS, fitting)))

    def _sketch(self, values: Tensor, layer: int, total: Tensor) -> None:
        """Add each value, with its sign, to its place; both follow from its number by multiplication and shifts."""
        odd, shift = (int(n) | 1 for n in np.random.SeedSequence([self.seed, layer]).generate_state(2, np.uint32))
        for start in range(0, len(values), _PIECE):
            piece = values[start : start + _PIECE]
            mixed = (torch.arange(start, start + len(piece)) + shift) * (odd * 0x9E3779B1 & _LARGEST)
            mixed = (mixed ^ (mixed >> 29)) * 0x1B873593
            mixed = mixed ^ (mixed >> 32)
            signs = ((mixed >> 40) & 1) * 2 - 1
            total.index_add_(0, (mixed & 0xFFFFFFFF) % self.numbers, piece * signs)
