"""Which runs the comparison of methods consists of, on the phantom and on headneck, and what makes a finished one good.

A run whose method or settings are not there is skipped with a note; it joins the table when they are.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from benchmarks.methods_data import HEADNECK_PARTS, PHANTOM, SHAPE_DHW, SPACING_MM
from benchmarks.methods_run import VAULTS, Run
from benchmarks.run_key import digest, recipe_facts, setting_facts
from organincrement.methods.registry import METHODS

TEACHER_STEPS, SINGLE_STEPS, STUDENT_STEPS = 300, 200, 120
# a fresh network for all organs gets the steps of a teacher and its student together
FRESH_STEPS = TEACHER_STEPS + STUDENT_STEPS
# of several partly labelled sets: as many as a minute holds, a step taking twice as long
TOGETHER_STEPS, DISTILLED_STEPS = 280, 2 * STUDENT_STEPS
STEPS: Mapping[str, int] = {
    "teacher": TEACHER_STEPS, "student": STUDENT_STEPS, "fresh": FRESH_STEPS, "together": TOGETHER_STEPS,
    "distilled": DISTILLED_STEPS,
}  # fmt: skip
_SIZE = {"features": [8, 16, 32, 64], "blocks": [1, 1, 1, 1], "spacing_mm": list(SPACING_MM)}
# Adam moves a weight by its rate a step at most: a fresh network gets nowhere in 300 steps of the presets' 0.002
_FRESH_RATE, _STUDENT_RATE = 0.03, 0.01
# DoDNet's convolutions standardise their weights, so that it takes smaller ones
_STANDARDISED = {"training.optimizer.lr": 0.01}
_SHORT = {
    "training.precision": "fp32", "training.workers": 0, "training.schedule.warmup_steps": 10, "training.ema": 0.97,
}  # fmt: skip


def _lasting(steps: int, rate: float) -> dict[str, Any]:
    lengths = {"training.steps": steps, "validation.every_steps": steps // 3, "training.optimizer.lr": rate}
    return {**_SHORT, **lengths}


def _fresh(what: str, method: str, *datasets: str, steps: int, tests: tuple[str, ...], **settings: Any) -> Run:
    sized = {**_lasting(steps, _FRESH_RATE), **_SIZE, "training.patch": list(SHAPE_DHW), **settings}
    return Run(what=what, method=method, datasets=datasets, tests=tests, overrides=sized)


def _student(what: str, method: str, dataset: str, teacher: str, **given: Any) -> Run:
    settings = given.pop("settings", {})
    overrides = {**_lasting(STUDENT_STEPS, _STUDENT_RATE), **settings}
    return Run(what=what, method=method, datasets=(dataset,), teachers=(teacher,), overrides=overrides, **given)


def _increment(what: str, method: str, **settings: Any) -> Run:
    return _student(what, method, "b-new", "teacher", settings=settings)


def _distilled(what: str, **settings: Any) -> Run:
    longer = {**_lasting(DISTILLED_STEPS, _STUDENT_RATE), **settings}
    run = _student(what, "ms-kd", "liver", "single-liver", settings=longer)
    return dataclasses.replace(run, datasets=PARTIAL, teachers=SINGLES, tests=BOTH)


def _together(what: str, method: str, **settings: Any) -> Run:
    return _fresh(what, method, *PARTIAL, steps=TOGETHER_STEPS, tests=BOTH, **settings)


def _dodnet(what: str, method: str, **settings: Any) -> Run:
    return _together(what, method, **_STANDARDISED, **settings)


def _case(number: int, method: str) -> Run:
    teacher, dataset = CASES[number]
    # the third case's old patients are those of the first
    vault = f"case{2 if number == 2 else 1}-{method}" if method in ("aeiseg", "coriseg") else None
    return _student(f"case {number}", method, dataset, teacher, tests=("test-a",), exemplars=vault)


PARTIAL = ("liver", "spleen", "stomach")
SINGLES = tuple(f"single-{organ}" for organ in PARTIAL)
BOTH = ("test-a", "test-b")
# old organ's teacher, and the data set of the new organ
CASES = {
    1: ("case-spleen", "case-stomach"),
    2: ("case-stomach", "case-spleen-single"),
    3: ("case-spleen", "case-stomach-contrast"),
}
# a first training as long as the others', and what two prunings add to it
_PRUNED = {"training.steps": 2 * STUDENT_STEPS}
_WITHOUT = {"targets": []}

PHANTOM_RUNS: dict[str, Run] = {
    "teacher": _fresh("liver and spleen of site A", "supervised", "a-old", steps=TEACHER_STEPS, tests=BOTH),
    "bla-uag": _increment("BLA + UAG", "bla-uag"),
    "no-uncertainty": _increment("w/o uncertainty: w = 1", "bla-uag", uncertainty="none"),
    "all-datasets": _student(
        "w all datasets: self-training with the teacher's data", "self-training", "b-new", "teacher",
        old_datasets=("a-old",),
    ),
    "full-labels": _fresh("w full labels, fresh network", "supervised", "b-full", steps=FRESH_STEPS, tests=BOTH),
    "mib": _increment("MiB", "mib"),
    "lwf": _increment("LwF", "lwf"),
    "self-training": _increment("self-training, data-free", "self-training"),
    "fine-tune": _increment("fine-tuning", "fine-tune"),
    "specialist": _fresh("the new organ alone, fresh network", "supervised", "b-new", steps=SINGLE_STEPS, tests=BOTH),
    # continual segment: the same teacher and data
    "continual-segment": _increment("frozen encoder, a pruned decoder for each group", "continual-segment", **_PRUNED),
    "cs-no-pruning": _increment("no pruning", "continual-segment", **_WITHOUT),
    "cs-body-range": _increment(
        "veto outside the organ's range along the body", "continual-segment", body_range=True, **_PRUNED
    ),
    "cs-supporting": _increment(
        "the new decoder reads the earlier ones", "continual-segment", supporting=True, **_PRUNED
    ),
    # its moving average is of the first model, whose encoder is then frozen
    "teacher-no-ema": _fresh(
        "the teacher without an average", "supervised", "a-old", steps=TEACHER_STEPS, tests=BOTH,
        **{"training.ema": None},
    ),
    "cs-no-ema": dataclasses.replace(
        _increment("no EMA of the encoder", "continual-segment", **_PRUNED), teachers=("teacher-no-ema",)
    ),
    # MS-KD: three teachers of one organ each, no labels for the student
    **{
        f"single-{organ}": _fresh(f"{organ} alone", "supervised", organ, steps=SINGLE_STEPS, tests=BOTH)
        for organ in PARTIAL
    },
    "ms-kd": _distilled("LW + FW"),
    "ms-kd-lw": _distilled("LW", feature_weight=0.0),
    "co-training": _together("co-training", "co-training", **{"training.ema": None}, average=0.97, ramp_steps=150),
    # DoDNet: the same three data sets at once, and the same network but for what is compared
    "dodnet": _dodnet("depth 3, width 8, image and task", "dodnet"),
    "tal": _dodnet("TAL", "tal"),
    "multi-head": _dodnet("multi-head", "multi-head"),
    "cond-no": _dodnet("Cond-NO", "cond-no"),
    "cond-input": _dodnet("Cond-Input", "cond-input"),
    "cond-dec": _dodnet("Cond-Dec", "cond-dec"),
    "dodnet-depth-2": _dodnet("depth 2", "dodnet", head_depth=2),
    "dodnet-depth-4": _dodnet("depth 4", "dodnet", head_depth=4),
    "dodnet-width-4": _dodnet("width 4", "dodnet", head_width=4),
    "dodnet-width-16": _dodnet("width 16", "dodnet", head_width=16),
    "dodnet-task": _dodnet("task alone", "dodnet", controller="task"),
    "dodnet-image": _dodnet("image alone", "dodnet", controller="image"),
    # the network and the rate of those weights
    "transfer-scratch": _fresh(
        "another organ from few patients, from scratch", "tal", "kidney", steps=STUDENT_STEPS, tests=("test-kidney",),
        **_STANDARDISED,
    ),
    "transfer-weights": dataclasses.replace(
        _student("the same from the weights of three organs", "fine-tune", "kidney", "tal"), tests=("test-kidney",)
    ),
    # LwfSeg's three cases
    "case-spleen": _fresh("spleen alone", "supervised", "case-spleen", steps=SINGLE_STEPS, tests=("test-a",)),
    "case-stomach": _fresh("stomach alone", "supervised", "case-stomach", steps=SINGLE_STEPS, tests=("test-a",)),
    "case-spleen-single": _fresh(
        "spleen of one volume", "supervised", "case-spleen-single", steps=SINGLE_STEPS, tests=("test-a",)
    ),
    "case-stomach-contrast": _fresh(
        "stomach in the other contrast", "supervised", "case-stomach-contrast", steps=SINGLE_STEPS, tests=("test-a",)
    ),
    **{
        f"case{number}-{method}": _case(number, method)
        for number in CASES
        for method in ("fine-tune", "lwfseg", "aeiseg", "coriseg")
    },
}  # fmt: skip


def _otherwise(name: str, what: str, **settings: Any) -> Run:
    run = PHANTOM_RUNS[name]
    return dataclasses.replace(run, what=f"{name}, {what}", world="longer", overrides={**run.overrides, **settings})


def _longer(name: str, steps: int, **settings: Any) -> Run:
    lengths = {"training.steps": steps, "validation.every_steps": steps // 3}
    return _otherwise(name, f"{steps} steps", **lengths, **settings)


# whether an order of the tables is one of methods, or of how far a minute takes them
LONGER_RUNS: dict[str, Run] = {
    **{f"{name}-360": _longer(name, 360) for name in ("bla-uag", "no-uncertainty", "mib", "fine-tune")},
    **{
        f"no-uncertainty-{times}": _otherwise(
            "no-uncertainty", f"old terms times {times}", pseudo_label_weight=1.0 * times,
            distillation_weight=20.0 * times, old_dice_weight=1.0 * times,
        )
        for times in (1.05, 1.1, 1.2)
    },
    **{f"{name}-720": _longer(name, 720) for name in ("ms-kd", "ms-kd-lw")},
    **{
        f"{name}-840": _longer(name, 840)
        for name in (
            "dodnet", "tal", "multi-head", "cond-no", "cond-input", "cond-dec", "dodnet-depth-2", "dodnet-depth-4",
            "dodnet-width-4", "dodnet-width-16", "dodnet-task", "dodnet-image",
        )
    },
    "co-training-840": _longer("co-training", 840, ramp_steps=450),
    "transfer-scratch-360": _longer("transfer-scratch", 360),
    "transfer-weights-360": dataclasses.replace(_longer("transfer-weights", 360), teachers=("tal-840",)),
    # 120 of which are of the new images
    **{f"case3-{method}-156": _longer(f"case3-{method}", 156) for method in ("aeiseg", "coriseg")},
}  # fmt: skip

# as the study's teacher was planned, so that all teachers see scans alike
_HN_SIZE = {
    "features": [16, 32, 64, 128, 192], "blocks": [1, 2, 2, 2, 2], "spacing_mm": [2.5, 3.906, 3.906],
    "training.patch": [64, 64, 64],
}  # fmt: skip
_HN_SINGLES = tuple(f"hn-{part}" for part in HEADNECK_PARTS)


def _headneck(what: str, method: str, *datasets: str, teachers: tuple[str, ...] = (), **given: Any) -> Run:
    overrides = given.pop("overrides", {})
    return Run(
        what=what, method=method, datasets=datasets, teachers=teachers, tests=("devtest",), world="headneck",
        overrides=overrides, **given,
    )  # fmt: skip


HEADNECK_RUNS: dict[str, Run] = {
    # as in the head-and-neck study, whose finished run it is where its work folder is given
    "hn-teacher": _headneck("four organs of site A", "supervised", "site_a", overrides=_HN_SIZE),
    "hn-lwfseg": _headneck("mandible of site B", "lwfseg", "site_b", teachers=("hn-teacher",)),
    "hn-coriseg": _headneck(
        "mandible of site B", "coriseg", "site_b", teachers=("hn-teacher",), exemplars="hn-coriseg"
    ),
    "hn-continual-segment": _headneck("mandible of site B", "continual-segment", "site_b", teachers=("hn-teacher",)),
    **{
        f"hn-{part}": _headneck("a third of site A", "supervised", part, overrides={**_HN_SIZE, "training.steps": 1000})
        for part in HEADNECK_PARTS
    },
    "hn-ms-kd": _headneck("three teachers of site A", "ms-kd", *HEADNECK_PARTS, teachers=_HN_SINGLES),
    "hn-dodnet": _headneck("three sites, partly labelled", "dodnet", "site_a", "site_b", "site_c", overrides=_HN_SIZE),
}
RUNS: dict[str, Run] = {**PHANTOM_RUNS, **LONGER_RUNS, **HEADNECK_RUNS}


def why_not(name: str) -> str | None:
    """Why a run cannot be done yet, in words; None where it can."""
    run = RUNS[name]
    if run.method not in METHODS:
        return f"method `{run.method}` is not in the registry yet"
    known = {setting.name for setting in dataclasses.fields(METHODS[run.method].Config)} | {"seed"}
    for key in run.overrides:
        if key not in known and "." not in key:
            return f"method `{run.method}` has no setting `{key}` yet"
    for parent in _parents(run):
        if reason := why_not(parent):
            return f"{parent}: {reason}"
    return None


def key_of(name: str, seed: int) -> str:
    """What makes a finished run the one that is asked for: settings, data, and the same of its teachers."""
    run = RUNS[name]
    method = METHODS[run.method]
    preset = next(iter(method.presets))
    facts = {
        "method": run.method, "recipe": recipe_facts(method.presets[preset].recipe), "seed": seed, "tests": run.tests,
        "settings": setting_facts(
            asdict(method.Config()) | dict(method.presets[preset].settings) | dict(run.overrides)
        ),
        "data": [_data_facts(run, dataset) for dataset in (*run.datasets, *run.old_datasets, *run.tests)],
        "vault": asdict(VAULTS[run.exemplars]) if run.exemplars else None,
        "parents": [key_of(parent, seed) for parent in _parents(run)],
    }  # fmt: skip
    return digest(facts)


def parents_of(name: str) -> tuple[str, ...]:
    """The runs whose packages a run starts from."""
    return _parents(RUNS[name])


def _parents(run: Run) -> tuple[str, ...]:
    vault = (VAULTS[run.exemplars].teacher,) if run.exemplars else ()
    return tuple(dict.fromkeys((*run.teachers, *vault)))


def _data_facts(run: Run, dataset: str) -> Any:
    if run.world == "headneck":
        return [dataset, HEADNECK_PARTS.get(dataset)]
    return [asdict(PHANTOM[dataset]), SHAPE_DHW]
