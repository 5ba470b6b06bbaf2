"""Where a method does not go on from a teacher's head, it names what does."""

from dataclasses import replace

import pytest
from tiny_models import organs, tiny_manifest, tiny_spec

from organincrement.contract.channels import channel_count
from organincrement.contract.labels import LabelTransition
from organincrement.contract.model import DynamicHead, ModelManifest, MultiHead, OrganHead
from organincrement.methods.protocol import MethodError
from organincrement.methods.registry import METHODS
from organincrement.networks.side_by_side import beside, part_name
from organincrement.networks.sizing import NetworkSpec

OLD, NEW, KIDNEY = organs("liver", "spleen"), organs("stomach"), organs("kidney_right")
SOFTMAX = tiny_manifest(OLD, tiny_spec(3))
DODNET = NetworkSpec(kind="DoDNet", args={"in_channels": 1, "out_channels": 6, "features": [4, 8], "blocks": [1, 1]})
SEVERAL = tuple(OrganHead(organs=(organ,), prefix=part_name(n, "output")) for n, organ in enumerate(OLD.ids))


def student_of(method: str) -> ModelManifest:
    """What a method makes of a teacher with one softmax."""
    transition = LabelTransition(OLD, NEW, {})
    head = METHODS[method].plan_head(transition, [SOFTMAX])
    network = planned(method, transition, [SOFTMAX])
    return replace(tiny_manifest(transition.student, network), head=head)


def planned(method: str, transition: LabelTransition, teachers: list[ModelManifest], **settings) -> NetworkSpec:
    made = METHODS[method]
    channels = channel_count(made.plan_head(transition, teachers), transition.student)
    return made.plan_network(made.Config(**settings), transition, teachers, channels)


def refusal(method: str, teacher: ModelManifest, **settings) -> str:
    with pytest.raises(MethodError) as refused:
        planned(method, LabelTransition(teacher.label_space, KIDNEY, {}), [teacher], **settings)
    assert "\n" not in str(refused.value) and f"kind '{teacher.head.kind}'" in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("method", ["bla-uag", "lwf", "mib", "fine-tune", "self-training", "continual-segment"])
def test_several_heads_in_one_layer_are_sent_to_the_method_that_adds_one(method):
    teacher = student_of("lwfseg")
    assert refusal(method, teacher).endswith(": choose lwfseg for it")
    assert planned("lwfseg", LabelTransition(teacher.label_space, KIDNEY, {}), [teacher]).args["out_channels"] == 7


@pytest.mark.parametrize("method", ["bla-uag", "lwf", "mib", "fine-tune", "self-training", "lwfseg", "aeiseg"])
def test_several_decoders_are_sent_to_the_method_that_adds_one(method):
    teacher = student_of("continual-segment")
    assert refusal(method, teacher).endswith(": choose continual-segment for it")
    transition = LabelTransition(teacher.label_space, KIDNEY, {})
    assert planned("continual-segment", transition, [teacher]).args["decoders"] == [3, 2, 2]


@pytest.mark.parametrize(
    "method", ["bla-uag", "lwf", "mib", "fine-tune", "self-training", "continual-segment", "lwfseg", "coriseg"]
)
def test_a_head_made_for_tasks_is_not_sent_to_methods_that_refuse_it(method):
    tasks = organs("liver", "spleen", "kidney_left")
    head = DynamicHead(tasks=tuple((organ,) for organ in tasks.ids), width=8, depth=3)
    teacher = replace(tiny_manifest(tasks, DODNET), head=head)
    said = refusal(method, teacher)
    assert "choose lwfseg" not in said and "continual-segment for" not in said
    assert "dodnet" in said and METHODS["dodnet"].needs.teachers == "none"
    assert "ms-kd behind a teacher with one softmax that sees scans alike" in said
    transition = LabelTransition(organs("liver", "spleen", "kidney_left"), KIDNEY, {})
    assert planned("ms-kd", transition, [SOFTMAX, teacher], feature_weight=0.0).kind == "PlainConvUNet"


def test_networks_side_by_side_are_sent_to_methods_that_start_from_the_first():
    network = beside([tiny_spec(2), tiny_spec(2)], [None, None])
    teacher = replace(tiny_manifest(OLD, network), head=MultiHead(heads=SEVERAL, rule="last"))
    assert refusal("continual-segment", teacher).endswith(": choose bla-uag, lwf or mib for it")
    for method in ("bla-uag", "lwf", "mib"):
        assert planned(method, LabelTransition(OLD, KIDNEY, {}), [teacher]).kind == "PlainConvUNet"


@pytest.mark.parametrize("made_by", ["lwfseg", "continual-segment"])
def test_a_method_of_several_teachers_asks_for_one_with_a_softmax_first(made_by):
    teacher = student_of(made_by)
    for settings in ({}, {"feature_weight": 0.0}):
        assert refusal("ms-kd", teacher, **settings).endswith(": name a teacher with one softmax first")
    transition = LabelTransition(teacher.label_space, KIDNEY, {})
    assert planned("ms-kd", transition, [SOFTMAX, teacher], feature_weight=0.0).kind == "PlainConvUNet"
