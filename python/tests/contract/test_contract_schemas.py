import json
from pathlib import Path
from typing import Any

import contract_samples as samples
import jsonschema
import pytest

from organincrement.contract import codec, schemas
from organincrement.contract.events import EventWriter

COMMITTED = Path(__file__).parents[3] / "docs" / "schemas"


def test_the_schemas_in_docs_are_those_that_the_code_gives(tmp_path: Path) -> None:
    schemas.write_schemas(tmp_path)
    generated = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    committed = {path.name: path.read_text(encoding="utf-8") for path in COMMITTED.iterdir()}
    assert generated == committed, "run `python -m organincrement.contract.schemas ../docs/schemas`"


@pytest.mark.parametrize("name", list(schemas.DOCUMENTS))
def test_every_schema_is_valid_json_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schemas.documents()[name])


@pytest.mark.parametrize(
    ("name", "text"),
    [("dataset", samples.DATASET), ("case", samples.CASE), ("model", samples.MODEL), ("plan", samples.PLAN)],
)
def test_schemas_accept_the_contract_and_refuse_what_the_codec_refuses(name: str, text: str) -> None:
    validator = jsonschema.Draft202012Validator(schemas.documents()[name])
    data: dict[str, Any] = json.loads(text)
    assert list(validator.iter_errors(data)) == []
    assert list(validator.iter_errors(data | {"extra": 1}))
    assert list(validator.iter_errors(data | {"schema": f"organincrement/{name}/2"}))
    for key in data:
        assert list(validator.iter_errors({k: v for k, v in data.items() if k != key}))


def test_written_events_are_valid_lines(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path / "events.jsonl")
    events = [writer.write("started", **samples.started()), writer.write("step", **samples.step(1))]
    validator = jsonschema.Draft202012Validator(schemas.documents()["events-line"])
    for event in events:
        assert list(validator.iter_errors(codec.to_json(event))) == []
        assert list(validator.iter_errors(codec.to_json(event) | {"type": "unheard-of"}))
