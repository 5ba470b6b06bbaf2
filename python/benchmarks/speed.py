"""How fast and how large: loading, import time, segmenting, and memory against the number of classes.

    python -m benchmarks.speed [--out docs/benchmarks/speed.md]

Each figure is measured in a process of its own, as a user would meet it. The network is the demo's.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from organincrement.training.device import resolve_hardware

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "benchmarks" / "speed.md"

_IMPORT = "import time; t = time.perf_counter(); import organincrement; print(time.perf_counter() - t)"

_SEGMENT = """
import json, resource, sys, time
import numpy as np, torch
from organincrement.contract.labels import Organ
from organincrement.contract.model import *
from organincrement.imaging.volume import Volume
from organincrement.inference.predict import PredictionSettings, predict_volume
from organincrement.networks.build import build_network
from organincrement.training.device import resolve_hardware

classes, size, kind = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
torch.manual_seed(0)
args = dict(in_channels=1, out_channels=classes, features=[16, 32, 64], blocks=[1, 1, 1], decoder_blocks=[1, 1])
network = build_network("PlainConvUNet", args).eval()
organs = tuple(Organ(id=f"organ_{i}", name=f"organ {i}", color=(9, 9, 9)) for i in range(classes - 1))
manifest = ModelManifest(
    name="speed", organs=organs, network=Network(kind="PlainConvUNet", args=args, parameters=1), head=SoftmaxHead(),
    preprocessing=Preprocessing(
        orientation="LPS", spacing_mm=(4.5, 4.5, 4.5), axis_order=(0, 1, 2), channels=("CT",),
        order="normalise-then-resample",
        normalisation=Normalisation(kind="ct", clip_hu=(-200.0, 300.0), mean=20.0, std=120.0),
        image_resampling="linear", output_resampling="linear"),
    inference=Inference(patch=(40, 48, 56), step=0.5, window="gaussian", mirror_axes=(), average="logits",
        temperature=1.0),
    uncertainty=Uncertainty(kind="perturbation", perturbations=6),
    trained_on=TrainedOn(modality="CT", cases=None, spacing_mm=None, intensity_percentiles={}), lineage=(),
    metrics=Metrics(validation=(), agreement_with_teacher=(), recommended=True), licence="", citation="", weights=())
scan = np.random.default_rng(0).normal(0, 100, (size, size, size)).astype(np.float32)
volume = Volume(scan, (4.5, 4.5, 4.5), (0.0, 0.0, 0.0), np.eye(3))
hardware = resolve_hardware("auto", "auto")
network.to(hardware.device)
started = time.perf_counter()
with torch.inference_mode():
    settings = PredictionSettings(uncertainty=kind, autocast=hardware.autocast)
    predict_volume(network, manifest, volume, hardware.device, settings)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": time.perf_counter() - started, "mib": peak}))
"""


def main() -> None:
    """Measure everything and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=PAGE)
    options = parser.parse_args()
    lines = [
        "# Speed and memory",
        "",
        f"On {resolve_hardware('auto', 'auto').description}. Made by `python -m benchmarks.speed`.",
        "",
    ]
    lines += [f"- `import organincrement`: {min(float(_python(_IMPORT)) for _ in range(3)):.3f} s", "", *_segmenting()]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(options.out.read_text(encoding="utf-8"))


def _segmenting() -> list[str]:
    rows = ["| classes | scan | uncertainty | seconds | peak RAM, MiB |", "| --- | --- | --- | --- | --- |"]
    for classes, size, kind in (
        (6, 128, "none"),
        (6, 128, "perturbation"),
        (30, 160, "entropy"),
        (119, 160, "entropy"),
    ):
        measured = json.loads(_python(_SEGMENT, str(classes), str(size), kind))
        rows.append(f"| {classes} | {size}³ | {kind} | {measured['seconds']:.1f} | {measured['mib']:.0f} |")
    return rows


def _python(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT / "python", capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


if __name__ == "__main__":
    main()
