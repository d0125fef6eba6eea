"""What cannot be decoded; what `fit` refuses is tested with the encoder."""

import numpy as np
import pytest

from sklearn_dbt.decomposition._checks import as_components


def test_panels_lists_and_tables():
    parts, is_list = as_components(np.ones((4, 3, 9), np.float32), 3, is_table=False)
    assert not is_list
    assert [p.shape for p in parts] == 4 * [(3, 9)]
    assert parts[0].dtype == np.float32
    parts, is_list = as_components([np.ones((3, 5), int), np.ones((3, 9))], 3, is_table=False)
    assert is_list
    assert parts[0].dtype == np.float64
    parts, _ = as_components(np.ones((4, 9)), 1, is_table=True)
    assert [p.shape for p in parts] == 4 * [(1, 9)]


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones((4, 2, 9)), r"recording 0 have shape \(2, 9\); expected 3 components"),
        (np.ones((4, 9)), r"shape \(9,\)"),
        ([np.ones((3, 4)), np.full((3, 4), np.nan)], "recording 1 hold NaN"),
    ],
)
def test_what_is_refused(X, message):
    with pytest.raises(ValueError, match=message):
        as_components(X, 3, is_table=False)
