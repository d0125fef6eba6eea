"""Tones that every test here learns from."""

import numpy as np
import pytest


@pytest.fixture
def tones():
    """Make panels whose class is the frequency of a tone."""

    def make(n=80, n_channels=2, n_times=32, seed=0, noise=0.5):
        rng = np.random.default_rng(seed)
        y = np.arange(n) % 2
        phase = rng.uniform(0, 2 * np.pi, (n, n_channels, 1))
        angle = 2 * np.pi * (0.06 + 0.12 * y)[:, None, None] * np.arange(n_times)
        return np.sin(angle + phase) + noise * rng.standard_normal((n, n_channels, n_times)), y

    return make
