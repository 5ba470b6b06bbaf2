"""What is compared with what: each paper's own table beside our runs of the same methods, and what must not lose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.methods_data import NEW, OLD

# a row without a training of its own: each organ by the run that knows it
COMPOSITES: Mapping[str, Mapping[str, str]] = {
    "separate": {**dict.fromkeys(OLD, "teacher"), **dict.fromkeys(NEW, "specialist")},
    "individual": {organ: f"single-{organ}" for organ in (*OLD, *NEW)},
    "case1-bounds": {"spleen": "case-spleen", "stomach": "case-stomach"},
    "case2-bounds": {"stomach": "case-stomach", "spleen": "case-spleen-single"},
    "case3-bounds": {"spleen": "case-spleen", "stomach": "case-stomach-contrast"},
}


@dataclass(frozen=True, kw_only=True)
class Study:
    """One table of a paper and our runs of it.

    rows: run or composite -> the paper's name of it and the paper's figures, if it has any. ordered_by: which of these
    figures its order is taken from. teacher: whose Dice the old organs are held against. against: a method and what it
    must not lose to by more than the interval: its ablations, and what its paper has it ahead of for a reason.
    fine_tuning: what must not keep the old organs better.
    """

    title: str
    regime: str
    test: str
    old: tuple[str, ...]
    new: tuple[str, ...]
    rows: Mapping[str, tuple[str, Sequence[float | None]]]
    columns: Sequence[str] = ()
    ordered_by: int = -1
    teacher: str | None = None
    fine_tuning: str | None = None
    ours: tuple[str, ...] = ()
    against: Sequence[tuple[str, str]] = ()

    @property
    def organs(self) -> tuple[str, ...]:
        """All that are measured."""
        return (*self.old, *self.new)


_NONE: Sequence[float | None] = ()


def _case(number: int, old: str, new: str, figures: Mapping[str, Sequence[float | None]]) -> Study:
    runs = {f"case{number}-{method}": method for method in ("fine-tune", "lwfseg", "aeiseg", "coriseg")}
    names = {"fine-tune": "finetuned", "lwfseg": "LwfSeg", "aeiseg": "AeiSeg", "coriseg": "CoRiSeg"}
    what = {1: "other patients", 2: "a single volume", 3: "another contrast"}[number]
    lwfseg, aeiseg, coriseg = list(runs)[1:]
    return Study(
        title=f"LwfSeg, AeiSeg, CoRiSeg: case {number}, {what}",
        regime=f"A teacher of the {old}; the {new} is new, from {what}. Ordered by the mean of both organs.",
        test="test-a", old=(old,), new=(new,), columns=("old", "new"), teacher=f"case-{old}",
        rows={
            f"case{number}-bounds": ("HumSeg, ScapSeg (bounds)", figures["bounds"]),
            **{run: (names[method], figures[method]) for run, method in runs.items()},
        },
        fine_tuning=f"case{number}-fine-tune", ours=(lwfseg, aeiseg, coriseg),
        against={1: (), 2: ((coriseg, lwfseg),), 3: ((aeiseg, lwfseg), (coriseg, lwfseg))}[number],
    )  # fmt: skip


_OF_A_MINUTE: dict[str, Study] = {
    "bla-uag": Study(
        title="BLA + UAG, Tables 1 and 2",
        regime="A teacher of site A's organs; site B labels one new organ. The paper's figures are the averages of its "
        "three scenarios: spleen + kidney, liver + pancreas, three organs + kidney.",
        test="test-b", old=OLD, new=NEW, columns=("S+K", "L+P", "SLP+K"), teacher="teacher",
        rows={
            "full-labels": ("w full labels", (95.77, 87.03, 91.40)),
            "bla-uag": ("ours", (95.70, 87.24, 91.73)),
            "no-uncertainty": ("w/o uncertainty", (92.66, 86.05, 91.52)),
            "all-datasets": ("w all datasets", (89.55, 86.16, 91.39)),
            "mib": ("MiB", (91.32, 85.82, 90.72)),
            "self-training": ("", _NONE), "lwf": ("", _NONE), "fine-tune": ("", _NONE), "separate": ("", _NONE),
        },
        fine_tuning="fine-tune", ours=("bla-uag", "no-uncertainty", "mib", "lwf", "self-training", "all-datasets"),
        against=(("bla-uag", "no-uncertainty"), ("bla-uag", "mib")),
    ),
    "continual-segment": Study(
        title="Continual Segment",
        regime="The same teacher and data. The paper's tables are not at hand; of its abstract: accuracy close to that "
        "of separate models. The phantom has no anomaly, so that rule of the merging has no row here.",
        test="test-b", old=OLD, new=NEW, teacher="teacher",
        rows={
            "separate": ("separate networks", _NONE), "continual-segment": ("ours", _NONE),
            "cs-no-pruning": ("no pruning", _NONE), "cs-body-range": ("with veto", _NONE),
            "cs-no-ema": ("no EMA", _NONE), "cs-supporting": ("with feature-level supporting", _NONE),
            "mib": ("MiB", _NONE), "lwf": ("LwF", _NONE), "fine-tune": ("fine-tuning", _NONE),
        },
        fine_tuning="fine-tune", ours=("continual-segment", "cs-no-pruning", "cs-body-range", "cs-no-ema"),
        against=(("continual-segment", "cs-no-pruning"), ("continual-segment", "cs-no-ema")),
    ),
    "ms-kd": Study(
        title="MS-KD",
        regime="Three teachers of one organ each; the student sees all their images and no label. Measured at the "
        "teachers' site. The paper's figures: its own test split, BTCV.",
        test="test-a", old=("liver", "spleen", "stomach"), new=(), columns=("own test", "BTCV"), ordered_by=0,
        rows={
            "individual": ("Individual", (90.30, 83.51)), "ms-kd-lw": ("LW", (91.10, 84.57)),
            "ms-kd": ("MS-KD (LW+FW)", (91.32, 84.83)), "co-training": ("Co-training", (90.89, 84.40)),
            "dodnet": ("DoDNet", (90.42, 84.03)),
        },
        ours=("ms-kd",), against=(("ms-kd", "ms-kd-lw"),),
    ),
    "ms-kd-outside": Study(
        title="MS-KD at another site",
        regime="The same networks on site B, which stands for BTCV: no image of it was seen in training.",
        test="test-b", old=("liver", "spleen", "stomach"), new=(), columns=("own test", "BTCV"), ordered_by=1,
        rows={
            "individual": ("Individual", (90.30, 83.51)), "ms-kd-lw": ("LW", (91.10, 84.57)),
            "ms-kd": ("MS-KD (LW+FW)", (91.32, 84.83)), "co-training": ("Co-training", (90.89, 84.40)),
            "dodnet": ("DoDNet", (90.42, 84.03)),
        },
        ours=("ms-kd",), against=(("ms-kd", "ms-kd-lw"),),
    ),
    "case1": _case(1, "spleen", "stomach", {
        "bounds": (96.7, 88.1), "fine-tune": (0.1, 86.2), "lwfseg": (95.9, 87.5), "aeiseg": (96.1, 82.9),
        "coriseg": (96.3, 82.8),
    }),
    "case2": _case(2, "stomach", "spleen", {
        "bounds": (88.5, 82.9), "fine-tune": (13.4, 79.8), "lwfseg": (73.2, 87.3), "aeiseg": (74.8, 63.5),
        "coriseg": (78.7, 90.2),
    }),
    "case3": _case(3, "spleen", "stomach", {
        "bounds": (96.7, 84.6), "fine-tune": (0.0, 83.8), "lwfseg": (66.0, 79.1), "aeiseg": (94.2, 76.7),
        "coriseg": (94.8, 78.7),
    }),
    "dodnet": Study(
        title="DoDNet",
        regime="Three data sets with one organ each, at once; all but the separate networks on DoDNet's encoder and "
        "decoder. The paper's figures: mean Dice and HD over its eleven targets.",
        test="test-a", old=("liver", "spleen", "stomach"), new=(), columns=("Dice", "HD"), ordered_by=0,
        rows={
            "individual": ("Multi-Nets", (71.67, 28.95)), "tal": ("TAL", (73.35, 23.56)),
            "multi-head": ("Multi-Head", (74.55, 26.22)), "cond-no": ("Cond-NO", (60.37, 61.24)),
            "cond-input": ("Cond-Input", (74.68, 24.39)), "cond-dec": ("Cond-Dec", (72.71, 29.63)),
            "dodnet": ("DoDNet", (75.64, 19.50)),
        },
        ours=("dodnet",), against=(("dodnet", "cond-no"),),
    ),
    "dodnet-head": Study(
        title="DoDNet's head: depth, width, controller",
        regime="One thing changed at a time; the paper's figures are of a fifth of its training scans.",
        test="test-a", old=("liver", "spleen", "stomach"), new=(), columns=("Dice", "HD"), ordered_by=0,
        rows={
            "dodnet": ("depth 3, width 8, image and task", (71.67, 25.86)),
            "dodnet-depth-2": ("depth 2", (71.30, 25.72)), "dodnet-depth-4": ("depth 4", (71.63, 26.07)),
            "dodnet-width-4": ("width 4", (69.79, 30.40)), "dodnet-width-16": ("width 16", (71.45, 26.31)),
            "dodnet-task": ("task only", (71.26, 29.38)), "dodnet-image": ("image only", (51.80, 79.94)),
        },
        ours=("dodnet",),
        against=(
            ("dodnet", "dodnet-depth-2"), ("dodnet", "dodnet-depth-4"), ("dodnet", "dodnet-width-4"),
            ("dodnet", "dodnet-width-16"), ("dodnet", "dodnet-task"), ("dodnet", "dodnet-image"),
        ),
    ),
    "transfer": Study(
        title="Transfer to another organ",
        regime="The left kidney of four patients, from nothing and from weights that know three other organs. The "
        "paper's figures: 13 organs of BCV. The weights here are those of `tal`, which has the one softmax that "
        "fine-tuning goes on from.",
        test="test-kidney", old=(), new=("kidney_left",), columns=("Dice", "HD"), ordered_by=0,
        rows={
            "transfer-scratch": ("from scratch", (85.30, 19.67)), "transfer-weights": ("MOTS weights", (86.44, 15.62)),
        },
        ours=("transfer-weights",), against=(("transfer-weights", "transfer-scratch"),),
    ),
}  # fmt: skip


def _longer(key: str, what: str, runs: Mapping[str, str], also: Sequence[str] = ()) -> Study:
    """A study's table once more. Args: runs: its rows that have a longer run, and that. also: rows as they are."""
    study, named = _OF_A_MINUTE[key], {**runs, **{row: row for row in also}}
    return replace(
        study, title=f"{study.title}: {what}",
        regime="The same with more steps, where a name says how many; the other rows are those above.",
        rows={named[row]: given for row, given in study.rows.items() if row in named},
        fine_tuning=named.get(study.fine_tuning or ""), ours=[named[run] for run in study.ours if run in named],
        against=[(named[run], named[other]) for run, other in study.against if run in named and other in named],
    )  # fmt: skip


_MS_KD = {"ms-kd": "ms-kd-720", "ms-kd-lw": "ms-kd-lw-720", "co-training": "co-training-840", "dodnet": "dodnet-840"}
# below the table that they belong to: what tells an order of methods from how far a minute takes them
_LONGER: Mapping[str, Study] = {
    "bla-uag": _longer(
        "bla-uag", "360 steps", {run: f"{run}-360" for run in ("bla-uag", "no-uncertainty", "mib", "fine-tune")}
    ),
    "ms-kd": _longer("ms-kd", "three times the steps", _MS_KD, ("individual",)),
    "ms-kd-outside": _longer("ms-kd-outside", "three times the steps", _MS_KD, ("individual",)),
    "case3": _longer(
        "case3", "120 steps of the new images for all", {f"case3-{m}": f"case3-{m}-156" for m in ("aeiseg", "coriseg")},
        ("case3-bounds", "case3-fine-tune", "case3-lwfseg"),
    ),
    "dodnet": _longer(
        "dodnet", "840 steps",
        {run: f"{run}-840" for run in ("tal", "multi-head", "cond-no", "cond-input", "cond-dec", "dodnet")},
        ("individual",),
    ),
    "dodnet-head": _longer(
        "dodnet-head", "840 steps", {run: f"{run}-840" for run in _OF_A_MINUTE["dodnet-head"].rows}
    ),
    "transfer": _longer(
        "transfer", "360 steps", {run: f"{run}-360" for run in ("transfer-scratch", "transfer-weights")}
    ),
}  # fmt: skip

STUDIES: Mapping[str, Study] = {
    name: study
    for key, minute in _OF_A_MINUTE.items()
    for name, study in ((key, minute), (f"{key}-longer", _LONGER.get(key)))
    if study is not None
}
