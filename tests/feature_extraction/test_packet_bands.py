"""The best basis against all trees there are, and packets of a tree against PyWavelets."""

import numpy as np
import pytest
import pywt
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.feature_extraction._packet_bands import PacketTransform, best_basis
from sklearn_dbt.feature_extraction._sparsity import COSTS, sparsity_cost

MODES = pywt.Modes.modes


def signals(n, seed=0, shape=(2, 3)):
    return np.random.default_rng(seed).normal(size=(*shape, n))


def trees(level, path=""):
    """Leaves, in any order, of every tree that is at most so deep."""
    yield (path,)
    if len(path) < level:
        for low in trees(level, path + "a"):
            for high in trees(level, path + "d"):
                yield low + high


def cost_of(leaves, recordings, wavelet, mode, name):
    """Cost of one tree, each leaf by PyWavelets."""
    total = 0.0
    for x in recordings:
        for series in x.reshape(-1, x.shape[-1]):
            packet = pywt.WaveletPacket(series, wavelet, mode)
            c = torch.from_numpy(np.concatenate([packet[leaf].data for leaf in leaves]))
            total += float(sparsity_cost(c, torch.tensor(np.sum(series**2)), name))
    return total


def test_number_of_trees():
    assert [sum(1 for _ in trees(level)) for level in range(4)] == [1, 2, 5, 26]


@pytest.mark.parametrize("name", COSTS)
@pytest.mark.parametrize("mode", ["periodization", "symmetric"])
@pytest.mark.parametrize("seed", range(3))
def test_best_basis_is_the_cheapest_of_all_trees(name, mode, seed):
    rng = np.random.default_rng(seed)
    t, packets = np.arange(64), PacketTransform("db2", mode, 3)
    waves = np.cos(2 * np.pi * rng.uniform(0, 0.5, (3, 2, 1)) * t)
    recordings = [waves + 0.1 * rng.normal(size=waves.shape), signals(40, seed)]
    found = best_basis(packets, recordings, name)
    all_trees = [leaves for leaves in trees(3) if leaves != ("",)]
    costs = [cost_of(leaves, recordings, "db2", mode, name) for leaves in all_trees]
    assert cost_of(found, recordings, "db2", mode, name) == pytest.approx(min(costs), rel=1e-9)
    assert set(found) == set(all_trees[int(np.argmin(costs))])


def test_best_basis_follows_the_signal():
    t = np.arange(256)
    wave, click = np.cos(2 * np.pi * 0.33 * t)[None, None], np.zeros((1, 1, 256))
    click[..., 100] = 1
    packets = PacketTransform("db4", "periodization", 4)
    # A wave is narrow in frequency: its packet is split to the end. A click is not split at all.
    assert len(max(best_basis(packets, [wave], "shannon"), key=len)) == 4
    assert best_basis(packets, [click], "shannon") == ("a", "d")
    assert len(best_basis(packets, [np.zeros((1, 1, 32))], "shannon")) == 2


@st.composite
def pruned(draw, level):
    """Leaves of a tree that is split at the root."""

    def grow(path):
        if path and (len(path) == level or draw(st.booleans())):
            return (path,)
        return grow(path + "a") + grow(path + "d")

    return grow("")


@settings(max_examples=80)
@given(pruned(3), st.integers(8, 70), st.sampled_from(MODES), st.integers(0, 2**16))
def test_packets_of_any_tree(leaves, n, mode, seed):
    x = signals(n, seed, (2,))
    transform = PacketTransform("db2", mode, 3, leaves)
    bands = transform.analysis(x)
    assert set(transform.names) == set(leaves)
    for series, *parts in zip(x, *bands, strict=True):
        packet = pywt.WaveletPacket(series, "db2", mode, maxlevel=3)
        for name, part in zip(transform.names, parts, strict=True):
            np.testing.assert_allclose(part, packet[name].data, atol=1e-9)
    scale = max(np.abs(band).max() for band in bands) + 1
    np.testing.assert_allclose(transform.synthesis(bands, n), x, atol=1e-11 * scale)
    np.testing.assert_allclose(transform.components(x).sum(axis=1), x, atol=1e-12 * scale)
    edges = transform.edges
    assert (edges[0, 0], edges[-1, 1]) == (0, 0.5)
    np.testing.assert_array_equal(edges[1:, 0], edges[:-1, 1])
    np.testing.assert_array_equal(
        np.diff(edges)[:, 0], [0.5 ** (len(p) + 1) for p in transform.names]
    )
