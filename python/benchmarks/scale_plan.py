"""The paper plan of docs/scale.md: from unit costs and assumptions to hours, bytes and bytes a second, line by line."""

import math
from dataclasses import dataclass

HOUR_S, TERABYTE = 3600.0, 1e12


@dataclass(frozen=True, kw_only=True)
class Units:
    """Measured by benchmarks/scale.py on one thread, in seconds and bytes.

    Of a voxel, but hash: of a byte; evaluate, choose: of a voxel and organ; pair, print_bytes, ledger, hand_out: each.
    """

    read_s: float
    hash_s: float
    write_s: float
    cache_s: float
    evaluate_s: float
    choose_s: float
    print_s: float
    pair_s: float
    print_bytes: float
    scan_bytes: float
    result_bytes: float
    cache_bytes: float
    ledger_s: float
    ledger_bytes: float
    hand_out_s: float
    parameters: int
    patch_flops: int
    patch: int

    def table(self) -> str:
        """Rows for people."""
        rows = [
            ("read a scan", f"{1e9 * self.read_s:.1f} ns a voxel"),
            ("hash a file", f"{1e9 * self.hash_s:.2f} ns a byte"),
            ("write a segmentation", f"{1e9 * self.write_s:.1f} ns a voxel"),
            ("write a case into the training cache", f"{1e9 * self.cache_s:.1f} ns a voxel"),
            (
                "logits resampled to the scan and compared, by torch's own operators",
                f"{1e9 * self.choose_s:.2f} ns a voxel and class",
            ),
            ("Dice, HD95 and ASSD", f"{1e9 * self.evaluate_s:.2f} ns a voxel and organ"),
            ("know a scan again: its print", f"{1e9 * self.print_s:.1f} ns a voxel, {self.print_bytes / 1e3:.0f} kB"),
            ("know a scan again: two prints compared", f"{1e6 * self.pair_s:.0f} µs"),
            ("a scan as stored", f"{self.scan_bytes:.2f} bytes a voxel"),
            ("segmentation and uncertainty", f"{self.result_bytes:.3f} bytes a voxel"),
            ("training cache", f"{self.cache_bytes:.2f} bytes a voxel"),
            ("a line of the ledger, with fsync", f"{1e3 * self.ledger_s:.2f} ms, {self.ledger_bytes:.0f} bytes"),
            ("an item through Dask, there and back", f"{1e3 * self.hand_out_s:.1f} ms"),
            ("largest network of the ladder", f"{self.parameters / 1e6:.1f} M weights"),
            (f"its forward pass on {self.patch}³", f"{self.patch_flops / 1e12:.2f} TFLOP (counted)"),
        ]
        return "\n".join(
            ["| unit | measured |", "| --- | --- |", *(f"| {what} | {value} |" for what, value in rows), ""]
        )


@dataclass(frozen=True, kw_only=True)
class Assumed:
    """What was not measured here: each is an option of `python -m benchmarks.scale`."""

    scans: int = 100_000
    organs: int = 143
    gpus: int = 64
    gpus_a_node: int = 8
    cores_a_gpu: int = 8
    gpu_tflops: float = 60.0  # sustained in 3-D convolutions at half precision, not the data sheet's figure
    depth: int = 800
    width: int = 512
    spacing_factor: float = 1.92  # voxels of the scan for one of the model's, along each axis: 0.78 mm to 1.5 mm
    store_gb_s: float = 20.0  # the shared file system, all nodes together
    node_gb_s: float = 12.5  # a node's network: 100 Gbit/s
    steps: int = 250_000
    batch: int = 128


def plan_table(units: Units, assumed: Assumed) -> str:
    """Rows: stage, time on the whole cluster, bytes, bytes a second, what it waits for."""
    stages = (_segment, _choose, _evaluate, _check, _prepare, _train)
    rows = [stage(units, assumed) for stage in stages]
    head = "| stage | hours | reads | writes | of the shared store | limit |\n| --- | --- | --- | --- | --- | --- |"
    return "\n".join([head, *rows])


def _voxels(assumed: Assumed) -> float:
    return assumed.depth * assumed.width**2


def windows(assumed: Assumed, patch: int) -> int:
    """Of a scan on the model's grid, half overlapping."""
    edges = (assumed.depth / assumed.spacing_factor, *[assumed.width / assumed.spacing_factor] * 2)
    return math.prod(max(1, math.ceil((edge - patch) / (patch / 2)) + 1) for edge in edges)


def _row(stage: str, hours: dict[str, float], reads: float, writes: float, assumed: Assumed) -> str:
    """`hours`: by what each limit alone would take; what takes longest decides."""
    limit = max(hours, key=lambda name: hours[name])
    longest = hours[limit]
    share = (reads + writes) / (assumed.store_gb_s * 1e9) / (longest * HOUR_S)
    others = ", ".join(f"{name} {value:.3g} h" for name, value in hours.items() if name != limit)
    others = f" (else {others})" if others else ""
    size = [f"{value / TERABYTE:.3g} TB" for value in (reads, writes)]
    return f"| {stage} | {longest:.3g} | {size[0]} | {size[1]} | {100 * share:.2g} % | {limit}{others} |"


def _segment(units: Units, assumed: Assumed) -> str:
    scans, voxels = assumed.scans, _voxels(assumed)
    gpu_s = windows(assumed, units.patch) * units.patch_flops / (assumed.gpu_tflops * 1e12)
    cpu_s = voxels * (units.read_s + units.write_s + units.scan_bytes * units.hash_s)
    reads, writes = scans * voxels * units.scan_bytes, scans * voxels * units.result_bytes
    hours = {
        "GPU": scans * gpu_s / assumed.gpus,
        "one core a GPU": scans * cpu_s / assumed.gpus,
        "store": (reads + writes) / (assumed.store_gb_s * 1e9),
        "scheduler": scans * units.hand_out_s,
        "ledger": scans * units.ledger_s,
    }
    return _row("segment", {name: s / HOUR_S for name, s in hours.items()}, reads, writes, assumed)


def _choose(units: Units, assumed: Assumed) -> str:
    cores = assumed.gpus * assumed.cores_a_gpu
    seconds = assumed.scans * _voxels(assumed) * (1 + assumed.organs) * units.choose_s
    hours = {"cores": seconds / cores / HOUR_S}
    return _row("besides, were logits resampled on the cores by torch's own operators", hours, 0.0, 0.0, assumed)


def _evaluate(units: Units, assumed: Assumed) -> str:
    scans, voxels, cores = assumed.scans, _voxels(assumed), assumed.gpus * assumed.cores_a_gpu
    cpu_s = voxels * (units.evaluate_s * assumed.organs + 2 * units.read_s)
    reads = scans * voxels * (units.scan_bytes + units.result_bytes)
    hours = {
        "cores": scans * cpu_s / cores, "store": reads / (assumed.store_gb_s * 1e9),
        "scheduler": scans * units.hand_out_s,
    }  # fmt: skip
    return _row("evaluate, besides segmenting", {k: s / HOUR_S for k, s in hours.items()}, reads, 0.0, assumed)


def _check(units: Units, assumed: Assumed) -> str:
    scans, voxels, cores = assumed.scans, _voxels(assumed), assumed.gpus * assumed.cores_a_gpu
    cpu_s = voxels * (units.read_s + units.print_s + units.scan_bytes * units.hash_s)
    reads = scans * voxels * units.scan_bytes
    hours = {
        "cores": scans * cpu_s / cores, "store": reads / (assumed.store_gb_s * 1e9),
        "pairs, one process": scans * (scans - 1) / 2 * units.pair_s,
    }  # fmt: skip
    stage = f"dataset check of all in one ({scans * units.print_bytes / 1e9:.0f} GB of prints in one process)"
    return _row(stage, {name: s / HOUR_S for name, s in hours.items()}, reads, 0.0, assumed)


def _prepare(units: Units, assumed: Assumed) -> str:
    scans, voxels, cores = assumed.scans, _voxels(assumed), assumed.gpus * assumed.cores_a_gpu
    on_grid = voxels / assumed.spacing_factor**3
    reads, writes = scans * voxels * units.scan_bytes, scans * on_grid * units.cache_bytes
    cpu_s = voxels * units.read_s + on_grid * units.cache_s
    hours = {"cores": scans * cpu_s / cores, "store": (reads + writes) / (assumed.store_gb_s * 1e9)}
    return _row("prepare for training", {name: s / HOUR_S for name, s in hours.items()}, reads, writes, assumed)


def _train(units: Units, assumed: Assumed) -> str:
    """One model; a step is forward and backward of the student and one pass of the teacher: four forward passes."""
    flops = assumed.steps * assumed.batch * 4 * units.patch_flops
    nodes = max(1, assumed.gpus // assumed.gpus_a_node)
    gradient_bytes = 4 * units.parameters
    reduced = (
        assumed.steps * 2 * (nodes - 1) / nodes * gradient_bytes
    )  # a ring over the nodes, through each node's network
    reads = assumed.steps * assumed.batch * units.patch**3 * units.cache_bytes
    checkpoints = 4 * 12 * units.parameters  # three and the best: weights, momentum and average, four bytes each
    hours = {
        "GPU": flops / (assumed.gpus * assumed.gpu_tflops * 1e12), "network": reduced / (assumed.node_gb_s * 1e9),
        "store": reads / (assumed.store_gb_s * 1e9),
    }  # fmt: skip
    return _row("train one student", {name: s / HOUR_S for name, s in hours.items()}, reads, checkpoints, assumed)
