import math

import pytest

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
