"""Freed memory stays with the process: the system is not asked for the same pages again, and nothing else changes."""

import subprocess
import sys
from pathlib import Path

import pytest

ENGINE = Path(__file__).resolve().parents[2]
_PASSES = """
import resource, sys, torch
from organincrement.networks.heap import keep_freed_memory
kept = sys.argv[1] == "kept" and keep_freed_memory()
image = torch.randn(1, 4, 84, 84, 84, generator=torch.Generator().manual_seed(0))
layer = torch.nn.Conv3d(4, 16, 1)  # 38 MB a pass, above what glibc keeps
layer.weight.data.fill_(0.5), layer.bias.data.zero_()
with torch.inference_mode():
    answers = {float(layer(image).sum()) for _ in range(20)}  # the heap grows by some blocks first
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    answers |= {float(layer(image).sum()) for _ in range(5)}
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(kept, faults, *answers)
"""


def passes(way: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _PASSES, way], cwd=ENGINE, capture_output=True, encoding="utf-8", check=True, timeout=120
    )
    return done.stdout.split()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' C libraries cannot be told")
def test_a_pass_takes_the_pages_that_the_one_before_gave_back():
    kept, faults, *answers = passes("kept")
    _, usual, *same = passes("usual")
    if kept != "True":
        pytest.skip("this C library is not glibc")
    assert int(faults) < 10_000 < 40_000 < int(usual)
    assert answers == same and len(answers) == 1
