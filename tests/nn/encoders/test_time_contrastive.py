"""The network against the exact posterior, and what training it recovers."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.stats import laplace, ortho_group
from sklearn.decomposition import FastICA
from torch.nn import functional

from sklearn_dbt.nn.encoders import TimeContrastiveNetwork, joint_diagonalize
from sklearn_dbt.nn.encoders._time_contrastive import mean_magnitudes


def network(*sizes, seed=0, dtype=torch.float64, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return TimeContrastiveNetwork(*sizes, **options).to(dtype)


def points(*shape, seed=1, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_logits_are_a_linear_function_of_non_negative_features():
    net, x = network(4, 3, 7), points(20, 4)
    features = net.features(x)
    assert features.shape == (20, 3)
    assert (features >= 0).all()
    with torch.no_grad():
        net.exponent.copy_(torch.tensor([0.5, 1.0, 2.0]))
        net.offset.copy_(points(7, seed=2))
    bias = net.offset + (net.exponent * net.log_rate).sum(1)
    expected = bias - features @ net.log_rate.exp().T
    torch.testing.assert_close(net(x), expected)


def test_features_are_magnitudes_of_sources():
    net, x = network(4, 3, 7, hidden_layer_sizes=(5,)), points(20, 4)
    torch.testing.assert_close(net.features(x), net.sources(x).abs())


def test_it_starts_from_laplace_sources():
    rng = np.random.default_rng(0)
    segments = torch.arange(4).repeat_interleave(500)
    scales = rng.uniform(0.3, 2, (4, 2))
    x = torch.from_numpy(scales[segments] * rng.laplace(size=(2000, 2)))
    net = network(2, 2, 9, hidden_layer_sizes=())
    net.start(torch.eye(2), x, segments)
    assert net.log_rate.shape == (4, 2)
    magnitudes = mean_magnitudes(net.features(x), segments)
    by_hand = torch.stack([net.features(x)[segments == k].mean(0) for k in range(4)])
    by_hand += 0.01 * net.features(x).mean(0)
    torch.testing.assert_close(magnitudes, by_hand)
    np.testing.assert_allclose((-net.log_rate).exp().detach().numpy(), scales, rtol=0.15)
    torch.testing.assert_close(net.log_rate, -magnitudes.log())
    # What it was for: the start tells the segments apart much better than guessing does.
    assert functional.cross_entropy(net(x), segments) < math.log(4) - 0.1


def test_silent_sources_have_finite_rates():
    x = torch.zeros(6, 2)
    x[:3, 0] = 1
    found = mean_magnitudes(x, torch.tensor([0, 0, 0, 1, 1, 1]))
    assert (found > 0).all()
    assert torch.isfinite(1 / found).all()


def test_it_can_be_the_exact_posterior_of_linearly_mixed_laplace_sources():
    rng = np.random.default_rng(0)
    scales, mixing = rng.uniform(0.2, 2, (5, 3)), rng.standard_normal((3, 3))
    net = network(3, 3, 5, hidden_layer_sizes=())
    state = {
        "sources.linear.weight": np.linalg.inv(mixing),
        "sources.projection.weight": np.zeros((3, 3)),
        "sources.projection.bias": np.zeros(3),
        "log_rate": -np.log(scales),
        "exponent": np.ones(3),
        "offset": np.zeros(5),
    }
    net.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    sources = rng.laplace(size=(50, 3))
    likelihood = np.exp(laplace.logpdf(sources[:, None], scale=scales).sum(axis=2))
    posterior = likelihood / likelihood.sum(axis=1, keepdims=True)
    found = functional.softmax(net(torch.from_numpy(sources @ mixing.T)), dim=1)
    np.testing.assert_allclose(found.detach().numpy(), posterior, rtol=1e-9)


def test_gradients():
    net, x = network(3, 2, 4, hidden_layer_sizes=(5, 4)), points(6, 3).requires_grad_()
    assert torch.autograd.gradcheck(net, (x,))


def test_compiled_it_says_the_same():
    net, x = network(4, 3, 7), points(20, 4)
    torch.testing.assert_close(torch.compile(net, backend="aot_eager")(x), net(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_precision_is_kept(dtype):
    assert network(4, 3, 7, dtype=dtype)(points(2, 4, dtype=dtype)).dtype == dtype


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, 3, 7), "n_channels must be at least 1, got 0"),
        ((4, 0, 7), "n_components must be at least 1, got 0"),
        ((4, 3, 1), "n_segments must be at least 2, got 1"),
    ],
)
def test_sizes_are_checked(sizes, message):
    with pytest.raises(ValueError, match=message):
        TimeContrastiveNetwork(*sizes)


def test_layer_sizes_are_checked():
    with pytest.raises(ValueError, match=r"hidden_layer_sizes\[1\] must be at least 1, got 0"):
        TimeContrastiveNetwork(4, 3, 7, hidden_layer_sizes=(8, 0))


# --- what training recovers ----------------------------------------------------------------------


def mixture(n, n_layers, n_segments, n_times, seed):
    """Sources of changing scale and their mixture, `n_layers - 1` times leaky, then rotated.

    Returns sources and observations of shape (2, n_segments, n_times, n): to fit, and to score on.
    """
    rng = np.random.RandomState(seed)
    scales = rng.uniform(0.01, 3, (n_segments, 1, n))
    sources = scales * rng.standard_normal((2, n_segments, n_times, n))
    observed = sources
    for _ in range(n_layers - 1):
        rotation = ortho_group.rvs(n, random_state=rng)
        observed = np.where(observed > 0, observed, 0.2 * observed) @ rotation
    return sources, observed


def matched_correlation(a, b):
    """Mean absolute correlation of the columns, each with its partner."""
    a, b = a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])
    table = np.abs(np.corrcoef(a.T, b.T)[: a.shape[1], a.shape[1] :])
    return table[linear_sum_assignment(-table)].mean()


def whiten(x):
    flat = x[0].reshape(-1, x.shape[-1])
    values, vectors = np.linalg.eigh(np.cov(flat.T))
    return torch.from_numpy((x - flat.mean(0)) @ (vectors / np.sqrt(values))).float()


def train(net, x, n_steps, learning_rate, seed, batch_size=512):
    """Adam with a cosine; returns the last contrastive loss on all of `x`, (segments, times, n)."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(len(x)).repeat_interleave(x.shape[1])
    covariances = np.stack([np.cov(segment.T) for segment in x.double().numpy()])
    x = x.flatten(0, 1)
    net.start(torch.from_numpy(joint_diagonalize(covariances).unmixing).to(x), x, labels)
    optimizer = torch.optim.Adam(net.parameters(), lr=learning_rate)
    for step in range(n_steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * (1 + math.cos(math.pi * step / n_steps)) / 2
        rows = torch.randint(len(x), (batch_size,), generator=generator)
        optimizer.zero_grad()
        functional.cross_entropy(net(x[rows]), labels[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        return float(functional.cross_entropy(net(x), labels))


def unmixed(net, x):
    """Features of held-out time, unmixed by the segments' covariances of the first part."""
    with torch.no_grad():
        features, held_out = net.features(x[0]).double().numpy(), net.features(x[1]).numpy()
    covariances = np.stack([np.cov(segment.T) for segment in features])
    covariances += 1e-6 * covariances.mean(0)
    return held_out @ joint_diagonalize(covariances).unmixing.T


def linear_score(sources, observed):
    ica = FastICA(random_state=0, max_iter=1000, tol=1e-3).fit(
        observed[0].reshape(-1, observed.shape[-1])
    )
    found = ica.transform(observed[1].reshape(-1, observed.shape[-1]))
    return matched_correlation(np.abs(found), np.abs(sources[1]))


@pytest.mark.parametrize("seed", [0, 1])
def test_training_recovers_sources_that_linear_ica_does_not(seed):
    sources, observed = mixture(3, 4, 12, 300, seed)
    x = whiten(observed)
    net = network(3, 3, 12, seed=seed, dtype=torch.float32)
    chance = math.log(12)
    assert train(net, x[0], 400, 0.02, seed) < chance - 0.5
    score = matched_correlation(unmixed(net, x), np.abs(sources[1]))
    assert score > linear_score(sources, observed) + 0.15
    assert score > 0.8


@pytest.mark.slow
def test_published_protocol():
    """5 sources, 4 layers, 20 segments of 500, where linear ICA scores about .5 on |s|."""
    scores, linear = [], []
    for data in (1, 2):
        sources, observed = mixture(5, 4, 20, 500, seed=data)
        x, runs = whiten(observed), []
        for seed in range(2):
            net = network(5, 5, 20, seed=seed, dtype=torch.float32)
            loss = train(net, x[0], 1500, 0.03, seed)
            runs.append((loss, matched_correlation(unmixed(net, x), np.abs(sources[1]))))
        # The run is chosen by its contrastive loss, never by the truth.
        scores.append(min(runs)[1])
        linear.append(linear_score(sources, observed))
    assert min(scores) > 0.84
    assert np.mean(scores) > 0.87
    assert np.mean(scores) > np.mean(linear) + 0.25
