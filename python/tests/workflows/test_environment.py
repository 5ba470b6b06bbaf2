"""What this Python has of what the engine needs: said where nothing is installed, too."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from organincrement.workflows import environment
from organincrement.workflows.environment import Environment, Package, as_json, look_at_environment

ENGINE = Path(__file__).resolve().parents[2]


def bare_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The engine in this Python without its site-packages: only the standard library is there."""
    command = [sys.executable, "-S", "-P", "-m", "organincrement", *arguments]
    settings = {**os.environ, "PYTHONPATH": str(ENGINE)}
    return subprocess.run(command, env=settings, capture_output=True, encoding="utf-8", check=False)


def test_the_requirements_are_those_of_the_package_and_the_networks():
    project = tomllib.loads((ENGINE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {f"{name}{version}" for name, version in environment.REQUIREMENTS.items()}
    assert wanted - set(project["dependencies"]) == {"dynamic-network-architectures>=0.4"}
    assert set(project["dependencies"]) <= wanted
    oldest = ".".join(map(str, environment.OLDEST_PYTHON))
    assert project["requires-python"] == f">={oldest}"


def test_a_python_with_nothing_installed_answers_with_all_that_is_missing():
    done = bare_python("environment", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert said["ok"] is False and said["missing"][:3] == ["torch>=2.4", "monai>=1.4", "SimpleITK>=2.4"]
    assert len(said["missing"]) == len(environment.REQUIREMENTS)
    assert said["message"].startswith("missing: torch>=2.4, monai") and said["device"].startswith("cpu: ")
    assert said["python"] == ".".join(map(str, sys.version_info[:3]))
    if sys.platform == "linux":
        assert said["ram_bytes"] > 2**28


def test_the_answer_for_people_names_every_package():
    done = bare_python("environment")
    assert done.returncode == 0
    for name in environment.REQUIREMENTS:
        assert re.search(rf"^{name} .*missing$", done.stdout, re.MULTILINE)


def test_here_everything_is_there():
    found = look_at_environment()
    said = as_json(found)
    assert found.ok and said["missing"] == [] and all(row["ok"] for row in said["packages"])
    assert "ready on" in found.message and re.match(r"(cpu: \d+ threads|cuda: .+)$", found.device)
    assert json.loads(json.dumps(said)) == said


@pytest.mark.parametrize(
    ("installed", "ok"),
    [
        (None, False),
        ("", True),
        ("2.3.1", False),
        ("2.4", True),
        ("2.4.0+cu121", True),
        ("2.13.0rc1", True),
        ("3", True),
    ],
)
def test_versions_are_compared_as_numbers(installed, ok):
    assert Package(name="torch", required=">=2.4", installed=installed).ok is ok


def test_a_torch_that_does_not_load_is_said_and_not_raised(monkeypatch):
    def broken():
        raise OSError("libcudart.so.12: cannot open shared object file")

    monkeypatch.setattr(environment, "_torch_device", broken)
    found = look_at_environment()
    assert not found.ok and "does not load (libcudart.so.12" in found.message


def test_memory_of_a_gpu_is_told_beside_the_computers():
    found = Environment(packages=(), device="cuda: A4000", gpu_bytes=16 * 2**30, ram_bytes=64 * 2**30)
    assert found.message.endswith("ready on cuda: A4000 with 16.0 GiB of GPU memory, 64.0 GiB of memory")
