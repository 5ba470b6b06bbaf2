"""Packages as MONAI bundles: MONAI gives our labels voxel for voxel, and what was written can be imported again.

`python -m monai.bundle run` itself runs them in tests/parity.
"""

import importlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai_bundles import as_monai_segments, phantom
from tiny_models import organs, tiny_manifest, tiny_network, tiny_spec

from organincrement.contract.model import ModelManifest, MultiHead, Normalisation, OrganHead
from organincrement.imaging.volume import Volume
from organincrement.inference.predict import PredictionSettings, predict_volume
from organincrement.models.errors import ModelError
from organincrement.models.formats import monai_bundle, monai_out
from organincrement.models.formats.foreign import ImportOptions
from organincrement.models.package import LoadedModel, Provenance, load_package, save_package
from organincrement.networks.ensemble import Ensemble
from organincrement.networks.sizing import NetworkSpec

SPACE = organs("liver", "spleen")
MADE = Provenance(method="supervised", dataset_sha256="", made="2026-11-21")
MONAI = {"convention": "monai", "orientation": "RAS", "axis_order": (2, 1, 0)}
NNUNET = {"convention": "nnunet", "orientation": "stored", "image_resampling": "cubic", "axis_order": (2, 0, 1)}
Z_SCORE = {"normalisation": Normalisation(kind="zscore", masked=True), "order": "resample-then-normalise"}
# kind, preprocessing, inference, whether MONAI's own transforms do
VARIANTS: dict[str, tuple[str, dict[str, Any], dict[str, Any], bool]] = {
    "monai": ("PlainConvUNet", {**MONAI, "orientation": "LPS", "axis_order": (1, 0, 2)}, {}, True),
    "monai, nearest": ("SegResNet", {**MONAI, "output_resampling": "nearest"}, {"window": "constant"}, True),
    "monai, z-scores": ("DynUNet", {**MONAI, **Z_SCORE, "keep_axes": (1,)}, {"resampled": "probabilities"}, True),
    "monai, mirrored": ("PlainConvUNet", MONAI, {"mirror_axes": (1,)}, False),
    "our own": ("ResidualEncoderUNet", {"orientation": "RAS", "axis_order": (1, 2, 0)}, {}, False),
    "nnU-Net": ("PlainConvUNet", NNUNET, {"mirror_axes": (0, 1, 2)}, False),
    "nnU-Net 1": ("PlainConvUNet", {**NNUNET, "convention": "nnunet1"}, {"average": "probabilities"}, False),
}


def loaded(kind: str = "PlainConvUNet", steps: dict[str, Any] | None = None, **inference: Any) -> LoadedModel:
    spec = tiny_spec(3, kind)
    manifest = tiny_manifest(SPACE, spec, patch=(16, 16, 16), **(steps or {}))
    described = replace(manifest, inference=replace(manifest.inference, **inference), citation="A. Author: A paper")
    network = tiny_network(spec, scale=3)
    return LoadedModel(manifest=described, network=network, sha256="0" * 64, provenance=MADE)


def ours(model: LoadedModel, scan: Path) -> np.ndarray:
    image = Volume.from_sitk(sitk.ReadImage(str(scan)))
    return predict_volume(
        model.network.eval(), model.manifest, image, torch.device("cpu"), PredictionSettings()
    ).labels_DHW


@pytest.fixture
def importable(monkeypatch):
    """Makes the Python of a bundle importable, for this test alone."""

    def make(bundle: Path) -> None:
        monkeypatch.syspath_prepend(str(bundle))
        importlib.invalidate_caches()

    yield make
    for name in [name for name in sys.modules if name.split(".")[0] == "scripts"]:
        del sys.modules[name]


@pytest.mark.parametrize("variant", VARIANTS)
def test_monai_gives_our_labels_with_a_bundle_of_ours_and_so_does_what_is_imported_again(variant, tmp_path, importable):
    kind, steps, inference, stock = VARIANTS[variant]
    model, bundle, scan = loaded(kind, steps, **inference), tmp_path / "bundle", tmp_path / "scan.nii.gz"
    sitk.WriteImage(phantom((41, 33, 19), (1.2, 1.3, 3.3), "LPS"), str(scan))
    bundle.mkdir()
    monai_out.write(model, bundle)
    importable(bundle)
    expected = ours(model, scan)
    config = json.loads((bundle / "configs" / "inference.json").read_text(encoding="utf-8"))
    assert np.array_equal(as_monai_segments(config, bundle, scan), expected)
    assert len(np.unique(expected)) > 1
    assert (bundle / "scripts").exists() is not stock
    foreign = monai_bundle.read(bundle, ImportOptions())
    save_package(tmp_path / "again", foreign.manifest, foreign.members, MADE)
    again = load_package(tmp_path / "again")
    assert np.array_equal(ours(again, scan), expected)
    assert [organ.id for organ in again.manifest.organs] == ["liver", "spleen"]
    assert again.manifest.inference == model.manifest.inference
    assert again.manifest.citation == "A. Author: A paper"


def test_a_bundle_brings_every_module_that_its_steps_need(tmp_path):
    monai_out.write(loaded(steps=NNUNET), tmp_path)
    command = "import scripts.organincrement_steps, organincrement.imaging.resampling as ours; print(ours.__file__)"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", command],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert Path(done.stdout.strip().splitlines()[-1]).is_relative_to(tmp_path)


def test_a_bundle_says_what_it_is_and_how_it_is_run(tmp_path):
    notes = monai_out.write(loaded(steps=NNUNET), tmp_path)
    about = json.loads((tmp_path / "configs" / "metadata.json").read_text(encoding="utf-8"))
    pred = about["network_data_format"]["outputs"]["pred"]
    assert pred["channel_def"] == {"0": "background", "1": "Liver", "2": "Spleen"} and pred["num_channels"] == 3
    assert "dynamic-network-architectures" in about["required_packages_version"]
    readme = (tmp_path / "docs" / "README.md").read_text(encoding="utf-8")
    assert "python -m monai.bundle run" in readme and "not a medical device" in readme and "2. Spleen" in readme
    assert (tmp_path / "LICENSE").read_text(encoding="utf-8").count("\n") == 1
    assert "monai.bundle run" in notes[0] and any("brings these steps along" in note for note in notes)
    assert any("as they are stored" in note for note in notes)


def test_a_stranger_s_words_are_not_run_by_those_who_run_the_bundle(tmp_path):
    from monai.bundle import ConfigParser

    code = f"$__import__('pathlib').Path({str(tmp_path / 'was-run')!r}).touch()"
    model = loaded(steps={**NNUNET, "channels": (code,)})
    names = (f" {code}", "%secret.json::key @#network_def")
    strange = tuple(replace(organ, name=name) for organ, name in zip(SPACE.organs, names, strict=True))
    manifest = replace(
        model.manifest, name="@evaluator", organs=strange, licence=code, citation=code,
        trained_on=replace(model.manifest.trained_on, modality=code),
    )  # fmt: skip
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    monai_out.write(replace(model, manifest=manifest), bundle)
    parser = ConfigParser()
    parser.read_config(bundle / "configs" / "inference.json")
    parser.read_meta(bundle / "configs" / "metadata.json")
    parser.parse()
    for part in ("_meta_", "preprocessing::transforms::2::preprocessing", "inferer::inference"):
        assert parser.get_parsed_content(part)
    assert not (tmp_path / "was-run").exists()
    assert parser.get_parsed_content("_meta_::name") == "evaluator"


def refused(model: LoadedModel, folder: Path, said: str) -> None:
    with pytest.raises(ModelError, match=said) as error:
        monai_out.write(model, folder)
    assert "\n" not in str(error.value) and not list(folder.iterdir())


def test_what_a_bundle_has_no_place_for_is_refused_in_a_line(tmp_path):
    refused(loaded("PreActUNet"), tmp_path, "this network is a PreActUNet")
    single = loaded()
    both = Ensemble([single.network, tiny_network(tiny_spec(3), seed=1)], of="logits")
    refused(replace(single, network=both), tmp_path, "an ensemble of 2 networks")
    heads = MultiHead(heads=(OrganHead(organs=("liver",), prefix="a"), OrganHead(organs=("spleen",), prefix="b")))
    spec = NetworkSpec(kind="PlainConvUNet", args={**tiny_spec(3).args, "out_channels": 4})
    parted = ModelManifest(**{**vars(tiny_manifest(SPACE, spec, patch=(16, 16, 16))), "head": heads})
    refused(replace(single, manifest=parted), tmp_path, "multi-head")
