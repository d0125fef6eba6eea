import math
import re
from fractions import Fraction

import numpy as np
import pytest
import torch

from sklearn_dbt.nn.dropout import EnsembleDropout, TransformDropout
from sklearn_dbt.nn.dropout._checks import check_band, check_choice, check_fraction, check_rates

RIGHT = {
    "p": 0.5,
    "p_min": 0.0,
    "p_max": 0.95,
    "p_zero": 1e-3,
    "momentum": 0.9,
    "sampling_rate": None,
}


def test_what_is_right_passes():
    check_rates(**RIGHT)
    check_rates(**{**RIGHT, "p": 0.0, "sampling_rate": 250})
    check_rates(**{**RIGHT, "p": 0.95, "p_min": 0.1, "momentum": 0, "p_zero": 0})
    assert check_band(0, (1, 2)) == (1, 2)
    assert check_band(0, [3.0, 3.0]) == (3.0, 3.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("p", -0.1),
        ("p", 0.96),
        ("p", math.nan),
        ("p_min", -1e-9),
        ("p_min", 0.95),
        ("p_max", 1.0),
        ("p_max", math.nan),
        ("p_zero", -1.0),
        ("p_zero", 0.95),
        ("momentum", -0.1),
        ("momentum", 1.0),
        ("sampling_rate", 0.0),
        ("sampling_rate", math.inf),
        ("sampling_rate", math.nan),
    ],
)
def test_what_is_wrong_is_named_with_what_was_got(name, value):
    with pytest.raises(ValueError, match=rf"{name}.*got.*{value}"):
        check_rates(**{**RIGHT, name: value})


@pytest.mark.parametrize("band", [(2, 1), (-1, 2), (0, math.inf), (math.nan, 1)])
def test_wrong_bands_raise(band):
    with pytest.raises(ValueError, match=r"locks\[4\]: 0 <= low <= high must hold"):
        check_band(4, band)


@pytest.mark.parametrize("band", [3.0, (1, 2, 3), None])
def test_what_is_no_pair_raises(band):
    with pytest.raises(ValueError, match=r"locks\[4\] must be a pair"):
        check_band(4, band)


def test_choices_and_fractions():
    check_choice("kind", "a", ("a", "b"))
    check_fraction("share", 0.5)
    with pytest.raises(ValueError, match="kind must be one of 'a', 'b'; got 'c'"):
        check_choice("kind", "c", ("a", "b"))
    for wrong in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match=rf"share must be in \(0, 1\), got {wrong}"):
            check_fraction("share", wrong)


@pytest.mark.parametrize("name", [n for n in RIGHT if n != "sampling_rate"])
@pytest.mark.parametrize("value", ["0.5", "a", None, [0.5], 1j, torch.ones(2)])
def test_what_is_no_number_is_named_with_where_and_what_was_got(name, value):
    message = rf"Layer: {name} must be a number, got {re.escape(repr(value))}"
    with pytest.raises(TypeError, match=message):
        check_rates(**{**RIGHT, name: value}, where="Layer")


def test_sampling_rates_that_are_no_numbers_raise():
    message = "Layer: sampling_rate must be a number or None, got 'x'"
    with pytest.raises(TypeError, match=message):
        check_rates(**{**RIGHT, "sampling_rate": "x"}, where="Layer")


def test_numbers_of_any_kind_pass():
    for one in (Fraction(1, 2), np.float32(0.5), np.array(0.5), torch.tensor(0.5)):
        check_rates(**{**RIGHT, "p": one, "sampling_rate": one})


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"p": "a"}, TypeError, "p must be a number, got 'a'"),
        ({"p": 2.0}, ValueError, "p must be from p_min=0.0 to p_max=0.95, got 2.0"),
        ({"momentum": None}, TypeError, "momentum must be a number, got None"),
        ({"locks": 5}, TypeError, "locks must be a sequence of bands .* got 5"),
        (
            {"locks": [("a", 1)]},
            TypeError,
            r"locks\[0\]: each edge of \('a', 1\) must be a number \(Hz\), got 'a'",
        ),
        ({"mask_sharing": "all"}, ValueError, "mask_sharing must be one of 'none', 'octave'"),
        (
            {"seed": 2**70},
            ValueError,
            r"seed must be in \[-2\^63, 2\^64\), got 1180591620717",
        ),
        ({"seed": "a"}, TypeError, "seed must be an int, a torch.Generator or None, got str"),
    ],
)
def test_layers_say_that_it_was_they(options, error, match):
    with pytest.raises(error, match=f"TransformDropout: {match}"):
        TransformDropout(8, **options)


def test_an_ensemble_says_that_it_was_it():
    for options, error in (({"seed": 2**70}, "seed"), ({"mask_sharing": "all"}, "mask_sharing")):
        with pytest.raises(ValueError, match=f"EnsembleDropout: {error} must be"):
            EnsembleDropout([TransformDropout(8)], **options)


@pytest.mark.parametrize("seed", [-(2**63), -1, 2**64 - 1])
def test_all_seeds_that_torch_takes_pass(seed):
    TransformDropout(8, seed=seed)
