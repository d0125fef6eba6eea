"""The graph Fourier transform; what every basis does is in test_properties.py."""

import math

import numpy as np
import pytest
import scipy.sparse.csgraph
import torch

from sklearn_dbt.nn.basis import DCT, Fourier, GraphFourier
from sklearn_dbt.nn.dropout import TransformDropout


def ring(n):
    graph = torch.zeros(n, n, dtype=torch.float64)
    i = torch.arange(n)
    graph[i, (i + 1) % n] = graph[(i + 1) % n, i] = 1.0
    return graph


def random_graph(n, density=0.5, seed=0):
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.random((n, n)) * (rng.random((n, n)) < density), 1)
    return torch.from_numpy(upper + upper.T)


def numbers(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 13, 40])
def test_path_is_the_dct_up_to_signs(n):
    basis = GraphFourier(n)
    dct = DCT(n).analysis(torch.eye(n, dtype=torch.float64)).T
    torch.testing.assert_close((basis.components * dct).sum(1).abs(), torch.ones(n).double())
    k = np.arange(n)
    expected = 4 * np.sin(np.pi * k / (2 * n)) ** 2
    np.testing.assert_allclose(basis.eigenvalues, expected, atol=1e-13)
    if n > 2:
        torch.testing.assert_close(
            basis.layout.frequency, DCT(n).layout.frequency, atol=1e-6, rtol=0
        )


@pytest.mark.parametrize("laplacian", ["combinatorial", "normalized"])
@pytest.mark.parametrize("n", [3, 8, 13])
def test_ring_has_the_subspaces_of_fourier(n, laplacian):
    basis = GraphFourier(n, ring(n), laplacian)
    energy = Fourier(n).analysis(numbers(5, n)).abs().square() * Fourier(n).layout.weight
    c = basis.analysis(numbers(5, n))
    frequency = basis.layout.frequency
    for k, expected in enumerate(energy.T):
        group = (frequency - k / n).abs() < 1e-4
        assert group.sum() == Fourier(n).layout.weight[k]
        torch.testing.assert_close(c[:, group].square().sum(1), expected)


@pytest.mark.parametrize(("laplacian", "normed"), [("combinatorial", False), ("normalized", True)])
def test_scipy(laplacian, normed):
    graph = random_graph(9)
    basis = GraphFourier(9, graph, laplacian)
    matrix = scipy.sparse.csgraph.laplacian(graph.numpy(), normed=normed)
    u = basis.components.numpy()
    np.testing.assert_allclose(u @ matrix @ u.T, np.diag(basis.eigenvalues), atol=1e-12)
    np.testing.assert_allclose(basis.eigenvalues, np.linalg.eigvalsh(matrix), atol=1e-12)
    assert (basis.layout.frequency.diff() >= 0).all()


@pytest.mark.parametrize("laplacian", ["combinatorial", "normalized"])
@pytest.mark.parametrize("learnable", [False, True])
def test_disconnected_graphs_and_isolated_nodes(laplacian, learnable):
    graph = torch.block_diag(ring(4), random_graph(3, 1.0), torch.zeros(1, 1).double())
    basis = GraphFourier(8, graph, laplacian, learnable=learnable)
    assert (basis.eigenvalues < 1e-12).sum() == 3
    torch.testing.assert_close(basis.components.T @ basis.components, torch.eye(8).double())
    x = numbers(2, 8).requires_grad_()
    torch.testing.assert_close(basis.synthesis(basis.analysis(x)), x)
    basis.analysis(x)[:, 3:].square().sum().backward()
    if learnable:
        assert basis.log_gain.grad.isfinite().all()


@pytest.mark.parametrize("laplacian", ["combinatorial", "normalized"])
def test_no_edge_at_all(laplacian):
    basis = GraphFourier(3, np.zeros((3, 3)), laplacian)
    assert basis.layout.frequency.tolist() == [0, 0, 0]
    torch.testing.assert_close(basis.components, torch.eye(3, dtype=torch.float64))


def test_changing_graphs():
    basis = GraphFourier(6)
    pointers = [buffer.data_ptr() for buffer in basis.buffers()]
    assert basis.set_graph(ring(6)) is basis
    assert pointers == [buffer.data_ptr() for buffer in basis.buffers()]
    fresh = GraphFourier(6, ring(6))
    assert torch.equal(basis.components, fresh.components)
    assert torch.equal(basis.layout.frequency, fresh.layout.frequency)
    other = GraphFourier(6)
    other.load_state_dict(basis.state_dict())
    assert torch.equal(other.layout.frequency, fresh.layout.frequency)


def test_layer_follows_a_changed_graph():
    layer = TransformDropout(6, GraphFourier(6), "uniform", p=0.5, seed=0)
    layer.basis.set_graph(random_graph(6))
    x = numbers(4, 6)
    ratio = layer.basis.analysis(layer(x)) / layer.basis.analysis(x)
    assert set(ratio.round(decimals=6).abs().flatten().tolist()) == {0.0, 2.0}


def test_learnt_graph_starts_at_the_fixed_one_and_keeps_its_edges():
    graph = random_graph(7)
    fixed, learnt = GraphFourier(7, graph), GraphFourier(7, graph, learnable=True)
    torch.testing.assert_close(learnt.components.detach(), fixed.components)
    torch.nn.init.normal_(learnt.log_gain, generator=torch.Generator().manual_seed(0))
    assert torch.equal(learnt.weights != 0, graph != 0)
    torch.testing.assert_close(learnt.weights, learnt.weights.T)
    assert not torch.allclose(learnt.components, fixed.components, atol=0.05)
    learnt.set_graph(graph)
    torch.testing.assert_close(learnt.components.detach(), fixed.components)


@pytest.mark.parametrize("laplacian", ["combinatorial", "normalized"])
def test_gradient_to_the_edges(laplacian):
    # A ring has equal eigenvalues in pairs; a mask alike on each pair does not see the basis.
    basis = GraphFourier(5, ring(5), laplacian, learnable=True)
    x = numbers(3, 5)
    mask = torch.tensor([1.0, 0.4, 0.4, -0.3, -0.3], dtype=torch.float64)

    class Masked(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.basis = basis

        def forward(self):
            return self.basis.synthesis(mask * self.basis.analysis(x))

    def masked(phi):
        return torch.func.functional_call(Masked(), {"basis.log_gain": phi}, ())

    phi = torch.zeros(5, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(masked, phi)
    moved = (0.3 * numbers(5, 5, seed=1)).requires_grad_()
    assert torch.autograd.gradcheck(masked, moved)
    assert torch.autograd.gradgradcheck(masked, moved)
    (gradient,) = torch.autograd.grad(masked(moved).sin().sum(), moved)
    assert torch.equal(gradient != 0, ring(5) != 0)


def test_training_learns_which_edge_matters():
    # Signals are smooth across one edge and not across the other.
    graph = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    basis = GraphFourier(3, graph, learnable=True)
    common, other = numbers(100), numbers(100, seed=1)
    x = torch.stack([common, common, other], dim=1)
    optimizer = torch.optim.Adam(basis.parameters(), lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        basis.analysis(x)[:, 2].square().mean().backward()
        optimizer.step()
    assert basis.weights[0, 1] > 3 * basis.weights[0, 2]


def test_small_asymmetry_is_evened_out():
    graph = random_graph(5)
    tilted = graph * (1 + 1e-6 * torch.triu(torch.ones(5, 5)))
    basis = GraphFourier(5, tilted)
    assert torch.equal(basis.adjacency, basis.adjacency.T)
    torch.testing.assert_close(basis.adjacency, graph, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("adjacency", "message"),
    [
        (torch.zeros(3, 4), r"adjacency must have shape \(4, 4\), got \(3, 4\)"),
        (torch.full((4, 4), math.nan), "values that are not finite"),
        (-ring(4), "must not be negative, got -1"),
        (torch.eye(4), "zero on the diagonal"),
        (torch.triu(torch.ones(4, 4), 1), "must be symmetric, got entries that differ by 1"),
    ],
)
def test_wrong_graphs_change_nothing(adjacency, message):
    basis = GraphFourier(4)
    before = basis.components.clone()
    with pytest.raises(ValueError, match=message):
        basis.set_graph(adjacency)
    with pytest.raises(ValueError, match=message):
        GraphFourier(4, adjacency)
    assert torch.equal(before, basis.components)


def test_unknown_laplacian_is_told():
    with pytest.raises(ValueError, match=r"laplacian must be one of .*normalized.*got 'random'"):
        GraphFourier(4, laplacian="random")
