"""Files of torch.save and safetensors hold the tensors that torch itself finds in them."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from organincrement.models.errors import ModelError
from organincrement.models.torch_file import LazyTensor, read_safetensors, read_torch_file, write_torch_file

_TEACHER = Path(__file__).resolve().parents[4] / "shared/teachers/nnunet_v2_headneck/fold_all/checkpoint_final.pth"


def _count_same(found: Any, wanted: Any) -> int:
    """How many tensors two trees share; anything that differs fails."""
    if isinstance(wanted, torch.Tensor):
        assert isinstance(found, LazyTensor)
        tensor = found.read()
        assert (tensor.dtype, tensor.shape) == (wanted.dtype, wanted.shape) and torch.equal(tensor, wanted)
        assert tensor.is_contiguous() and found.nbytes == wanted.nbytes
        return 1
    if isinstance(wanted, dict):
        assert list(found) == list(wanted)
        return sum(_count_same(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, (list, tuple)):
        assert type(found) is (tuple if isinstance(wanted, tuple) else list) and len(found) == len(wanted)
        return sum(map(_count_same, found, wanted))
    assert found == (str(wanted) if isinstance(wanted, torch.device) else wanted)
    return 0


def _tensors() -> dict[str, torch.Tensor]:
    numbers = torch.arange(24.0).reshape(2, 3, 4)
    kinds = (
        torch.float64,
        torch.float16,
        torch.bfloat16,
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.uint8,
    )
    return {
        **{str(kind).removeprefix("torch."): numbers.to(kind) for kind in kinds},
        "truth": numbers > 3,
        "complex": torch.view_as_complex(numbers.reshape(3, 4, 2).clone()),
        "empty": torch.empty(0, 3),
        "scalar": torch.tensor(3.0),
    }


def _checkpoint() -> dict[str, Any]:
    shared = torch.arange(24.0).reshape(2, 3, 4)
    network = torch.nn.Sequential(torch.nn.Conv3d(1, 4, 3), torch.nn.BatchNorm3d(4))
    optimiser = torch.optim.Adam(network.parameters())
    network(torch.randn(1, 1, 4, 4, 4)).sum().backward()
    optimiser.step()
    return {
        **_tensors(),
        "parts of one": {"all": shared, "turned": shared.permute(2, 0, 1), "some": shared[1, 1:, ::2]},
        "parameter": torch.nn.Parameter(shared.clone()),
        "state": network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "plain": OrderedDict(size=torch.Size([1, 2]), dtype=torch.float16, device=torch.device("cpu")),
        "list": [(1, 2.5, None, "text"), [True]],
    }


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_checkpoint_holds_what_torch_loads_from_it(is_zip, protocol, tmp_path):
    path = tmp_path / "checkpoint.pth"
    torch.save(_checkpoint(), path, _use_new_zipfile_serialization=is_zip, pickle_protocol=protocol)
    wanted = torch.load(path, weights_only=protocol == 2)  # torch's own safe reader knows protocol 2 alone
    assert _count_same(read_torch_file(path), wanted) > 30


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
def test_numpy_numbers_in_a_checkpoint_are_numbers(is_zip, tmp_path):
    path = tmp_path / "checkpoint.pth"
    kept = {"best": np.float64(0.75), "step": np.int64(9), "curve": np.arange(3.0, dtype=np.float32)}
    torch.save(kept, path, _use_new_zipfile_serialization=is_zip)
    found = read_torch_file(path)
    assert (found["best"], found["step"]) == (0.75, 9) and type(found["best"]) is float
    assert found["curve"].dtype == np.float32 and found["curve"].tolist() == [0, 1, 2]


@pytest.mark.skipif(not _TEACHER.exists(), reason="the nnU-Net checkpoint is not on this computer")
def test_a_checkpoint_of_nnunet_holds_what_torch_loads_from_it():
    found = read_torch_file(_TEACHER)
    assert _count_same(found, torch.load(_TEACHER, weights_only=True)) == 164
    assert found["init_args"]["dataset_json"]["labels"]["RightParotid"] == 3


def test_a_checkpoint_without_checksums_can_be_read(tmp_path):
    path = tmp_path / "checkpoint.pth"
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(_tensors(), path)
    finally:
        torch.serialization.set_crc32_options(True)
    assert _count_same(read_torch_file(path), _tensors()) == 12


def test_a_safetensors_file_holds_what_was_saved(tmp_path):
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file(_tensors(), path)
    found = dict(sorted(read_safetensors(path).items()))
    assert _count_same(found, dict(sorted(_tensors().items()))) == 12


def test_a_tensor_takes_another_shape_of_as_many_elements(tmp_path):
    torch.save({"weight": torch.arange(6.0).reshape(2, 3).T}, tmp_path / "a.pt")
    weight = read_torch_file(tmp_path / "a.pt")["weight"]
    assert weight.reshaped((6, 1)).read().flatten().tolist() == [0, 3, 1, 4, 2, 5]
    with pytest.raises(ModelError, match=r"a\.pt: \[3, 2\] cannot take the shape \[4, 2\]"):
        weight.reshaped((4, 2))


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path):
    path = tmp_path / "a.pt"
    torch.save({"weight": torch.zeros(100)}, path)
    weight = read_torch_file(path)["weight"]
    torch.save({"weight": torch.zeros(200)}, path)
    with pytest.raises(ModelError, match=r"a\.pt: has changed while it was read; try again"):
        weight.read()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
@pytest.mark.parametrize("numbers", [10, 100_000])
def test_a_full_disk_is_the_system_s_error_not_torch_s_own(numbers):
    with pytest.raises(OSError, match="No space left"):
        write_torch_file({"weight": torch.zeros(numbers)}, Path("/dev/full"))


def test_what_is_written_is_what_torch_would_write(tmp_path):
    write_torch_file(_tensors(), tmp_path / "model.pt")
    assert _count_same(read_torch_file(tmp_path / "model.pt"), torch.load(tmp_path / "model.pt", weights_only=True)) > 8
