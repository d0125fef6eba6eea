import math

import pytest
import torch

from sklearn_dbt.nn.alignment._checks import check_pairs, check_positive


def test_lengths_default_to_all_samples_and_become_int64():
    x, y = torch.zeros(2, 1, 5), torch.zeros(2, 1, 7)
    lengths_x, lengths_y = check_pairs(x, y, None, torch.tensor([7, 2], dtype=torch.int32))
    assert lengths_x.tolist() == [5, 5]
    assert lengths_y.tolist() == [7, 2]
    assert lengths_x.dtype == lengths_y.dtype == torch.int64


@pytest.mark.parametrize("value", [2, 0.5, torch.tensor(0.5), torch.ones(1)])
def test_positive_numbers_pass(value):
    checked = check_positive(value, "value")
    assert float(checked) == float(value)
    assert checked is value or checked.dtype == torch.float64


def test_a_learned_number_stays_in_the_graph():
    value = torch.tensor(0.5, requires_grad=True)
    assert check_positive(value, "value") is value


@pytest.mark.parametrize("value", [0, -1.0, math.inf, math.nan, torch.tensor(-1.0)])
def test_other_numbers_do_not(value):
    with pytest.raises(ValueError, match="beta must be positive and finite"):
        check_positive(value, "beta")


@pytest.mark.parametrize("value", [None, "1", True, torch.ones(2), torch.tensor(1)])
def test_what_is_no_number_does_not(value):
    with pytest.raises(TypeError, match="beta must be a number"):
        check_positive(value, "beta")


def test_devices_must_agree():
    with pytest.raises(TypeError, match="share dtype and device"):
        check_pairs(torch.zeros(1, 1, 2), torch.zeros(1, 1, 2, device="meta"), None, None)


def test_a_number_without_an_inverse_is_refused():
    with pytest.raises(ValueError, match="gamma must be positive and finite and at least 1e-300"):
        check_positive(1e-310, "gamma")
