"""Does the size ladder's arithmetic tell the memory of a training step? One process per rung, float32, batch 2, CPU.

    python -m benchmarks.memory [--rungs 2]

Prints the estimate of `networks.sizing.activation_bytes` beside the measured growth of resident memory.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from organincrement.networks.sizing import LADDER, activation_bytes

_STEP = """
import resource, sys
import torch
from organincrement.networks.build import build_network
from organincrement.networks.sizing import LADDER, unet_spec

size = LADDER[int(sys.argv[1])]
spec = unet_spec(size, 1, 5)
network = build_network(spec.kind, spec.args)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
network(torch.randn(2, 1, *size.patch)).float().log_softmax(1).square().mean().backward()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def main() -> None:
    """Print a row per rung."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rungs", type=int, default=2, help="from the smallest; the larger ones need a large machine")
    options = parser.parse_args()
    for rung, size in enumerate(LADDER[: options.rungs]):
        command = [sys.executable, "-c", _STEP, str(rung)]
        done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, encoding="utf-8", check=True)
        estimate = activation_bytes(size, 2)
        print(f"patch {size.patch}, features {size.features}: estimated {estimate / 2**20:.0f} MiB", end=", ")
        print(f"measured {int(done.stdout) / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
