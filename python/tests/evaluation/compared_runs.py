"""Made-up students on made-up test cases, as `compare` would have evaluated them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from organincrement.contract.labels import LabelSpace
from organincrement.contract.organs import organ_from_name
from organincrement.contract.results import EvaluatedCase, EvaluatedOrgan, Evaluation
from organincrement.evaluation.cases import summarise
from organincrement.evaluation.comparison import Costs, Run
from organincrement.evaluation.comparison_report import ComparedTeacher

OLD, NEW = ("liver", "spleen", "kidney_left", "kidney_right"), ("stomach",)
ORGANS = LabelSpace(tuple(organ_from_name(name) for name in OLD + NEW))
COSTS = Costs(seconds=754.0, ram_bytes=900 * 2**20, gpu_bytes=None, parameters=1_234_567, package_bytes=5 * 2**20)


def evaluation(dice: Mapping[str, Sequence[float | None]]) -> Evaluation:
    """Dice of each organ, a value a case; HD95 is 10 (1 - Dice), ASSD a third of it."""
    count = len(next(iter(dice.values())))
    cases = [
        EvaluatedCase(id=f"case_{i:02d}", organs=tuple(_row(organ, values[i]) for organ, values in dice.items()))
        for i in range(count)
    ]
    return Evaluation(model="m", reference="truth", cases=tuple(cases), summary=summarise(cases))


def _row(organ: str, dice: float | None) -> EvaluatedOrgan:
    if dice is None:
        return EvaluatedOrgan(organ=organ, status="both_empty", dice=None, hd95_mm=None, assd_mm=None, volume_mm3=0.0)
    far_mm = 10 * (1 - dice)
    return EvaluatedOrgan(
        organ=organ, status="measured", dice=dice, hd95_mm=far_mm, assd_mm=far_mm / 3, volume_mm3=1000.0
    )


def run(name: str, dice: Mapping[str, Sequence[float | None]], seed: int = 0, **rest: Any) -> Run:
    """A student that knew OLD before."""
    return Run(
        name=name, method=name, preset="practical", seed=seed, evaluation=evaluation(dice),
        **{"old": frozenset(OLD), "before": dict.fromkeys(OLD, 0.94), "costs": COSTS, **rest},
    )  # fmt: skip


def scattered(mean: Mapping[str, float], cases: int, seed: int) -> dict[str, list[float]]:
    """Dice around a mean; hard cases are hard for everybody."""
    hard = np.random.default_rng(99).normal(0, 0.02, cases)
    own = np.random.default_rng(seed)
    return {o: [float(v) for v in np.clip(m + hard + own.normal(0, 0.01, cases), 0, 1)] for o, m in mean.items()}


def study(cases: int = 12, seeds: int = 3) -> tuple[list[Run], list[ComparedTeacher]]:
    """Four methods: one keeps and gains, one keeps, one gains, one is made of all labels at once."""
    levels = {"bla-uag": (0.93, 0.88), "lwf-strong": (0.92, 0.70), "fine-tune": (0.15, 0.89), "joint": (0.94, 0.90)}
    runs = []
    for number, (name, (old, new)) in enumerate(levels.items()):
        rest: dict[str, Any] = {"before": {}, "taught": False} if name == "joint" else {}
        for seed in range(seeds):
            dice = scattered(dict.fromkeys(OLD, old) | dict.fromkeys(NEW, new), cases, 10 * number + seed)
            runs.append(run(name, dice, seed, **rest))
    before = evaluation(scattered(dict.fromkeys(OLD, 0.94), cases, 77))
    teacher = ComparedTeacher(name="abdomen-4", evaluation=before, parameters=1_200_000, package_bytes=5 * 2**20)
    return runs, [teacher]
