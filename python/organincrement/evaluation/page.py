"""Filling a template of this package: one self-contained HTML page, everything escaped."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from organincrement.evaluation import number_format
from organincrement.evaluation.organ_charts import LABEL_LETTERS

TEMPLATES = Path(__file__).parent / "templates"
_FILTERS = ("decimal", "percent", "signed_percent", "interval", "duration", "p_value")


def render_page(template: str, **values: object) -> str:
    """The page as text; raises jinja2's UndefinedError where a template asks for a value that is not given."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in _FILTERS:
        environment.filters[name] = getattr(number_format, name)
    environment.globals["letters"] = LABEL_LETTERS
    return environment.get_template(template).render(**values)
