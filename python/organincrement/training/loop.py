"""The training loop, in one place: steps, validation, checkpoints, and what happens when something goes wrong."""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from organincrement.contract import codec
from organincrement.contract.plan import Plan
from organincrement.inference.memory import free_gpu_memory, whose_memory
from organincrement.methods.protocol import ContinualMethod
from organincrement.training.backward import Backward
from organincrement.training.batches import BatchSource, Draw
from organincrement.training.checkpoint import load_newest, save_checkpoint
from organincrement.training.device import Hardware
from organincrement.training.distributed import ALONE, Group, ProcessLost
from organincrement.training.distributed_batches import ShareOfBatches
from organincrement.training.distributed_layers import share_layers
from organincrement.training.optimizer import AveragedWeights, learning_rate, make_optimizer
from organincrement.training.phases import PhasePlan, phases_of
from organincrement.training.reporting import Reporter
from organincrement.training.signals import DiskFull, Diverged, PlanChanged, is_disk_full
from organincrement.training.steady_draws import SteadyDraws
from organincrement.training.validation import ValidationResult

_CLIP_NORM = 12.0
_CHECKPOINT_EVERY_S = 60.0
_SMALLER_STEP = 0.5


@dataclass(kw_only=True)
class Progress:
    """What a checkpoint holds besides weights and moments; all draws follow from the plan's seed and `step`.

    scores: labelled organs' Dice at all validations that measured it. ended: whether the method wants no further phase.
    """

    step: int = 0
    phase: int = 0
    ended: bool = False
    scored_before: int = 0
    scores: list[float] = field(default_factory=list)
    validated_step: int = -1
    best_step: int = -1
    best_score: float = -1.0
    lr_scale: float = 1.0
    micro_batch: int = 0


class Trainer:
    """Runs a method's loss over the plan's steps. `run` may raise the signals of `training.signals`.

    Args: annotated: of each case, which of the organs that can be labelled were looked for. exemplars: cases from the
        vault, which no batch mixes with others. group: of processes that train together; the first one writes.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        method: ContinualMethod,
        source: BatchSource,
        validate: Callable[[nn.Module], ValidationResult] | None,
        annotated: Mapping[str, tuple[bool, ...]],
        exemplars: frozenset[str] = frozenset(),
        checkpoints: Path,
        reporter: Reporter,
        hardware: Hardware,
        check_flags: Callable[[], None],
        group: Group = ALONE,
    ) -> None:
        self.plan, self.method, self.source, self.validate = plan, method, source, validate
        self.phases = PhasePlan(phases_of(method, plan), plan.training.steps)
        self.checkpoints, self.reporter, self.hardware, self.check_flags = checkpoints, reporter, hardware, check_flags
        self.group = group
        torch.manual_seed(plan.seed)
        self.student = method.build_student()
        for network in (self.student, *(teacher.network for teacher in method.inputs.teachers)):
            hardware.adopt(network)
        if not group.is_alone:
            share_layers(self.student)
        # bfloat16 has the range of float32; only float16 needs its gradients scaled
        self.scaler = torch.amp.GradScaler(hardware.device.type, enabled=hardware.precision == "fp16")
        self.backward = Backward(
            plan=plan, method=method, annotated=annotated, exemplars=exemplars, hardware=hardware, scaler=self.scaler,
            group=group,
        )  # fmt: skip
        self._planned_part = -(-plan.training.batch // plan.training.accumulation)
        self.progress = Progress(micro_batch=self._planned_part)
        self._start_optimizer()
        self._start_draws()
        self._plan_sha256 = hashlib.sha256(codec.dumps(plan).encode()).hexdigest()
        self._last_saved_s = time.monotonic()

    @property
    def network(self) -> nn.Module:
        """What is validated and packaged: the averaged weights where there are any."""
        return self.average.network if self.average else self.student

    def restore(self) -> int | None:
        """Go on from the newest whole checkpoint. Returns: its step, or None for a fresh start.

        Raises: PlanChanged where another plan made it.
        """
        step, state, passed_over = self._newest()
        if state is not None and state.get("plan_sha256") not in (None, self._plan_sha256):
            raise PlanChanged("plan.json: has changed since the job started: restore it, or start a new job")
        for name in passed_over:
            self.reporter.warn("checkpoint_corrupt", f"checkpoint {name} is damaged and was passed over")
        if state is None:
            if passed_over:
                self.reporter.warn("starts_again", "no checkpoint is whole: the job starts again from its first step")
            return None
        self._set_state(state)
        return step

    def run(self) -> None:
        """Train to the last step."""
        if self.progress.step == 0:
            self.save(best=False)  # where a loss that is not finite goes back to; and a full disk shows at once
        try:
            while self.progress.step < self.plan.training.steps:
                self.group.agree(self.check_flags)
                self._validate_if_due()
                if self._ends_before_next_phase():
                    break
                if not self._step(*self.draws.next(self.progress.step)):
                    self.draws.end()
                if time.monotonic() - self._last_saved_s > _CHECKPOINT_EVERY_S:
                    self.save(best=False)
        finally:
            self.draws.end()  # no worker is left behind, however the run ends
        self._validate_if_due()

    def _start_optimizer(self) -> None:
        self.method.freeze(self.student, self.progress.phase)
        self.optimizer = make_optimizer(self.student, self.plan.training.optimizer)
        ema, first = self.plan.training.ema, self.plan.training.schedule.get("ema_first")
        self.average = AveragedWeights(self.student, ema, first) if ema else None
        self.backward.renew()

    def _start_draws(self) -> None:
        source, between, pin = self.source, self.check_flags, self.hardware.device.type == "cuda"
        if not self.group.is_alone:
            parts = self.backward.parts(source.sampler.batch, self.progress.micro_batch)
            source, between = ShareOfBatches.of(source, parts), lambda: None  # all stop between two steps
        self.draws = SteadyDraws(source, self.plan.training, pin=pin, between=between, warn=self.reporter.warn)

    def _ends_before_next_phase(self) -> bool:
        """Enter the phases that begin at this step. Returns: whether the method ends the training instead."""
        progress = self.progress
        while not progress.ended and self.phases.begins(progress.phase + 1, progress.step):
            self.student.load_state_dict(self.network.state_dict())  # what was validated is what goes on
            scores = tuple(progress.scores[progress.scored_before :])
            progress.ended = not self.method.enter(self.student, progress.phase + 1, scores)
            if not progress.ended:
                progress.phase += 1
                progress.scored_before = len(progress.scores)
                progress.best_step, progress.best_score = -1, -1.0
                self._start_optimizer()
                self.reporter.phase = self.phases.names[progress.phase]
            self.save(best=False)
        return progress.ended

    def save(self, *, best: bool) -> None:
        """Write a checkpoint, as the first of the processes. Raises: DiskFull."""
        if not self.group.is_first:
            return
        state = self._state()
        try:
            path, digest = save_checkpoint(self.checkpoints, self.progress.step, state, best=best)
        except OSError as error:
            if is_disk_full(error):
                raise DiskFull(self._checkpoint_bytes() * (2 if best else 1)) from error
            raise
        self._last_saved_s = time.monotonic()
        self.reporter.checkpointed(self.progress.step, f"{path.parent.name}/{path.name}", digest)

    def _step(self, draw: Draw, waited_s: float) -> bool:
        """One optimiser step. Returns: False where the loss was not finite and an earlier checkpoint was taken up."""
        started = time.perf_counter()
        step, training = self.progress.step, self.plan.training
        done, length = self.phases.within(self.progress.phase, step)
        base = float(training.optimizer["lr"])
        rate = self.progress.lr_scale * learning_rate(done, length, base, training.schedule)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        terms = self._gradients(draw)
        if not (all(np.isfinite(value) for value in terms.values()) and self._clipped()):
            self._step_back(draw[2])
            return False
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.method.after_step(self.student)
        if self.average:
            self.average.update(self.student, done / length)
        self.progress.step += 1
        self.reporter.stepped(self.progress.step, terms, rate, time.perf_counter() - started + waited_s, waited_s)
        return True

    def _clipped(self) -> bool:
        """Clip the gradients. Returns: False where a step along them would lose the weights."""
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.student.parameters(), _CLIP_NORM)
        # float16 overflows at times, and its scaler then leaves the step out by itself
        return self.scaler.is_enabled() or bool(norm.isfinite())

    def _gradients(self, draw: Draw) -> dict[str, float]:
        """Backward over the batch in parts; a part that does not fit into memory is halved, and that is said."""
        while True:
            try:
                self.optimizer.zero_grad(set_to_none=True)
                return self.backward(self.student, draw, self.progress.step, self.progress.micro_batch)
            except (RuntimeError, MemoryError) as error:
                whose = whose_memory(error)
                # of several processes the others are in the middle of it: parts are what the plan says
                if self.progress.micro_batch <= 1 or whose is None or not self.group.is_alone:
                    raise
            # the error, which holds on to the tensors of the failed attempt, is gone here
            self.optimizer.zero_grad(set_to_none=True)
            free_gpu_memory()
            self.progress.micro_batch = self.progress.micro_batch // 2
            said = f"out of {whose} memory: going on with parts of {self.progress.micro_batch} patches"
            self.reporter.warn("smaller_batch", said)

    def _step_back(self, case_ids: tuple[str, ...]) -> None:
        of_all = self.group.together(lambda: ", ".join(case_ids))
        where = f"at step {self.progress.step} (cases {', '.join(of_all)})"
        if self.progress.lr_scale < 1.0:
            raise Diverged(f"the loss is not a number {where}, also with a smaller step")
        step, state, _ = self._newest()
        if state is None:
            raise Diverged(f"the loss is not a number {where}, and no checkpoint is whole")
        self._set_state(state)
        self.progress.lr_scale = _SMALLER_STEP
        self.reporter.warn(
            "not_finite", f"the loss is not a number {where}: back to step {step} with half the step size"
        )

    def _validate_if_due(self) -> None:
        step, every = self.progress.step, self.plan.validation.every_steps
        ends = step == self.plan.training.steps or self.phases.begins(self.progress.phase + 1, step)
        due = ends or (step > 0 and step % every == 0)
        if self.validate is None or not due or self.progress.validated_step == step:
            return
        result = self.validate(self.network.eval())
        best = result.score > self.progress.best_score
        self.progress.validated_step = step
        if (dice := result.labelled_dice) is not None:
            self.progress.scores.append(dice)
        if best:
            self.progress.best_step, self.progress.best_score = step, result.score
        self.reporter.validated(step, result, best)
        self.save(best=best)

    def _checkpoint_bytes(self) -> int:
        """Weights, two moments, and the average where there is one."""
        weights = sum(weight.nbytes for weight in self.student.state_dict().values())
        return (4 if self.average else 3) * weights

    def _newest(self) -> tuple[int, dict[str, Any] | None, list[str]]:
        """The newest whole checkpoint, the same for all processes; none of them writes before all have read."""
        found = load_newest(self.checkpoints)
        if len(set(self.group.together(lambda: str(found[0])))) > 1:
            raise ProcessLost("not all processes see the job's newest checkpoint yet: start the same command once more")
        return found

    def _state(self) -> dict[str, Any]:
        return {
            "plan_sha256": self._plan_sha256,
            "progress": asdict(self.progress),
            "student": self.student.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": self.average.network.state_dict() if self.average else None,
            "average_updates": self.average.updates if self.average else 0,
        }

    def _set_state(self, state: dict[str, Any]) -> None:
        self.progress = Progress(**state["progress"])
        if not self.group.is_alone:
            self.progress.micro_batch = self._planned_part  # that of one process alone may have become smaller
            self.draws.end()
            self._start_draws()
        self.reporter.phase = self.phases.names[self.progress.phase]
        self._start_optimizer()
        self.student.load_state_dict(state["student"])
        self.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:  # empty where the checkpoint was made without float16
            self.scaler.load_state_dict(state["scaler"])
        if self.average:
            self.average.network.load_state_dict(state["average"])
            self.average.updates = state["average_updates"]
