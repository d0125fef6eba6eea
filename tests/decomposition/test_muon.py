"""The optimizer against singular values, PyTorch's own optimizers."""

import copy
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sklearn_dbt.decomposition._muon import MuonAdamW, orthogonalize


def points(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@given(rows=st.integers(1, 9), columns=st.integers(1, 9), seed=st.integers(0, 99))
def test_singular_values_are_drawn_to_one_and_vectors_are_kept(rows, columns, seed):
    matrices = points(3, rows, columns, seed=seed)
    found = orthogonalize(matrices)
    u, s, vh = torch.linalg.svd(matrices, full_matrices=False)
    turned = u.mT @ found @ vh.mT
    values = torch.diagonal(turned, dim1=1, dim2=2)
    torch.testing.assert_close(turned, torch.diag_embed(values), atol=1e-9, rtol=0)
    relative = s / torch.linalg.vector_norm(s, dim=1, keepdim=True)
    assert (values[relative > 0.01] > 0.65).all()
    assert (values < 1.25).all()


def test_zero_stays_zero():
    assert (orthogonalize(torch.zeros(2, 3, 4)) == 0).all()


def train(make, n_steps=5):
    """Two matrices of one shape, one of another and a vector, after some steps."""
    shapes = [(4, 6), (4, 6), (6, 2), (5,)]
    parameters = [
        torch.nn.Parameter(points(*shape, seed=i, dtype=torch.float32))
        for i, shape in enumerate(shapes)
    ]
    optimizers = make(parameters)
    for step in range(n_steps):
        for i, parameter in enumerate(parameters):
            parameter.grad = points(*shapes[i], seed=10 * step + i, dtype=torch.float32)
        for optimizer in optimizers:
            optimizer.step()
    return [parameter.detach() for parameter in parameters]


def ours(parameters):
    groups = [
        {"params": parameters[:3], "orthogonal": True, "weight_decay": 0.3},
        {"params": parameters[3:], "weight_decay": 0.1},
    ]
    return [MuonAdamW(groups, lr=0.05)]


def test_all_but_orthogonal_groups_is_adamw():
    expected = train(lambda p: [torch.optim.AdamW(p[3:], lr=0.05, weight_decay=0.1)])
    torch.testing.assert_close(train(ours)[3], expected[3])


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="PyTorch has no Muon yet")
def test_orthogonal_groups_are_muon_up_to_its_precision():
    options = {"lr": 0.05, "weight_decay": 0.3, "adjust_lr_fn": "match_rms_adamw"}
    expected = train(lambda p: [torch.optim.Muon(p[:3], **options)])
    start = train(ours, n_steps=0)
    for found, wanted, before in zip(train(ours)[:3], expected[:3], start, strict=False):
        assert (found - wanted).norm() < 0.02 * (wanted - before).norm()  # bfloat16 has 8 bits


def test_parameters_without_a_gradient_stay():
    matrix, vector = torch.nn.Parameter(points(2, 3)), torch.nn.Parameter(points(3))
    optimizer = MuonAdamW([{"params": [matrix], "orthogonal": True}, {"params": [vector]}], lr=1.0)
    before = matrix.detach().clone()
    vector.grad = points(3)
    optimizer.step()
    torch.testing.assert_close(matrix.detach(), before)


def test_the_closure_is_called_once_and_its_loss_returned():
    matrix = torch.nn.Parameter(points(2, 3))
    optimizer = MuonAdamW([{"params": [matrix], "orthogonal": True}], lr=0.1)
    calls = []

    def closure():
        optimizer.zero_grad()
        loss = matrix.square().sum()
        loss.backward()
        calls.append(float(loss.detach()))
        return loss

    losses = [float(optimizer.step(closure).detach()) for _ in range(3)]
    assert losses == calls
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_copies_go_on_alike(again):

    parameters = [torch.nn.Parameter(points(3, 3, dtype=torch.float32))]
    optimizer = MuonAdamW([{"params": parameters, "orthogonal": True}], lr=0.1)
    ends = []
    parameters[0].grad = points(3, 3, seed=1, dtype=torch.float32)
    optimizer.step()
    other = again(optimizer)
    for each in (optimizer, other):
        (matrix,) = each.param_groups[0]["params"]
        matrix.grad = points(3, 3, seed=2, dtype=torch.float32)
        each.step()
        ends.append(matrix.detach())
    torch.testing.assert_close(*ends)
