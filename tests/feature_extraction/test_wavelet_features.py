"""The table of features: its columns, and the short way to the trend."""

import numpy as np
import pytest

from sklearn_dbt.feature_extraction._band_statistics import STATISTICS, band_statistics
from sklearn_dbt.feature_extraction._transform_choice import TRANSFORMS
from sklearn_dbt.feature_extraction._wavelet_features import BandFeatures


def transform_of(name):
    return TRANSFORMS[name]("morlet" if name == "cwt" else "db2", "symmetric", 3)


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("n", [1, 40])
def test_trend_is_that_of_the_lowest_component(name, n):
    # One recording takes the long way, many the short one.
    x, transform = np.random.default_rng(0).normal(size=(n, 2, 60)), transform_of(name)
    features = BandFeatures.checked(("curvature", "mean", "slope"), "energy")
    table = features.table(transform, x).reshape(n, 2, -1)
    lowest = transform.components(x)[..., 0, :]
    u = (2 * np.arange(60) + 1) / 60 - 1
    for j, shape in enumerate((5 * (1.5 * u**2 - 0.5), u**0, 3 * u)):
        np.testing.assert_allclose(table[..., j], (lowest * shape).mean(-1), atol=1e-10)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_columns_are_channel_major_and_named(name):
    x, transform = np.random.default_rng(0).normal(size=(3, 2, 64)), transform_of(name)
    features = BandFeatures.checked((), ["std", np.ptp])
    table = features.table(transform, x).reshape(3, 2, len(transform.names), 2)
    for b, c in enumerate(transform.analysis(x)):
        c = np.abs(c) if name == "cwt" else c
        np.testing.assert_allclose(table[:, :, b, 0], c.std(-1))
        np.testing.assert_allclose(table[:, :, b, 1], np.ptp(c, axis=-1))
    names = features.names(transform.names)
    assert names[:2] == [f"{transform.names[0]}_std", f"{transform.names[0]}_ptp"]
    assert len(names) == 2 * len(transform.names)


def test_names_of_trend_and_bands():
    features = BandFeatures.checked("slope", "energy")
    assert features.names(["a1", "d1"]) == ["a1_trend_slope", "a1_energy", "d1_energy"]


@pytest.mark.parametrize("statistic", [np.max, lambda c, axis: c.sum(axis)])
def test_functions_take_the_last_axis_away(statistic):
    bands = [np.random.default_rng(0).normal(size=(4, 2, k)) for k in (3, 5)]
    table = band_statistics(bands, np.array([[0, 0.25], [0.25, 0.5]]), [statistic])
    for b, c in enumerate(bands):
        np.testing.assert_array_equal(table[..., b, 0], statistic(c, axis=-1))


@pytest.mark.parametrize(
    ("trend", "statistics", "message"),
    [
        ("bend", "mean", "trend must be different names among mean, slope, curvature; got 'bend'"),
        ((), ["power"], r"statistics must be different names .*got \['power'\]"),
        ((), [], f"among {', '.join(STATISTICS)}; got \\[\\]"),
        ((), [np.mean, "mean"], "different names"),
        ((), [np.ptp, np.ptp], "different names"),
        (("mean", "mean"), "mean", "different names"),
    ],
)
def test_wrong_names_are_told(trend, statistics, message):
    with pytest.raises(ValueError, match=message):
        BandFeatures.checked(trend, statistics)


def test_functions_that_give_another_shape_are_told():
    features = BandFeatures.checked((), np.cumsum)
    with pytest.raises(ValueError, match=r"cumsum\(c, axis=-1\) gave the shape \(1, 1, 8\)"):
        features.table(TRANSFORMS["dwt"]("haar", "symmetric", 1), np.ones((1, 1, 16)))
