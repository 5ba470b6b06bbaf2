"""A fixed plan of patches: the same mini-batches in turn, as they are without one."""

import torch
from test_batch_stream import source

from organincrement.training.batches import stream
from organincrement.training.patch_plan import FixedBatches


def test_the_first_mini_batches_come_again_augmentation_and_all(tmp_path):
    fresh = source(tmp_path)
    fixed = FixedBatches(sampler=fresh.sampler, mirror_left_right=fresh.mirror_left_right, count=2)
    drawn = [image for image, _, _ in stream(fixed, range(5), workers=1, pin=False)]
    assert torch.equal(drawn[0], fresh[0][0]) and torch.equal(drawn[1], fresh[1][0])
    assert torch.equal(drawn[2], drawn[0]) and torch.equal(drawn[3], drawn[1]) and torch.equal(drawn[4], drawn[0])
    assert not torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[2], fresh[2][0])
