"""The docs table follows from the registry."""

from pathlib import Path

import pytest

from organincrement.methods.registry import METHODS
from organincrement.workflows.describe_methods import describe_methods, method_page, methods_page

DOCS = Path(__file__).resolve().parents[3] / "docs"


def test_the_list_of_methods_is_what_the_registry_says() -> None:
    assert (DOCS / "methods.md").read_text(encoding="utf-8") == methods_page()


def test_there_is_a_page_for_each_method_and_no_other() -> None:
    assert {path.stem for path in (DOCS / "methods").glob("*.md")} == set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_the_page_of_a_method_is_what_its_file_and_its_losses_say(name: str) -> None:
    assert (DOCS / "methods" / f"{name}.md").read_text(encoding="utf-8") == method_page(name)


@pytest.mark.parametrize("name", METHODS)
def test_the_page_of_a_method_has_an_equation_and_its_source(name: str) -> None:
    page = method_page(name)
    assert "\n    L = " in page, "an indented line that says what is minimised"
    assert str(METHODS[name].paper.year) in page and METHODS[name].title in page


def test_every_method_has_a_paper_and_a_practical_preset() -> None:
    assert [name for name, method in METHODS.items() if not {"paper", "practical"} <= set(method.presets)] == []


def test_every_setting_is_described() -> None:
    undescribed = [s["name"] for method in describe_methods() for s in method["settings"] if len(s["help"]) < 10]
    assert undescribed == []
