"""What is segmented for the page: a package of many organs on a thin network, and scans made up for it."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from organincrement.contract.labels import Organ
from organincrement.contract.model import (
    Inference,
    Metrics,
    ModelManifest,
    Network,
    Normalisation,
    Preprocessing,
    SoftmaxHead,
    TrainedOn,
    Uncertainty,
)
from organincrement.imaging.safe_read import read_image, read_labels
from organincrement.imaging.volume import Volume
from organincrement.imaging.writing import write_segmentation, write_volume
from organincrement.inference.memory import roomy_budget_bytes
from organincrement.inference.predict import PredictionSettings, predict_volume
from organincrement.models.package import load_package
from organincrement.networks.build import build_network
from organincrement.workflows.looking import hardware_for_scans
from organincrement.workflows.segment import SegmentRequest, segment_case

CPU = torch.device("cpu")
FEATURES = 32  # of the layer before the last


def network_args(classes: int) -> dict[str, Any]:
    """Of a U-Net with as many features at the end as nnU-Net's."""
    return {
        "in_channels": 1, "out_channels": classes, "features": [FEATURES, 32, 64], "blocks": [1, 1, 1],
        "decoder_blocks": [1, 1],
    }  # fmt: skip


def model(
    classes: int, spacing_mm: float, patch: int = 64, sharpness: float = 10.0
) -> tuple[torch.nn.Module, ModelManifest]:
    """A network with weights by chance and its manifest.

    Args: sharpness: of its output layer: 10: labels and doubt change from voxel to voxel; 0: all is certain
            background.
    """
    args = network_args(classes)
    torch.manual_seed(0)
    network = build_network("PlainConvUNet", args).eval()
    with torch.no_grad():
        network.decoder.seg_layers[-1].weight.mul_(sharpness)  # type: ignore[union-attr, index, operator]
        if not sharpness:
            network.decoder.seg_layers[-1].bias[0] = 30  # type: ignore[union-attr, index, operator]
    organs = tuple(Organ(id=f"organ_{i}", name=f"organ {i}", color=(9, 9, 9)) for i in range(1, classes))
    return network, ModelManifest(
        name="speed", organs=organs, network=Network(kind="PlainConvUNet", args=args, parameters=1),
        head=SoftmaxHead(),
        preprocessing=Preprocessing(
            orientation="LPS", spacing_mm=(spacing_mm,) * 3, axis_order=(0, 1, 2), channels=("CT",),
            order="normalise-then-resample",
            normalisation=Normalisation(kind="ct", clip_hu=(-200.0, 300.0), mean=20.0, std=120.0),
            image_resampling="linear", output_resampling="linear",
        ),
        inference=Inference(
            patch=(patch,) * 3, step=0.5, window="gaussian", mirror_axes=(), average="logits", temperature=1.0
        ),
        uncertainty=Uncertainty(kind="perturbation", perturbations=6),
        trained_on=TrainedOn(modality="CT", cases=None, spacing_mm=None, intensity_percentiles={}), lineage=(),
        metrics=Metrics(validation=(), agreement_with_teacher=(), recommended=True), licence="", citation="",
        weights=(),
    )  # fmt: skip


def body(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], organs: int = 30) -> Volume:
    """A scan of int16: a body of ellipses in air, balls of other HU in it, and noise."""
    rng = np.random.default_rng(0)
    places = [np.linspace(-1, 1, n, dtype=np.float32) for n in shape]
    flat = (places[1][:, None] / 0.6) ** 2 + (places[2][None] / 0.8) ** 2 < 1
    hu = np.full(shape, -1000, np.int16)
    hu[:, flat] = 30
    for _ in range(organs):
        centre, radius = rng.uniform([-0.9, -0.35, -0.5], [0.9, 0.35, 0.5]), rng.uniform(0.08, 0.2)
        box = tuple(slice(*np.searchsorted(p, (c - radius, c + radius))) for p, c in zip(places, centre, strict=True))
        d, h, w = (p[b] - c for p, b, c in zip(places, box, centre, strict=True))
        ball = d[:, None, None] ** 2 + h[None, :, None] ** 2 + w**2 < radius**2
        hu[box][ball] = rng.integers(-150, 250)
    for plane in hu:
        plane += rng.integers(-15, 16, plane.shape, dtype=np.int16)
    return Volume(hu, spacing_mm, (0.0, 0.0, 0.0), np.eye(3))


def write_scan(folder: Path, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> Path:
    """The scan as an uncompressed NRRD file of int16, as it comes off a disk."""
    path, volume = folder / "scan.nrrd", body(shape, spacing_mm)
    depth, height, width = shape
    lines = [
        "NRRD0004", "type: short", "dimension: 3", "space: left-posterior-superior", f"sizes: {width} {height} {depth}",
        f"space directions: ({spacing_mm[2]},0,0) (0,{spacing_mm[1]},0) (0,0,{spacing_mm[0]})",
        "kinds: domain domain domain", "endian: little", "encoding: raw", "space origin: (0,0,0)",
    ]  # fmt: skip
    with path.open("wb") as file:
        file.write(("\n".join(lines) + "\n\n").encode())
        for plane in volume.array_DHW:
            file.write(plane.astype("<i2").tobytes())
    return path


def from_file_to_file(
    scan: str, out: str, classes: int, spacing_mm: float, uncertainty: str, sharpness: float, kept: bool
) -> dict[str, float]:
    """Read, segment and write one scan. Args: kept: freed memory stays with the process, as it does for the commands.

    Returns: CPU seconds of each, and millions of voxels of organs.
    """
    torch.set_num_threads(1)
    if kept:
        hardware_for_scans("cpu")
    network, manifest = model(classes, spacing_mm, sharpness=sharpness)
    seconds, started = {}, time.process_time()

    def lap(name: str) -> None:
        nonlocal started
        now = time.process_time()
        seconds[name], started = now - started, now

    image = read_image(scan)
    lap("read")
    settings = PredictionSettings(uncertainty=uncertainty, budget_bytes=roomy_budget_bytes(CPU))  # type: ignore[arg-type]
    with torch.inference_mode():
        found = predict_volume(network, manifest, image, CPU, settings)
    lap("segment")
    write_segmentation(Path(out) / "segmentation.seg.nrrd", image.with_array(found.labels_DHW), manifest.label_space)
    if found.uncertainty_DHW is not None:
        write_volume(Path(out) / "uncertainty.nrrd", image.with_array(found.uncertainty_DHW))
    lap("write")
    return {**seconds, "foreground": float(np.count_nonzero(found.labels_DHW)) / 1e6}


def real_scan(package: str, image: str, out: str, own_precision: bool) -> dict[str, Any]:
    """Segment a scan with a package. Returns: CPU seconds without loading it, and the file of labels."""
    torch.set_num_threads(1)
    loaded, path = load_package(Path(package)), Path(image)
    request = SegmentRequest(
        model=Path(package), out=Path(out), images=[path], uncertainty="none", device="cpu", own_precision=own_precision
    )
    hardware, started = hardware_for_scans("cpu"), time.process_time()
    folder = segment_case(loaded, path, Path(out), request, hardware)
    return {"cpu_s": time.process_time() - started, "labels": str(folder / "segmentation.seg.nrrd")}


def dice(one: Path, other: Path) -> list[float]:
    """Of each label that either file has."""
    a, b = (read_labels(path, allowed=None).array_DHW for path in (one, other))
    labels = sorted({*np.unique(a), *np.unique(b)} - {0})
    return [float(2 * ((a == v) & (b == v)).sum() / ((a == v).sum() + (b == v).sum())) for v in labels]
