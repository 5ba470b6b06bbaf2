"""From a plan to the things it names: dataset, teacher, labels, method. Used by planning and by training alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from organincrement.contract.dataset import Case, DatasetFolder
from organincrement.contract.labels import LabelSpace, LabelTransition
from organincrement.contract.model import Normalisation, Preprocessing
from organincrement.contract.plan import Plan, input_path
from organincrement.methods.protocol import ContinualMethod, MethodInputs, configure
from organincrement.methods.registry import method_named
from organincrement.methods.teacher import FrozenTeacher
from organincrement.models.package import LoadedModel, load_package
from organincrement.networks.sizing import NetworkSpec
from organincrement.workflows.errors import WorkflowError


@dataclass(frozen=True, kw_only=True)
class Setup:
    """A plan made concrete. `teacher` is None for a first model; `network` is the student's."""

    plan: Plan
    dataset: DatasetFolder
    cases: tuple[Case, ...]
    teacher: LoadedModel | None
    transition: LabelTransition
    preprocessing: Preprocessing
    network: NetworkSpec
    config: Any

    @property
    def organs(self) -> LabelSpace:
        """The student's organs."""
        return self.transition.student

    @property
    def dataset_sha256(self) -> str:
        """The dataset as the plan names it: the folder may have been edited since the training read it."""
        return next(i.sha256 for i in self.plan.inputs if i.role == "dataset")

    def frozen_teacher(self, device: torch.device) -> FrozenTeacher | None:
        """The teacher on the device, answering in the student's old channels; None for a first model."""
        if self.teacher is None:
            return None
        return FrozenTeacher(
            self.teacher.network.to(device), self.teacher.spec,
            channel_of=self.transition.teacher_to_student, old_count=self.transition.old_count,
        )  # fmt: skip

    def method(self, device: torch.device) -> ContinualMethod:
        """The method, its teacher frozen on the device."""
        teacher = self.frozen_teacher(device)
        inputs = MethodInputs(
            transition=self.transition, teachers=[teacher] if teacher else [], network=self.network, config=self.config,
            device=device,
        )  # fmt: skip
        return method_named(self.plan.method)(inputs)


def set_up(plan: Plan, plan_file: Path) -> Setup:
    """Open everything a plan names.

    Raises: WorkflowError, ContractError, MethodError or ModelError, each with one line.
    """
    method = method_named(plan.method)
    config = configure(method.Config, plan.settings)
    dataset = DatasetFolder.open(_only_input(plan, plan_file, "dataset"))
    cases = tuple(case for case in dataset.cases() if case.status in plan.include)
    if not cases:
        raise WorkflowError(f"{dataset.path.name}: no case is {' or '.join(plan.include)}; have cases approved first")
    teacher = load_package(_only_input(plan, plan_file, "teacher")) if method.needs.teachers != "none" else None
    transition = LabelTransition(teacher.organs if teacher else LabelSpace(()), dataset.label_space, plan.merges)
    if teacher:
        if dataset.manifest.modality not in teacher.manifest.preprocessing.channels:
            expected = ", ".join(teacher.manifest.preprocessing.channels)
            raise WorkflowError(
                f"{dataset.path.name}: holds {dataset.manifest.modality}, but the teacher was trained on {expected}"
            )
        network = teacher.spec.with_outputs(1 + len(transition.student))
        preprocessing = teacher.manifest.preprocessing
    else:
        network = first_network(config, 1 + len(transition.student))
        preprocessing = first_preprocessing(config, dataset.manifest.modality)
    return Setup(
        plan=plan, dataset=dataset, cases=cases, teacher=teacher, transition=transition,
        preprocessing=preprocessing, network=network, config=config,
    )  # fmt: skip


def first_network(config: Any, out_channels: int) -> NetworkSpec:
    """The network of a model without a teacher, from the plan's settings."""
    features, blocks = list(config.features), list(config.blocks)
    args: dict[str, Any] = {"in_channels": 1, "out_channels": out_channels}
    if config.network == "SegResNet":
        args |= {"init_filters": features[0], "blocks_down": blocks, "blocks_up": [1] * (len(blocks) - 1)}
    elif config.network == "DynUNet":
        args |= {"features": features}
    else:
        args |= {"features": features, "blocks": blocks, "decoder_blocks": [1] * (len(features) - 1)}
    return NetworkSpec(kind=config.network, args=args)


def first_preprocessing(config: Any, modality: str) -> Preprocessing:
    """How a model without a teacher prepares its scans: CT by a fixed window, anything else by each scan's z-score."""
    for name, count in (("spacing_mm", 3), ("clip_hu", 2)):
        if len(getattr(config, name)) != count:
            raise WorkflowError(f"setting '{name}' is {list(getattr(config, name))}, but must have {count} numbers")
    if modality == "CT":
        low, high = config.clip_hu
        normalisation = Normalisation(kind="ct", clip_hu=(low, high), mean=config.mean_hu, std=config.std_hu)
    else:
        normalisation = Normalisation(kind="zscore")
    return Preprocessing(
        orientation="LPS", spacing_mm=tuple(config.spacing_mm), axis_order=(0, 1, 2), channels=(modality,),  # type: ignore[arg-type]
        order="normalise-then-resample", normalisation=normalisation, image_resampling="linear",
        output_resampling="linear",
    )  # fmt: skip


def input_hashes(plan: Plan, plan_file: Path) -> Mapping[str, str]:
    """The present hash of every input, by its path in the plan."""
    from organincrement.contract.package import manifest_sha256

    return {
        i.path: manifest_sha256(input_path(plan_file, i))
        if i.role == "teacher"
        else DatasetFolder.open(input_path(plan_file, i)).sha256()
        for i in plan.inputs
    }


def _only_input(plan: Plan, plan_file: Path, role: str) -> Path:
    found = [i for i in plan.inputs if i.role == role]
    if len(found) != 1:
        raise WorkflowError(
            f"{plan_file.name}: method '{plan.method}' takes one {role}, but the plan names {len(found)}"
        )
    return input_path(plan_file, found[0])
