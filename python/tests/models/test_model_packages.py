"""Model packages: what is saved comes back, what was tampered with does not."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from tiny_models import organs, tiny_manifest, tiny_network, tiny_spec

from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.files import sha256_file
from organincrement.contract.model import ModelManifest, MultiHead, OrganHead, TorchScriptHead, Weights
from organincrement.contract.package import manifest_sha256, read_manifest
from organincrement.models.errors import ModelError
from organincrement.models.package import (
    WEIGHTS_FILE,
    LoadedModel,
    Provenance,
    load_package,
    save_package,
    shared_state,
)

ORGANS = organs("liver", "spleen")
SPEC = tiny_spec(3)
MADE = Provenance(method="bla-uag", dataset_sha256="d" * 64, made="2026-11-21")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "student"
    save_package(folder, tiny_manifest(ORGANS, SPEC), shared_state(tiny_network(SPEC)), MADE)
    return folder


def rewritten(package: Path, **changes: object) -> Path:
    """The package with another model.json."""
    codec.write(replace(read_manifest(package), **changes), package / "model.json")  # type: ignore[arg-type]
    return package


def with_weights(package: Path, data: bytes) -> Path:
    """The package with another file of weights, listed as it is."""
    file = package / WEIGHTS_FILE
    file.write_bytes(data)
    return rewritten(package, weights=(Weights(file=WEIGHTS_FILE, sha256=sha256_file(file), bytes=len(data)),))


def refusal(package: Path, error: type[Exception] = ModelError) -> str:
    with pytest.raises(error) as caught:
        load_package(package)
    assert "\n" not in str(caught.value) and package.name in str(caught.value)
    return str(caught.value)


def answers(model: LoadedModel) -> torch.Tensor:
    with torch.no_grad():
        return model.network(torch.randn(1, 1, 8, 8, 8, generator=torch.Generator().manual_seed(0)))


def test_a_saved_package_comes_back_as_it_was(package):
    model = load_package(package)
    original = tiny_network(SPEC)
    assert model.organs == ORGANS and model.spec == SPEC and model.sha256 == manifest_sha256(package)
    assert not model.network.training
    assert all(torch.equal(model.network.state_dict()[name], w) for name, w in original.state_dict().items())
    assert answers(model).std() > 0.01
    listed = model.manifest.weights[0]
    assert (listed.sha256, listed.bytes) == (
        sha256_file(package / WEIGHTS_FILE),
        (package / WEIGHTS_FILE).stat().st_size,
    )


def test_equal_models_have_equal_names_in_lineages_and_others_do_not(tmp_path):
    sha256 = {
        save_package(tmp_path / str(i), tiny_manifest(ORGANS, SPEC), shared_state(tiny_network(SPEC)), MADE)
        for i in range(8)
    }
    assert sha256 == {sha256_file(tmp_path / "0" / "model.json")}
    other = save_package(
        tmp_path / "other", tiny_manifest(ORGANS, SPEC), shared_state(tiny_network(SPEC, seed=1)), MADE
    )
    assert other not in sha256


def test_a_zipped_package_is_read_like_its_folder(package, tmp_path):
    zipped = tmp_path / "student.oimodel"
    with zipfile.ZipFile(zipped, "w") as archive:
        for file in package.iterdir():
            archive.write(file, file.name)
    from_zip, from_folder = load_package(zipped), load_package(package)
    assert from_zip.sha256 == from_folder.sha256
    assert torch.equal(answers(from_zip), answers(from_folder))


def test_how_a_package_was_made_stands_in_the_header_of_its_weights(package):
    assert load_package(package).provenance == MADE
    data = (package / WEIGHTS_FILE).read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert header["__metadata__"] == {"method": "bla-uag", "dataset_sha256": "d" * 64, "made": "2026-11-21"}


def test_weights_that_do_not_tell_how_they_were_made_count_as_imported(package):
    state = shared_state(tiny_network(SPEC))
    model = load_package(with_weights(package, safetensors.torch.save({n: w.clone() for n, w in state.items()})))
    assert model.provenance == Provenance(method="imported", dataset_sha256="", made="")


def test_weights_with_one_bit_changed_are_refused(package):
    data = bytearray((package / WEIGHTS_FILE).read_bytes())
    data[-1] ^= 1
    (package / WEIGHTS_FILE).write_bytes(data)
    assert WEIGHTS_FILE in refusal(package, ContractError)


def test_weights_cut_short_or_missing_are_refused(package):
    data = (package / WEIGHTS_FILE).read_bytes()
    (package / WEIGHTS_FILE).write_bytes(data[:-100])
    refusal(package, ContractError)
    (package / WEIGHTS_FILE).unlink()
    with pytest.raises(ContractError, match=WEIGHTS_FILE):
        load_package(package)


def test_weights_that_are_no_safetensors_are_refused_even_where_their_hash_is_right(package):
    assert "do not fit" in refusal(with_weights(package, b"\x80\x04not tensors at all" * 1000))


def test_weights_of_another_network_are_refused(package):
    other = shared_state(tiny_network(tiny_spec(3, "ResidualEncoderUNet")))
    assert "do not fit" in refusal(
        with_weights(package, safetensors.torch.save({n: w.clone() for n, w in other.items()}))
    )


def test_a_small_file_cannot_ask_for_a_huge_network(package):
    manifest = read_manifest(package)
    huge = {**SPEC.args, "features": [128, 256], "blocks": [2, 4], "decoder_blocks": [2]}  # 10^7 weights
    message = refusal(rewritten(package, network=replace(manifest.network, args=huge)))
    assert "more than its file of weights can hold" in message


def test_backgrounds_of_several_heads_count_as_outputs(package):
    head = MultiHead(heads=(OrganHead(organs=("liver",), prefix="a"), OrganHead(organs=("spleen",), prefix="b")))
    assert "has 3 output channels, but its organs and backgrounds need 4" in refusal(rewritten(package, head=head))


@pytest.mark.parametrize("out_channels", [2, 4, None])
def test_outputs_that_are_not_background_and_organs_are_refused(package, out_channels):
    network = replace(read_manifest(package).network, args={**SPEC.args, "out_channels": out_channels})
    assert f"{out_channels} output channels, but its organs and backgrounds need 3" in refusal(
        rewritten(package, network=network)
    )


def not_runnable(manifest: ModelManifest) -> dict[str, dict[str, object]]:
    inference, preprocessing, network = manifest.inference, manifest.preprocessing, manifest.network
    return {
        "one file for two networks": {"weights": manifest.weights * 2},
        "a 2-D network": {"inference": replace(inference, patch=(8, 8))},
        "cubic outputs": {"preprocessing": replace(preprocessing, output_resampling="cubic")},
        "two images": {"preprocessing": replace(preprocessing, channels=("T1", "T2"))},
        "two input channels": {"network": replace(network, args={**SPEC.args, "in_channels": 2})},
    }


@pytest.mark.parametrize("what", not_runnable(tiny_manifest(ORGANS, SPEC)))
def test_what_inference_would_do_wrongly_is_refused_when_loading(package, what):
    assert "can be run" in refusal(rewritten(package, **not_runnable(read_manifest(package))[what]))


def test_a_head_that_is_a_program_on_a_network_of_ours_is_refused(package):
    head = TorchScriptHead(file="weights.pt", confirmed=False)
    assert "a head of kind 'torchscript' belong together" in refusal(rewritten(package, head=head))


def test_saving_again_replaces_the_package_and_leaves_nothing_beside_it(package):
    (package / "stray.txt").write_text("left over", encoding="utf-8")
    (package.parent / "student.partial").mkdir()
    save_package(package, tiny_manifest(ORGANS, SPEC), shared_state(tiny_network(SPEC, seed=1)), MADE)
    assert {path.name for path in package.parent.iterdir()} == {"student"}
    assert {path.name for path in package.iterdir()} == {"model.json", WEIGHTS_FILE}
    state = load_package(package).network.state_dict()
    assert all(torch.equal(state[name], w) for name, w in tiny_network(SPEC, seed=1).state_dict().items())


def test_the_state_of_a_network_is_detached_from_it_in_single_precision():
    state = shared_state(tiny_network(SPEC).to(torch.bfloat16))
    assert {weight.dtype for weight in state.values()} == {torch.float32}
    assert not any(weight.requires_grad for weight in state.values())
