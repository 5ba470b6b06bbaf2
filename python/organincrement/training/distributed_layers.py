"""Layers that look at a whole mini-batch, or draw for it, where several processes have it between them.

A batch normalisation takes means and variances of all processes' samples. A dropout draws its mask for the whole part
of the batch, as one process would, and takes its own samples' share of it.
"""

from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from organincrement.imaging.share import present_share


class CannotBeShared(ValueError):  # noqa: N818
    """Nobody has said how several processes have a layer's batch between them."""


def share_layers(network: nn.Module) -> None:
    """Make a network's layers mind the share that is being worked on; names and weights stay what they are.

    Raises: CannotBeShared.
    """
    for layer in network.modules():
        if type(layer) in _SHARED:
            layer.__class__ = _SHARED[type(layer)]
        elif isinstance(layer, _BatchNorm | _DropoutNd):
            raise CannotBeShared(
                f"this network has a layer {type(layer).__name__}, which several processes cannot train: leave "
                "--distributed out"
            )


class _Pooled:
    """Statistics of all samples, the variance from the distances to their mean."""

    def forward(self: Any, x: Tensor) -> Tensor:
        share = present_share()
        if share is None or not self.training:
            return super().forward(x)  # type: ignore[misc]
        axes, shape = [0, *range(2, x.ndim)], (1, -1, *[1] * (x.ndim - 2))
        wide = x.float()
        count = share.pooled(wide.new_tensor([x.numel() / x.shape[1]]))
        mean = share.pooled(wide.sum(axes)) / count
        centred = wide - mean.view(shape)
        variance = share.pooled(centred.square().sum(axes)) / count
        self._follow(mean.detach(), variance.detach() * (count / (count - 1).clamp_min(1)))
        y = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            y = y * self.weight.view(shape) + self.bias.view(shape)
        return y.to(x.dtype)

    def _follow(self: Any, mean: Tensor, variance: Tensor) -> None:
        if not self.track_running_stats:
            return
        self.num_batches_tracked += 1
        rate = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), rate)
        self.running_var.lerp_(variance.to(self.running_var.dtype), rate)


class _Masked:
    """A mask for all samples. whole_channels: one number for a channel, rather than for a voxel."""

    whole_channels = True

    def forward(self: Any, x: Tensor) -> Tensor:
        share = present_share()
        if share is None or not self.training:
            return super().forward(x)  # type: ignore[misc]
        rest = (x.shape[1], *[1] * (x.ndim - 2)) if self.whole_channels else x.shape[1:]
        mask = super().forward(x.new_ones((share.all, *rest)))  # type: ignore[misc]
        return x * mask[share.before : share.before + share.own]


class _BatchNorm1d(_Pooled, nn.BatchNorm1d): ...


class _BatchNorm2d(_Pooled, nn.BatchNorm2d): ...


class _BatchNorm3d(_Pooled, nn.BatchNorm3d): ...


class _Dropout(_Masked, nn.Dropout):
    whole_channels = False


class _Dropout2d(_Masked, nn.Dropout2d): ...


class _Dropout3d(_Masked, nn.Dropout3d): ...


_SHARED: dict[type, type] = {
    nn.BatchNorm1d: _BatchNorm1d, nn.BatchNorm2d: _BatchNorm2d, nn.BatchNorm3d: _BatchNorm3d,
    nn.Dropout: _Dropout, nn.Dropout2d: _Dropout2d, nn.Dropout3d: _Dropout3d,
}  # fmt: skip
