"""What `model import`, `verify` and `export`, and `dataset export`, are asked by mistake: refused in one line."""

import json
import os
import shutil
import time
import zipfile
from pathlib import Path

import pytest
import torch
from command_line import assert_refused, files_under, run
from test_hostile_models import honest_results
from test_import_models import package
from tiny_models import tiny_network, tiny_spec

from organincrement.contract.files import sha256_file
from organincrement.models.formats import state_dict
from organincrement.workflows import whole_folder


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """An nnU-Net v2 results folder, to be read only."""
    return honest_results(tmp_path_factory.mktemp("results"))


def rewritten(folder, change):
    """The package with another model.json."""
    described = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    change(described)
    (folder / "model.json").write_text(json.dumps(described), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("option", "named"),
    [
        (("--spacing", "1", "1", "1"), "--spacing: is not asked of an nnU-Net v2 results folder"),
        (("--network", "described.json"), "--network: is not asked of"),
        (("--organs", "liver=1", "liver=2"), "--organs: liver=2"), (("--organs", "liver=1", "spleen=1"), "spleen=1"),
    ],
)  # fmt: skip
def test_an_option_that_would_be_lost_is_refused(results, tmp_path, capsys, option, named):
    assert_refused(run(capsys, "model", "import", results, "--out", tmp_path / "new", *option), named)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_would_rewrite_what_a_terminal_shows_is_refused(results, tmp_path, capsys):
    said = run(capsys, "model", "import", results, "--out", tmp_path / "new", "--name", "x\x1b[31m")
    assert said.code == 3 and "holds control characters" in said.err and "\x1b" not in said.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", [("--name", "mine"), ("--modality", "MR"), ("--organs", "spleen=1")])
def test_a_package_of_ours_is_taken_over_as_it_is(tmp_path, capsys, option):
    own = package(tmp_path / "own")
    assert_refused(run(capsys, "model", "import", own, "--out", tmp_path / "new", *option), option[0], "leave it out")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("value", ["liver=\N{SUPERSCRIPT TWO}", f"liver={'9' * 5000}", "liver=1,liver=2", "liver=0"])
def test_values_that_are_none_are_wrong_usage(results, tmp_path, capsys, value):
    with pytest.raises(SystemExit, match="2"):
        run(capsys, "model", "import", results, "--out", tmp_path / "new", "--organs", value)
    last = capsys.readouterr().err.splitlines()[-1]
    assert "argument --organs: 'liver" in last and len(last) < 250 and "invalid organ_value" not in last


def test_paths_that_lead_nowhere_are_refused(results, tmp_path, capsys):
    (tmp_path / "loop").symlink_to("loop")
    own, before = package(tmp_path / "own"), set(tmp_path.iterdir())
    for out in (tmp_path / "loop", tmp_path / "loop" / "x", tmp_path / ("x" * 300)):
        assert_refused(run(capsys, "model", "import", results, "--out", out))
        assert_refused(run(capsys, "model", "export", own, "--format", "onnx", "--out", out))
    for path in (tmp_path / "loop", tmp_path / ("x" * 300)):
        assert_refused(run(capsys, "model", "verify", path))
        assert_refused(run(capsys, "model", "import", path, "--out", tmp_path / "new"))
    assert set(tmp_path.iterdir()) - {own} == before - {own}


BROKEN = {
    "no weights": (lambda d: d.update(weights=[]), "only packages with 1 to 32 files"),
    "weights twice": (lambda d: d["weights"].append(d["weights"][0]), "each once"),
    "slices": (lambda d: d["inference"].update(patch=[8, 8]), "only 3-D windows"),
    "no channel": (lambda d: d["preprocessing"].update(channels=[]), "one input channel"),
    "outputs": (lambda d: d["network"]["args"].update(out_channels=9), "9 output channels"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_package_that_cannot_be_run_is_not_called_a_teacher(tmp_path, capsys, name):
    from organincrement.workflows.inspect_facts import answer

    change, reason = BROKEN[name]
    broken = rewritten(package(tmp_path / "own"), change)
    facts = answer(str(broken), None)["facts"]
    assert not facts["can_teach"] and not facts["can_start_student"] and reason in facts["why_not"]
    said = run(capsys, "model", "import", broken, "--out", tmp_path / "new")
    assert said.code == 3 and reason in said.err.splitlines()[-1] and not (tmp_path / "new").exists()


def test_a_package_whose_weights_are_gone_says_so_at_a_look(tmp_path):
    from organincrement.workflows.inspect_facts import answer

    own = package(tmp_path / "own")
    (own / "weights.safetensors").unlink()
    facts = answer(str(own), None)["facts"]
    assert not facts["can_teach"] and "weights.safetensors: cannot be read" in facts["why_not"]


@pytest.mark.parametrize("file", ["model.json", "preview.png"])
def test_a_package_that_lists_its_own_description_as_weights_is_refused(tmp_path, capsys, file):
    own = package(tmp_path / "own")
    (own / "preview.png").write_bytes(b"png")
    listed = {"file": file, "sha256": sha256_file(own / file), "bytes": (own / file).stat().st_size}
    rewritten(own, lambda d: d.update(weights=[listed]))
    assert_refused(run(capsys, "model", "verify", own), "lists a file twice, or itself, as weights")


@pytest.mark.parametrize("kind", [torch.complex64, torch.int8, torch.bool])
def test_weights_that_are_no_real_numbers_are_refused(tmp_path, capsys, kind):
    told = json.loads(Path(state_dict.__file__).with_name("state_dict_example.json").read_text(encoding="utf-8"))
    told |= {"network": {"kind": "PlainConvUNet", "args": tiny_spec(3).args}}
    told["inference"]["patch"] = [8, 8, 8]
    (tmp_path / "told.json").write_text(json.dumps(told), encoding="utf-8")
    torch.save({n: w.to(kind) for n, w in tiny_network(tiny_spec(3)).state_dict().items()}, tmp_path / "model.pt")
    said = run(
        capsys, "model", "import", tmp_path / "model.pt", "--out", tmp_path / "new", "--network", tmp_path / "told.json"
    )
    assert said.code == 3 and f"is of {str(kind)[6:]}; save the network in single" in said.err.splitlines()[-1]
    assert not (tmp_path / "new").exists()


def test_a_dataset_is_not_exported_into_itself(tiny_world, tmp_path, capsys):
    own = tmp_path / "own"
    shutil.copytree(tiny_world.test.path, own)
    before = files_under(own)
    for out in (own / "out", own / "images" / "out"):
        refused = run(capsys, "dataset", "export", own, "--format", "nnunet", "--out", out)
        assert_refused(refused, "lies in the dataset that is exported")
    assert files_under(own) == before


def test_what_a_killed_process_left_goes_when_the_same_is_made_again_much_later(results, tmp_path, capsys):
    abandoned, another = tmp_path / ".new.0badcafe.partial", tmp_path / ".other.0badcafe.partial"
    for partial in (abandoned, another):
        partial.mkdir()
        (partial / "weights.safetensors").write_bytes(b"half")
    assert run(capsys, "model", "import", results, "--out", tmp_path / "new").code == 0
    assert abandoned.exists(), "another process may be at it"
    long_ago = time.time() - whole_folder._ABANDONED_AFTER_S - 60
    for partial in (abandoned, another):
        os.utime(partial, (long_ago, long_ago))
    shutil.rmtree(tmp_path / "new")
    assert run(capsys, "model", "import", results, "--out", tmp_path / "new").code == 0
    assert not abandoned.exists() and another.exists()


def test_a_zip_whose_place_is_taken_meanwhile_leaves_nothing(tmp_path):
    out = tmp_path / "new.oimodel"
    with pytest.raises(ValueError, match="exists already"), whole_folder.built_beside(out) as partial:
        partial.rmdir()
        with zipfile.ZipFile(partial, "w"):
            out.write_bytes(b"mine")
    assert [path.name for path in tmp_path.iterdir()] == ["new.oimodel"] and out.read_bytes() == b"mine"
