"""In which precision a model of another tool is computed."""

from dataclasses import replace

import pytest
import torch
from command_line import run

from organincrement.contract import codec
from organincrement.contract.model import ModelManifest
from organincrement.inference import answers
from organincrement.training import device


@pytest.mark.parametrize(("asked", "expected"), [((), None), (("--precision", "fastest"), torch.bfloat16)])
def test_segment_computes_as_the_model_s_tool_does_unless_told_otherwise(
    tiny_world, tmp_path, monkeypatch, capsys, asked, expected
):
    manifest = codec.read(ModelManifest, tiny_world.teacher / "model.json")
    as_nnunet = replace(manifest, preprocessing=replace(manifest.preprocessing, convention="nnunet"))
    package, precisions = tmp_path / "package", set()
    package.mkdir()
    for file in tiny_world.teacher.iterdir():
        (package / file.name).write_bytes(file.read_bytes())
    codec.write(as_nnunet, package / "model.json")
    monkeypatch.setattr(device, "_fastest_precision", lambda on: "bf16")
    autocast = torch.autocast

    def noted(kind, dtype, enabled):
        precisions.add(dtype if enabled else None)
        return autocast(kind, dtype, enabled=enabled)

    monkeypatch.setattr(answers.torch, "autocast", noted)
    image = tiny_world.site_a.image_path(tiny_world.site_a.cases()[0])
    done = run(capsys, "segment", "--model", package, "--out", tmp_path / "out", "--device", "cpu", *asked, image)
    assert done.code == 0, done.err
    assert precisions == {expected}
