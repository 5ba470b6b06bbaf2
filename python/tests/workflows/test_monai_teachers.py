"""MONAI bundles through the import and export of the command line: what they can be used for, and there and back."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "models"))

from monai_bundles import WINDOWS, inference, write_bundle

from organincrement.cli.main import main
from organincrement.contract.package import read_manifest
from organincrement.models.package import load_package
from organincrement.workflows.import_model import ImportRequest, import_model

SEGRESNET = {
    "_target_": "SegResNet", "init_filters": 8, "in_channels": 1, "out_channels": 3, "blocks_down": [1, 1],
    "blocks_up": [1],
}  # fmt: skip


@pytest.mark.parametrize("changes, starts", [({}, False), ({"network_def": SEGRESNET, "inferer": WINDOWS}, True)])
def test_it_is_said_whether_a_student_can_start_from_a_bundle(changes, starts, tmp_path):
    bundle = write_bundle(tmp_path / "bundle", inference(**changes))
    done = import_model(ImportRequest(path=bundle, out=tmp_path / "package"))
    facts = done.facts
    assert (done.format, facts["can_teach"], facts["can_start_student"]) == ("monai", True, starts)
    assert ("fresh network of the same kind" in facts["why_not"]) is not starts


def test_a_bundle_comes_in_and_goes_out_on_the_command_line(tmp_path, capsys):
    bundle, package, out, again = (tmp_path / name for name in ("bundle", "package", "out", "again"))
    write_bundle(bundle, inference(network_def=SEGRESNET))
    assert main(["model", "import", str(bundle), "--out", str(package)]) in (0, None)
    assert main(["model", "export", str(package), "--format", "monai", "--out", str(out)]) in (0, None)
    assert "monai.bundle run" in capsys.readouterr().out
    assert main(["model", "import", str(out), "--out", str(again)]) in (0, None)
    first, second = (read_manifest(path) for path in (package, again))
    assert (second.network, second.inference) == (first.network, first.inference)
    weights, same = (load_package(path).network.state_dict() for path in (package, again))
    assert weights.keys() == same.keys() and all(np.array_equal(weights[name], same[name]) for name in weights)


def test_a_hostile_bundle_is_refused_with_one_line(tmp_path, capsys):
    bundle = write_bundle(tmp_path / "bundle", inference(dataset_dir="$__import__('os').system('touch x')"))
    assert main(["model", "import", str(bundle), "--out", str(tmp_path / "package")]) == 3
    assert capsys.readouterr().err.strip().splitlines()[-1].count("dataset_dir") == 1
    assert not (tmp_path / "package").exists()
