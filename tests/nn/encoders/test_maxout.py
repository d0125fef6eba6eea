"""Maxout against its definition, its special cases and its convexity."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from sklearn_dbt.nn.encoders import Maxout


def layer(n_in=3, n_out=4, n_pieces=2, seed=0, dtype=torch.float64):
    made = Maxout(n_in, n_out, n_pieces).to(dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return made


def points(*shape, seed=1, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("n_pieces", [1, 2, 3])
def test_definition(n_pieces):
    maxout, x = layer(n_pieces=n_pieces), points(5, 3)
    weight, bias = maxout.linear.weight.detach(), maxout.linear.bias.detach()
    for row in range(5):
        for unit in range(4):
            values = [
                float(weight[j * 4 + unit] @ x[row] + bias[j * 4 + unit]) for j in range(n_pieces)
            ]
            assert float(maxout(x)[row, unit].detach()) == pytest.approx(max(values), rel=1e-12)


def test_one_piece_is_linear():
    maxout, x = layer(n_pieces=1), points(5, 3)
    torch.testing.assert_close(maxout(x), maxout.linear(x), rtol=0, atol=0)


def test_two_pieces_can_be_a_leaky_rectifier():
    maxout, x = layer(n_out=3), points(6, 3)
    eye = torch.eye(3, dtype=torch.float64)
    maxout.load_state_dict(
        {
            "linear.weight": torch.cat([eye, 0.2 * eye]),
            "linear.bias": torch.zeros(6, dtype=torch.float64),
        }
    )
    torch.testing.assert_close(maxout(x), functional.leaky_relu(x, 0.2), rtol=0, atol=1e-15)


def test_any_leading_axes():
    maxout, x = layer(), points(2, 5, 3)
    assert maxout(x).shape == (2, 5, 4)
    torch.testing.assert_close(maxout(x)[1, 2], maxout(x[1, 2]))


@settings(max_examples=25)
@given(st.floats(0, 1), st.integers(1, 4), st.integers(0, 1000))
def test_every_unit_is_convex(share, n_pieces, seed):
    maxout, (a, b) = layer(n_pieces=n_pieces, seed=seed), points(2, 3, seed=seed + 1)
    between = maxout(share * a + (1 - share) * b)
    chord = share * maxout(a) + (1 - share) * maxout(b)
    assert (between <= chord + 1e-12).all()


def test_gradients():
    maxout, x = layer(), points(4, 3).requires_grad_()
    assert torch.autograd.gradcheck(maxout, (x,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_precision_is_kept(dtype):
    assert layer(dtype=dtype)(points(2, 3, dtype=dtype)).dtype == dtype


@pytest.mark.parametrize(
    ("sizes", "name"),
    [((0, 1, 1), "in_features"), ((1, 0, 1), "out_features"), ((1, 1, 0), "n_pieces")],
)
def test_sizes_are_positive(sizes, name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        Maxout(*sizes)


def test_it_tells_its_pieces():
    assert "n_pieces=3" in repr(Maxout(2, 2, 3))
