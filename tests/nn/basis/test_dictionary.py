"""Sparse codes in a learnt dictionary; what every basis does is in test_properties.py."""

import itertools
import math

import numpy as np
import pytest
import sklearn.decomposition
import torch

from sklearn_dbt.nn.basis import DCT, Composition, Dictionary, Separable, Stack
from sklearn_dbt.nn.dropout import TransformDropout


def numbers(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def with_random_atoms(basis, seed=3):
    torch.nn.init.normal_(basis.weight, generator=torch.Generator().manual_seed(seed))
    basis.reset_iteration()
    return basis


def planted(n_samples=400, n=8, k=12, seed=0):
    """Signals of two atoms each of a random dictionary, and the dictionary."""
    rng = np.random.default_rng(seed)
    atoms = rng.normal(size=(k, n))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    code = np.zeros((n_samples, k))
    for row in code:
        row[rng.choice(k, 2, replace=False)] = rng.choice([-1, 1], 2) * rng.uniform(1, 3, 2)
    return torch.from_numpy(code @ atoms), torch.from_numpy(atoms)


def objective(x, atoms, code, alpha):
    x, atoms, code = (torch.as_tensor(value).detach() for value in (x, atoms, code))
    return ((x - code @ atoms).square().sum(-1) / 2 + alpha * code.abs().sum(-1)).mean().item()


@pytest.mark.parametrize("algorithm", ["lasso_cd", "lasso_lars"])
def test_limit_is_the_lasso_of_scikit_learn(algorithm):
    basis = with_random_atoms(Dictionary(8, 12, alpha=0.3, n_iter=3000))
    x = 2 * numbers(5, 8)
    expected = sklearn.decomposition.sparse_encode(
        x.numpy(), basis.atoms.detach().numpy(), algorithm=algorithm, alpha=0.3, max_iter=10000
    )
    code = basis.analysis(x).detach().numpy()
    np.testing.assert_allclose(code, expected, atol=1e-3)
    assert np.array_equal(code != 0, np.abs(expected) > 1e-6)


def test_limit_meets_the_optimality_conditions():
    basis = with_random_atoms(Dictionary(6, 10, alpha=0.2, n_iter=4000))
    x = numbers(20, 6)
    c = basis.analysis(x).detach()
    correlation = (x - c @ basis.atoms.detach()) @ basis.atoms.detach().T
    active = c != 0
    assert 0 < active.double().mean() < 1
    torch.testing.assert_close(correlation[active], 0.2 * c[active].sign(), atol=1e-9, rtol=0)
    assert correlation.abs().max() <= 0.2 + 1e-9


def test_iterations_only_descend():
    x = numbers(30, 8)
    losses = []
    for n_iter in (1, 2, 4, 8, 32):
        basis = Dictionary(8, n_iter=n_iter)
        losses.append(objective(x, basis.atoms, basis.analysis(x), basis.alpha))
    assert all(after < before for before, after in itertools.pairwise(losses))


def test_orthonormal_atoms_need_one_iteration():
    basis, x = Dictionary(6, 6, alpha=0.4, n_iter=1), numbers(3, 6)
    c = DCT(6).analysis(x)
    torch.testing.assert_close(basis.atoms.detach().T, DCT(6).analysis(torch.eye(6).double()))
    expected = c.sign() * (c.abs() - 0.4).clamp_min(0)
    torch.testing.assert_close(basis.analysis(x).detach(), expected)


def test_fit_descends_at_each_step_and_scales_the_atoms():
    x, _ = planted()
    basis = Dictionary(8, 12, alpha=0.2).fit(x, max_iter=30, tol=0.0)
    assert len(basis.loss_curve) == 31
    pairs = itertools.pairwise(basis.loss_curve)
    assert all(after <= before * (1 + 1e-12) for before, after in pairs)
    # The planted code costs 0.2 * 2 * 2 = 0.8 on average, of 1.06 to start with.
    assert basis.loss_curve[-1] < 0.9
    torch.testing.assert_close(basis.atoms.detach().norm(dim=1), torch.ones(12).double())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_fit_is_as_good_as_scikit_learn():
    x, _ = planted(150)
    basis = Dictionary(8, 12, alpha=0.2, n_iter=300)
    start = basis.atoms.detach()
    basis.fit(x, max_iter=100, tol=1e-7)
    reference = sklearn.decomposition.DictionaryLearning(
        12,
        alpha=0.2,
        max_iter=100,
        tol=1e-7,
        fit_algorithm="cd",
        transform_algorithm="lasso_cd",
        transform_alpha=0.2,
        dict_init=start.numpy(),
        code_init=np.zeros((len(x), 12)),
    ).fit(x.numpy())
    theirs = objective(x.numpy(), reference.components_, reference.transform(x.numpy()), 0.2)
    ours = objective(x, basis.atoms, basis.analysis(x), 0.2)
    assert ours == pytest.approx(basis.loss_curve[-1], rel=1e-3)
    assert ours < 1.1 * theirs


def test_fit_started_nearby_recovers_the_planted_atoms():
    x, atoms = planted(2000)
    basis = Dictionary(8, 12, alpha=0.1)
    with torch.no_grad():
        basis.weight.copy_(atoms + 0.1 * numbers(12, 8))
    before = (basis.atoms * atoms).sum(1).min().item()
    basis.fit(x, max_iter=200, tol=0.0)
    assert before < 0.97
    assert (basis.atoms * atoms).sum(1).min().item() > 0.995


def test_fit_stops_when_it_gains_little():
    x, _ = planted()
    assert 1 < len(Dictionary(8).fit(x, tol=0.05).loss_curve) < 40


def test_zero_signals():
    basis = Dictionary(4).fit(torch.zeros(3, 4))
    assert basis.loss_curve == [0.0, 0.0]
    assert not basis.analysis(torch.zeros(2, 4)).any()


def test_few_trained_iterations_beat_as_many_of_proximal_descent():
    x = planted(300)[0]
    exact = Dictionary(8, 12, alpha=0.2, n_iter=2000).analysis(x).detach()
    basis = Dictionary(8, 12, alpha=0.2, n_iter=4)
    optimizer = torch.optim.Adam(basis.parameters(), lr=0.02)
    errors = []
    for _ in range(80):
        optimizer.zero_grad()
        error = (basis.analysis(x) - exact).square().mean()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.5 * errors[0]
    torch.testing.assert_close(basis.atoms.detach().norm(dim=1), torch.ones(12).double())


def test_layer_passes_what_the_code_leaves_out():
    layer = TransformDropout(8, Dictionary(8, alpha=0.5), "uniform", p=0.5, seed=0)
    x = numbers(8)
    c, atoms = layer.basis.analysis(x).detach(), layer.basis.atoms.detach()
    used = c != 0
    assert used.sum() > 1
    y = layer(x.expand(40000, 8)).detach()
    # What is left out is in every y; the rest is the atoms in use, each twice or not at all.
    coded = y - (x - c @ atoms)
    weights = torch.linalg.lstsq(atoms[used].T, coded.T).solution / c[used, None]
    assert set(weights.round(decimals=6).abs().flatten().tolist()) == {0.0, 2.0}
    spread = (c[:, None] * atoms).square().sum(0).sqrt()
    assert ((y.mean(0) - x).abs() < 5 * spread / 200).all()
    assert torch.equal(layer.eval()(x), x)


@pytest.mark.parametrize("wrap", [lambda b: Composition(DCT(4), b), lambda b: Stack([DCT(4), b])])
def test_what_it_is_part_of_is_not_linear_either(wrap):
    assert not wrap(Dictionary(4)).is_linear
    assert wrap(DCT(4)).is_linear
    assert not Separable([DCT(2), Dictionary(4)]).is_linear


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_atoms": 0}, ValueError, "n_atoms must be .* at least 1, got 0"),
        ({"n_iter": 0}, ValueError, "n_iter must be .* at least 1, got 0"),
        ({"n_iter": 1.5}, TypeError, "n_iter must be .* got a float"),
        ({"alpha": 0.0}, ValueError, "alpha must be positive and finite, got 0.0"),
        ({"alpha": math.inf}, ValueError, "alpha must be positive and finite, got inf"),
    ],
)
def test_wrong_options_are_told(options, error, message):
    with pytest.raises(error, match=message):
        Dictionary(4, **options)


def test_wrong_fits_change_nothing():
    basis = Dictionary(4)
    before = basis.weight.detach().clone()
    wrong = [
        (torch.zeros(0, 4), {}, "at least 1 sample"),
        (torch.zeros(3, 5), {}, "last axis of x must have length 4"),
        (torch.full((3, 4), math.nan), {}, "not finite"),
        (torch.ones(3, 4), {"max_iter": 0}, "max_iter must be .* got 0"),
        (torch.ones(3, 4), {"tol": -1.0}, "tol must be at least 0, got -1"),
    ]
    for x, options, message in wrong:
        with pytest.raises(ValueError, match=message):
            basis.fit(x, **options)
    assert torch.equal(before, basis.weight)
