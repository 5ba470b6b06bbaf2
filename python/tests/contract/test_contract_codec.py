import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import contract_samples as samples
import pytest

from organincrement.contract import codec
from organincrement.contract.dataset import Case, Dataset
from organincrement.contract.errors import ContractError
from organincrement.contract.labels import Organ
from organincrement.contract.model import ModelManifest
from organincrement.contract.plan import Plan
from organincrement.contract.results import SummaryRow

DOCUMENTS = [
    (Organ, samples.ORGAN),
    (Dataset, samples.DATASET),
    (Case, samples.CASE),
    (ModelManifest, samples.MODEL),
    (Plan, samples.PLAN),
]


@pytest.mark.parametrize(("cls", "text"), DOCUMENTS)
def test_every_file_of_the_contract_survives_a_round_trip_with_its_keys_in_order(cls: type, text: str) -> None:
    data = json.loads(text)
    written = codec.to_json(codec.from_json(cls, data, where="file"))
    assert written == data
    assert json.dumps(list(_keys(written))) == json.dumps(list(_keys(data)))


def _keys(value: Any) -> Any:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from _keys(item)


def test_written_files_have_two_space_indent_and_read_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    codec.write(samples.model(), path)
    text = path.read_text(encoding="utf-8")
    assert text.startswith('{\n  "schema": "organincrement/model/1",\n  "name": "head-neck-5",')
    assert text.endswith("}\n")
    assert codec.read(ModelManifest, path) == samples.model()


def _changed(path: str, value: Any) -> dict[str, Any]:
    data = samples.model_json()
    *parents, last = path.split(".")
    target: Any = data
    for part in parents:
        target = target[int(part) if part.isdigit() else part]
    target[int(last) if last.isdigit() else last] = value
    return data


@pytest.mark.parametrize(
    ("change", "value", "key", "says"),
    [
        ("extra", 1, "extra", "unknown key"),
        ("organs.0.extra", 1, "organs[0].extra", "unknown key"),
        ("name", 7, "name", "expected a string, found 7"),
        ("network.parameters", True, "network.parameters", "expected a whole number"),
        ("network.parameters", 3.0, "network.parameters", "expected a whole number"),
        ("inference.step", "0.5", "inference.step", "expected a number"),
        ("inference.step", 10**400, "inference.step", "too large"),
        ("metrics.recommended", 1, "metrics.recommended", "true or false"),
        ("organs.0.color", [1, 2], "organs[0].color", "list of 3, found 2"),
        ("organs.0.color.1", "red", "organs[0].color[1]", "expected a whole number, found 'red'"),
        ("organs.0.color.1", 256, "organs[0]", "0 to 255"),
        ("organs.0.kind", "tissue", "organs[0].kind", "expected one of 'organ', 'anomaly'"),
        ("organs.0.type", [], "organs[0].type", "expected an object"),
        ("head.kind", "sigmoid", "head.kind", "expected one of 'softmax', 'multi-head'"),
        ("head", {"kind": "multi-head"}, "head.heads", "is missing"),
        ("trained_on.intensity_percentiles.50", None, "trained_on.intensity_percentiles.50", "expected a number"),
        ("network.args.rate", float("nan"), "network.args.rate", "write null"),
        ("inference.temperature", float("inf"), "inference.temperature", "write null"),
    ],
)
def test_each_kind_of_mistake_is_refused_with_file_and_key_path(change: str, value: Any, key: str, says: str) -> None:
    with pytest.raises(ContractError) as caught:
        codec.from_json(ModelManifest, _changed(change, value), where="x/model.json")
    message = str(caught.value)
    assert message.startswith(f"x/model.json: {key}: ")
    assert says in message
    assert "\n" not in message


@pytest.mark.parametrize("key", ["name", "organs", "weights", "schema"])
def test_a_missing_key_is_refused_by_name(key: str) -> None:
    data = samples.model_json()
    del data[key]
    with pytest.raises(ContractError, match=f"^model.json: {key}: is missing"):
        codec.from_json(ModelManifest, data, where="model.json")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b'{"a": 1, "a": 2}', "a: is there twice"),
        (b'{"a": 1', "not valid JSON"),
        (b'{"a": "\xff"}', "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b"", "not valid JSON"),
    ],
)
def test_text_that_is_not_strict_json_is_refused_in_one_line(tmp_path: Path, text: bytes, says: str) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(text)
    with pytest.raises(ContractError) as caught:
        codec.read(Plan, path)
    assert str(path) in str(caught.value)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_number_that_overflows_to_infinity_is_refused() -> None:
    data = codec.parse(samples.PLAN.replace("0.9}", "1e999}", 1), where="plan.json")
    with pytest.raises(ContractError, match=r"plan.json: training.schedule.power: inf is not JSON"):
        codec.from_json(Plan, data, where="plan.json")


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ("organincrement/plan/2", "version 2 of plan is newer"),
        ("organincrement/plan/0", "expected 'organincrement/plan/1'"),
        ("organincrement/model/1", "expected 'organincrement/plan/1'"),
        ("plan", "expected 'organincrement/plan/1'"),
        (1, "expected 'organincrement/plan/1'"),
    ],
)
def test_another_schema_is_refused_with_what_to_do(schema: Any, says: str) -> None:
    with pytest.raises(ContractError, match=r"^plan.json: schema: ") as caught:
        codec.from_json(Plan, json.loads(samples.PLAN) | {"schema": schema}, where="plan.json")
    assert says in str(caught.value)


def test_the_previous_version_is_migrated_and_older_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    class PlanThree(Plan):
        schema = "organincrement/plan/3"

    def rename_method(data: dict[str, Any]) -> dict[str, Any]:
        return {"method": data.pop("algorithm")} | data

    old = json.loads(samples.PLAN) | {"schema": "organincrement/plan/2"}
    old["algorithm"] = old.pop("method")
    monkeypatch.setitem(codec.MIGRATIONS, "plan", {2: rename_method})
    migrated = codec.from_json(PlanThree, old, where="plan.json")
    assert migrated.method == "bla-uag"
    assert codec.to_json(migrated)["schema"] == "organincrement/plan/3"
    with pytest.raises(ContractError, match="version 1 of plan is no longer read"):
        codec.from_json(PlanThree, json.loads(samples.PLAN), where="plan.json")


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "row.json"
    path.write_text("before", encoding="utf-8")
    for dice in (float("nan"), "high"):
        row = SummaryRow(organ="a", n=1, dice=dice, hd95_mm=None, assd_mm=None, ci95=None)  # type: ignore[arg-type]
        with pytest.raises(ContractError, match=r"row.json: dice: "):
            codec.write(row, path)
    assert path.read_text(encoding="utf-8") == "before"


def test_numbers_of_numpy_are_written_as_plain_numbers() -> None:
    numpy = pytest.importorskip("numpy")
    row = SummaryRow(organ="a", n=numpy.int64(3), dice=numpy.float32(0.5), hd95_mm=None, assd_mm=None, ci95=None)
    assert codec.dumps(row, indent=None) == (
        '{"organ": "a", "n": 3, "dice": 0.5, "hd95_mm": null, "assd_mm": null, "ci95": null}'
    )


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(ContractError, match=r"plan.json: method: .* is not valid Unicode"):
        codec.loads(Plan, samples.PLAN.replace("bla-uag", "\\ud800"), where="plan.json")


def test_the_contract_imports_nothing_but_the_standard_library() -> None:
    code = (
        "import sys, importlib, pkgutil, organincrement.contract as c\n"
        "[importlib.import_module(f'organincrement.contract.{m.name}') for m in pkgutil.iter_modules(c.__path__)]\n"
        "roots = {name.partition('.')[0] for name, m in sys.modules.items() if getattr(m, '__file__', None)}\n"
        "print(sorted(roots - sys.stdlib_module_names - {'organincrement', '__main__', 'sitecustomize'}))"
    )
    command = [sys.executable, "-S", "-c", code]
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, env=environment)
    assert done.stdout.strip() == "[]"
