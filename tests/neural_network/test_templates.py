"""Each template learns from the kind of data it is for, and drops there what it says."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits

from sklearn_dbt import TrustRegionDropoutClassifier, TrustRegionDropoutRegressor
from sklearn_dbt.neural_network import transform_template

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_tones_as_audio():
    rng = np.random.default_rng(0)
    t, y = np.arange(400) / 8000, np.arange(60) % 2
    X = np.sin(2 * np.pi * (500 + 700 * y)[:, None] * t + rng.uniform(0, 6, (60, 1)))
    X += 0.3 * rng.standard_normal(X.shape)
    options = transform_template("audio", sampling_rate=8000)
    model = TrustRegionDropoutClassifier(**options, max_iter=10, learning_rate=1e-2, random_state=0)
    assert model.fit(X[:40], y[:40]).score(X[40:], y[40:]) > 0.9
    frequency = model.net_.module_.input_dropout.basis.layout.frequency.numpy() * 8000
    rates = model.drop_rate_curve_[0]
    tones = (abs(frequency - 500) < 60) | (abs(frequency - 1200) < 60)
    assert rates[tones].mean() < rates[~tones].mean() - 0.2


def test_peaks_on_a_baseline_as_spectra():
    rng = np.random.default_rng(0)
    grid, amount = np.linspace(0, 1, 100), rng.uniform(0, 1, 120)
    X = amount[:, None] * np.exp(-(((grid - 0.4) / 0.05) ** 2)) + rng.normal(size=(120, 1)) * grid
    X += 0.05 * rng.standard_normal(X.shape)
    model = TrustRegionDropoutRegressor(**transform_template("spectrum"), random_state=0)
    assert model.fit(X[:80], amount[:80]).score(X[80:], amount[80:]) > 0.8
    start = model.drop_rate_curve_[0]
    assert start[:20].mean() < start[50:].mean() - 0.2


def test_digits_as_image_rows():
    X, y = load_digits(return_X_y=True)
    X = X.reshape(-1, 8, 8)
    model = TrustRegionDropoutClassifier(
        **transform_template("image_rows"), max_iter=15, random_state=0
    )
    assert model.fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.85


def test_diabetes_as_a_table():
    X, y = load_diabetes(return_X_y=True)
    model = TrustRegionDropoutRegressor(
        **transform_template("table"), learning_rate=3e-3, random_state=0
    )
    assert model.fit(X[:300], y[:300]).score(X[300:], y[300:]) > 0.35
    assert (np.diff(model.drop_rate_curve_[0]) > -1e-6).all()  # later components, higher rates


@pytest.mark.parametrize(
    ("kind", "rate", "match"),
    [
        ("video", None, "kind must be one of 'audio', 'spectrum', 'image_rows', 'table', got 'vi"),
        ("audio", None, "kind='audio' needs sampling_rate in Hz, got None"),
        ("table", -1.0, "sampling_rate must be positive and finite"),
    ],
)
def test_wrong_arguments_raise(kind, rate, match):
    with pytest.raises(ValueError, match=match):
        transform_template(kind, sampling_rate=rate)


def test_templates_are_fresh_dicts():
    options = transform_template("table")
    options["basis"] = "dct"
    assert transform_template("table")["basis"] == "pca"
