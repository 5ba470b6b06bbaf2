"""`model import` and `model verify` on the command line: whole or not at all, everything said in a line."""

import errno
import json
import shutil

import pytest
from command_line import assert_refused, files_under, run
from test_hostile_models import honest_results
from tiny_models import organs, tiny_manifest, tiny_network, tiny_spec

from organincrement.contract import codec
from organincrement.contract.model import LineageStep, ModelManifest
from organincrement.contract.package import manifest_sha256, read_manifest
from organincrement.models.package import Provenance, load_package, save_package
from organincrement.workflows import import_model

MADE = Provenance(method="supervised", dataset_sha256="", made="2026-11-21")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """An nnU-Net v2 results folder, to be read only."""
    return honest_results(tmp_path_factory.mktemp("results"))


def package(folder, seed=0, lineage=()):
    """A package of ours."""
    spec = tiny_spec(2)
    manifest = tiny_manifest(organs("liver"), spec)
    manifest = ModelManifest(**{**vars(manifest), "name": folder.name, "lineage": lineage})
    save_package(folder, manifest, tiny_network(spec, seed).state_dict(), MADE)
    return folder


def step(folder):
    """The step that a child's lineage has for a package."""
    return LineageStep(
        name=folder.name, sha256=manifest_sha256(folder), method="supervised", dataset_sha256=None, made="2026-11-21"
    )


def test_a_results_folder_becomes_a_package_that_can_be_run(results, tmp_path, capsys):
    said = run(capsys, "model", "import", results, "--out", tmp_path / "new")
    assert said.code == 0, said.err
    assert said.err.splitlines()[0] == f"{results.name}: an nnU-Net v2 results folder (plans.json, dataset.json, " \
        "fold_0/checkpoint_final.pth)"  # fmt: skip
    assert "2 organs: liver, spleen" in said.out and "can be a teacher and a student's start" in said.out
    assert said.out.splitlines()[-1] == str(tmp_path / "new")
    assert load_package(tmp_path / "new").organs.ids == ("liver", "spleen")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_what_the_viewer_needs_is_printed_as_json(results, tmp_path, capsys):
    out = tmp_path / "new.oimodel"
    said = run(capsys, "model", "import", results, "--out", out, "--json", "--name", "mine", "--organs", "Leber=1")
    facts = json.loads(said.out)
    assert facts["format"] == "nnunet2" and facts["name"] == "mine" and facts["package"] == str(out)
    assert facts["organs"] == ["leber", "spleen"] and facts["organ_names"][0] == "Leber"
    assert (facts["can_teach"], facts["can_start_student"], facts["why_not"]) == (True, True, "")
    manifest = read_manifest(out)
    assert facts["network"] == manifest.network.kind and facts["parameters"] == manifest.network.parameters
    assert facts["patch"] == [8, 8, 8] and facts["spacing"] == list(manifest.preprocessing.spacing_mm)
    assert {"orientation", "mirror", "modality", "notes", "ancestors"} <= facts.keys()


def test_inspect_says_of_a_results_folder_what_import_would_make(results, tmp_path):
    from organincrement.workflows.inspect_facts import answer

    facts = answer(str(results), None)["facts"]
    assert facts["kind"] == "model" and facts["format"] == "nnunet2" and facts["networks"] == 1
    assert facts["organs"] == ["liver", "spleen"] and facts["can_teach"] and facts["can_start_student"]
    shutil.copytree(results, tmp_path / "half")
    (tmp_path / "half" / "plans.json").unlink()
    assert "plans.json" in answer(str(tmp_path / "half"), None)["message"]


def test_what_no_format_recognises_is_refused_with_what_was_looked_for(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("a model, honestly", encoding="utf-8")
    refused = run(capsys, "model", "import", tmp_path / "notes.txt", "--out", tmp_path / "new")
    assert_refused(refused, "notes.txt", "nnU-Net v2 results folder", "TorchScript", "state dict")
    assert_refused(
        run(capsys, "model", "import", tmp_path / "none", "--out", tmp_path / "new"), "none: there is no such"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_place_that_is_taken_stays_as_it_is(results, tmp_path, capsys):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "work").write_text("mine", encoding="utf-8")
    before = files_under(tmp_path)
    said = run(capsys, "model", "import", results, "--out", tmp_path / "there")
    assert said.code == 3 and "is not empty" in said.err
    assert_refused(run(capsys, "model", "import", results, "--out", results / "new"), "lies in the model")
    assert files_under(tmp_path) == before and not (results / "new").exists()


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [(OSError(errno.ENOSPC, "No space left on device"), 3, "cannot be written"), (KeyboardInterrupt(), 4, "cancelled")],
)
@pytest.mark.parametrize("name", ["new", "new.oimodel", "deeper/new"])
def test_a_full_disk_or_an_interrupt_leaves_nothing(results, tmp_path, capsys, monkeypatch, error, code, says, name):
    def half_written(folder, *_):
        folder.with_name("package.partial").mkdir(parents=True)
        (folder.with_name("package.partial") / "weights.safetensors").write_bytes(b"half")
        raise error

    monkeypatch.setattr(import_model, "save_package", half_written)
    said = run(capsys, "model", "import", results, "--out", tmp_path / name)
    assert said.code == code and says in said.err.splitlines()[-1] and "Traceback" not in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_package_of_ours_is_checked_and_copied_byte_by_byte(tmp_path, capsys):
    own = package(tmp_path / "own")
    for source, out in ((own, tmp_path / "a.oimodel"), (tmp_path / "a.oimodel", tmp_path / "b")):
        assert run(capsys, "model", "import", source, "--out", out).code == 0
    for name in ("model.json", "weights.safetensors"):
        assert (tmp_path / "b" / name).read_bytes() == (own / name).read_bytes()
    weights = tmp_path / "b" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    said = run(capsys, "model", "import", tmp_path / "b", "--out", tmp_path / "c")
    assert said.code == 3 and "weights.safetensors is not the file that model.json describes" in said.err
    assert_refused(run(capsys, "model", "verify", tmp_path / "b"), "is not the file that model.json describes")
    assert not (tmp_path / "c").exists()


def test_a_lineage_is_shown_and_held_against_the_ancestors(tmp_path, capsys):
    first = package(tmp_path / "first")
    second = package(tmp_path / "second", 1, (step(first),))
    third = package(tmp_path / "third", 2, (step(first), step(second)))
    said = run(capsys, "model", "verify", third, "--ancestors", first, second)
    short = [manifest_sha256(path)[:12] for path in (first, second, third)]
    assert said.code == 0 and [line.split()[0] for line in said.out.splitlines()[:3]] == short
    assert said.out.count("at hand, unchanged") == 2
    copied = run(capsys, "model", "import", third, "--out", tmp_path / "copy")
    assert "lineage, oldest first:" in copied.out and short[0] in copied.out
    changed = codec.read(ModelManifest, first / "model.json")
    codec.write(ModelManifest(**{**vars(changed), "licence": "another"}), first / "model.json")
    said = run(capsys, "model", "verify", third, "--ancestors", first)
    assert said.code == 3 and f"the lineage names {short[0]}: it was changed" in said.out
    assert "is no ancestor" in run(capsys, "model", "verify", second, "--ancestors", third).out


def test_a_chain_that_cannot_be_true_is_said(tmp_path, capsys):
    first = package(tmp_path / "first")
    twice = LineageStep(**{**vars(step(first)), "name": "another"})
    short = LineageStep(**{**vars(step(first)), "name": "short", "sha256": "abc"})
    broken = package(tmp_path / "broken", 1, (step(first), twice, short))
    said = run(capsys, "model", "verify", broken)
    assert said.code == 3 and "broken: ancestor 'another' has the SHA-256 of 'first'" in said.out
    assert "broken: ancestor 'short' has no proper SHA-256" in said.out
    copied = run(capsys, "model", "import", broken, "--out", tmp_path / "copy")
    assert copied.code == 0 and "note: the lineage is broken: ancestor 'another'" in copied.out
