import pytest
import torch

from sklearn_dbt.nn.basis import DCT
from sklearn_dbt.nn.dropout import Coefficients, Descriptor, SquaredIndex
from sklearn_dbt.nn.dropout._descriptors import standardize


def test_constant_numbers_become_zero():
    for values in (torch.full((5,), 3.7), torch.zeros(1), torch.full((2, 3), -87.3)):
        assert standardize(values).abs().max() < 1e-3


def test_standardised_numbers_have_mean_zero_and_deviation_one():
    values = 5 + 3 * torch.randn(4, 50, generator=torch.Generator().manual_seed(0)).double()
    numbers = standardize(values)
    torch.testing.assert_close(numbers.mean(-1), torch.zeros(4).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(
        numbers.std(-1, correction=0), torch.ones(4).double(), rtol=1e-6, atol=0
    )


class Own(Descriptor):
    source = "sample"

    def value(self, known):
        return known.energies("sample")


def test_a_descriptor_of_ones_own():
    known = Coefficients(DCT(2), sample=torch.tensor([1.0, 3.0]).log())
    assert Own()(known).round(decimals=2).tolist() == [-1, 1]
    torch.testing.assert_close(Own(standardize=False)(known), torch.tensor([1.0, 3.0]))
    assert not Own().reads_population
    assert Own(sharing="scale") != Own()


def test_sharing_is_checked():
    with pytest.raises(ValueError, match="SquaredIndex: sharing must be one of 'all', 'scale'"):
        SquaredIndex(sharing="none")
    with pytest.raises(ValueError, match="Own: sharing"):
        Own(sharing="")
