"""One vector a scan: from the deepest layer of every kind of network, the same whichever way the scan is cut."""

import numpy as np
import pytest
import torch
from tiny_models import tiny_network, tiny_spec

from organincrement.inference.pooled_features import PooledFeatures


@pytest.mark.parametrize("kind", ["PlainConvUNet", "ResidualEncoderUNet", "DynUNet", "SegResNet"])
def test_the_deepest_layer_of_each_kind_of_network_is_found_and_averaged(kind):
    network = tiny_network(tiny_spec(3, kind))
    pool = PooledFeatures(network, (16, 16, 16), torch.device("cpu"))
    first, second = torch.randn(2, 1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    means = []
    for windows in ((first,), (second,), (first, second)):
        with pool, torch.inference_mode():
            for window in windows:
                network(window)
        means.append(pool.mean)
    assert means[0].shape == means[2].shape and len(means[0]) >= 8
    np.testing.assert_allclose(means[2], (means[0] + means[1]) / 2, rtol=1e-6)
    assert not np.allclose(means[0], means[1])


def test_nothing_is_measured_outside_the_context_or_before_a_window():
    network = tiny_network(tiny_spec(2))
    pool = PooledFeatures(network, (8, 8, 8), torch.device("cpu"))
    with torch.inference_mode():
        network(torch.zeros(1, 1, 8, 8, 8))
        assert pool.mean is None
        with pool:
            network(torch.zeros(1, 1, 8, 8, 8))
        kept = pool.mean.copy()
        network(torch.ones(1, 1, 8, 8, 8))
    np.testing.assert_array_equal(pool.mean, kept)
    with pool:
        pass
    assert pool.mean is None
