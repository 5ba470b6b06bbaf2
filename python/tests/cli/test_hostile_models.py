"""A folder of hostile models: each refused with one line, soon, in little memory, with nothing run and nothing left."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import ENGINE, assert_refused, run_alone
from hostile_driver import MOST_BYTES
from hostile_models import make_hostile_models
from tiny_models import organs, tiny_manifest, tiny_network, tiny_spec

from organincrement.models.package import Provenance, save_package
from organincrement.workflows.export_model import export_model

LONGEST_S = 5.0
# Only their weights' values are wrong, which nobody reads who only looks.
ONLY_WHEN_IMPORTED = ("not-numbers.safetensors", "results-without-numbers")
NAMES_WHAT_IS_MISSING = {
    "results-without-plans": "plans.json", "results-without-dataset": "dataset.json",
    "results-without-weights": "checkpoint_final.pth", "results-half-copied": "checkpoint_final.pth",
}  # fmt: skip


def honest_results(folder: Path) -> Path:
    """An nnU-Net v2 results folder that nothing is wrong with."""
    spec, space = tiny_spec(3), organs("liver", "spleen")
    package = folder / "tiny"
    provenance = Provenance(method="supervised", dataset_sha256="", made="2026-11-21")
    save_package(package, tiny_manifest(space, spec), tiny_network(spec).state_dict(), provenance)
    return export_model(package, "nnunet2", folder / "honest").folder


def run_limited_commands(folder: Path, commands: list[list[str]]) -> tuple[list[dict], int]:
    """How each command ended in one limited process, and the most memory that it ever had."""
    results = folder / "results.jsonl"
    driver = Path(__file__).with_name("hostile_driver.py")
    done = subprocess.run(
        [sys.executable, str(driver), str(results)], input=json.dumps(commands), cwd=folder, encoding="utf-8",
        check=False, capture_output=True, timeout=900,
        env={"PYTHONPATH": str(ENGINE), "HOME": str(folder), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    lines = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    assert done.returncode == 0 and "peak_bytes" in lines[-1], (lines[-1:], done.stderr[-2000:])
    return lines[:-1], lines[-1]["peak_bytes"]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Every hostile model looked at and imported: folder, (path, outcome of inspect, outcome of import), peak bytes."""
    folder = tmp_path_factory.mktemp("hostile")
    paths = make_hostile_models(folder / "models", folder / "was-run", honest_results(folder))
    commands = []
    for path in paths:
        commands.append(["inspect", str(path)])
        commands.append(["model", "import", str(path), "--out", str(folder / "out" / path.name)])
    ended, peak_bytes = run_limited_commands(folder, commands)
    return folder, list(zip(paths, ended[::2], ended[1::2], strict=True)), peak_bytes


def last_line(outcome: dict) -> str:
    """The refusal; before it, `model import` may say what it found."""
    return outcome["err"].splitlines()[-1]


@pytest.mark.slow
def test_every_hostile_model_is_refused_in_one_line(outcomes):
    _, models, _ = outcomes
    assert len(models) > 100
    for path, looked_at, imported in models:
        for outcome in (looked_at, imported) if path.name not in ONLY_WHEN_IMPORTED else (imported,):
            assert outcome["code"] == 3 and outcome["out"] == "", (path.name, outcome)
            line = last_line(outcome)
            assert line.startswith("organincrement: ") and len(line) < 1200 and line.isprintable(), (path.name, line)
            assert "Traceback" not in outcome["err"] and "cannot be read as" not in line, (path.name, line)
        assert looked_at["err"].count("\n") <= 1, looked_at


@pytest.mark.slow
def test_each_is_refused_within_five_seconds_and_a_gigabyte(outcomes):
    _, models, peak_bytes = outcomes
    slowest = max((outcome["seconds"], path.name) for path, *both in models for outcome in both)
    assert slowest[0] < LONGEST_S, slowest
    assert peak_bytes < MOST_BYTES


@pytest.mark.slow
def test_nothing_is_run_and_nothing_is_left_behind(outcomes):
    folder = outcomes[0]
    assert not (folder / "was-run").exists()
    out = folder / "out"
    assert not out.exists() or not list(out.iterdir())
    assert {path.name for path in folder.rglob("*slipped*")} == set()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "missing"), NAMES_WHAT_IS_MISSING.items())
def test_a_half_copied_folder_names_the_missing_file(outcomes, name, missing):
    found = next(both for path, *both in outcomes[1] if path.name == name)
    for outcome in found:
        assert missing in last_line(outcome), outcome


@pytest.mark.slow
def test_commands_of_their_own_refuse_them_as_well(outcomes):
    folder = outcomes[0]
    for name in ("runs-eval.pt", "tensor-of-10-to-the-12.pt", "pipe.pt"):
        path = folder / "models" / name
        assert_refused(run_alone("inspect", path), name)
        outcome = run_alone("model", "import", path, "--out", folder / "out" / name)
        assert outcome.code == 3 and name in outcome.err.splitlines()[-1]
    assert not (folder / "was-run").exists()
