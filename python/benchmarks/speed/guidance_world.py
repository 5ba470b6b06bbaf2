"""What the part on guidance measures: a teacher, a student, their steps, and the straightforward way written out.

Its functions run in processes of their own, because memory is kept or given back by a whole process.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.speed.timing import side_by_side
from organincrement.contract.labels import LabelSpace, LabelTransition
from organincrement.contract.organs import organ_from_name
from organincrement.imaging.perturbation import perturb
from organincrement.losses.guidance import entropy_of_mean
from organincrement.methods.bla_uag import BlaUag
from organincrement.methods.lwf import Lwf
from organincrement.methods.protocol import Batch, ContinualMethod, MethodInputs, configure
from organincrement.methods.teacher import FrozenTeacher
from organincrement.methods.teacher_memory import RememberedTeacher
from organincrement.networks.build import build_network
from organincrement.networks.heap import keep_freed_memory
from organincrement.networks.sizing import LADDER, Size, unet_spec

OLD, NEW = ("liver", "spleen", "left kidney", "right kidney"), ("pancreas",)
BATCH, COPIES = 2, (2, 6)  # the practical preset's copies, the paper's
SMALL = Size(features=(8, 16, 32), blocks=(1, 1, 1), patch=(32, 32, 32))


class StraightforwardTeacher(FrozenTeacher):
    """The uncertainty as one writes it down first: every copy's softmax is kept, then their mean's entropy is taken."""

    def uncertainty(self, image_BCDHW: Tensor, perturbations: int, generator: torch.Generator) -> Tensor:
        """(B, D, H, W)."""
        with torch.no_grad():
            copies = [self.network(perturb(image_BCDHW, generator)).softmax(1) for _ in range(perturbations)]
            return entropy_of_mean(torch.stack(copies))


@dataclass(frozen=True, kw_only=True)
class World:
    """A patch's size and the network for it; a teacher of the old organs, a mini-batch with a new one."""

    size: Size
    old: tuple[str, ...] = OLD

    @classmethod
    def of(cls, rung: int | None) -> "World":
        """Args: rung: of the ladder, as plans choose it; None: a small one, to see that it runs."""
        return cls(size=SMALL if rung is None else LADDER[rung])

    def teacher(self, kind: type[FrozenTeacher] = FrozenTeacher) -> FrozenTeacher:
        """The same weights each time."""
        torch.manual_seed(0)
        count = len(self.old)
        spec = unet_spec(self.size, 1, 1 + count)
        return kind(build_network(spec.kind, spec.args), spec, channel_of=tuple(range(1 + count)), old_count=count)

    def method(self, kind: type[ContinualMethod], teacher: FrozenTeacher, **settings: Any) -> ContinualMethod:
        """A method with its settings."""
        old, new = (LabelSpace(tuple(map(organ_from_name, names))) for names in (self.old, NEW))
        return kind(
            MethodInputs(
                transition=LabelTransition(old, new, {}), teachers=[teacher], config=configure(kind.Config, settings),
                network=teacher.spec.with_outputs(2 + len(self.old)), device=torch.device("cpu"),
            )
        )  # fmt: skip

    def batch(self) -> Batch:
        """Random: how long a convolution takes does not depend on what it sees."""
        generator = torch.Generator().manual_seed(1)
        labels = torch.randint(0, 2, (BATCH, *self.size.patch), generator=generator)
        return Batch(
            image_BCDHW=torch.randn(BATCH, 1, *self.size.patch, generator=generator), labels_BDHW=labels,
            annotated_BL=torch.ones(BATCH, 1, dtype=torch.bool), case_ids=("a", "b"), generator=generator,
        )  # fmt: skip


def steps(
    rung: int | None, rounds: int, kept: bool, bf16: bool, straightforward: bool = False
) -> dict[str, list[float]]:
    """CPU seconds of a step of each method, of the student's forward pass and of the teacher's: median and quartiles.

    Args: kept: freed memory stays with the process. straightforward: only the way that one writes down first.
    """
    _keep(kept)
    world = World.of(rung)
    batch, precision = world.batch(), _precision(bf16)
    student = world.method(BlaUag, world.teacher()).build_student()
    image, ways = batch.image_BCDHW, {}
    if straightforward:
        methods = _guided(world, world.teacher(StraightforwardTeacher), "")
    else:
        teacher = world.teacher()
        ways = {"student": lambda: _forward(student.train(), image, precision),
                "teacher": lambda: _asked(teacher, image, precision)}  # fmt: skip
        plain = {"plain": world.method(BlaUag, teacher, uncertainty="none"), "lwf": world.method(Lwf, teacher)}
        from_disk = RememberedTeacher(world.teacher(), None, 2**40)
        methods = {**plain, **_guided(world, teacher, ""), **_guided(world, from_disk, " remembered")}
    for name, method in methods.items():
        ways[name] = _step(method, student, batch, precision)
    found = side_by_side(ways, rounds, clock=time.process_time)
    return {name: [spread.median_s, spread.low_s, spread.high_s] for name, spread in found.items()}


def passes(rung: int | None, rounds: int, ways: list[str]) -> dict[str, list[float]]:
    """Of each way to put six copies through the teacher: CPU seconds, and how far the mean is from the first way's."""
    _keep(True)
    world = World.of(rung)
    generator = torch.Generator().manual_seed(2)
    copies = torch.cat([perturb(world.batch().image_BCDHW, generator) for _ in range(COPIES[-1])])
    asked = {way: _way(world.teacher().network, copies, way) for way in ways}
    means = [ask() for ask in asked.values()]
    spreads = side_by_side(asked, rounds, warm=0, clock=time.process_time)
    return {
        way: [spreads[way].median_s, float((mean - means[0]).abs().max())]
        for way, mean in zip(ways, means, strict=True)
    }


def guided_step(patch: list[int], organs: int, perturbations: int) -> float:
    """A guided step of a thin network. Returns: CPU seconds, the median of three."""
    _keep(True)
    depth, height, width = patch
    world = World(
        size=replace(SMALL, patch=(depth, height, width)), old=tuple(f"organ {number}" for number in range(organs))
    )
    method = world.method(BlaUag, world.teacher(), perturbations=perturbations)
    step = _step(method, method.build_student(), world.batch(), _precision(False))
    return side_by_side({"step": step}, rounds=3, clock=time.process_time)["step"].median_s


def equal(rung: int | None) -> float:
    """How far the uncertainty is from the straightforward one of the same draws."""
    world = World.of(rung)
    image, found = world.batch().image_BCDHW, []
    for kind in (FrozenTeacher, StraightforwardTeacher):
        found.append(world.teacher(kind).uncertainty(image, COPIES[-1], torch.Generator().manual_seed(3)))
    return float((found[0] - found[1]).abs().max())


def _guided(world: World, teacher: FrozenTeacher, how: str) -> dict[str, ContinualMethod]:
    return {f"Q = {count}{how}": world.method(BlaUag, teacher, perturbations=count) for count in COPIES}


def _step(
    method: ContinualMethod, student: nn.Module, batch: Batch, precision: AbstractContextManager[object]
) -> Callable[[], None]:
    def step() -> None:
        student.train().zero_grad(set_to_none=True)
        with precision:
            total = method.loss(student, batch).total
        total.backward()

    return step


def _forward(student: nn.Module, image_BCDHW: Tensor, precision: AbstractContextManager[object]) -> None:
    with precision:
        student(image_BCDHW)


def _asked(teacher: FrozenTeacher, image_BCDHW: Tensor, precision: AbstractContextManager[object]) -> None:
    with precision:
        teacher(image_BCDHW)


def _precision(bf16: bool) -> AbstractContextManager[object]:
    return torch.autocast("cpu", torch.bfloat16, enabled=bf16)


def _keep(kept: bool) -> None:
    if kept and not keep_freed_memory():
        print("this C library keeps or gives back memory as it likes: kept and given back are the same here")


def _way(network: nn.Module, copies_BCDHW: Tensor, way: str) -> Callable[[], Tensor]:
    """Args: way: how many copies go at once, or a sample, or one copy in another mode."""
    mode = torch.no_grad if way == "no_grad" else torch.inference_mode
    if way == "channels_last_3d":
        network = network.to(memory_format=torch.channels_last_3d)
        copies_BCDHW = copies_BCDHW.to(memory_format=torch.channels_last_3d)
    at_once = BATCH * int(way) if way.isdigit() else 1 if way == "a sample" else BATCH

    def mean_p() -> Tensor:
        with mode(), _precision(way == "bf16"):
            answers = torch.cat([network(part).float().softmax(1) for part in copies_BCDHW.split(at_once)])
        return answers.unflatten(0, (-1, BATCH)).mean(0)

    return mean_p
