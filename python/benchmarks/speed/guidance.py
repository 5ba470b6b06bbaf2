"""What a step with uncertainty-aware guidance takes, in forward passes of the student, against plain distillation."""

from collections.abc import Mapping

from benchmarks.speed.guidance_world import BATCH, COPIES, NEW, OLD, World, equal, passes, steps
from benchmarks.speed.part import Options, Part, Table
from benchmarks.speed.timing import in_a_process
from organincrement.methods.teacher_memory import bytes_for
from organincrement.training.device import resolve_hardware

_CPU_RUNG = 1  # of the ladder: what plans choose on a CPU
_WAYS = {
    "1": "a copy of the mini-batch at a time, as it is", "2": "two copies at once", "3": "three copies at once",
    "6": "all six at once", "a sample": "a sample at a time", "no_grad": "no_grad in place of inference_mode",
    "channels_last_3d": "channels_last_3d", "bf16": "bfloat16 (an approximation of float32)",
}  # fmt: skip
_PLANNED = (100, 400)  # mini-batches of a fixed plan; 400 is the practical preset's every step

Spreads = Mapping[str, list[float]]  # median and quartiles


def measure(options: Options) -> Part:
    """Steps, levers of the teacher's passes, and the disk that remembering takes."""
    rung, rounds = (None, 3) if options.quick else (_CPU_RUNG, 5)
    common = {"threads": 1, "rung": rung, "rounds": rounds}
    first = in_a_process(steps, **common, kept=False, bf16=False, straightforward=True)
    usual = in_a_process(steps, **common, kept=False, bf16=False)
    kept = in_a_process(steps, **common, kept=True, bf16=False)
    tables = [
        _steps(kept.answer, "float32, freed memory kept"),
        _against_first(
            (first.answer, usual.answer, kept.answer), (first.peak_bytes, usual.peak_bytes, kept.peak_bytes)
        ),
    ]
    if resolve_hardware("cpu", "auto").precision == "bf16":
        half = in_a_process(steps, **common, kept=True, bf16=True)
        tables.insert(1, _steps(half.answer, "bfloat16, which `auto` takes on this processor, freed memory kept"))
        tables[-1] = _with_half(tables[-1], _medians(first.answer), _medians(half.answer), half.peak_bytes)
    size = World.of(rung).size
    return Part(
        title="A step with uncertainty-aware guidance",
        question=(
            f"How long does a training step of BLA + UAG take, in forward passes of the student, against plain "
            f"distillation (the same loss with uncertainty `none`; `lwf`)? Networks of features {list(size.features)}, "
            f"{BATCH} patches of {size.patch[0]} voxels an edge, {len(OLD)} old organs and {len(NEW)} new one; loss "
            "and backward, without optimiser and data; CPU time of one thread, each table in a process of its own. By "
            "counting passes, plain costs 3 + t and guided 3 + (1+Q)t, with t the teacher's pass."
        ),
        tables=[*tables, _levers(rung, rounds), _disk(size.patch)],
        check=(
            f"u against the straightforward loop of the same draws: {equal(rung):.1e} at most, the rounding of exp of "
            "log_softmax against softmax. Keeping freed memory changes no bit (tests/networks/test_heap.py). "
            "Remembered answers are the stored float32, bit for bit (tests/methods/test_teacher_memory.py)."
        ),
        remark=_REMARK,
    )  # fmt: skip


_REMARK = (
    "On a CPU the passes are what counts: perturbing, softmax and entropy add 1 to 3 % to them at 64 voxels an "
    "edge. What made them slower was the C library: glibc hands blocks above 32 MiB back and takes them anew, and "
    "the system clears each page. Keeping them (networks/heap.py) is exact, helps every method alike, and takes a "
    "sixth to a third more memory; without it the copies summed here give more blocks back than the straightforward "
    "loop, and are slower than it by a tenth. Default, and bit-equal to one copy after another in float32: copies "
    "summed as they come, under inference_mode, blurred in place. Rejected: batching the copies (the same bits, but "
    "a few per cent at most, for more memory); a sample at a time (other last bits); channels_last_3d (slower or "
    "equal); softmax in place of log_softmax and exp (1 %, other last bits); torch.compile (asks for a compiler, "
    "and other last bits; not measured to its end). An approximation of fresh patches, and so not the default: a "
    "fixed plan of mini-batches (training/patch_plan.py) with remembered answers (methods/teacher_memory.py), whose "
    "steps cost less than plain distillation. It is bit-equal to the same plan without memory, whose perturbations "
    "are drawn once for each mini-batch. Without such a plan no patch comes again, augmented or not, and there is "
    "nothing to compute ahead. Missing, for lack of a GPU: its figures, streams, CUDA graphs, and noise drawn on "
    "the device, which another generator would make equal in distribution only; noise goes there from pinned "
    "memory."
)


def _steps(spreads: Spreads, caption: str) -> Table:
    s, shown = _medians(spreads), {name: _shown(spread) for name, spread in spreads.items()}
    t = s["teacher"] / s["student"]
    rows: list[list[str | float | None]] = [
        ["student forward", shown["student"], 1.0, None, None, None],
        ["teacher forward (t)", shown["teacher"], t, None, None, None],
        ["plain distillation", shown["plain"], s["plain"] / s["student"], 1.0, 1.0, 1.0],
        ["lwf", shown["lwf"], s["lwf"] / s["student"], s["lwf"] / s["plain"], None, None],
    ]
    for count in COPIES:
        name, counted = f"Q = {count}", (3 + (1 + count) * t) / (3 + t)
        ratio = s[name] / s["plain"]
        rows.append([f"guided, {name}", shown[name], s[name] / s["student"], ratio, counted, ratio / counted])
    for count in COPIES:
        name = f"Q = {count} remembered"
        rows.append([f"guided, {name}", shown[name], s[name] / s["student"], s[name] / s["plain"], None, None])
    columns = ["step", "CPU s", "in student passes", "/ plain", "(3+(1+Q)t)/(3+t)", "measured / counted (goal 1.1)"]
    return Table(columns=columns, rows=rows, caption=caption)


def _medians(spreads: Spreads) -> dict[str, float]:
    return {name: spread[0] for name, spread in spreads.items()}


def _shown(spread: list[float]) -> str:
    return "{:.3g} ({:.3g} to {:.3g})".format(*spread)


def _against_first(spreads: tuple[Spreads, Spreads, Spreads], peaks: tuple[int, int, int]) -> Table:
    first, usual, kept = map(_medians, spreads)
    rows: list[list[str | float]] = []
    for count in COPIES:
        name, before = f"Q = {count}", first[f"Q = {count}"]
        for how, now in (("as the system frees", usual[name]), ("freed memory kept", kept[name])):
            rows.append([f"{name}: {how}", before, now, before / now, "float32, exact"])
    mib = [round(peak / 2**20) for peak in peaks]
    return Table(
        columns=["guided step", "straightforward loop, CPU s", "here, CPU s", "times as fast (goal 1.3)", "result"],
        rows=rows,
        caption=f"Against the straightforward float32 loop; peak memory {mib[0]}, {mib[1]} and, kept, {mib[2]} MiB",
    )


def _with_half(table: Table, first: Mapping[str, float], half: Mapping[str, float], peak: int) -> Table:
    more = [
        [f"{n}: bfloat16, {round(peak / 2**20)} MiB", first[n], half[n], first[n] / half[n], "precision of `auto` here"]
        for n in (f"Q = {count}" for count in COPIES)
    ]
    return Table(columns=table.columns, rows=[*table.rows, *more], caption=table.caption)


def _levers(rung: int | None, rounds: int) -> Table:
    """Side by side for the time; of those that differ in it, each in a process of its own for the memory."""
    common = {"threads": 1, "rung": rung}
    found = in_a_process(passes, **common, rounds=rounds, ways=list(_WAYS)).answer
    rows: list[list[str | float | None]] = []
    for way, words in _WAYS.items():
        mib = None
        if rung is not None and (way.isdigit() or way == "a sample"):
            mib = round(in_a_process(passes, **common, rounds=1, ways=[way]).peak_bytes / 2**20)
        seconds, difference = found[way]
        rows.append([words, seconds, found["1"][0] / seconds, mib, f"{difference:.1e}"])
    return Table(
        columns=["way", "CPU s", "times as fast", "peak MiB", "largest difference of the mean p"], rows=rows,
        caption=f"The teacher's {COPIES[-1]} perturbed copies of {BATCH} patches, float32, freed memory kept",
    )  # fmt: skip


def _disk(patch: tuple[int, ...]) -> Table:
    """Of a fixed plan, by arithmetic that a test holds the memory to."""
    rows = [
        [f"{batches} mini-batches of {BATCH}, {organs} organs, {list(edge)}",
         f"{bytes_for(batches, BATCH, organs, edge) / 2**30:.1f} GiB"]
        for batches, organs, edge in (
            (_PLANNED[0], len(OLD), patch), (_PLANNED[1], len(OLD), patch), (_PLANNED[0], 117, (128, 128, 128)),
        )
    ]  # fmt: skip
    return Table(columns=["fixed plan", "disk"], rows=rows, caption="What remembered answers take on disk")
