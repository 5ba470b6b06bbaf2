"""A TorchScript program on the command line: confirmed, packaged, run without the network, refused elsewhere."""

import io
import json
from dataclasses import replace

import pytest
import torch
from command_line import assert_refused, run, run_alone
from tiny_models import organs, tiny_manifest, tiny_network, tiny_spec

from organincrement.contract import codec
from organincrement.contract.model import ModelManifest
from organincrement.contract.package import read_manifest
from organincrement.imaging.safe_read import read_stored
from organincrement.models.package import Provenance, load_package, save_package
from organincrement.models.program import save_program
from organincrement.networks.build import PROGRAM
from organincrement.workflows.inspect_facts import answer

PATCH = [16, 16, 16]


@pytest.fixture
def state(tmp_path, monkeypatch):
    """A list of confirmed programs that is this test's own."""
    monkeypatch.setenv("ORGANINCREMENT_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def traced(network, path):
    """Save a network as a program."""
    with io.BytesIO() as target:
        torch.jit.save(torch.jit.trace(network, torch.zeros(1, 1, *PATCH), check_trace=False), target)
        path.write_bytes(target.getvalue())
    return path


def described(manifest, path, **changes):
    """The file for `--network`."""
    values = codec.to_json(manifest)
    labels = {organ.name: value for value, organ in enumerate(manifest.organs, 1)}
    told = {"labels": labels, "preprocessing": values["preprocessing"], "inference": values["inference"], **changes}
    path.write_text(json.dumps(told), encoding="utf-8")
    return path


@pytest.mark.slow
def test_a_program_segments_as_the_network_that_it_was_made_of(tiny_world, tmp_path, state):
    loaded = load_package(tiny_world.teacher)
    code = traced(loaded.network, tmp_path / "net.pt")
    network = described(loaded.manifest, tmp_path / "net.json")
    package = tmp_path / "program.oimodel"
    made = run_alone("model", "import", code, "--out", package, "--network", network, "--confirm-code")
    assert made.code == 0, made.err
    assert "can be a teacher; it is a program" in made.out and "out of its reach" in made.out
    scan = tiny_world.site_b.image_path(tiny_world.site_b.cases()[0])
    labels = {}
    for model in (package, tiny_world.teacher):
        out = tmp_path / "out" / model.name
        assert (done := run_alone("segment", "--model", model, "--out", out / "s", scan)).code == 0, done.err
        labels[model] = read_stored(next(out.rglob("segmentation.seg.nrrd"))).array_DHW
    assert labels[package].any() and (labels[package] == labels[tiny_world.teacher]).all()
    for mark in (state / "confirmed-code").iterdir():
        mark.unlink()
    refused = run_alone("segment", "--model", package, "--out", tmp_path / "none", scan)
    assert_refused(refused, "program.oimodel: holds a program", "only for a file from people that you trust")


@pytest.fixture
def program(tmp_path):
    """A small program of three channels, and the manifest of a package like it."""
    spec = tiny_spec(3)
    return traced(tiny_network(spec), tmp_path / "net.pt"), tiny_manifest(
        organs("liver", "spleen"), spec, patch=(16,) * 3
    )


def test_an_unconfirmed_program_is_refused_with_what_confirming_does(program, tmp_path, capsys, state):
    code, manifest = program
    network = described(manifest, tmp_path / "net.json")
    said = run(capsys, "model", "import", code, "--out", tmp_path / "new", "--network", network)
    assert said.code == 3 and "runs as part of this one once it is confirmed" in said.err.splitlines()[-1]
    said = run(capsys, "model", "import", code, "--out", tmp_path / "new", "--confirm-code")
    assert said.code == 3 and "needs --network FILE" in said.err.splitlines()[-1]
    facts = answer(str(code), None)["facts"]
    assert facts["format"] == "torchscript" and not facts["can_teach"] and "--confirm-code" in facts["why_not"]
    assert not (tmp_path / "new").exists() and not state.exists()


@pytest.mark.slow
def test_a_program_that_answers_otherwise_than_described_is_not_packaged(program, tmp_path, capsys, state):
    code, manifest = program
    three = described(manifest, tmp_path / "net.json", labels={"liver": 1, "spleen": 2, "stomach": 3})
    said = run(capsys, "model", "import", code, "--out", tmp_path / "new", "--network", three, "--confirm-code")
    assert said.code == 3 and "answers with [1, 3, 16, 16, 16], but [1, 4, 16, 16, 16]" in said.err.splitlines()[-1]
    odd = described(replace(manifest, inference=replace(manifest.inference, patch=(15, 15, 15))), tmp_path / "odd.json")
    said = run(capsys, "model", "import", code, "--out", tmp_path / "new", "--network", odd, "--confirm-code")
    assert said.code == 3 and "cannot be run on a patch of [15, 15, 15]" in said.err.splitlines()[-1]
    assert not (tmp_path / "new").exists() and not state.exists()


def test_a_package_with_a_program_from_elsewhere_is_confirmed_before_it_is_copied(program, tmp_path, capsys, state):
    code, manifest = program
    args = {"in_channels": 1, "out_channels": 3, "patch": PATCH}
    described_as = replace(manifest.network, kind=PROGRAM, args=args)
    save_program(tmp_path / "pkg", replace(manifest, network=described_as), code.read_bytes())
    facts = answer(str(tmp_path / "pkg"), None)["facts"]
    assert not facts["can_teach"] and "--confirm-code" in facts["why_not"]
    said = run(capsys, "model", "import", tmp_path / "pkg", "--out", tmp_path / "new")
    assert said.code == 3 and "--confirm-code" in said.err and not (tmp_path / "new").exists()
    said = run(capsys, "model", "import", tmp_path / "pkg", "--out", tmp_path / "new", "--confirm-code")
    assert said.code == 0, said.err
    facts = answer(str(tmp_path / "new"), None)["facts"]
    assert facts["can_teach"] and not facts["can_start_student"] and "fresh network" in facts["why_not"]


def test_a_package_whose_manifest_lies_about_its_program_is_refused(program, tmp_path, capsys, state):
    manifest = program[1]
    save_package(
        tmp_path / "pkg", manifest, tiny_network(tiny_spec(3)).state_dict(),
        Provenance(method="supervised", dataset_sha256="", made="2026-11-21"),
    )  # fmt: skip
    values = json.loads((tmp_path / "pkg" / "model.json").read_text(encoding="utf-8"))
    values["head"] = {"kind": "torchscript", "file": "../net.pt", "confirmed": True}
    (tmp_path / "pkg" / "model.json").write_text(json.dumps(values), encoding="utf-8")
    said = run(capsys, "model", "import", tmp_path / "pkg", "--out", tmp_path / "new", "--confirm-code")
    assert said.code == 3 and "is not allowed" in said.err
    values["head"]["file"] = "other.pt"
    (tmp_path / "pkg" / "model.json").write_text(json.dumps(values), encoding="utf-8")
    assert read_manifest(tmp_path / "pkg") == codec.read(ModelManifest, tmp_path / "pkg" / "model.json")
    said = run(capsys, "model", "import", tmp_path / "pkg", "--out", tmp_path / "new", "--confirm-code")
    assert said.code == 3 and "belong together" in said.err
    assert not (tmp_path / "new").exists()
