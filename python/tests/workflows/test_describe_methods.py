"""The docs table follows from the registry."""

from pathlib import Path

from organincrement.methods.registry import METHODS
from organincrement.workflows.describe_methods import describe_methods, methods_page

PAGE = Path(__file__).resolve().parents[3] / "docs" / "methods.md"


def test_the_methods_page_is_what_the_registry_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == methods_page()


def test_every_method_has_a_paper_and_a_practical_preset() -> None:
    assert {name: set(method.presets) for name, method in METHODS.items()} == {
        name: {"paper", "practical"} for name in METHODS
    }


def test_every_setting_is_described() -> None:
    undescribed = [s["name"] for method in describe_methods() for s in method["settings"] if len(s["help"]) < 10]
    assert undescribed == []
