"""How much each perturbation adds to the teacher's uncertainty, behind InstanceNorm and without."""

import itertools
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.speed.part import Options, Part, Table
from organincrement.imaging.perturbation import PerturbationRanges, add_noise, blur, brighten, perturb, stretch_contrast
from organincrement.imaging.phantom.scan import SITES, make_phantom
from organincrement.losses.guidance import entropy
from organincrement.losses.overlap import soft_dice_loss
from organincrement.networks.build import build_network
from organincrement.networks.sizing import NetworkSpec

_NORMS = {"instance": "InstanceNorm", "batch": "BatchNorm", "none": "no norm"}
_ORGANS = ("liver", "spleen", "stomach")
_COPIES, _EDGE = 6, 32
_SHAPE, _PATIENTS = (48, 60, 72), (1, 2, 3)
_TEACHER, _SCAN = "teachers/nnunet_v2_headneck", "data/headneck/devtest/images/pt_13.nii.gz"

Transform = Callable[[Tensor, torch.Generator], Tensor]


def _amount(generator: torch.Generator, span: tuple[float, float]) -> float:
    return span[0] + (span[1] - span[0]) * float(torch.rand((), generator=generator))


_RANGES = PerturbationRanges()
_ALONE: Mapping[str, Transform] = {
    "noise": lambda x, g: add_noise(x, _amount(g, _RANGES.noise_sigma) * torch.randn(x.shape, generator=g)),
    "blur": lambda x, g: blur(x, _amount(g, _RANGES.blur_sigma_voxels)),
    "brightness": lambda x, g: brighten(x, _amount(g, _RANGES.brightness_factor)),
    "contrast": lambda x, g: stretch_contrast(x, _amount(g, _RANGES.contrast_factor)),
    "all, as drawn": perturb,
}


def measure(options: Options) -> Part:
    """Teachers of three norms trained on phantoms; a real one on a real scan where there is one."""
    steps = 20 if options.quick else 150
    scans = [_phantom(patient) for patient in _PATIENTS[: 1 if options.quick else None]]
    patch = _patches(scans, 1, np.random.default_rng(9))[0]
    teachers = {words: (_trained(norm, scans, steps), patch) for norm, words in _NORMS.items()}
    if options.shared is not None and (options.shared / _TEACHER).is_dir():
        teachers["a clinic's nnU-Net, InstanceNorm"] = _clinics(options.shared)
    tables = [_added(teachers), _cancelled(teachers)]
    return Part(
        title="What each perturbation adds to the uncertainty",
        question=(
            f"u is the entropy of the mean over Q = {_COPIES} copies. How much of it comes from each transform, "
            "drawn alone with its amounts, beyond the entropy of the clean pass? Teachers of three levels, one for "
            f"each norm, trained for {steps} steps on phantoms of {', '.join(_ORGANS)} at 4.4 mm, asked about one "
            f"patch of {_EDGE} voxels an edge. And does a brightness factor cancel behind convolution and InstanceNorm?"
        ),
        tables=tables,
        check=f"A brightness factor behind InstanceNorm: {tables[1].rows[0][1]} on the patch.",
        remark=_REMARK,
    )


_REMARK = (
    "Blur gives nearly all of what perturbing adds, brightness behind InstanceNorm nothing. "
    "Behind a convolution and InstanceNorm a factor cancels but for the norm's eps, which stands beside the "
    "variance of the convolution's answer: to 1e-5 of a probability in float32, 1e-4 in air, where that variance is "
    "small, and not in bfloat16, where rounding comes first. So a copy that was only brightened repeats the clean pass "
    "nearly, not exactly, and the code computes it all the same: leaving it out would save 6.7 % of the copies (one of "
    "the 15 choices), 2 to 4 % of a step, and change the last bits. Contrast does not cancel: it shifts, and zero "
    "padding and the clamp see that."
)


def _added(teachers: Mapping[str, tuple[nn.Module, Tensor]]) -> Table:
    rows: list[list[str | float]] = []
    for words, (network, patch) in teachers.items():
        clean = float(entropy(_p(network, patch)).mean())
        added = {name: _mean_u(network, patch, transform) - clean for name, transform in _ALONE.items()}
        rows.append([words, f"{clean:.2e}", *(f"{more:+.1e}" for more in added.values())])
    return Table(
        columns=["teacher", "clean entropy", *_ALONE], rows=rows,
        caption=f"Mean u beyond the entropy of the clean pass, Q = {_COPIES}, in nats a voxel",
    )  # fmt: skip


def _cancelled(teachers: Mapping[str, tuple[nn.Module, Tensor]]) -> Table:
    rows: list[list[str]] = []
    for words, (network, patch) in teachers.items():
        air = patch.amin() + 1e-3 * torch.randn(patch.shape, generator=torch.Generator().manual_seed(0))
        with torch.autocast("cpu", torch.bfloat16):
            half = _furthest(network, patch, brighten)
        rows.append(
            [words, f"{_furthest(network, patch, brighten):.1e}", f"{_furthest(network, air, brighten):.1e}",
             f"{half:.1e}", f"{_furthest(network, patch, stretch_contrast):.1e}"]
        )  # fmt: skip
    return Table(
        columns=["teacher", "brightness", "brightness, a patch of air", "brightness, bfloat16", "contrast"], rows=rows,
        caption="Largest change of a probability by a factor of 0.75 or 1.25",
    )  # fmt: skip


def _p(network: nn.Module, image_BCDHW: Tensor) -> Tensor:
    with torch.inference_mode():
        answer: Tensor = network(image_BCDHW).float().softmax(1)
    return answer


def _mean_u(network: nn.Module, patch_1CDHW: Tensor, transform: Transform) -> float:
    generator = torch.Generator().manual_seed(5)
    copies = [_p(network, transform(patch_1CDHW, generator)) for _ in range(_COPIES)]
    return float(entropy(torch.stack(copies).mean(0)).mean())


def _furthest(network: nn.Module, patch_1CDHW: Tensor, transform: Callable[[Tensor, float], Tensor]) -> float:
    clean = _p(network, patch_1CDHW)
    return max(float((_p(network, transform(patch_1CDHW, f)) - clean).abs().max()) for f in (0.75, 1.25))


def _phantom(patient: int) -> tuple[np.ndarray, np.ndarray]:
    scan = make_phantom(patient, SITES["a"], _SHAPE)
    image_DHW = (np.clip(scan.image.array_DHW, -200, 300) - 20) / 120
    return image_DHW.astype(np.float32), scan.labels_of(_ORGANS).array_DHW.astype(np.int64)


def _patches(scans: list[tuple[np.ndarray, np.ndarray]], count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """About the organs. Returns: image (B, 1, D, H, W), labels (B, D, H, W)."""
    images, labels = [], []
    for _ in range(count):
        image_DHW, labels_DHW = scans[rng.integers(len(scans))]
        centre = rng.choice(np.argwhere(labels_DHW > 0))
        starts = np.clip(centre - _EDGE // 2, 0, np.array(image_DHW.shape) - _EDGE)
        place = tuple(slice(start, start + _EDGE) for start in starts)
        images.append(image_DHW[place])
        labels.append(labels_DHW[place])
    return torch.from_numpy(np.stack(images))[:, None], torch.from_numpy(np.stack(labels))


def _trained(norm: str, scans: list[tuple[np.ndarray, np.ndarray]], steps: int) -> nn.Module:
    torch.manual_seed(0)
    sizes = {"features": [8, 16, 32], "blocks": [1, 1, 1], "decoder_blocks": [1, 1], "norm": norm}
    spec = NetworkSpec(kind="PlainConvUNet", args={"in_channels": 1, "out_channels": 1 + len(_ORGANS), **sizes})
    network, rng = build_network(spec.kind, spec.args), np.random.default_rng(0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for _ in range(steps):
        image, labels = _patches(scans, 2, rng)
        logits = network(image)
        loss = functional.cross_entropy(logits, labels) + soft_dice_loss(labels, logits.softmax(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval().requires_grad_(False)


def _clinics(shared: Path) -> tuple[nn.Module, Tensor]:
    """A stock nnU-Net, and the middle of a scan as it sees it."""
    from organincrement.imaging.preprocessing import to_network_grid
    from organincrement.imaging.safe_read import read_image
    from organincrement.models.package import load_package
    from organincrement.workflows.import_model import ImportRequest, import_model

    with tempfile.TemporaryDirectory() as folder:
        made = import_model(ImportRequest(path=shared / _TEACHER, out=Path(folder) / "teacher"))
        model = load_package(made.package)
    patch = made.manifest.inference.patch
    grid = to_network_grid(read_image(shared / _SCAN), made.manifest.preprocessing, minimum_shape=patch)  # type: ignore[arg-type]
    starts = [(whole - edge) // 2 for whole, edge in zip(grid.image_DHW.shape, patch, strict=True)]
    place = tuple(itertools.starmap(slice, ((s, s + edge) for s, edge in zip(starts, patch, strict=True))))
    return model.network.eval().requires_grad_(False), torch.from_numpy(grid.image_DHW[place].copy())[None, None]
