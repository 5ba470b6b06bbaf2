"""What can be wrong with a scan or its label, done to a good one on purpose."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from organincrement.imaging.volume import Volume

Pair = tuple[Volume, Volume]
Corruption = Callable[[Volume, Volume, np.random.Generator], Pair]


def _voxels(change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Corruption:
    return lambda image, labels, rng: (image.with_array(change(image.array_DHW, rng).astype(np.float32)), labels)


def _spacing(*factors: float) -> Corruption:
    def change(image: Volume, labels: Volume, rng: np.random.Generator) -> Pair:
        spacing = tuple(mm * factor for mm, factor in zip(image.spacing_mm, factors, strict=True))
        return replace(image, spacing_mm=spacing), replace(labels, spacing_mm=spacing)

    return change


def _flip(*axes: int) -> Corruption:
    def change(image: Volume, labels: Volume, rng: np.random.Generator) -> Pair:
        flipped = (volume.with_array(np.flip(volume.array_DHW, axes).copy()) for volume in (image, labels))
        return tuple(flipped)  # type: ignore[return-value]

    return change


def _mr_like(hu_DHW: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fat bright, muscle grey, bone and air dark, a coil's shading, and noise that is never negative."""
    signal_of_hu = {-1000: 0, -300: 20, -120: 520, -60: 430, 0: 250, 60: 300, 150: 220, 400: 60, 1500: 20}
    signal = np.interp(hu_DHW, list(signal_of_hu), list(signal_of_hu.values()))
    shading = 1 + 0.35 * np.tanh(np.linspace(-1.5, 1.5, hu_DHW.shape[1]))[None, :, None]
    return np.abs(signal * shading + rng.normal(0, 12, hu_DHW.shape))


def _mr_on_ct_scale(hu_DHW: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same, its air set to -1024: someone has masked it like a CT."""
    return np.where(hu_DHW < -500, -1024, _mr_like(hu_DHW, rng))


def _crop(low: float, high: float) -> Corruption:
    def change(image: Volume, labels: Volume, rng: np.random.Generator) -> Pair:
        depth = len(image.array_DHW)
        part = slice(round(low * depth), round(high * depth))
        return replace(image, array_DHW=image.array_DHW[part]), replace(labels, array_DHW=labels.array_DHW[part])

    return change


def _shift_label(mm: float) -> Corruption:
    def change(image: Volume, labels: Volume, rng: np.random.Generator) -> Pair:
        voxels = [0, round(mm / labels.spacing_mm[1]), round(mm / labels.spacing_mm[2])]
        return image, labels.with_array(ndimage.shift(labels.array_DHW, voxels, order=0))

    return change


def _turned(image: Volume, labels: Volume, rng: np.random.Generator) -> Pair:
    """Slices stacked along the wrong axis: what the header calls feet to head runs front to back."""
    return (
        replace(image, array_DHW=np.ascontiguousarray(image.array_DHW.transpose(1, 0, 2))),
        replace(labels, array_DHW=np.ascontiguousarray(labels.array_DHW.transpose(1, 0, 2))),
    )


SCAN: Mapping[str, Corruption] = {
    "MR-like intensities": _voxels(_mr_like),
    "MR-like, air at -1024": _voxels(_mr_on_ct_scale),
    "grey levels 0 to 255": _voxels(lambda hu, rng: np.clip((hu + 160) / 400, 0, 1) * 255),
    "stored values, HU + 1024": _voxels(lambda hu, rng: hu + 1024),
    "standardised values": _voxels(lambda hu, rng: (hu - hu.mean()) / hu.std()),
    "inverted grey": _voxels(lambda hu, rng: -hu),
    "upside down": _flip(0),
    "front to back": _flip(1),
    "turned by 180° (on the belly)": _flip(1, 2),
    "head and feet, left and right": _flip(0, 2),
    "mirrored left to right": _flip(2),
    "slices along another axis": _turned,
    "spacing × 2": _spacing(2, 2, 2),
    "spacing × 0.5": _spacing(0.5, 0.5, 0.5),
    "slice spacing × 2": _spacing(2, 1, 1),
    "slice spacing × 0.5": _spacing(0.5, 1, 1),
    "in-plane spacing × 2": _spacing(1, 2, 2),
    "in-plane spacing × 0.5": _spacing(1, 0.5, 0.5),
    "spacing 1 mm throughout": lambda image, labels, rng: (
        replace(image, spacing_mm=(1.0, 1.0, 1.0)), replace(labels, spacing_mm=(1.0, 1.0, 1.0))
    ),
    "centimetres for millimetres": _spacing(0.1, 0.1, 0.1),
    "air only": _voxels(lambda hu, rng: rng.normal(-1000, 8, hu.shape)),
    "nothing but zeros": _voxels(lambda hu, rng: np.zeros_like(hu)),
    "noise": _voxels(lambda hu, rng: rng.normal(0, 200, hu.shape)),
    "body without contrast, noisy": _voxels(lambda hu, rng: np.where(hu > -500, rng.normal(30, 40, hu.shape), -1000)),
    "upper half cut off": _crop(0, 0.45),
    "lower half cut off": _crop(0.7, 1),
}  # fmt: skip
LABEL: Mapping[str, Corruption] = {"label 30 mm off": _shift_label(21), "label 15 mm off": _shift_label(10.6)}


def overlapping(old: np.ndarray, share: float) -> Corruption:
    """The new organ's label also covers a part of an old organ (a mask), from its lower end up."""

    def change(image: Volume, labels: Volume, rng: np.random.Generator) -> Pair:
        places = np.argwhere(old)
        taken = places[: round(share * len(places))]
        array = labels.array_DHW.copy()
        array[tuple(taken.T)] = 1
        return image, labels.with_array(array)

    return change


def names() -> Sequence[str]:
    """Every corruption of a scan or a label."""
    return (*SCAN, *LABEL)
