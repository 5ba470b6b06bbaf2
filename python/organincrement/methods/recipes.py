"""Recipes that several methods share: how long, how fast, with which optimiser."""

from dataclasses import replace

from organincrement.methods.protocol import Recipe

# arXiv 2103.05227, section 3.1; steps and schedule are not given there and are ours
PAPER_ADAM = Recipe(
    steps=25000, batch=2,
    optimizer={"name": "adam", "lr": 3e-5, "weight_decay": 3e-5},
    schedule={"name": "poly", "power": 0.9, "warmup_steps": 0},
)  # fmt: skip

COMPARED = "terms as its paper has them, schedule of the comparison in arXiv 2103.05227"

# nnU-Net: 1000 epochs of 250 steps
PAPER_NNUNET = Recipe(
    steps=250_000, batch=2,
    optimizer={"name": "sgd", "lr": 0.01, "momentum": 0.99, "nesterov": True, "weight_decay": 3e-5},
    schedule={"name": "poly", "power": 0.9, "warmup_steps": 0},
)  # fmt: skip

# arXiv 2108.02559, section 3.1: 1000 epochs of 250 steps; there the rate falls by 20 % whenever the loss stalls
PAPER_MSKD = Recipe(
    steps=250_000, batch=4,
    optimizer={"name": "adam", "lr": 3e-4},
    schedule={"name": "poly", "power": 0.9, "warmup_steps": 0},
)  # fmt: skip

PAPER_MSKD_NOTE = "the paper's terms; the rate falls as a power of the steps left, half the patches hold an organ"

FROM_SCRATCH = Recipe(
    steps=2000, batch=2,
    optimizer={"name": "adamw", "lr": 2e-3, "weight_decay": 1e-4},
    schedule={"name": "poly", "power": 0.9, "warmup_steps": 50}, ema=0.995,
)  # fmt: skip

FROM_TEACHER = Recipe(
    steps=400, batch=2,
    optimizer={"name": "adamw", "lr": 2e-3, "weight_decay": 1e-4},
    schedule={"name": "poly", "power": 0.9, "warmup_steps": 20}, ema=0.99,
)  # fmt: skip

# where less than the teacher's whole network goes on: with the weights of one of several teachers 400 steps did not
# find the last of headneck's organs; a new decoder on a frozen encoder has half of them before it is pruned
FROM_PART_OF_TEACHER = replace(FROM_TEACHER, steps=1200)

# arXiv 2302.00162: optimiser and averages; the length is ours, nnU-Net's 1000 epochs, and as many after each pruning,
# with 50 to recover: 8.35 times 250,000 steps
PAPER_DECODER = Recipe(
    steps=2_087_500, batch=2,
    optimizer={"name": "adam", "lr": 3e-4},
    schedule={"name": "poly", "power": 0.9, "warmup_steps": 0, "ema_first": 0.99}, ema=0.999,
)  # fmt: skip

# its encoder is a first model's
PAPER_ENCODER = replace(PAPER_DECODER, steps=250_000, patch=(112, 96, 128))

# arXiv 2302.00162, a later version; targets: shares of a decoder's weights that are pruned, one after another
PAPER_PRUNING = {
    "start": "fresh", "rewind": True, "window": 10, "retraining": 1.0,
    "targets": (0.80, 0.90, 0.95, 0.98, 0.99, 0.995, 0.998),
}  # fmt: skip
