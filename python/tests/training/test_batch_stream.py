"""Mini-batches from worker processes."""

from pathlib import Path

import blosc2
import numpy as np
import torch

from organincrement.imaging.cache import CachedCase, write_case
from organincrement.imaging.patches import PatchSampler
from organincrement.training import batches


def cached(folder: Path) -> list[CachedCase]:
    rng = np.random.default_rng(0)
    labels = np.zeros((128, 128, 128), np.int16)  # one chunk of many blocks, which blosc2 likes to share among threads
    labels[10:20, 10:20, 10:20] = 1
    return [write_case(folder, name, rng.normal(size=labels.shape), labels, seed=0) for name in ("a", "b")]


def source(folder: Path) -> batches.BatchSource:
    sampler = PatchSampler(cases=cached(folder), patch=(24, 24, 24), batch=2, foreground=1, seed=3, fill=-1.0)
    return batches.BatchSource(sampler=sampler, mirror_left_right=False)


def test_a_worker_reads_the_cache_that_its_parent_has_read_before(tmp_path, monkeypatch):
    # blosc2 with threads of its own hung here: the fork had its locks, and not its threads
    monkeypatch.setattr(batches, "_LONGEST_WAIT_S", 20)
    made = source(tmp_path)
    blosc2.set_nthreads(4)
    for case in made.sampler.cases:
        assert case.image_DHW().shape == (128, 128, 128)
    drawn = list(batches.stream(made, range(3), workers=1, pin=False))
    assert [image.shape for image, _, _ in drawn] == [(2, 1, 24, 24, 24)] * 3


def test_workers_give_the_batches_that_the_main_process_would(tmp_path):
    made = source(tmp_path)
    here, there = (list(batches.stream(made, [5, 6], workers=workers, pin=False)) for workers in (0, 1))
    for (image, labels, ids), (other_image, other_labels, other_ids) in zip(here, there, strict=True):
        assert torch.equal(image, other_image) and torch.equal(labels, other_labels) and ids == other_ids
