"""`python -m benchmarks.scale`: unit costs measured here, and what they make of 100,000 scans, 143 organs and 64 GPUs.

Prints the tables of docs/scale.md. What only a GPU or a network can show is assumed, and is an option: put in your own.
"""

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.scale_plan import Assumed, Units, plan_table
from organincrement.contract.files import sha256_file
from organincrement.contract.labels import LabelSpace, Organ
from organincrement.evaluation.cases import evaluate_case
from organincrement.imaging.cache import write_case
from organincrement.imaging.phantom.scan import SITES
from organincrement.imaging.safe_read import read_image, read_stored
from organincrement.imaging.volume import Volume
from organincrement.imaging.writing import write_segmentation, write_volume
from organincrement.networks.build import build_network, count_parameters
from organincrement.networks.sizing import LADDER, unet_spec
from organincrement.workflows.fan_out import Crew, Line, Waiting, fan_out
from organincrement.workflows.fan_out_ledger import Ledger
from organincrement.workflows.phantom_dataset import write_phantom_dataset
from organincrement.workflows.same_scan import ScanPrint, likeness, scan_print

_ITEMS = 200


class Nothing:
    """Work that takes no time: what is left is the cost of handing it out."""

    def begin(self) -> Callable[[int, Line], int]:
        """Nothing to open."""
        return lambda item, line: item


def seconds_of(action: Callable[[], Any]) -> float:
    """CPU seconds, the smallest of three."""
    taken = []
    for _ in range(3):
        began_s = time.process_time()
        action()
        taken.append(time.process_time() - began_s)
    return min(taken)


def measured(scan: Path, labels: Path, organs: int) -> Units:
    """Unit costs on one thread of this computer."""
    image, truth = read_image(scan), read_stored(labels)
    truth = truth.with_array(truth.array_DHW.astype(np.uint8))
    voxels = image.array_DHW.size
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        values = range(1, 1 + int(truth.array_DHW.max()))
        space = LabelSpace(tuple(Organ(id=f"organ_{i}", name=f"Organ {i}", color=(i, 80, 160)) for i in values))
        writing_s = seconds_of(lambda: write_segmentation(folder / "segmentation.seg.nrrd", truth, space))
        write_volume(folder / "uncertainty.nrrd", truth.with_array(_uncertain(truth)))
        results = sum(file.stat().st_size for file in folder.glob("*.nrrd"))
        normalised_DHW = (np.clip(image.array_DHW, -200, 300) - 50) / 120
        caching_s = seconds_of(lambda: write_case(folder / "cache", "pt", normalised_DHW, truth.array_DHW, 0))
        cached = sum(file.stat().st_size for file in (folder / "cache").iterdir())
        ledger = Ledger.of(folder, {}, keep=True)
        ledger_s = _wall_s(lambda: [ledger.add(f"pt_{i}", "0" * 64) for i in range(_ITEMS)]) / _ITEMS
        ledger_bytes = (folder / ".unfinished" / "done.jsonl").stat().st_size / _ITEMS
    prints = [scan_print(image), scan_print(image.with_array(image.array_DHW[::-1].copy()))]
    parameters, flops = _size_of_a_pass(organs)
    return Units(
        read_s=seconds_of(lambda: read_image(scan)) / voxels,
        hash_s=seconds_of(lambda: sha256_file(scan)) / scan.stat().st_size,
        write_s=writing_s / voxels,
        cache_s=caching_s / voxels,
        evaluate_s=_evaluating_s(truth, space) / (voxels * len(space)),
        print_s=seconds_of(lambda: scan_print(image)) / voxels,
        pair_s=seconds_of(lambda: [likeness(*prints) for _ in range(200)]) / 200,
        print_bytes=_bytes_of(prints[0]),
        scan_bytes=scan.stat().st_size / voxels,
        result_bytes=results / voxels,
        cache_bytes=cached / voxels,
        ledger_s=ledger_s,
        ledger_bytes=ledger_bytes,
        choose_s=_choosing_s(),
        hand_out_s=_dask_s(),
        parameters=parameters,
        patch_flops=flops,
        patch=LADDER[3].patch[0],
    )


def _bytes_of(own: ScanPrint) -> int:
    return sum(one.detail_DHW.nbytes + one.known_DHW.nbytes for one in own.lattices if one is not None)


def _size_of_a_pass(organs: int) -> tuple[int, int]:
    """Parameters, and operations of one window."""
    spec = unet_spec(LADDER[3], 1, 1 + organs)
    with torch.device("meta"):
        network = build_network(spec.kind, spec.args).eval()
        x_BCDHW = torch.empty(1, 1, *LADDER[3].patch)
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        network(x_BCDHW)
    return count_parameters(network), counted.get_total_flops()


def _uncertain(labels: Volume) -> np.ndarray:
    """Per cent as a segmentation has them: high at the organs' edges."""
    edges_DHW = ndimage.morphological_gradient(labels.array_DHW, 3) > 0
    return (100 * ndimage.gaussian_filter(edges_DHW.astype(np.float32), 1)).astype(np.uint8)


def _evaluating_s(truth: Volume, space: LabelSpace) -> float:
    moved_DHW = np.roll(truth.array_DHW, 1, axis=2)
    return seconds_of(
        lambda: evaluate_case(
            moved_DHW, space, truth.array_DHW, space, space.ids, truth.spacing_mm, ignore_value=255
        )
    )  # fmt: skip


def _choosing_s() -> float:
    """Resampling a class's logits to the scan's voxels and comparing it with the others, for a voxel and class."""
    logits_CDHW = torch.randn(8, 48, 48, 48)
    size = (96, 96, 96)

    def choose() -> Tensor:
        return functional.interpolate(logits_CDHW[None], size, mode="trilinear")[0].argmax(0)

    return seconds_of(choose) / (8 * math.prod(size))


def _dask_s() -> float:
    """CPU seconds for each item of this process, which holds the scheduler and asks it; one worker is another's."""
    try:
        from distributed import LocalCluster
    except ImportError:
        return math.nan
    with LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        silence_logs=50,
    ) as cluster:
        crew, items = Crew(scheduler=cluster.scheduler_address), {f"pt_{i}": i for i in range(_ITEMS)}
        dict(fan_out(Nothing(), {"pt": 0}, crew, Waiting()))
        began_s = time.process_time()
        dict(fan_out(Nothing(), items, crew, Waiting()))
        return (time.process_time() - began_s) / _ITEMS


def _wall_s(action: Callable[[], Any]) -> float:
    began_s = time.monotonic()
    action()
    return time.monotonic() - began_s


def main() -> None:
    """Measure, and print the tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--scan", type=Path, help="a CT (default: a phantom, which compresses better)")
    options.add_argument("--labels", type=Path, help="its labels")
    for name, value in vars(Assumed()).items():
        options.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    given = vars(options.parse_args())
    scan, labels = given.pop("scan"), given.pop("labels")
    assumed = Assumed(**given)
    with tempfile.TemporaryDirectory() as place:
        if scan is None:
            organs = ("liver", "spleen", "stomach")
            made = write_phantom_dataset(Path(place) / "phantom", SITES["b"], organs, (1,), shape_DHW=(96, 112, 128))
            scan, labels = made.image_path(made.cases()[0]), made.label_path(made.cases()[0])
        units = measured(scan, labels, assumed.organs)
    print(units.table())
    print(plan_table(units, assumed))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
