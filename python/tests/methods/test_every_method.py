"""What holds for every method of the registry, present and future."""

import dataclasses

import pytest
import torch
from method_inputs import batch_for, inputs_for
from tiny_models import organs

from organincrement.contract.channels import channel_count
from organincrement.contract.labels import LabelSpace
from organincrement.contract.organs import organ_from_name
from organincrement.methods.protocol import ContinualMethod, LossTerms, MethodError, configure
from organincrement.methods.registry import DEFAULT_METHOD, METHODS, method_named
from organincrement.networks.build import build_network

every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
every_preset = pytest.mark.parametrize(
    ("method", "preset"),
    [(m, name) for m in METHODS.values() for name in m.presets],
    ids=lambda v: getattr(v, "name", v),
)


def training_of(made: ContinualMethod, steps: int, labelled: bool = True) -> list[LossTerms]:
    """The terms of a few steps of Adam; checks what must hold after each of them."""
    student = made.build_student().train()
    made.freeze(student, 0)
    trained = {name: weight for name, weight in student.named_parameters() if weight.requires_grad}
    assert trained
    optimizer = torch.optim.Adam(trained.values(), lr=1e-3)
    seen = []
    for step in range(steps):
        terms = made.loss(student, batch_for(made, seed=step, labelled=labelled))
        optimizer.zero_grad()
        terms.total.backward()
        assert torch.isfinite(terms.total) and terms.total.ndim == 0
        gradients = {name: weight.grad for name, weight in trained.items() if weight.grad is not None}
        assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
        if labelled:
            reached = sum(gradient.abs().max() > 0 for gradient in gradients.values())
            assert reached > 0.6 * len(trained), "most of what is trained has a gradient"
        optimizer.step()
        made.after_step(student)
        assert all(torch.isfinite(weight).all() for weight in student.parameters())
        seen.append(terms)
    return seen


@every_preset
def test_every_method_takes_steps_with_each_preset(method, preset):
    made = method(inputs_for(method, method.presets[preset].settings))
    first, second = training_of(made, steps=2)
    assert first.terms.keys() == second.terms.keys() and len(first.terms) >= 1
    assert all(name.isidentifier() and name.islower() for name in first.terms)
    assert first.values().keys() == first.terms.keys()
    assert sum(first.values().values()) == pytest.approx(first.total.item(), rel=1e-5)
    assert second.values() != first.values()


@every_method
def test_every_teacher_stays_frozen_in_eval_mode(method):
    made = method(inputs_for(method))
    before = [{n: w.clone() for n, w in t.network.state_dict().items()} for t in made.inputs.teachers]
    training_of(made, steps=2)
    for teacher, weights in zip(made.inputs.teachers, before, strict=True):
        assert not any(module.training for module in teacher.network.modules())
        assert not any(weight.requires_grad or weight.grad is not None for weight in teacher.network.parameters())
        assert all(torch.equal(weights[name], weight) for name, weight in teacher.network.state_dict().items())


@every_method
def test_every_student_is_a_network_of_the_planned_kind_and_size(method):
    inputs = inputs_for(method)
    made = method(inputs)
    product = made.product(made.build_student())
    planned = build_network(product.spec.kind, product.spec.args)
    networks = (product.network, planned)
    shapes = [{name: weight.shape for name, weight in network.state_dict().items()} for network in networks]
    assert shapes[0] == shapes[1]
    with torch.inference_mode():
        channels = product.network.eval()(torch.zeros(1, 1, 8, 8, 8)).shape[1]
    assert channels == channel_count(product.head, inputs.organs)


@every_method
def test_every_loss_follows_from_the_batch_and_its_generator_alone(method):
    made = method(inputs_for(method))
    torch.manual_seed(0)
    student = made.build_student()
    torch.manual_seed(1)
    first = made.loss(student, batch_for(made, seed=4)).values()
    torch.manual_seed(2)
    assert made.loss(student, batch_for(made, seed=4)).values() == first


@every_method
def test_every_method_survives_a_batch_in_which_nothing_is_labelled(method):
    training_of(method(inputs_for(method)), steps=2, labelled=False)


@every_method
def test_every_method_trains_in_bfloat16_with_terms_in_single_precision(method):
    made = method(inputs_for(method))
    student = made.build_student()
    exact = made.loss(student, batch_for(made)).values()
    with torch.autocast("cpu", torch.bfloat16):
        terms = made.loss(student, batch_for(made))
    terms.total.backward()
    assert {term.dtype for term in terms.terms.values()} == {torch.float32}
    assert all(torch.isfinite(weight.grad).all() for weight in student.parameters() if weight.grad is not None)
    assert terms.values() == pytest.approx(exact, rel=0.1, abs=0.02)


@every_method
def test_every_method_learns_sixty_new_organs_at_once(method):
    many = LabelSpace(tuple(organ_from_name(f"part {number}") for number in range(60)))
    made = method(inputs_for(method, new=many))
    terms = made.loss(made.build_student(), batch_for(made))
    assert torch.isfinite(terms.total)


@pytest.mark.parametrize("method", [m for m in METHODS.values() if m.needs.teachers == "one"], ids=lambda m: m.name)
def test_every_method_with_a_teacher_takes_merged_organs(method):
    made = method(inputs_for(method, merges={"spleen": "liver"}, new=organs("stomach", "pancreas")))
    student = made.build_student()
    assert made.inputs.organs.ids == ("liver", "stomach", "pancreas")
    assert torch.isfinite(made.loss(student, batch_for(made)).total)


@every_method
def test_every_setting_is_described_and_its_default_allowed(method):
    fields = dataclasses.fields(method.Config)
    assert fields and method.Config.__dataclass_params__.frozen
    for field in fields:
        about = field.metadata
        assert about["help"] and about["help"] == about["help"].strip() and "\n" not in about["help"]
        configure(method.Config, {field.name: field.default})
    assert configure(method.Config, {}) == method.Config()


@every_method
def test_every_method_says_what_it_is_and_where_it_comes_from(method):
    assert METHODS[method.name] is method and method_named(method.name) is method
    assert method.summary.endswith(".") and method.paper.title and method.paper.authors
    assert 1980 < method.paper.year <= 2026
    assert method.title and method.title != method.name


@every_preset
def test_every_preset_has_settings_that_are_allowed_and_a_recipe(method, preset):
    described = method.presets[preset]
    config = configure(method.Config, described.settings)
    assert {name: getattr(config, name) for name in described.settings} == described.settings
    assert bool(described.settings) == (config != method.Config())
    recipe = described.recipe
    assert recipe.steps > 0 and recipe.batch > 0 and recipe.optimizer["lr"] > 0
    assert {"name"} <= recipe.optimizer.keys() & recipe.schedule.keys()


@every_method
def test_every_method_has_a_practical_preset_and_the_phases_of_a_whole_training(method):
    assert next(iter(method.presets)) == "practical"
    phases = method(inputs_for(method)).phases()
    assert all(phase.name and phase.share > 0 for phase in phases)


def test_the_default_method_is_bla_uag_and_an_unknown_one_is_refused_with_those_there_are():
    assert DEFAULT_METHOD == "bla-uag"
    with pytest.raises(MethodError, match=r"'ewc' is unknown.*bla-uag.*supervised"):
        method_named("ewc")
