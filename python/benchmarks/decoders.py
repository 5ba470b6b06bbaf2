"""Do time and memory of a multi-decoder network grow in a line with its decoders, and its file with what is not pruned?

    python -m benchmarks.decoders [--out docs/benchmarks/decoders.md]

A synthetic label set of up to 143 organs, one decoder each, on one small encoder; one scan of 32 x 32 x 48 voxels in
windows of 32³. Each row in a process of its own, on one CPU thread; time is CPU time, which other work does not add to.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "benchmarks" / "decoders.md"
_NEWLINE = "\n"
DECODERS = (1, 2, 4, 8, 16, 32, 64, 96, 143)
TARGETS = (0.0, 0.80, 0.90, 0.95, 0.98, 0.99, 0.995, 0.998)
FULL_SIZE = {"features": [32, 64, 128, 256, 320], "blocks": [1, 2, 2, 2, 2], "decoder_blocks": [1, 1, 1, 1]}

_SEGMENT = """
import json, sys, time
from pathlib import Path
import numpy as np, torch
from organincrement.contract.labels import Organ
from organincrement.contract.model import *
from organincrement.imaging.volume import Volume
from organincrement.inference.predict import PredictionSettings, predict_volume
from organincrement.networks.build import build_network, count_parameters

torch.set_num_threads(1)
torch.manual_seed(0)
count = int(sys.argv[1])
args = dict(in_channels=1, out_channels=2 * count, decoders=[2] * count, features=[4, 8, 16], blocks=[1, 1, 1],
    decoder_blocks=[1, 1])
def mib(of):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(of)) / 1024
def run(network, budget=2**30):
    with torch.inference_mode():
        predict_volume(network, manifest, volume, torch.device("cpu"), PredictionSettings(budget_bytes=budget))
organs = tuple(Organ(id=f"organ_{i}", name=f"organ {i}", color=(9, 9, 9)) for i in range(count))
parts = tuple(Decoder(organs=(o.id,), temperature=1.0, range_mm=None, sparsity=0.0) for o in organs)
manifest = ModelManifest(
    name="decoders", organs=organs, network=Network(kind="MultiDecoder", args=args, parameters=1),
    head=MultiDecoderHead(decoders=parts),
    preprocessing=Preprocessing(
        orientation="LPS", spacing_mm=(4.5, 4.5, 4.5), axis_order=(0, 1, 2), channels=("CT",),
        order="normalise-then-resample",
        normalisation=Normalisation(kind="ct", clip_hu=(-200.0, 300.0), mean=20.0, std=120.0),
        image_resampling="linear", output_resampling="linear"),
    inference=Inference(patch=(32, 32, 32), step=0.5, window="gaussian", mirror_axes=(), average="logits",
        temperature=1.0),
    uncertainty=Uncertainty(kind="none", perturbations=0),
    trained_on=TrainedOn(modality="CT", cases=None, spacing_mm=None, intensity_percentiles={}), lineage=(),
    metrics=Metrics(validation=(), agreement_with_teacher=(), recommended=True), licence="", citation="", weights=())
scan = np.random.default_rng(0).normal(0, 100, (32, 32, 48)).astype(np.float32)
volume = Volume(scan, (4.5, 4.5, 4.5), (0.0, 0.0, 0.0), np.eye(3))
# what is imported and set up at the first run is no part of it
plain = {**{name: value for name, value in args.items() if name != "decoders"}, "out_channels": 2}
build_network("PlainConvUNet", plain)(torch.zeros(1, 1, 16, 16, 16))
Path("/proc/self/clear_refs").write_text("5")  # the peak from here on
before = mib("VmRSS")
network = build_network("MultiDecoder", args).eval()
passes, windows = [], []
network.encoder.register_forward_hook(lambda *p: passes.append(1))
network.register_forward_hook(lambda *p: windows.append(1))
started = time.process_time()
run(network)
print(json.dumps({"decoders": count, "seconds": time.process_time() - started, "mib": mib("VmHWM") - before,
    "parameters": count_parameters(network), "passes": len(passes), "windows": len(windows)}))
"""

_STORE = """
import json, sys
import torch
from organincrement.models.package import shared_state
from organincrement.models.sparse import packed
from organincrement.networks.build import build_network
from organincrement.networks.pruning import apply_masks, magnitude_masks, prunable

network = build_network("MultiDecoder", json.loads(sys.argv[1]))
decoder, rows = network.decoders[1], []
for weight in prunable(decoder):
    torch.nn.init.normal_(weight)
for target in json.loads(sys.argv[2]):
    apply_masks(prunable(decoder), magnitude_masks(prunable(decoder), target))
    stored = packed(shared_state(network))[0]
    size = {part: sum(t.numel() * t.element_size() for n, t in stored.items() if n.startswith(part))
        for part in ("encoder.", "decoders.0.", "decoders.1.")}
    rows.append({"target": target, "bytes": size["decoders.1."], "whole": sum(size.values())})
print(json.dumps(rows))
"""


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=PAGE)
    out: Path = parser.parse_args().out
    rows = []
    for count in DECODERS:
        rows.append(segmenting(count))
        print(rows[-1], flush=True)
    args = {"in_channels": 1, "out_channels": 8, "decoders": [6, 2], **FULL_SIZE}
    stored = _measured(_STORE, json.dumps(args), json.dumps(TARGETS))
    out.parent.mkdir(parents=True, exist_ok=True)
    chart = out.with_suffix(".png")
    _draw(chart, rows, stored)
    out.write_text(_page(rows, stored, chart.name), encoding="utf-8")


def segmenting(decoders: int) -> dict[str, Any]:
    """What a scan takes by so many decoders in a process of its own: CPU seconds, MiB beyond the imports, counts."""
    return _measured(_SEGMENT, str(decoders))  # type: ignore[no-any-return]


def _measured(script: str, *arguments: str) -> Any:
    command = [sys.executable, "-c", script, *arguments]
    # freed memory goes back at once, so that the peak is of what is in use
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "262144", "MALLOC_TRIM_THRESHOLD_": "262144"}
    done = subprocess.run(
        command, cwd=Path(__file__).parents[1], capture_output=True, encoding="utf-8", check=True, env=environment
    )
    return json.loads(done.stdout)


def _line(rows: list[dict[str, Any]], what: str) -> tuple[float, float, float]:
    """Slope for each decoder, the rest, and the share of the variance that the line explains."""
    x, y = (np.array([row[name] for row in rows], float) for name in ("decoders", what))
    slope, rest = np.polyfit(x, y, 1)
    return float(slope), float(rest), float(1 - ((y - slope * x - rest) ** 2).sum() / ((y - y.mean()) ** 2).sum())


def _draw(path: Path, rows: list[dict[str, Any]], stored: list[dict[str, Any]]) -> None:
    with plt.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure, (time, memory, file) = plt.subplots(1, 3, figsize=(9, 2.6), layout="constrained")
        for axes, what, title in ((time, "seconds", "CPU time, s"), (memory, "mib", "peak memory, MiB")):
            slope, rest, _ = _line(rows, what)
            axes.plot([0, DECODERS[-1]], [rest, rest + slope * DECODERS[-1]], color="#999999", linewidth=1)
            axes.plot(
                [row["decoders"] for row in rows], [row[what] for row in rows], "o", color="#0072b2", markersize=4
            )
            axes.set(xlabel="decoders", title=title, ylim=(0, None))
        pruned, mib = [100 * row["target"] for row in stored], [row["bytes"] / 2**20 for row in stored]
        file.plot(pruned, mib, "o-", color="#d55e00", markersize=4)
        file.set(xlabel="pruned, %", title="one decoder's file, MiB", ylim=(0, None))
        figure.savefig(path, dpi=120, metadata={"Software": None})
        plt.close(figure)


def _page(rows: list[dict[str, Any]], stored: list[dict[str, Any]], chart: str) -> str:
    seconds, mib = _line(rows, "seconds"), _line(rows, "mib")
    dense = stored[0]["bytes"]
    counted = [
        f"| {r['decoders']} | {r['parameters']:,} | {r['windows']} | {r['passes']} | {r['seconds']:.1f} "
        f"| {r['mib']:.0f} |"
        for r in rows
    ]
    kept = [
        f"| {100 * s['target']:g} % | {s['bytes']:,} | {100 * s['bytes'] / dense:.1f} % | {s['whole']:,} |"
        for s in stored
    ]
    return f"""# Many decoders on one encoder

Made by `python -m benchmarks.decoders` on one CPU thread: a scan of 32 x 32 x 48 voxels in windows of 32³, a network
of 4, 8 and 16 features, a decoder for each organ of a synthetic label set.

![time, memory and stored bytes]({chart})

| decoders | weights | windows | encoder passes | CPU time, s | peak memory, MiB |
| --- | --- | --- | --- | --- | --- |
{_NEWLINE.join(counted)}

In a line: {seconds[0]:.3f} s for each decoder and {seconds[1]:.2f} s besides (R² {seconds[2]:.4f}); {mib[0]:.2f} MiB
for each and {mib[1]:.0f} MiB besides (R² {mib[2]:.4f}). The encoder runs once for each window, whatever the number of
decoders. Memory is what building and segmenting add to the imported engine. The averaged logits of the scan are its
largest part; beyond their budget (1 GiB here, so that it is not met) they go in tiles.

## What a pruned decoder takes in the file

A decoder of nnU-Net's usual width (32 to 320 features), its convolutions pruned by global magnitude:

| pruned | decoder, bytes | of the dense one | file with the encoder and a dense decoder, bytes |
| --- | --- | --- | --- |
{_NEWLINE.join(kept)}

A weight that stays takes 8 bytes, its place and its value, against 4 in a dense tensor, so that the file follows the
pruning from 50 % on.
"""


if __name__ == "__main__":
    main()
