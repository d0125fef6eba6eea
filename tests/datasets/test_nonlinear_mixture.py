"""The protocols against the statistics they state, and mixtures against their inverses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest, kurtosis

from sklearn_dbt.datasets import make_nonlinear_mixture
from sklearn_dbt.datasets._nonlinear_mixture import PROTOCOLS, leaky, well_conditioned

each = pytest.mark.parametrize("protocol", PROTOCOLS)
SIZES = {  # n, L, segments, time points of a recording, as published
    "tcl2016": (20, 5, 256, 256 * 512),
    "icebeem": (5, 4, 20, 20 * 2000),
    "ivae": (5, 3, 40, 40 * 1000),
    "pcl": (5, 3, 1, 65_536),
    "hmm": (5, 4, 11, 100_000),
}


def small(protocol, **options):
    options = {"n_sources": 3, "n_segments": 4, "n_times": 60, "random_state": 0, **options}
    return make_nonlinear_mixture(protocol, **options)


def strengths(sources, segments):
    """Standard deviation of each source in each segment."""
    return np.stack([sources[:, segments == k].std(axis=1) for k in np.unique(segments)])


@each
def test_published_sizes(protocol):
    n, n_layers, n_segments, n_times = SIZES[protocol]
    X, sources, segments = make_nonlinear_mixture(protocol, random_state=0)
    assert X.shape == sources.shape == (1, n, n_times)
    assert np.unique(segments).tolist() == list(range(n_segments))
    assert PROTOCOLS[protocol].sizes.n_layers == n_layers


@each
def test_sizes_can_be_chosen(protocol):
    X, sources, segments = small(protocol, n_recordings=2, n_layers=2)
    n_times = 60 if protocol in ("pcl", "hmm") else 4 * 60
    assert X.shape == sources.shape == (2, 3, n_times)
    assert segments.shape == (2, n_times)
    assert segments.dtype == np.int64


@each
def test_same_seed_same_data(protocol):
    first, again, other = (small(protocol, random_state=seed) for seed in (1, 1, 2))
    for a, b, c in zip(first[:2], again[:2], other[:2], strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.abs(a - c).max() > 0.1
    state = [small(protocol, random_state=np.random.RandomState(3)).X for _ in range(2)]
    np.testing.assert_array_equal(*state)


@each
def test_recordings_are_new_sources_of_one_mixture(protocol):
    X, sources, _ = small(protocol, n_recordings=2, n_times=400)
    assert np.abs(sources[0] - sources[1]).max() > 0.1
    # A nearest neighbour among the sources of the other recording has nearly the same mixture.
    distance = np.linalg.norm(sources[0][:, :, None] - sources[1][:, None, :], axis=0)
    near = np.argsort(distance.min(axis=1))[:20]
    partner = distance.argmin(axis=1)[near]
    apart = np.linalg.norm(X[0][:, near] - X[1][:, partner], axis=0)
    stretch = apart / distance[near, partner]
    assert stretch.max() < 4


@each
def test_nearby_sources_stay_apart(protocol):
    """The mixture is one to one: no two sources that differ are mixed alike."""
    X, sources, _ = small(protocol, n_times=150)
    gap = lambda z: np.linalg.norm(z[0][:, :, None] - z[0][:, None, :], axis=0)  # noqa: E731
    rows, columns = np.triu_indices(X.shape[2], k=1)
    assert (gap(X)[rows, columns] > 1e-4 * gap(sources)[rows, columns]).all()


@pytest.mark.parametrize(
    ("protocol", "low", "high", "excess"),
    [("tcl2016", 0, 1, 3), ("icebeem", 0.01, 3, 0), ("ivae", 0.5, 3, 0)],
)
def test_strengths_and_distribution_within_segments(protocol, low, high, excess):
    _, sources, segments = make_nonlinear_mixture(
        protocol, n_sources=4, n_segments=100, n_times=4000, random_state=0
    )
    found = strengths(sources[0], segments[0])
    assert kstest(found.ravel(), "uniform", args=(low, high - low)).pvalue > 0.01
    standard = sources[0] / found[segments[0]].T
    assert kurtosis(standard, axis=1) == pytest.approx([excess] * 4, abs=0.15)
    np.testing.assert_allclose(np.corrcoef(sources[0]), np.eye(4), atol=0.02)
    np.testing.assert_allclose(standard.mean(axis=1), 0, atol=0.01)


def test_recordings_share_their_strengths():
    _, sources, segments = make_nonlinear_mixture("icebeem", n_recordings=2, random_state=0)
    first, second = (strengths(sources[i], segments[i]) for i in range(2))
    np.testing.assert_allclose(first, second, rtol=0.12)


def test_autoregression():
    _, sources, _ = make_nonlinear_mixture("pcl", random_state=0)
    now, before = sources[0, :, 1:], sources[0, :, :-1]
    for a, b in zip(now, before, strict=True):
        assert a @ b / (b @ b) == pytest.approx(0.7, abs=0.02)
    innovations = now - 0.7 * before
    assert kurtosis(innovations, axis=1) == pytest.approx([3] * 5, abs=0.4)
    np.testing.assert_allclose(innovations.var(axis=1), 1, rtol=0.05)
    lag2 = np.corrcoef(innovations[0, 1:], innovations[0, :-1])[0, 1]
    assert lag2 == pytest.approx(0, abs=0.02)


def test_hidden_states():
    _, sources, states = make_nonlinear_mixture("hmm", random_state=0)
    moves = (np.diff(states[0]) % 11).astype(int)
    assert set(moves) == {0, 1}
    assert (moves == 0).mean() == pytest.approx(0.99, abs=0.002)
    means = np.stack([sources[0][:, states[0] == k].mean(axis=1) for k in range(11)])
    np.testing.assert_allclose(np.linalg.norm(means, axis=1), 2, rtol=0.02)
    found = strengths(sources[0], states[0])
    assert found.min() > 0.09
    assert found.max() < 0.51


def test_mixing_matrices():
    rng = np.random.default_rng(0)
    matrices = well_conditioned(6, 3, rng)
    np.testing.assert_allclose(np.linalg.norm(matrices, axis=1), 1, rtol=1e-12)
    usual = rng.uniform(-1, 1, (4000, 6, 6))
    usual /= np.linalg.norm(usual, axis=1, keepdims=True)
    quarter = np.quantile(np.linalg.cond(usual), 0.25)
    assert (np.linalg.cond(matrices) < 1.1 * quarter).all()


def test_one_layer_is_linear():
    for protocol in ("tcl2016", "ivae", "pcl", "hmm"):
        X, sources, _ = small(protocol, n_layers=1)
        residual = np.linalg.lstsq(sources[0].T, X[0].T, rcond=None)[1]
        np.testing.assert_allclose(residual, 0, atol=1e-20)
    X, sources, _ = small("icebeem", n_layers=1)
    np.testing.assert_array_equal(X, sources)


def test_two_layers_of_rotations_are_linear_in_distorted_sources():
    X, sources, _ = small("icebeem", n_layers=2)
    residual = np.linalg.lstsq(leaky(0.2)(sources[0]).T, X[0].T, rcond=None)[1]
    np.testing.assert_allclose(residual, 0, atol=1e-20)
    # With three layers they are not.
    X, sources, _ = small("icebeem", n_layers=3)
    assert np.linalg.lstsq(leaky(0.2)(sources[0]).T, X[0].T, rcond=None)[1].min() > 1


@settings(max_examples=20, deadline=None)
@given(st.floats(-5, 5), st.floats(0.05, 1))
def test_leaky(value, slope):
    found = leaky(slope)(np.array([value]))[0]
    assert found == (value if value > 0 else slope * value)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"protocol": "vae"}, ValueError, r"one of \['tcl2016', .*'hmm'\], got 'vae'"),
        ({"n_sources": 0}, ValueError, "n_sources must be at least 1, got 0"),
        ({"n_layers": 0}, ValueError, "n_layers must be at least 1"),
        ({"n_segments": 2.5}, TypeError, "n_segments must be an integer, got 2.5"),
        ({"n_times": True}, TypeError, "n_times must be an integer"),
        ({"n_recordings": 0}, ValueError, "n_recordings must be at least 1"),
    ],
)
def test_what_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        make_nonlinear_mixture(**options)
