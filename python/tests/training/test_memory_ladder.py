"""Too little memory: smaller tiles, then the CPU, each said; the answer stays the same."""

import numpy as np
import pytest
import torch
from tiny_models import organs, tiny_manifest, tiny_network, tiny_spec

from organincrement.contract.events import read_events
from organincrement.imaging.cache import write_case
from organincrement.imaging.volume import Volume
from organincrement.inference.memory import is_out_of_memory
from organincrement.inference.predict import PredictionSettings, predict_volume, predict_within_memory
from organincrement.training.device import Hardware, resolve_hardware
from organincrement.training.validation import Segmenter
from organincrement.workflows import plan_estimate, train
from organincrement.workflows.train import run_job

CPU = torch.device("cpu")
NO_RAM = "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried 8 bytes"


@pytest.mark.parametrize(
    ("error", "is_so"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("cuBLAS error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError(NO_RAM), True),
        (MemoryError(), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_errors_for_want_of_memory_are_told_from_others(error, is_so):
    assert is_out_of_memory(error) == is_so


def failing(count: int, error: BaseException, function):
    """The function, its first `count` calls failing."""
    left = iter(range(count))

    def call(*args, **settings):
        if next(left, None) is not None:
            raise error
        return function(*args, **settings)

    return call


def scan() -> Volume:
    hu = np.random.default_rng(0).normal(0, 200, (20, 22, 24)).astype(np.float32)
    return Volume(hu, (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), np.eye(3))


@pytest.fixture
def model():
    space = organs("liver", "spleen")
    spec = tiny_spec(3)
    return tiny_network(spec, scale=5.0), tiny_manifest(space, spec)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), RuntimeError(NO_RAM)])
def test_a_scan_that_does_not_fit_is_segmented_in_smaller_tiles(model, monkeypatch, error):
    network, manifest = model
    settings, said = PredictionSettings(uncertainty="entropy"), []
    expected = predict_volume(network, manifest, scan(), CPU, settings)
    monkeypatch.setattr(network, "forward", failing(2, error, network.forward))
    found = predict_within_memory(network, manifest, scan(), CPU, settings, said.append)
    assert said == [
        "out of memory: going on in smaller tiles, of 64 MiB",
        "out of memory: going on in smaller tiles, of 16 MiB",
    ]
    np.testing.assert_array_equal(found.labels_DHW, expected.labels_DHW)
    np.testing.assert_array_equal(found.uncertainty_DHW, expected.uncertainty_DHW)
    assert found.device == CPU


def test_a_window_that_does_not_fit_anywhere_ends_with_what_to_do(model, monkeypatch):
    network, manifest = model
    monkeypatch.setattr(network, "forward", failing(99, MemoryError(), network.forward))
    with pytest.raises(MemoryError, match="even in the smallest tiles: close other programs"):
        predict_within_memory(network, manifest, scan(), CPU, PredictionSettings())


def test_other_errors_are_not_taken_for_want_of_memory(model, monkeypatch):
    network, manifest = model
    monkeypatch.setattr(network, "forward", failing(1, RuntimeError("shapes differ"), network.forward))
    with pytest.raises(RuntimeError, match="shapes differ"):
        predict_within_memory(network, manifest, scan(), CPU, PredictionSettings())


def test_validation_goes_down_the_ladder_once_and_finds_the_same(tmp_path, model, monkeypatch):
    network, _ = model
    image = np.random.default_rng(1).normal(size=(21, 17, 30)).astype(np.float32)
    case = write_case(tmp_path, "pt", image, np.zeros(image.shape, np.int16), seed=0)
    said: list[str] = []
    segmenter = Segmenter(
        patch=(8, 8, 8), step=0.5, fill=-1.0, device=CPU, autocast=None, between=lambda: None,
        warn=lambda code, message: said.append(f"{code}: {message}"),
    )  # fmt: skip
    labels, logits = segmenter.labels(network, case, 3), segmenter.logits(network, case, 3)
    monkeypatch.setattr(network, "forward", failing(2, torch.OutOfMemoryError("CUDA"), network.forward))
    np.testing.assert_array_equal(segmenter.labels(network, case, 3), labels)
    assert torch.equal(segmenter.logits(network, case, 3), logits)
    assert said == [
        "smaller_tiles: out of GPU memory while validating: going on in smaller tiles",
        "smaller_tiles: out of GPU memory while validating: going on in the smallest tiles, summed in main memory",
    ]


def test_a_job_whose_patch_does_not_fit_the_gpu_goes_on_on_the_cpu(tiny_world, tmp_path, monkeypatch):
    from tiny_world import student_job

    job, run = student_job(tiny_world, tmp_path), train._run
    on_gpu = Hardware(device=torch.device("cuda"), precision="fp16")
    monkeypatch.setattr(train, "resolve_hardware", failing_to(on_gpu, resolve_hardware))

    def full(job, events, hardware, started_s):
        if hardware is on_gpu:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(job, events, hardware, started_s)

    monkeypatch.setattr(train, "_run", full)
    assert run_job(job) == "finished"
    events = read_events(job.events_path)
    assert events[0].type == "warned" and "does not fit into GPU memory: going on on the CPU" in events[0].message
    assert events[1].type == "started" and events[1].device.startswith("cpu: ")


def failing_to(first, function):
    """The function, but its first call gives this."""
    answers = iter([first])
    return lambda *args: next(answers, None) or function(*args)


def test_a_plan_whose_step_does_not_fit_is_made_of_parts_and_says_so(tiny_world, tmp_path, monkeypatch):
    from organincrement.workflows.make_plan import PlanRequest, make_plan

    said: list[str] = []
    request = PlanRequest(
        dataset=tiny_world.site_b.path, out=tmp_path / "plan.json", teacher=tiny_world.teacher, method="fine-tune",
        device="cpu", overrides={"training.batch": 4, "training.steps": 10}, notice=said.append,
    )  # fmt: skip
    error = RuntimeError(NO_RAM)
    monkeypatch.setattr(plan_estimate, "estimate", failing(2, error, plan_estimate.estimate))
    plan = make_plan(request)
    assert (plan.training.batch, plan.training.accumulation) == (4, 4) and plan.estimate.seconds > 0
    assert said == [f"out of memory: each batch will be made of {parts} parts" for parts in (2, 4)]
    monkeypatch.setattr(plan_estimate, "estimate", failing(9, error, plan_estimate.estimate))
    with pytest.raises(ValueError, match=r"not enough memory for one patch of .*: close other programs"):
        make_plan(request)
