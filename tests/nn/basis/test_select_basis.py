"""The basis with the least loss."""

import math

import pytest
import torch

from sklearn_dbt.nn.basis import DCT, DWT, Fourier, Identity, select_basis


@pytest.mark.parametrize("best", range(3))
def test_each_signal_is_sparsest_in_its_own_basis(best):
    candidates = [Identity(16), DCT(16), DWT(16, "db2")]
    c = torch.zeros(16)
    c[5] = 1.0
    x = candidates[best].synthesis(c)
    chosen = select_basis(candidates, lambda basis: basis.analysis(x).abs().sum())
    assert chosen is candidates[best]


def test_the_first_of_equals_and_each_is_asked_once():
    candidates, asked = [DCT(2), DCT(3), DCT(4)], []

    def loss(basis):
        asked.append(basis)
        return {2: math.inf, 3: 1, 4: torch.tensor(1.0)}[basis.n_features]

    assert select_basis(candidates, loss) is candidates[1]
    assert asked == candidates


@pytest.mark.parametrize("losses", [(1.0, math.nan), (math.inf, math.inf)])
def test_losses_that_say_nothing_are_told(losses):
    given = iter(losses)
    with pytest.raises(ValueError, match="losses must be numbers, not all infinite, got"):
        select_basis([DCT(2), Fourier(2)], lambda _: next(given))


def test_candidates_are_checked():
    with pytest.raises(ValueError, match="select_basis: bases must hold at least 1 basis"):
        select_basis([], lambda _: 0.0)
    with pytest.raises(TypeError, match=r"bases\[0\] must be a Basis, got str"):
        select_basis(["dct"], lambda _: 0.0)
