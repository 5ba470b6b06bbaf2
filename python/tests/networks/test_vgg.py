"""VGG16's convolutions with weights that somebody brings: the right ones work, all else is refused and nothing runs."""

import os

import pytest
import safetensors.torch
import torch

from organincrement.networks.build import count_parameters
from organincrement.networks.errors import NetworkError
from organincrement.networks.vgg import Vgg16, load_vgg16, resized


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(0)
    return Vgg16().state_dict()


@pytest.fixture(scope="module")
def stored(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("vgg") / "vgg16.safetensors"
    safetensors.torch.save_file(weights, path)
    return path


def test_it_has_the_thirteen_convolutions_of_the_paper(stored):
    network = load_vgg16(stored)
    assert count_parameters(network) == 14_714_688
    assert not network.training and not any(weight.requires_grad for weight in network.parameters())
    shapes = [tuple(layer.shape) for layer in network.activations(torch.rand(32, 32))]
    assert [shape[0] for shape in shapes] == [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    assert [shape[1] for shape in shapes] == [32, 32, 16, 16, 8, 8, 8, 4, 4, 4, 2, 2, 2]


def test_the_scale_of_a_picture_does_not_matter_and_an_even_one_is_no_fault(stored):
    network, picture = load_vgg16(stored), torch.rand(32, 32)
    for one, other in zip(network.activations(picture), network.activations(picture * 400 - 900), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    assert all(torch.isfinite(layer).all() for layer in network.activations(torch.zeros(32, 32)))
    assert resized(torch.rand(20, 50), 32).shape == (32, 32)


def test_a_torch_file_of_tensors_serves_too_with_its_classifier_left_out(weights, stored, tmp_path):
    path = tmp_path / "vgg16.pth"
    torch.save({**weights, "classifier.0.bias": torch.zeros(4)}, path)
    a, b = load_vgg16(path).state_dict(), load_vgg16(stored).state_dict()
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil-was-here",)


def bad_files(folder, weights):
    torch.save({"features.0.weight": Evil()}, folder / "evil.pth")
    torch.save([1, 2], folder / "list.pth")
    torch.save({**weights, "features.2.weight": torch.zeros(64, 64, 5, 5)}, folder / "shape.pth")
    torch.save({**weights, "features.0.bias": torch.full((64,), float("nan"))}, folder / "nan.pth")
    torch.save({name: tensor for name, tensor in weights.items() if "28" not in name}, folder / "short.pth")
    (folder / "noise.safetensors").write_bytes(b"\xff" * 100)
    (folder / "empty.pth").write_bytes(b"")
    return [*sorted(folder.iterdir()), folder / "nowhere.pth"]


def test_any_other_file_is_refused_in_one_line_that_names_it(weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "files"
    folder.mkdir()
    for path in bad_files(folder, weights):
        with pytest.raises(NetworkError) as refused:
            load_vgg16(path)
        assert str(refused.value).startswith(f"{path.name}: ") and "\n" not in str(refused.value)
    assert not (tmp_path / "evil-was-here").exists()
