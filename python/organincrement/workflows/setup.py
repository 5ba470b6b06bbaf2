"""From a plan to the things it names: datasets, teachers, labels, method. Used by planning and by training alike."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from organincrement.contract.channels import channel_count
from organincrement.contract.dataset import Case, DatasetFolder
from organincrement.contract.labels import LabelSpace, LabelTransition, Organ
from organincrement.contract.model import Head, Normalisation, Preprocessing
from organincrement.contract.package import manifest_sha256
from organincrement.contract.plan import Plan, PlanInput, input_path
from organincrement.inference.readout import Readout
from organincrement.methods.protocol import ContinualMethod, MethodInputs, Needs, configure
from organincrement.methods.registry import method_named
from organincrement.methods.teacher import FrozenTeacher
from organincrement.models.package import LoadedModel, load_package
from organincrement.networks.sizing import NetworkSpec
from organincrement.replay.vault import vault_sha256
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.exemplar_vault import check_vault
from organincrement.workflows.modality import check_modality


@dataclass(frozen=True, kw_only=True)
class PlannedCase:
    """A case of the plan. id: unique in the plan. old: of the data that the teacher was trained on."""

    id: str
    case: Case
    dataset: DatasetFolder
    old: bool


@dataclass(frozen=True, kw_only=True)
class Setup:
    """A plan made concrete. `teachers` is empty for a first model; `network` and `head` are the student's.

    vault: the folder of exemplars, where the method replays any.
    """

    plan: Plan
    cases: tuple[PlannedCase, ...]
    teachers: tuple[LoadedModel, ...]
    vault: Path | None
    transition: LabelTransition
    preprocessing: Preprocessing
    network: NetworkSpec
    head: Head
    config: Any

    @property
    def organs(self) -> LabelSpace:
        """The student's organs."""
        return self.transition.student

    @property
    def needs(self) -> Needs:
        """What the method is given."""
        return method_named(self.plan.method).needs

    @property
    def readout(self) -> Readout:
        """Of the student's channels."""
        return Readout.of(self.head, self.organs)

    @cached_property
    def label_values(self) -> Mapping[str, int]:
        """The number that a batch gives to each organ that can be labelled, by `Needs.labels`."""
        labelled = self.organs if self.needs.labels == "student" else self.transition.new
        return {organ_id: number for number, organ_id in enumerate(labelled.ids, start=1)}

    @property
    def dataset_sha256(self) -> str:
        """The datasets as the plan names them: the folders may have been edited since the training read them."""
        hashes = [i.sha256 for i in self.plan.inputs if i.role == "dataset"]
        return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()

    def annotated_as(self, planned: PlannedCase) -> tuple[str, ...]:
        """The organs that were looked for in a case, by the ids that the student has for them."""
        space, old, new = planned.dataset.label_space, self.transition.old, self.transition.new
        named = space.hosted_in(self.organs.organs)
        found = [named[space.index(organ_id) - 1] for organ_id in planned.case.annotated]
        # a part of an organ says nothing of the rest: what is merged away does not count
        whole = (x for x in found if new.has(x) or not (old.has(x) and old.like(x).id in self.transition.merges))
        return tuple(dict.fromkeys(self.student_id(organ) for organ in whole))

    def looked_for(self, annotated: Sequence[str]) -> tuple[bool, ...]:
        """Of each organ of `label_values`, whether it is among those that were looked for."""
        return tuple(organ_id in annotated for organ_id in self.label_values)

    def organ_ids(self, organs: LabelSpace) -> tuple[str, ...]:
        """The `student_id` of each organ of a dataset or teacher, in the order of its labels."""
        return tuple(self.student_id(organ) for organ in organs.hosted_in(self.organs.organs))

    def student_id(self, organ: Organ) -> str:
        """The student's id of an organ of any data set; of one that is merged away, the one that it counts as."""
        old = self.transition.old
        if not old.has(organ):
            return self.organs.like(organ).id
        known = old.like(organ).id
        return self.transition.merges.get(known, known)

    def frozen_teachers(self, device: torch.device) -> tuple[FrozenTeacher, ...]:
        """The teachers on the device, each answering in the student's old channels."""
        return tuple(
            FrozenTeacher(
                teacher.network.to(device), teacher.spec, channel_of=self._channel_of(teacher),
                old_count=self.transition.old_count, readout=Readout.of(teacher.manifest.head, teacher.organs),
            )
            for teacher in self.teachers
        )  # fmt: skip

    def method(self, device: torch.device, teachers: Sequence[FrozenTeacher] | None = None) -> ContinualMethod:
        """The method. Args: teachers: on the device; by default frozen ones that remember nothing."""
        inputs = MethodInputs(
            transition=self.transition, teachers=self.frozen_teachers(device) if teachers is None else teachers,
            network=self.network, head=self.head, config=self.config, device=device,
        )  # fmt: skip
        return method_named(self.plan.method)(inputs)

    def _channel_of(self, teacher: LoadedModel) -> tuple[int, ...]:
        old, places = self.transition.old, self.transition.teacher_to_student
        return (0, *(places[old.index(old.like(organ).id)] for organ in teacher.organs.hosted_in(old.organs)))


def set_up(plan: Plan, plan_file: Path) -> Setup:
    """Open everything a plan names.

    Raises: WorkflowError, ContractError, MethodError or ModelError, each with one line.
    """
    method = method_named(plan.method)
    check_inputs(method, plan.inputs)
    config = configure(method.Config, plan.settings)
    teachers = tuple(load_package(path) for path in _paths(plan, plan_file, "teacher"))
    datasets = [DatasetFolder.open(path) for path in _paths(plan, plan_file, "dataset")]
    old_datasets = [DatasetFolder.open(path) for path in _paths(plan, plan_file, "old_dataset")]
    transition = _transition(teachers, datasets, old_datasets, plan)
    if teachers and method.needs.asked and not transition.old_count:
        raise WorkflowError(
            "every organ of the teacher counts as a new one: nothing is left to keep; choose fine-tune or supervised"
        )
    manifests = [teacher.manifest for teacher in teachers]
    for dataset in (*datasets, *old_datasets):
        _check_modalities(dataset, datasets[0], teachers)
    preprocessing = _preprocessing(teachers, config, datasets[0].manifest.modality)
    head = method.plan_head(transition, manifests)
    network = method.plan_network(config, transition, manifests, channel_count(head, transition.student))
    vault = next(iter(_paths(plan, plan_file, "exemplars")), None)
    if vault is not None:
        check_vault(vault, teachers[0], preprocessing, method.name)
    return Setup(
        plan=plan, cases=_cases(plan, datasets, old_datasets), teachers=teachers,
        vault=vault, transition=transition, preprocessing=preprocessing,
        network=network, head=head, config=config,
    )  # fmt: skip


def check_inputs(method: type[ContinualMethod], inputs: Sequence[PlanInput]) -> None:
    """Refuse a plan that gives a method less than it needs, or old data that it may not see. Raises: WorkflowError."""
    count = {role: sum(i.role == role for i in inputs) for role in ("teacher", "dataset", "old_dataset", "exemplars")}
    name, needs = method.name, method.needs
    for given in inputs:
        twice = [other.path for other in inputs if (other.role, other.sha256) == (given.role, given.sha256)]
        if len(twice) > 1:
            raise WorkflowError(
                f"{Path(twice[0]).name}: is given twice as {given.role.replace('_', ' ')}; name it once"
            )
    if needs.teachers == "none" and count["teacher"]:
        raise WorkflowError(f"method '{name}' takes no teacher: leave --teacher out")
    if needs.teachers == "one" and count["teacher"] != 1:
        given = "give --teacher" if count["teacher"] == 0 else f"but {count['teacher']} are given"
        raise WorkflowError(f"method '{name}' needs a teacher: {given}")
    if needs.teachers == "many" and not count["teacher"]:
        raise WorkflowError(f"method '{name}' needs teachers: give --teacher, one or more")
    if not count["dataset"]:
        raise WorkflowError(f"method '{name}' needs a dataset: give --dataset")
    if count["old_dataset"] and not needs.old_data:
        raise WorkflowError(f"method '{name}' is not to see old data: leave --old-dataset out")
    if needs.exemplars and count["exemplars"] != 1:
        raise WorkflowError(f"method '{name}' replays old images: give --exemplars, a vault made by `exemplars select`")
    if count["exemplars"] and not needs.exemplars:
        raise WorkflowError(f"method '{name}' is not to see old images: leave --exemplars out")


def _transition(
    teachers: Sequence[LoadedModel], datasets: Sequence[DatasetFolder], old: Sequence[DatasetFolder], plan: Plan
) -> LabelTransition:
    known = LabelSpace.joined(teacher.organs for teacher in teachers)
    labelled = LabelSpace(LabelSpace.joined(dataset.label_space for dataset in datasets).hosted_in(known.organs))
    for organ in LabelSpace.joined(dataset.label_space for dataset in old).hosted_in(known.organs):
        if not known.has(organ):
            raise WorkflowError(f"organ '{organ.id}' of the old data is not the teacher's: give it with --dataset")
    if method_named(plan.method).needs.teachers == "many":
        labelled = LabelSpace(tuple(organ for organ in labelled.organs if not known.has(organ)))
    return LabelTransition(known, labelled, plan.merges)


def _check_modalities(dataset: DatasetFolder, first: DatasetFolder, teachers: Sequence[LoadedModel]) -> None:
    for teacher in teachers:
        check_modality(dataset, teacher, "the teacher was trained on")
    modality = dataset.manifest.modality
    if modality != first.manifest.modality:
        raise WorkflowError(f"{dataset.path.name}: holds {modality}, but {first.path.name} {first.manifest.modality}")


def _cases(plan: Plan, datasets: Sequence[DatasetFolder], old: Sequence[DatasetFolder]) -> tuple[PlannedCase, ...]:
    cases = planned_cases(method_named(plan.method).needs, datasets, old, plan.include)
    if not cases:
        names = ", ".join(dataset.path.name for dataset in datasets)
        raise WorkflowError(f"{names}: no case is {' or '.join(plan.include)}; have cases approved first")
    return cases


def planned_cases(
    needs: Needs, datasets: Sequence[DatasetFolder], old: Sequence[DatasetFolder], include: Sequence[str]
) -> tuple[PlannedCase, ...]:
    """The cases of these statuses, of several datasets with the dataset's number before their id, then the old ones.

    New scans without a label, which nobody can approve, are among them where the method takes those.
    """
    return tuple(
        PlannedCase(id=_case_id(case, number, len(group), is_old), case=case, dataset=dataset, old=is_old)
        for is_old, group in ((False, datasets), (True, old))
        for number, dataset in enumerate(group, start=1)
        for case in dataset.cases()
        if case.status in include or (needs.unlabelled and not is_old and case.label is None)
    )


def patients(planned: Sequence[PlannedCase]) -> list[str]:
    """A name for each case's patient, over all datasets: those that share a scan share their patients."""
    groups = [f"{one.dataset.path.resolve()}/{one.case.group}" for one in planned]
    known: dict[str, str] = {}
    for number, one in enumerate(planned):
        now = groups[number]
        same = known.setdefault(one.case.image_sha256, now)
        if same != now:
            groups = [same if name == now else name for name in groups]
            known = {sha256: same if name == now else name for sha256, name in known.items()}
    return groups


def _case_id(case: Case, number: int, count: int, old: bool) -> str:
    if old:
        return f"old{number}.{case.id}"
    return case.id if count == 1 else f"{number}.{case.id}"


def _preprocessing(teachers: Sequence[LoadedModel], config: Any, modality: str) -> Preprocessing:
    if not teachers:
        return first_preprocessing(config, modality)
    first = teachers[0].manifest.preprocessing
    for teacher in teachers[1:]:
        if teacher.manifest.preprocessing != first:
            raise WorkflowError(
                f"teachers '{teachers[0].manifest.name}' and '{teacher.manifest.name}' see scans differently (spacing, "
                "axes or intensities): one batch cannot serve both; choose teachers that agree"
            )
    return first


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


def input_sha256(role: str, path: Path) -> str:
    """The present hash of what an input of this role is."""
    if role == "teacher":
        return manifest_sha256(path)
    return vault_sha256(path) if role == "exemplars" else DatasetFolder.open(path).sha256()


def input_hashes(plan: Plan, plan_file: Path) -> Mapping[str, str]:
    """The present hash of every input, by its path in the plan."""
    return {i.path: input_sha256(i.role, input_path(plan_file, i)) for i in plan.inputs}


def _paths(plan: Plan, plan_file: Path, role: str) -> list[Path]:
    return [input_path(plan_file, i) for i in plan.inputs if i.role == role]
