"""Bundles made to harm: refused in a line, quickly, and nothing of them is run."""

import json
import pickle
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from monai_bundles import AFTER, BEFORE, NETWORK, WINDOWS, inference, network, write_bundle

from organincrement.contract.errors import ContractError
from organincrement.models.errors import ModelError
from organincrement.models.formats import monai_bundle
from organincrement.models.formats.foreign import ImportOptions
from organincrement.workflows.import_model import ImportRequest, import_model

TRAP = "touched"


def trap(folder: Path) -> str:
    return f"__import__('pathlib').Path('{folder / TRAP}').touch()"


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def laughs() -> dict[str, Any]:
    """Ten references to ten references to …, ten times."""
    return {f"l{n}": [f"@l{n + 1}"] * 10 for n in range(10)} | {"l10": [1]}


def hostile(folder: Path) -> dict[str, tuple[dict[str, Any], str]]:
    run = trap(folder)
    before, after = BEFORE[:5], AFTER
    return {
        "import": ({"imports": ["$import os; os.system('touch x')"]}, "imports::0"),
        "import of another module": ({"imports": ["$import subprocess"]}, "imports::0"),
        "code in a part that is not read": ({"dataset_dir": f"${run}"}, "dataset_dir"),
        "code, nested deep": ({"x": [{"y": {"z": [f"$[{run} for i in range(1)]"]}}]}, "x::0::y::z::0"),
        "code in the network": ({"network_def": {**NETWORK, "channels": f"${run}"}}, "channels"),
        "plain code in the network": ({"network_def": {**NETWORK, "channels": "$[8, 16, 32]"}}, "channels"),
        "code as the network": ({"network_def": f"${run}"}, "network_def"),
        "a command as a target": ({"network_def": {"_target_": "os.system", "command": "touch x"}}, "os.system"),
        "a command elsewhere": ({"x": {"_target_": "os.system", "command": "touch x"}}, "x::_target_"),
        "subprocess": ({"x": [{"_target_": "subprocess.Popen", "args": "touch x"}]}, "subprocess.Popen"),
        "an unknown transform": (
            {"preprocessing": {"_target_": "Compose", "transforms": [
                *before, {"_target_": "Lambdad", "keys": "image"}]}},
            "Lambdad",
        ),
        "a lambda": (
            {"postprocessing": {"_target_": "Compose", "transforms": [
                {"_target_": "Activationsd", "keys": "pred", "softmax": True, "other": "$lambda x: x"}, *after[1:]]}},
            "expression",
        ),
        "a callable network": ({"network_def": {**NETWORK, "_mode_": "debug"}}, "_mode_"),
        "requires": ({"network_def": {**NETWORK, "_requires_": f"${run}"}}, "_requires_"),
        "imports in a part": ({"network_def": {**NETWORK, "_import_": "os"}}, "_import_"),
        "disabled by code": (
            {"preprocessing": {"_target_": "Compose", "transforms": [
                *before[:-1], {**before[-1], "_disabled_": "$1 == 1"}]}}, "_disabled_",
        ),
        "a reference to itself": ({"network_def": "@network_def"}, "refers to itself"),
        "references in a ring": ({"inferer": "@a", "a": "@b", "b": "@inferer"}, "refers to itself"),
        "a value that holds itself": ({"network_def": {**NETWORK, "channels": ["@network_def::channels"]}}, "itself"),
        "references that grow": ({"network_def": {**NETWORK, "channels": "@l0"}, **laughs()}, "holds too much"),
        "a reference to nowhere": ({"inferer": {**WINDOWS, "roi_size": "@no::where"}}, "not in the file"),
        "values nested deep": ({"x": nested(500)}, "nested over"),
        "a huge list": ({"x": [0] * 150_000}, "more than"),
        "a huge network": ({"network_def": {**NETWORK, "channels": [10**9] * 3}}, "channels|features"),
        "many levels": ({"network_def": {**NETWORK, "channels": [8] * 5000, "strides": [1] * 4999}}, "features"),
        "a number out of bounds": ({"inferer": {**WINDOWS, "roi_size": [10**12] * 3}}, "patch|roi_size"),
        "weights outside": ({"handlers": [loader("$@bundle_root + '/../secret.pt'")]}, "not allowed"),
        "weights anywhere": ({"handlers": [loader("/etc/passwd")]}, "names no file of the bundle"),
        "weights by code": ({"handlers": [loader(f"${run}")]}, "load_path"),
    }  # fmt: skip


def loader(path: str) -> dict[str, Any]:
    return {"_target_": "CheckpointLoader", "load_path": path, "load_dict": {"model": "@network"}}


CASES = tuple(hostile(Path("x")))


def refuse(bundle: Path, out: Path, said: str) -> None:
    started = time.monotonic()
    with pytest.raises((ModelError, ContractError), match=said) as refused:
        import_model(ImportRequest(path=bundle, out=out, format="monai"))
    assert "\n" not in str(refused.value) and time.monotonic() - started < 5
    assert not out.exists()


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_configuration_is_refused_and_not_run(case, tmp_path):
    changes, said = hostile(tmp_path)[case]
    bundle = write_bundle(tmp_path / "b")
    (bundle / "configs" / "inference.json").write_text(json.dumps(inference(**changes)), encoding="utf-8")
    refuse(bundle, tmp_path / "out", said)
    assert not (tmp_path / TRAP).exists()


@pytest.mark.parametrize("name", ["metadata.json", "inference.json"])
def test_json_that_is_nested_without_end_is_refused(name, tmp_path):
    bundle = write_bundle(tmp_path / "b")
    (bundle / "configs" / name).write_text('{"x": ' + "[" * 100_000 + "]" * 100_000 + "}", encoding="utf-8")
    refuse(bundle, tmp_path / "out", name)


class Command:
    """Runs a command where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_weights_that_run_a_command_are_refused_and_not_run(tmp_path):
    bundle = write_bundle(tmp_path / "b")
    torch.save({"a": Command(tmp_path / TRAP)}, bundle / "models" / "model.pt")
    refuse(bundle, tmp_path / "out", "model.pt")
    (bundle / "models" / "model.pt").write_bytes(pickle.dumps(Command(tmp_path / TRAP)))
    refuse(bundle, tmp_path / "out2", "model.pt")
    assert not (tmp_path / TRAP).exists()


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    bundle = write_bundle(tmp_path / "b")
    state = network(NETWORK).state_dict()
    first = next(iter(state))
    state[first] = torch.full_like(state[first], float("nan"))
    torch.save(state, bundle / "models" / "model.pt")
    refuse(bundle, tmp_path / "out", "no numbers")


def test_a_zip_that_leads_out_of_itself_is_refused(tmp_path):
    bundle = write_bundle(tmp_path / "b")
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "b"))
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("../outside.txt", "x")
    refuse(packed, tmp_path / "out", "not allowed")
    assert bundle.exists() and not (tmp_path.parent / "outside.txt").exists()


def test_a_link_to_weights_elsewhere_is_refused(tmp_path):
    bundle = write_bundle(tmp_path / "b")
    weights = bundle / "models" / "model.pt"
    weights.rename(tmp_path / "elsewhere.pt")
    weights.symlink_to(tmp_path / "elsewhere.pt")
    refuse(bundle, tmp_path / "out", "leads out")


def test_labels_that_are_no_labels_are_refused(tmp_path):
    bundle = write_bundle(tmp_path / "b")
    path = bundle / "configs" / "metadata.json"
    about = json.loads(path.read_text(encoding="utf-8"))
    for channels in ({"0": "liver", "1": "spleen"}, {"0": "background", "-1": "liver"}, {"0": 3}, ["background"]):
        about["network_data_format"]["outputs"]["pred"]["channel_def"] = channels
        path.write_text(json.dumps(about), encoding="utf-8")
        with pytest.raises(ModelError, match="channel_def") as refused:
            monai_bundle.read(bundle, ImportOptions())
        assert "\n" not in str(refused.value)
