"""Which slices a network is surest of: AeiSeg keeps these as exemplars, against forgetting."""

import numpy as np


def foreground_variance(p_TNHW: np.ndarray) -> np.ndarray:
    """Mean over the pixels of the variance of a class's probability over T stochastic passes.

    Args: p_TNHW: T passes over N slices. Returns: (N,). The paper names no statistic of the passes: this one is ours.
    """
    return p_TNHW.var(axis=0).mean(axis=(1, 2))


def surest_slices(uncertainty_N: np.ndarray, present_N: np.ndarray, count: int) -> np.ndarray:
    """The `count` least uncertain slices that show the organ, surest first; all of them where there are fewer.

    Args: present_N: true where the slice shows the organ. Values equal to 12 decimals tie: the lower index comes first.
    """
    shown = np.flatnonzero(present_N)
    return shown[np.argsort(np.round(uncertainty_N[shown], 12), kind="stable")][:count]
