"""Several processes that train one student: that it is the same student, and what being several costs."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.speed.distributed_world import BATCH, run, write_plan
from benchmarks.speed.part import Options, Part, Table
from benchmarks.speed.timing import side_by_side
from organincrement.imaging.cache import CachedCase, write_case
from organincrement.imaging.patches import PatchSampler
from organincrement.training.batches import BatchSource, Draw
from organincrement.training.checkpoint import load_newest
from organincrement.training.distributed_batches import ShareOfBatches, parts_of

_QUESTION = """
One first model (supervised, {features} features), {batch} patches of 24 x 24 x 24 voxels a step, trained by 1 and more
processes under torchrun with gloo on one core: seconds of processor time of a step, by process, and what goes over the
network each step. Then the making of a batch of 32 patches of 64 x 64 x 64 voxels, of which a process needs its share.
"""
_REMARK = """
All processes share one core here, so that no figure shows what is gained in time: the first table shows the overhead
alone, of a network that is small for what surrounds it. What a GPU and NCCL make of it is not measured. A sum takes a
round trip between all processes, one for each mean and each Dice of a loss: two here, five of bla-uag. The gradients
go while the backward is still at work. Others' samples are drawn, though not made: with many processes that is most of
what making a share costs, and it grows with the batch.
"""


def measure(options: Options) -> Part:
    """Equality, overhead and the share of a batch."""
    counts = (1, 2) if options.quick else (1, 2, 4)
    features, steps = ((8, 16), 6) if options.quick else ((16, 32, 64), 12)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        plans = [write_plan(folder, "fp64", 4, features), write_plan(folder, "fp32", steps, features)]
        exact, plain = zip(*(run(plans, count) for count in counts), strict=True)
        weights = _weights(plain[0]["job"])
        gradients = sum(weight.nbytes for weight in weights.values())
        rows = [
            (
                count, float(np.mean(found["cpu_s"])), float(np.sum(found["cpu_s"]) / np.sum(plain[0]["cpu_s"])),
                found["sums"], int(found["sum_bytes"]), 0 if count == 1 else gradients,
            )
            for count, found in zip(counts, plain, strict=True)
        ]  # fmt: skip
        furthest = {
            kind: max(_furthest(found[0]["job"], other["job"]) for other in found[1:])
            for kind, found in (("float64", exact), ("float32", plain))
        }
        shares = _shares(folder, 3 if options.quick else 7)
    return Part(
        title="Several processes",
        question=_QUESTION.format(features=list(features), batch=BATCH).strip(),
        tables=[
            Table(
                columns=("processes", "CPU s of a step, each", "all of them, against one", "sums a step",
                         "bytes of sums", "bytes of gradients"), rows=rows,
            ),
            Table(columns=("a batch of 32", "CPU time", "against the whole"), rows=shares),
        ],
        check=(
            f"Largest difference of a weight from one process's: {furthest['float64']:.1g} after 4 steps in float64, "
            f"{furthest['float32']:.1g} after {steps} in float32 (sums in another order). A process's share of a batch "
            "is bit for bit that part of the whole batch."
        ),
        remark=_REMARK.strip(),
    )  # fmt: skip


def _weights(job: Path) -> dict[str, torch.Tensor]:
    state = load_newest(job / "checkpoint")[1]
    assert state is not None
    return state["student"]  # type: ignore[no-any-return]


def _furthest(job: Path, other: Path) -> float:
    one, two = _weights(job), _weights(other)
    return max(float((one[name].double() - two[name].double()).abs().max()) for name in one)


def _shares(folder: Path, rounds: int) -> list[tuple[str, str, float]]:
    """Making a whole batch, and taking a slice of it (what is simplest), beside making a share."""
    sampler = PatchSampler(
        cases=[_case(folder, number) for number in range(4)], patch=(64, 64, 64), batch=32, foreground=16, seed=1,
        fill=-1.0,
    )  # fmt: skip
    whole, step = BatchSource(sampler=sampler, mirror_left_right=True), 0
    sources = {"whole, then a slice": whole}
    for processes in (2, 8, 16):
        share = ShareOfBatches.of(whole, parts_of(32, 32, 1, processes))
        assert torch.equal(share[step][0], whole[step][0][list(share.own)])
        sources[f"the share of one of {processes}"] = share
    found = side_by_side(
        {name: _making(source, step) for name, source in sources.items()}, rounds=rounds, clock=time.process_time
    )
    first = found["whole, then a slice"].median_s
    return [(name, str(spread), spread.median_s / first) for name, spread in found.items()]


def _making(source: BatchSource, step: int) -> Callable[[], Draw]:
    return lambda: source[step]


def _case(folder: Path, number: int) -> CachedCase:
    rng = np.random.default_rng(number)
    image = rng.normal(size=(80, 90, 100)).astype(np.float32)
    return write_case(folder / "cases", f"c{number}", image, (image > 3).astype(np.int16), seed=number)
