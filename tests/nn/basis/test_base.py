"""The contract itself: the layout's defaults, the checks, a basis of one's own."""

import dataclasses

import numpy as np
import pytest
import torch

from sklearn_dbt.nn.basis import Basis, Layout


class Halves(Basis):
    """Sum and difference of the two halves, not normalised."""

    def __init__(self, n_features):
        super().__init__(n_features, Layout.make(n_features))

    def _analysis(self, x):
        a, b = x.chunk(2, dim=-1)
        return torch.cat([a + b, a - b], dim=-1)

    def _synthesis(self, c):
        a, b = c.chunk(2, dim=-1)
        return torch.cat([a + b, a - b], dim=-1) / 2


def test_layout_fills_what_is_not_given():
    layout = Layout.make(3)
    assert layout.index.tolist() == [0, 1, 2]
    assert layout.scale.tolist() == [0, 0, 0]
    assert layout.weight.tolist() == [1.0, 1.0, 1.0]
    assert layout.frequency.isnan().all()
    assert layout.position.isnan().all()


def test_layout_keeps_what_is_given():
    given = {
        "frequency": torch.tensor([0.0, 0.5], dtype=torch.float64),
        "scale": torch.tensor([1, 2], dtype=torch.int32),
        "position": torch.tensor([3.0, 4.0]),
        "weight": torch.tensor([1, 2]),
    }
    layout = Layout.make(2, **given)
    for name, value in given.items():
        assert getattr(layout, name).tolist() == value.tolist()


def test_layout_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Layout.make(1).index = torch.zeros(1)


def test_own_basis_gets_checks_and_flags():
    basis = Halves(np.int64(4))
    assert type(basis.n_features) is int
    assert (basis.n_features, basis.n_coefficients) == (4, 4)
    assert (basis.is_complex, basis.is_orthogonal, basis.is_invertible) == (False, False, True)
    x = torch.tensor([1.0, 2.0, 3.0, 5.0])
    assert basis.analysis(x).tolist() == [4.0, 7.0, -2.0, -3.0]
    assert torch.equal(basis(x), basis.analysis(x))
    assert torch.equal(basis.synthesis(basis.analysis(x)), x)
    assert basis.update_from_moments(torch.zeros(4), torch.eye(4)) is None
    assert not basis.state_dict()


def test_basis_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        Basis(4, Layout.make(4))


@pytest.mark.parametrize(
    ("n_features", "error", "message"),
    [
        (0, ValueError, "at least 1, got 0"),
        (-3, ValueError, "at least 1, got -3"),
        (2.0, TypeError, "got a float"),
        ("8", TypeError, "got a str"),
        (None, TypeError, "got a NoneType"),
        (True, TypeError, "got a bool"),
    ],
)
def test_number_of_features_is_checked(n_features, error, message):
    with pytest.raises(error, match=message):
        Basis.__init__(Halves(2), n_features, Layout.make(2))


def test_complex_signals_need_complex_coefficients():
    class Odd(Halves):
        def __init__(self):
            super(Halves, self).__init__(2, Layout.make(2), takes_complex=True)

    with pytest.raises(ValueError, match="takes_complex=True must have is_complex=True"):
        Odd()


def test_complex_signals_are_refused_unless_asked_for():
    class Phasors(Basis):
        def __init__(self, takes_complex):
            super().__init__(
                2, Layout.make(2), is_complex=True, is_orthogonal=True, takes_complex=takes_complex
            )

        def _analysis(self, x):
            return 1j * x

        def _synthesis(self, c):
            return -1j * c

    x = torch.tensor([1 + 2j, 3j])
    with pytest.raises(TypeError, match=r"x must be a real floating point tensor, got .*complex64"):
        Phasors(False).analysis(x)
    basis = Phasors(True)
    assert torch.equal(basis.synthesis(basis.analysis(x)), x)
    assert basis.synthesis(x[None][:0]).dtype == torch.complex64
    assert Phasors(False).synthesis(x[None][:0]).dtype == torch.float32
    with pytest.raises(TypeError, match=r"x must be a real or complex floating .*got torch.int64"):
        basis.analysis(torch.zeros(2, dtype=torch.int64))
