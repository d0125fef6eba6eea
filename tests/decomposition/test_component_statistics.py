"""Statistics of components against numpy's own."""

import numpy as np
import pytest

from sklearn_dbt.decomposition._component_statistics import STATISTICS, component_statistics


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_columns(dtype):
    series = np.random.default_rng(0).normal(size=(2, 30)).astype(dtype)
    row = component_statistics(series)
    assert row.dtype == dtype
    assert list(STATISTICS) == ["mean", "log_variance", "trend"]
    for i, component in enumerate(series):
        slope, _ = np.polyfit(np.arange(30), component, 1)
        expected = [component.mean(), np.log(component.var()), 29 * slope]
        np.testing.assert_allclose(row[3 * i : 3 * i + 3], expected, rtol=1e-4)


def test_a_line_from_begin_to_end():
    row = component_statistics(np.linspace(2.0, 5.0, 7)[None])
    assert row[[0, 2]] == pytest.approx([3.5, 3.0])


def test_a_constant_has_a_finite_row():
    row = component_statistics(np.full((1, 4), 2.0))
    assert row == pytest.approx([2.0, np.log(np.finfo(float).eps), 0.0])
