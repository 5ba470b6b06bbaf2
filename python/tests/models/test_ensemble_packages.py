"""Packages of several networks: written one tensor at a time, loaded as one, and a start for students."""

import hashlib
import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from tiny_models import SOFTMAX_KINDS, organs, tiny_manifest, tiny_network, tiny_spec
from torch import Tensor

from organincrement.contract import codec
from organincrement.contract.labels import LabelTransition
from organincrement.contract.model import Decoder, ModelManifest, MultiDecoderHead
from organincrement.contract.package import read_manifest
from organincrement.methods.protocol import MethodInputs
from organincrement.methods.student import student_from_teacher
from organincrement.methods.teacher import FrozenTeacher
from organincrement.models.errors import ModelError
from organincrement.models.package import WEIGHTS_FILE, Provenance, load_package, save_package, shared_state
from organincrement.models.sparse import packed
from organincrement.models.torch_file import read_safetensors, read_torch_file
from organincrement.networks.ensemble import Ensemble

ORGANS = organs("liver", "spleen")
SPEC = tiny_spec(3)
MADE = Provenance(method="bla-uag", dataset_sha256="d" * 64, made="2026-11-21")
FILES = [WEIGHTS_FILE, "weights_2.safetensors", "weights_3.safetensors"]


def _states(count: int = 3) -> list[dict[str, Tensor]]:
    return [shared_state(tiny_network(SPEC, seed=seed, scale=20.0)) for seed in range(count)]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    save_package(tmp_path / "several", tiny_manifest(ORGANS, SPEC), _states(), MADE)
    return tmp_path / "several"


def _rewritten(package: Path, manifest: ModelManifest) -> Path:
    codec.write(manifest, package / "model.json")
    return package


def _bytes_of_the_library(state: dict[str, Tensor]) -> bytes:
    """The file as safetensors itself writes it, its header sorted."""
    stored, told = packed({name: weight.contiguous() for name, weight in state.items()})
    data = safetensors.torch.save(stored, metadata={**asdict(MADE), **told})
    end = 8 + int.from_bytes(data[:8], "little")
    text = json.dumps(json.loads(data[8:end]), sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[end:]


@pytest.mark.parametrize("kind", SOFTMAX_KINDS)
def test_a_file_of_weights_is_the_one_that_the_library_writes(kind, tmp_path):
    spec = tiny_spec(3, kind)
    state = shared_state(tiny_network(spec))
    widest = max((name for name, weight in state.items() if weight.ndim == 5), key=lambda name: state[name].numel())
    state[widest] = state[widest] * (torch.rand(state[widest].shape) > 0.9)
    state[widest][state[widest] == 0] = 0.0  # no minus zeros, so that it is stored sparse
    save_package(tmp_path / "one", tiny_manifest(ORGANS, spec), state, MADE)
    data = (tmp_path / "one" / WEIGHTS_FILE).read_bytes()
    assert data == _bytes_of_the_library(state) and b'"sparse"' in data


def test_weights_of_every_kind_of_number_lie_as_the_library_puts_them(tmp_path):
    kinds = [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8]
    state = {
        f"w{n}": torch.arange(5).to(kind) for n, kind in enumerate([*kinds, torch.uint8, torch.bool, torch.float32])
    }
    state["none"], state["one"] = torch.zeros(0, 3), torch.tensor(2.0)
    save_package(tmp_path / "kinds", tiny_manifest(ORGANS, SPEC), state, MADE)
    assert (tmp_path / "kinds" / WEIGHTS_FILE).read_bytes() == _bytes_of_the_library(state)


def test_each_member_has_a_file_with_its_hash(package):
    listed = read_manifest(package).weights
    assert [weights.file for weights in listed] == FILES
    for weights in listed:
        data = (package / weights.file).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (weights.sha256, weights.bytes)


@torch.no_grad()
@pytest.mark.parametrize("zipped", [False, True])
def test_several_members_answer_with_the_mean_of_their_logits(package, zipped, tmp_path):
    if zipped:
        import zipfile

        with zipfile.ZipFile(tmp_path / "several.oimodel", "w") as archive:
            for file in package.iterdir():
                archive.write(file, file.name)
    model = load_package(tmp_path / "several.oimodel" if zipped else package)
    image = torch.randn(1, 1, 8, 8, 8)
    wanted = torch.stack([tiny_network(SPEC, seed=seed, scale=20.0)(image) for seed in range(3)]).mean(0)
    assert isinstance(model.network, Ensemble) and not model.network.training and model.provenance == MADE
    assert torch.allclose(model.network(image), wanted, atol=1e-5)


def test_a_student_of_an_ensemble_starts_from_its_first_member(package):
    model, space = load_package(package), organs("liver", "spleen", "stomach")
    teacher = FrozenTeacher(model.network, model.spec, channel_of=(0, 1, 2), old_count=2)
    transition = LabelTransition(ORGANS, organs("stomach"), {})
    inputs = MethodInputs(
        transition=transition,
        teachers=(teacher,),
        network=tiny_spec(1 + len(space)),
        config=None,
        device=torch.device("cpu"),
    )
    student, first = student_from_teacher(inputs).state_dict(), tiny_network(SPEC, seed=0, scale=20.0).state_dict()
    same = [name for name in first if student[name].shape == first[name].shape]
    assert len(same) > len(first) // 2 and all(torch.equal(student[name], first[name]) for name in same)


def test_a_changed_member_is_refused_by_name(package):
    data = bytearray((package / FILES[1]).read_bytes())
    data[-1] ^= 1
    (package / FILES[1]).write_bytes(data)
    with pytest.raises(ValueError, match=r"several: weights_2\.safetensors is not the file that model\.json describes"):
        load_package(package)


def test_one_file_for_two_members_or_far_too_many_are_refused(package):
    manifest = read_manifest(package)
    for weights in (manifest.weights[:1] * 2, manifest.weights * 20, ()):
        with pytest.raises(ModelError, match="only packages with 1 to 32 files of weights, each once, can be run"):
            load_package(_rewritten(package, replace(manifest, weights=weights)))


def test_an_ensemble_with_decoders_of_their_own_is_refused(package):
    manifest = read_manifest(package)
    decoders = tuple(Decoder(organs=(name,), temperature=1, range_mm=None, sparsity=0) for name in ORGANS.ids)
    with pytest.raises(ModelError, match="only one network with a head of kind 'multi-decoder' can be run"):
        load_package(_rewritten(package, replace(manifest, head=MultiDecoderHead(decoders=decoders))))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_not_packaged_and_the_old_package_stays(package, bad):
    before = {file.name: file.read_bytes() for file in package.iterdir()}
    states = _states(2)
    name = next(iter(states[1]))
    states[1][name].view(-1)[0] = bad
    with pytest.raises(ModelError, match=f"tiny: weight '{name}' holds values that are no numbers"):
        save_package(package, tiny_manifest(ORGANS, SPEC), states, MADE)
    assert {file.name: file.read_bytes() for file in package.iterdir()} == before
    assert [path.name for path in package.parent.iterdir()] == [package.name]


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
@pytest.mark.parametrize("kind", [torch.float32, torch.float16])
def test_weights_still_in_their_file_are_packaged_in_single_precision(form, kind, tmp_path):
    state = {name: weight.to(kind).clone() for name, weight in _states(1)[0].items()}
    path = tmp_path / "model.safetensors"
    if form == "safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    lazy = read_safetensors(path) if form == "safetensors" else read_torch_file(path)
    save_package(tmp_path / "imported", tiny_manifest(ORGANS, SPEC), [lazy], MADE)
    found = shared_state(load_package(tmp_path / "imported").network)
    assert all(torch.equal(found[name], weight.float()) for name, weight in state.items())


_LARGE = """
import resource, sys, time
import torch
from pathlib import Path
sys.path.insert(0, "tests")
from tiny_models import organs, tiny_manifest, tiny_spec
from organincrement.contract.labels import LabelSpace, Organ
from organincrement.models.package import Provenance, load_package, save_package
from organincrement.models.torch_file import read_torch_file
from organincrement.networks.sizing import NetworkSpec
features = [32, 64, 128, 256, 320, 320]
args = {"in_channels": 1, "out_channels": 119, "features": features, "blocks": [2] * 6, "decoder_blocks": [2] * 5}
spec = NetworkSpec(kind="PlainConvUNet", args=args)
checkpoint, out = map(Path, sys.argv[1:3])
if sys.argv[3] == "make":
    from organincrement.networks.build import build_network
    network = build_network(spec.kind, spec.args)
    optimiser = torch.optim.SGD(network.parameters(), momentum=0.9, lr=0.1)
    for weight in network.parameters():
        weight.grad = torch.zeros_like(weight)
    optimiser.step()
    state = {"network_weights": network.state_dict(), "optimizer_state": optimiser.state_dict(), "current_epoch": 1000}
    torch.save(state, checkpoint)
else:
    space = LabelSpace(tuple(Organ(id=f"organ_{n}", name=f"Organ {n}", color=(n, n, n)) for n in range(1, 119)))
    with torch.device("meta"):
        manifest = tiny_manifest(space, spec, patch=(32, 32, 32))
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    if sys.argv[3] == "import":
        tree = read_torch_file(checkpoint)
        from organincrement.models.package import first_names
        from organincrement.networks.build import build_network
        with torch.device("meta"):
            names = dict.fromkeys(first_names(build_network(spec.kind, spec.args)).values())
        member = {name: tree["network_weights"][name] for name in names}
        save_package(out, manifest, [member], Provenance(method="imported", dataset_sha256="", made="2026-11-21"))
    else:
        load_package(out)
    print(time.process_time() - start, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.slow
def test_a_model_of_118_organs_comes_in_soon_and_in_little_memory(tmp_path):
    """Time of the processor, so that other programs on the computer do not count."""
    checkpoint, package = tmp_path / "checkpoint_final.pth", tmp_path / "imported"

    def run(what: str) -> tuple[float, float]:
        command = [sys.executable, "-c", _LARGE, str(checkpoint), str(package), what]
        text = subprocess.run(
            command, check=True, capture_output=True, encoding="utf-8", cwd=Path(__file__).parents[2]
        ).stdout
        seconds, nbytes = map(float, text.split() or ("0", "0"))
        return seconds, nbytes

    run("make")
    size = checkpoint.stat().st_size
    assert size > 2 * 30e6 * 4
    seconds, peak_bytes = run("import")
    assert seconds < 5 and peak_bytes < size  # it was to be less than twice the file
    seconds, peak_bytes = run("load")
    assert seconds < 10 and peak_bytes < 3 * (package / WEIGHTS_FILE).stat().st_size
