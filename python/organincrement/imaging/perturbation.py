"""Shape-preserving perturbations of the input for uncertainty-aware guidance (arXiv 2103.05227, section 2.3).

The paper names contrast, brightness, Gaussian blur and Gaussian noise; the ranges are ours. Everything runs on the
device of the image; every draw comes from the generator handed in.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from organincrement.imaging.share import present_share


@dataclass(frozen=True, kw_only=True)
class PerturbationRanges:
    """Ranges on the normalised image: noise in its standard deviations, blur in voxels, factors for the others."""

    noise_sigma: tuple[float, float] = (0.0, 0.1)
    blur_sigma_voxels: tuple[float, float] = (0.5, 1.0)
    brightness_factor: tuple[float, float] = (0.75, 1.25)
    contrast_factor: tuple[float, float] = (0.75, 1.25)
    probability: float = 0.5


def add_noise(x_BCDHW: Tensor, noise_BCDHW: Tensor) -> Tensor:
    """x + noise."""
    return x_BCDHW + noise_BCDHW


def blur(x_BCDHW: Tensor, sigma_voxels: float) -> Tensor:
    """Separable normalised Gaussian of radius int(4 sigma + 0.5), edges replicated."""
    radius = int(4 * sigma_voxels + 0.5)
    if radius == 0:
        return x_BCDHW
    offsets = torch.arange(-radius, radius + 1, dtype=x_BCDHW.dtype, device=x_BCDHW.device)
    kernel = torch.exp(-0.5 * (offsets / sigma_voxels) ** 2)
    kernel = kernel / kernel.sum()
    for axis in range(2, x_BCDHW.ndim):
        size = x_BCDHW.shape[axis]
        index = torch.arange(-radius, size + radius, device=x_BCDHW.device).clamp(0, size - 1)
        padded = x_BCDHW.index_select(axis, index)
        x_BCDHW = padded.narrow(axis, 0, size) * kernel[0]
        part = torch.empty_like(x_BCDHW)  # in place: a new map for each product and each sum takes half as long again
        for i in range(1, len(kernel)):
            x_BCDHW += torch.mul(padded.narrow(axis, i, size), kernel[i], out=part)
    return x_BCDHW


def brighten(x_BCDHW: Tensor, factor: float) -> Tensor:
    """x * factor."""
    return x_BCDHW * factor


def stretch_contrast(x_BCDHW: Tensor, factor: float) -> Tensor:
    """clip((x - mean) * factor + mean, min x, max x), with mean, min and max of each sample."""
    axes = list(range(1, x_BCDHW.ndim))
    mean, low, high = (f(x_BCDHW, dim=axes, keepdim=True) for f in (torch.mean, torch.amin, torch.amax))
    return ((x_BCDHW - mean) * factor + mean).clamp(low, high)


def perturb(x_BCDHW: Tensor, generator: torch.Generator, ranges: PerturbationRanges | None = None) -> Tensor:
    """One perturbed copy: per sample, each transform with the given probability, redrawn while none is drawn.

    Order: noise, blur, brightness, contrast. `generator` is a CPU generator, so that the draws do not depend on the
    device. Returns: same shape and device.
    """
    ranges, share = ranges or PerturbationRanges(), present_share()
    sample = torch.Size((1, *x_BCDHW.shape[1:]))
    for _ in range(share.before if share else 0):
        _drawn(sample, generator, ranges)  # what other processes have of the batch
    copies = [_perturb_sample(x, generator, ranges) for x in x_BCDHW.split(1)]
    for _ in range(share.after if share else 0):
        _drawn(sample, generator, ranges)
    return torch.cat(copies)


def _perturb_sample(x_1CDHW: Tensor, generator: torch.Generator, ranges: PerturbationRanges) -> Tensor:
    chosen, (noise, sigma, brightness, contrast), drawn = _drawn(x_1CDHW.shape, generator, ranges)
    if drawn is not None:
        on_gpu = x_1CDHW.is_cuda  # pinned, so that it goes on with the copy before while this one is drawn
        drawn = drawn.pin_memory() if on_gpu else drawn
        x_1CDHW = add_noise(x_1CDHW, noise * drawn.to(x_1CDHW, non_blocking=on_gpu))
    if chosen[1]:
        x_1CDHW = blur(x_1CDHW, sigma)
    if chosen[2]:
        x_1CDHW = brighten(x_1CDHW, brightness)
    return stretch_contrast(x_1CDHW, contrast) if chosen[3] else x_1CDHW


def _drawn(
    shape: torch.Size, generator: torch.Generator, ranges: PerturbationRanges
) -> tuple[list[bool], list[float], Tensor | None]:
    """Which transforms a sample of this shape gets, with which amounts, and its noise of deviation 1, if any."""
    chosen = torch.zeros(4, dtype=torch.bool)
    while not chosen.any():
        chosen = torch.rand(4, generator=generator) < ranges.probability
    position = torch.rand(4, generator=generator).tolist()
    spans = (ranges.noise_sigma, ranges.blur_sigma_voxels, ranges.brightness_factor, ranges.contrast_factor)
    amounts = [low + (high - low) * t for (low, high), t in zip(spans, position, strict=True)]
    noise = torch.randn(shape, generator=generator, dtype=torch.float32) if chosen[0] else None
    return chosen.tolist(), amounts, noise
