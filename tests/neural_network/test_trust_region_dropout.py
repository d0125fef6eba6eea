"""The dropout faces: what they learn, how their rates move, and what they refuse."""

import numpy as np
import pytest
import sklearn
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_dbt.neural_network import (
    TrustRegionDropoutClassifier,
    TrustRegionDropoutRegressor,
    transform_template,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
BOTH = pytest.mark.parametrize("face", [TrustRegionDropoutClassifier, TrustRegionDropoutRegressor])


def fast(face, **options):
    return face(**{"max_iter": 15, "random_state": 0, **options})


def test_it_learns_a_panel_and_a_table(tones):
    X, y = tones(200)
    for data in (X, X[:, 0]):
        model = TrustRegionDropoutClassifier(random_state=0, max_iter=60).fit(data[:150], y[:150])
        assert model.score(data[150:], y[150:]) > 0.85


def test_it_is_as_good_as_a_linear_model_on_a_table():
    X, y = load_diabetes(return_X_y=True)
    model = TrustRegionDropoutRegressor(**transform_template("table"), random_state=0)
    ours = cross_val_score(make_pipeline(StandardScaler(), model), X, y, cv=3).mean()
    assert ours > cross_val_score(LinearRegression(), X, y, cv=3).mean() - 0.02


def test_energy_decides_what_is_dropped(tones):
    X, y = tones(noise=0.2)
    options = {"controller": "fixed", "policy": "energy", "dropout_rate": 0.5}
    model = fast(TrustRegionDropoutClassifier, **options).fit(X, y)
    frequency = np.fft.rfftfreq(32)
    tone = np.argmin(np.abs(frequency - 0.06))
    assert model.drop_rates_[tone] < 0.5 * model.drop_rates_[frequency > 0.3].mean()


def test_class_weight_is_sample_weight(tones):
    X, y = tones(40)
    options = {"controller": "fixed", "max_iter": 3, "batch_size": 100}
    labels = np.array(["rest", "task"])[y]
    by_class = fast(TrustRegionDropoutClassifier, class_weight={"task": 3.0}, **options)
    by_row = fast(TrustRegionDropoutClassifier, **options)
    by_class.fit(X, labels)
    by_row.fit(X, labels, sample_weight=np.where(y == 1, 3.0, 1.0))
    np.testing.assert_array_equal(by_class.predict_proba(X), by_row.predict_proba(X))
    rare = np.arange(40) >= 4
    balanced = fast(TrustRegionDropoutClassifier, class_weight="balanced", max_iter=40)
    plain = fast(TrustRegionDropoutClassifier, max_iter=40)
    mean = lambda model: model.fit(X[::2][:, :1], rare[::2]).predict_proba(X[:, :1])[:, 1].mean()  # noqa: E731
    assert mean(balanced) < mean(plain)


def test_multiple_targets(tones):
    X, y = tones()
    Y = np.stack([y, 2 - 3 * y], axis=1)
    model = fast(TrustRegionDropoutRegressor).fit(X, Y)
    assert model.predict(X).shape == (80, 2)
    assert np.corrcoef(model.predict(X).T)[0, 1] < -0.9


def test_targets_of_any_scale_are_met(tones):
    X, y = tones()
    small = fast(TrustRegionDropoutRegressor).fit(X, y).predict(X)
    large = fast(TrustRegionDropoutRegressor).fit(X, 1e6 * y + 1e7).predict(X)
    np.testing.assert_allclose(large, 1e6 * small + 1e7, rtol=1e-6)


def test_partial_fit_needs_all_classes(tones):
    X, y = tones()
    model = fast(TrustRegionDropoutClassifier)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(X, y)
    model.partial_fit(X[y == 0], y[y == 0], classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"classes=\[0 1\] differ"):
        model.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"labels \[7\] that are not among"):
        model.partial_fit(X, np.where(y == 1, 7, 0))


def test_it_searches_and_routes_groups_and_weights(tones):
    X, y = tones(60)
    groups = np.arange(60) // 3
    with sklearn.config_context(enable_metadata_routing=True):
        model = fast(TrustRegionDropoutClassifier, max_iter=4, early_stopping=True)
        model.set_fit_request(groups=True, sample_weight=True)
        model.set_score_request(sample_weight=True)
        search = GridSearchCV(model, {"basis": ["fourier", "dct"]}, cv=GroupKFold(3))
        search.fit(X, y, groups=groups, sample_weight=np.ones(60))
    assert set(search.cv_results_["param_basis"]) == {"fourier", "dct"}
