"""What a run of the comparison of methods is, and of which exemplars some have a vault."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

World = Literal["phantom", "longer", "headneck"]  # longer: on the phantom, with more than a minute
SEEDS: Mapping[World, tuple[int, ...]] = {"phantom": (0, 1, 2), "longer": (0, 1, 2), "headneck": (0,)}


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training. teachers: names of runs; exemplars: a key of VAULTS; tests: data sets it is measured on."""

    what: str
    method: str
    datasets: tuple[str, ...]
    tests: tuple[str, ...] = ("test-b",)
    teachers: tuple[str, ...] = ()
    old_datasets: tuple[str, ...] = ()
    exemplars: str | None = None
    world: World = "phantom"
    overrides: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Vault:
    """Exemplars of a teacher's data: of so many slabs of which it is surest, those that cover the others best."""

    teacher: str
    dataset: str
    by: Literal["aeiseg", "coriseg"]
    most_certain: int
    keep: int
    passes: int


def _vaults(case: str, teacher: str, dataset: str, **sizes: int) -> dict[str, Vault]:
    return {
        f"{case}-{by}": Vault(teacher=teacher, dataset=dataset, by=by, **sizes)  # type: ignore[arg-type]
        for by in ("aeiseg", "coriseg")
    }


# on the phantom a slab is a whole scan: three of ten are about the paper's 30 slices of a few volumes
VAULTS: Mapping[str, Vault] = {
    **_vaults("case1", "case-spleen", "case-spleen", most_certain=5, keep=3, passes=5),
    **_vaults("case2", "case-stomach", "case-stomach", most_certain=5, keep=3, passes=5),
    **_vaults("hn", "hn-teacher", "site_a", most_certain=50, keep=30, passes=5),
}
