"""`auto` becomes something that is there; what is not there is refused in one line."""

import pytest
import torch

from organincrement.training.device import DeviceError, ram_bytes, resolve_hardware

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this computer has a GPU")


@no_gpu
def test_auto_is_the_cpu_where_there_is_no_gpu():
    hardware = resolve_hardware("auto", "fp32")
    assert hardware.device.type == "cpu" and hardware.autocast is None
    assert hardware.description == f"cpu: {torch.get_num_threads()} threads"


def test_precision_is_one_that_the_cpu_computes_in():
    assert resolve_hardware("cpu", "auto").precision in ("bf16", "fp32")
    assert resolve_hardware("cpu", "bf16").autocast is torch.bfloat16


@no_gpu
def test_a_gpu_that_is_not_there_is_refused_with_what_to_do():
    with pytest.raises(DeviceError, match="use --device cpu, or check the driver"):
        resolve_hardware("cuda", "auto")


@pytest.mark.parametrize(("device", "precision"), [("tpu", "auto"), ("cpu", "fp8"), ("cpu", "fp16")])
def test_what_no_cpu_does_is_refused(device, precision):
    with pytest.raises(DeviceError, match=precision if device == "cpu" else device):
        resolve_hardware(device, precision)


def test_memory_in_use_is_that_of_a_python_with_torch():
    assert 50 * 2**20 < ram_bytes() < 64 * 2**30
