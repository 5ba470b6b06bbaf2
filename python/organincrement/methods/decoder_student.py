"""A multi-decoder network whose last decoder is trained and pruned, with all that a checkpoint must hold of it.

The copies are modules and the masks buffers: the trainer saves, restores and averages them with everything else. An
average of what does not change within a phase is what it was, so that it disturbs none of them.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from organincrement.evaluation.acceptance import is_accepted
from organincrement.networks.multi_decoder import Decoder, MultiDecoder
from organincrement.networks.pruning import apply_masks, magnitude_masks, prunable


class DecoderStudent(nn.Module):
    """`initial`: the new decoder's first weights. `unpruned`: as first trained. `accepted`: the smallest good one."""

    pruned: Tensor
    reference: Tensor

    def __init__(self, network: MultiDecoder) -> None:
        super().__init__()
        self.network = network
        self.initial, self.unpruned, self.accepted = (copy.deepcopy(network.decoders[-1]) for _ in range(3))
        for number, weight in enumerate(prunable(self.decoder)):
            self.register_buffer(f"mask_{number}", torch.ones_like(weight, dtype=torch.bool))
        self.register_buffer("pruned", torch.tensor(False))
        self.register_buffer("reference", torch.tensor(0.0, dtype=torch.float64))
        self.freeze()

    @property
    def decoder(self) -> Decoder:
        """The one that is trained."""
        return self.network.decoders[-1]  # type: ignore[return-value]

    def freeze(self) -> None:
        """Only the new decoder is trained."""
        self.requires_grad_(False)
        self.decoder.requires_grad_(True)

    def train(self, mode: bool = True) -> "DecoderStudent":
        """All but the new decoder stay in eval mode, so that no statistic of a frozen part moves."""
        super().train(False)
        self.training = mode
        self.decoder.train(mode)
        return self

    def forward(self, x_BCDHW: Tensor) -> Tensor:
        """All decoders' logits."""
        return self.network(x_BCDHW)

    def new_logits(self, x_BCDHW: Tensor) -> tuple[Tensor, Tensor | None]:
        """The new decoder's logits, float32; once it is pruned, with those of the unpruned one, a constant."""
        with torch.no_grad():
            skips = self.network.encoder(x_BCDHW)
            reads = self.network.decoded(skips, -1) if len(self.decoder.supports) else []
            earlier = [features for _, features in reads]
            unpruned = self.unpruned(skips, earlier)[0].float() if self.pruned else None
        return self.decoder(skips, earlier)[0].float(), unpruned

    def mask(self) -> None:
        """Keep what is pruned at 0."""
        apply_masks(prunable(self.decoder), self._masks())

    @torch.no_grad()
    def prune(self, sparsity: float, reference: float, rewind: bool) -> None:
        """Prune the decoder, which has been accepted. Args: rewind: what stays goes back to its first weights."""
        if not self.pruned:
            self.unpruned.load_state_dict(self.decoder.state_dict())
        weights = prunable(self.decoder)
        for mask, kept in zip(self._masks(), magnitude_masks(weights, sparsity, self._masks()), strict=True):
            mask.copy_(kept)
        if rewind:
            self.decoder.load_state_dict(self.initial.state_dict())
        self.mask()
        self.pruned.fill_(True)
        self.reference.fill_(reference)

    def accept(self, scores: Sequence[float], drop: float) -> bool:
        """Take the present decoder for the accepted one, unless it is pruned and its last score fell more than `drop`.

        Nor is a pruned one accepted without a score, or where none has found anything.
        """
        if self.pruned and (not any(scores) or not is_accepted(float(self.reference), scores[-1], drop)):
            return False
        self.accepted.load_state_dict(self.decoder.state_dict())
        return True

    def product(self) -> MultiDecoder:
        """The network with the accepted decoder."""
        product = copy.deepcopy(self.network)
        if self.pruned:
            product.decoders[-1].load_state_dict(self.accepted.state_dict())
        return product

    def _masks(self) -> list[Tensor]:
        return [buffer for name, buffer in self.named_buffers(recurse=False) if name.startswith("mask_")]
