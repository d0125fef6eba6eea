"""What both faces share: where dropout sits, how rates move, going on, and what is refused."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from sklearn_dbt.neural_network import (
    TrustRegionDropoutClassifier,
    TrustRegionDropoutRegressor,
)
from sklearn_dbt.nn import Band, Fourier, Policy, Scales, TransformDropout
from sklearn_dbt.nn.dropout import EnsembleDropout

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
BOTH = pytest.mark.parametrize("face", [TrustRegionDropoutClassifier, TrustRegionDropoutRegressor])


def fast(face, **options):
    return face(**{"max_iter": 15, "random_state": 0, **options})


@pytest.mark.parametrize("basis", ["fourier", "dct", "dwt", "pca"])
@pytest.mark.parametrize("controller", ["trust_region", "decay", "fixed"])
def test_every_basis_with_every_controller(tones, basis, controller):
    X, y = tones()
    model = fast(TrustRegionDropoutClassifier, basis=basis, controller=controller).fit(X, y)
    assert np.isfinite(model.predict_proba(X)).all()
    assert ((model.drop_rates_ >= 0) & (model.drop_rates_ < 1)).all()
    history = model.trust_region_history_
    if controller == "fixed":
        assert history == {}
        return
    lengths = {len(column) for column in history.values()}
    assert len(lengths) == 1
    assert history["mean_rate"][-1] == pytest.approx(model.drop_rates_.mean(), abs=1e-6)


@BOTH
def test_defaults_make_more_than_five_updates_on_forty_rows(tones, face):
    X, y = tones(40)
    history = face(random_state=0).fit(X, y).trust_region_history_
    assert len(history["rho"]) > 5
    for name in ("radius", "step_norm", "rho", "accepted", "loss", "mean_rate"):
        assert len(history[name]) == len(history["rho"])
    assert (history["step_norm"] <= history["radius"] * (1 + 1e-6)).all()
    assert (history["step_norm"][~history["accepted"]] == 0).all()
    assert history["mean_rate"][-1] < 0.6 < history["mean_rate"][0] <= 0.7


def test_rates_fall_under_the_decay_and_stand_still_when_fixed(tones):
    X, y = tones()
    options = {"dropout_rate": 0.5, "policy": "uniform"}
    decay = fast(TrustRegionDropoutClassifier, controller="decay", max_iter=60, **options)
    assert decay.fit(X, y).drop_rates_.mean() < 0.05
    fixed = fast(TrustRegionDropoutClassifier, controller="fixed", **options).fit(X, y)
    np.testing.assert_allclose(fixed.drop_rates_, 0.5, rtol=1e-4)


@pytest.mark.parametrize(("where", "n_rates"), [("input", 17), ("hidden", 9 + 5), ("both", 31)])
def test_dropout_sits_where_it_is_wished(tones, where, n_rates):
    X, y = tones()
    model = fast(
        TrustRegionDropoutClassifier, dropout_on=where, hidden_layer_sizes=(16, 8), max_iter=4
    ).fit(X, y)
    assert model.drop_rates_.shape == (n_rates,)


@pytest.mark.parametrize("where", ["input", "hidden", "both"])
def test_convolutions_find_a_pattern_wherever_it_stands(where):
    rng = np.random.default_rng(0)
    y = np.arange(160) % 2
    X = 0.5 * rng.standard_normal((160, 1, 48))
    pulse = np.hanning(9) * np.where(np.arange(9) < 4, 2, -2)
    for row, start in enumerate(rng.integers(0, 39, 160)):
        X[row, 0, start : start + 9] += pulse if y[row] else pulse[::-1]
    options = {"backbone": "conv", "dropout_on": where, "hidden_layer_sizes": (16, 16)}
    options |= {"dropout_rate": 0.3, "learning_rate": 1e-2, "max_iter": 30}
    model = fast(TrustRegionDropoutClassifier, **options)
    assert model.fit(X[:100], y[:100]).score(X[100:], y[100:]) > 0.85
    assert len(model.trust_region_history_["rho"]) > 5
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(twin.predict_proba(X), model.predict_proba(X))


def test_a_module_of_ones_own_is_the_backbone(tones):
    X, y = tones()
    own = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Dropout(), nn.Linear(12, 2))
    before = {name: value.clone() for name, value in own.state_dict().items()}
    model = fast(TrustRegionDropoutClassifier, backbone=own, dropout_on="both").fit(X, y)
    assert model.drop_rates_.shape == (17 + 7,)
    assert all(torch.equal(value, before[name]) for name, value in own.state_dict().items())
    assert not torch.equal(model.net_.module_.backbone[1].weight, own[1].weight)
    again = clone(model).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    with pytest.raises(ValueError, match=r"\(n, 2, 32\) to \(n, 1\); two recordings gave"):
        fast(TrustRegionDropoutRegressor, backbone=own).fit(X, y)


@BOTH
@pytest.mark.parametrize("objective", ["validation", "variational"])
def test_every_objective_moves_the_rates(tones, face, objective):
    X, y = tones(100)
    groups = np.arange(100) // 4
    model = fast(face, objective=objective, max_iter=30)
    model.fit(X, y, groups=groups)
    history = model.trust_region_history_
    assert history["accepted"].any()
    assert (history["step_norm"] <= history["radius"] * (1 + 1e-6)).all()
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))
    again = clone(model).fit(X, y, groups=groups)
    np.testing.assert_array_equal(again.drop_rates_, model.drop_rates_)


def test_rows_held_out_for_the_rates_are_neither_trained_on_nor_watched(tones):
    X, y = tones(100)
    model = fast(TrustRegionDropoutClassifier, objective="validation", early_stopping=True)
    rows = model._prepare(X, y, None, np.arange(100) // 5, resume=False)
    inputs = {name: {row.tobytes() for row in data.inputs.numpy()} for name, data in rows.items()}
    assert set(inputs) == {"train", "stopping", "rates"}
    assert sum(map(len, inputs.values())) == len(set().union(*inputs.values())) == 100
    with pytest.raises(ValueError, match="objective='validation' cannot hold out"):
        fast(TrustRegionDropoutClassifier, objective="validation").fit(X[:2], y[:2])


@pytest.mark.filterwarnings("ignore:The trust region has collapsed")
def test_held_out_rows_are_not_kept(tones):
    X, y = tones(100)
    model = fast(TrustRegionDropoutClassifier, objective="validation", max_iter=2).fit(X, y)
    sizes = [len(pickle.dumps(model))]
    sizes.append(len(pickle.dumps(clone(model).fit(np.tile(X, (20, 1, 1)), np.tile(y, 20)))))
    assert sizes[1] < sizes[0] + 50_000  # twenty times the rows would be a megabyte


def test_the_rates_of_each_epoch_are_recorded(tones):
    X, y = tones()
    model = fast(TrustRegionDropoutClassifier, warm_start=True).fit(X, y)
    assert len(model.drop_rate_curve_) == 15
    np.testing.assert_array_equal(model.drop_rate_curve_[-1], model.drop_rates_)
    assert model.drop_rate_curve_[0].mean() > model.drop_rates_.mean()
    assert len(model.fit(X, y).drop_rate_curve_) == 30


def test_a_linear_model_has_no_hidden_layer(tones):
    X, y = tones()
    model = fast(TrustRegionDropoutClassifier, hidden_layer_sizes=()).fit(X, y)
    assert [type(layer).__name__ for layer in model.net_.module_.backbone] == [
        "Flatten",
        "Linear",
    ]


def test_locked_bands_are_never_dropped_and_are_in_hertz(tones):
    X, y = tones()
    options = {"controller": "fixed", "sampling_rate": 100.0, "max_iter": 1}
    model = fast(TrustRegionDropoutClassifier, locks=[(5.0, 20.0)], **options).fit(X, y)
    frequency = np.fft.rfftfreq(32, 1 / 100)
    locked = (frequency >= 5) & (frequency <= 20)
    assert (model.drop_rates_[locked] == 0).all()
    assert (model.drop_rates_[~locked] > 0).all()


def test_sets_lock_as_bands_do_and_are_saved(tones, tmp_path):
    X, y = tones()
    options = {"basis": "dwt", "basis_options": {"level": 2}, "max_iter": 1}
    model = fast(TrustRegionDropoutClassifier, locks=[Scales([1])], **options).fit(X, y)
    assert (model.drop_rates_[16:] == 0).all()
    assert (model.drop_rates_[:16] > 0).all()
    model.save(tmp_path / "model")
    back = TrustRegionDropoutClassifier.load(tmp_path / "model")
    assert back.locks == [Scales([1])]
    np.testing.assert_array_equal(back.predict_proba(X), model.predict_proba(X))


def test_objects_serve_as_well_as_names(tones, tmp_path):
    X, y = tones()
    policy = Policy([Band(0.05, 0.2)])
    model = fast(TrustRegionDropoutClassifier, policy=policy, sampling_rate=1.0).fit(X, y)
    model.save(tmp_path / "model")
    back = TrustRegionDropoutClassifier.load(tmp_path / "model")
    assert back.policy == policy
    np.testing.assert_array_equal(back.predict_proba(X), model.predict_proba(X))
    by_name = fast(TrustRegionDropoutClassifier).fit(X, y)
    by_object = fast(TrustRegionDropoutClassifier, basis=Fourier(32)).fit(X, y)
    np.testing.assert_array_equal(by_name.predict_proba(X), by_object.predict_proba(X))


def test_a_module_cannot_be_saved_without_pickle_and_nothing_is_written(tones, tmp_path):
    X, y = tones()
    model = fast(TrustRegionDropoutClassifier, basis=Fourier(32), max_iter=1).fit(X, y)
    with pytest.raises(TypeError, match=r"TrustRegionDropoutClassifier\.basis is a Fourier"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_controller_options_reach_the_controller(tones):
    X, y = tones()
    options = {"radius": 0.004, "radius_max": 0.004}
    model = fast(TrustRegionDropoutClassifier, controller_options=options).fit(X, y)
    np.testing.assert_allclose(model.trust_region_history_["radius"].max(), 0.004 * 17**0.5)


@BOTH
def test_at_rate_zero_a_weight_is_a_repeated_row(tones, face):
    X, y = tones(20)
    weights = np.arange(20) % 3
    options = {"dropout_rate": 0.0, "controller": "fixed", "batch_size": 1000, "max_iter": 5}
    weighted = fast(face, **options).fit(X, y, sample_weight=weights)
    repeated = fast(face, **options).fit(np.repeat(X, weights, 0), np.repeat(y, weights))
    np.testing.assert_allclose(weighted._outputs(X), repeated._outputs(X), rtol=1e-6, atol=1e-9)


def test_input_of_any_scale_is_met(tones):
    X, y = tones()
    volts = fast(TrustRegionDropoutClassifier).fit(1e-6 * X + 1, y).predict_proba(1e-6 * X + 1)
    plain = fast(TrustRegionDropoutClassifier).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(volts, plain, rtol=1e-3, atol=1e-4)


def test_early_stopping_keeps_the_best_epoch_and_groups_whole(tones):
    X, y = tones(100, noise=3.0)
    groups = np.arange(100) // 5
    model = fast(
        TrustRegionDropoutClassifier, early_stopping=True, max_iter=200, n_iter_no_change=5
    )
    model.fit(X, y, groups=groups)
    assert len(model.validation_loss_curve_) == model.n_iter_ < 200
    rows = model._held_out("stopping", np.arange(100), y, groups, seed=0)
    assert not set(groups[rows["stopping"]]) & set(groups[rows["train"]])
    assert sorted([*rows["stopping"], *rows["train"]]) == list(range(100))
    with pytest.raises(ValueError, match=r"groups has 99 entries and X 100 recordings"):
        model.fit(X, y, groups=groups[:-1])


def test_an_ensemble_in_the_backbone_is_one_layer(tones):
    X, y = tones()

    def backbone(n_channels, n_times, n_outputs):
        n = n_channels * n_times
        ensemble = EnsembleDropout([TransformDropout(n, "dct"), TransformDropout(n, "pca")])
        return nn.Sequential(nn.Flatten(), ensemble, nn.Linear(n, n_outputs))

    model = fast(TrustRegionDropoutClassifier, backbone=backbone).fit(X, y)
    first, second = model.net_.module_.dropouts
    assert isinstance(first, TransformDropout)
    assert isinstance(second, EnsembleDropout)
    assert all(member.observed for member in second.members)
    assert model.drop_rates_.shape == (17 + 64,)
    assert (model.trust_region_history_["step_norm"] > 0).any()


def test_early_stopping_puts_the_rates_back_too(tones):
    X, y = tones(60, noise=3.0)
    options = {"early_stopping": True, "max_iter": 80, "n_iter_no_change": 10}
    model = fast(TrustRegionDropoutClassifier, learning_rate=0.02, **options).fit(X, y)
    best = int(np.argmin(model.validation_loss_curve_))
    assert best < model.n_iter_ - 1
    np.testing.assert_array_equal(model.drop_rates_, model.drop_rate_curve_[best])
    assert not np.array_equal(model.drop_rates_, model.drop_rate_curve_[-1])


@BOTH
def test_without_early_stopping_all_epochs_are_run(tones, face):
    """A training loss under masks does not fall in every epoch; that is no reason to stop."""
    X, y = tones()
    model = fast(face, max_iter=30, n_iter_no_change=1, tol=1.0).fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == 30


@BOTH
def test_warm_start_continues(tones, face):
    X, y = tones()
    model = fast(face, warm_start=True, max_iter=5).fit(X, y)
    first, updates = model.loss_curve_[-1], len(model.trust_region_history_["rho"])
    model.fit(X, y)
    assert model.n_iter_ == 10
    assert model.loss_curve_[-1] < first
    assert len(model.trust_region_history_["rho"]) > updates
    with pytest.raises(ValueError, match="33 time points, but 32 were seen"):
        model.fit(np.pad(X, ((0, 0), (0, 0), (0, 1))), y)
    with pytest.raises(ValueError, match="X is float32, but float64 was seen"):
        model.fit(X.astype(np.float32), y)


@BOTH
def test_partial_fit_is_one_epoch_from_where_it_stands(tones, face):
    X, y = tones()
    options = {"classes": [0, 1]} if face is TrustRegionDropoutClassifier else {}
    parts = fast(face)
    for _ in range(4):
        parts.partial_fit(X, y, **options)
    whole = fast(face, max_iter=4, update_every=1, warm_up=0.0)
    assert parts.n_iter_ == 4
    assert parts.loss_curve_[-1] < parts.loss_curve_[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        clone(parts).partial_fit(X, y, **options)
    assert whole.fit(X, y).n_iter_ == 4


def test_training_goes_on_after_a_pickle_as_if_uninterrupted(tones):
    X, y = tones()
    straight, broken = (fast(TrustRegionDropoutClassifier, warm_start=True) for _ in range(2))
    straight.fit(X, y).fit(X, y)
    broken = pickle.loads(pickle.dumps(broken.fit(X, y))).fit(X, y)
    np.testing.assert_array_equal(straight.predict_proba(X), broken.predict_proba(X))
    for name, column in straight.trust_region_history_.items():
        np.testing.assert_array_equal(column, broken.trust_region_history_[name])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"basis": "forier"}, "basis.*must be.*fourier"),
        ({"policy": "enrgy"}, "policy.*must be.*energy"),
        ({"controller": "magic"}, "controller.*must be.*trust_region"),
        ({"controller_options": {"radius": -1.0}}, "radius must be"),
        ({"dropout_rate": 1.0}, r"dropout_rate.*must be a float in the range \[0.*0.95"),
        (
            {"hidden_layer_sizes": (0,)},
            r"hidden_layer_sizes must hold positive integers, got \(0,\)",
        ),
        ({"hidden_layer_sizes": (), "dropout_on": "hidden"}, "needs a hidden layer"),
        ({"hidden_layer_sizes": (), "backbone": "conv"}, "'conv' needs a hidden layer"),
        ({"backbone": "transformer"}, "backbone.*must be.*conv"),
        ({"objective": "test"}, "objective.*must be.*validation"),
        ({"basis_options": {"wavelet": "haar"}}, r"no option \['wavelet'\]"),
        ({"objective": "variational", "policy": "sample_energy"}, "depend on the sample"),
        ({"controller_options": {"radus": 0.1}}, "may hold .*radius, .*; got 'radus'"),
        ({"controller_options": {"layers": []}}, "may hold .*; got 'layers'"),
        ({"dropout_on": "hidden", "locks": [(0.1, 0.2)]}, "locks are bands of the input"),
        ({"locks": [(0.3, 0.2)]}, r"locks\[0\]: 0 <= low <= high"),
        ({"max_iter": 0}, "max_iter.*must be an int in the range"),
        ({"warm_up": 1.0}, "warm_up"),
        ({"basis": Fourier(31)}, "31"),
        ({"device": "abacus"}, "device='abacus' is unknown"),
        (
            {"controller": "fixed", "basis": "pca", "dropout_on": "hidden"},
            "controller='fixed' never looks at hidden layers",
        ),
    ],
)
def test_bad_parameters_are_refused_before_training(tones, options, message):
    X, y = tones()
    model = fast(TrustRegionDropoutClassifier, **options)
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(X, y)
    assert not hasattr(model, "net_")


def test_another_length_is_refused_in_prediction(tones):
    X, y = tones()
    model = fast(TrustRegionDropoutClassifier, max_iter=1).fit(X, y)
    with pytest.raises(ValueError, match="X has 20 time points, but 32 were seen in fit"):
        model.predict(X[:, :, :20])


def test_only_a_held_out_loss_that_still_falls_warns():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 8))
    y = (X[:, 0] > 0).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        fast(TrustRegionDropoutClassifier, max_iter=2).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="2 epochs were run"):
        fast(TrustRegionDropoutClassifier, max_iter=2, early_stopping=True).fit(X, y)


def test_a_failed_refit_keeps_the_old_fit(tones):
    X, y = tones()
    model = fast(TrustRegionDropoutClassifier, max_iter=2).fit(X, y)
    before = model.predict_proba(X)
    attributes = set(vars(model))
    for options in ({"controller_options": {"radius": -1.0}}, {"locks": [(0.3, 0.2)]}):
        model.set_params(**options)
        with pytest.raises(ValueError, match=r"radius|locks"):
            model.fit(X[:, :1], np.where(y == 1, "a", "b"))
    assert set(vars(model)) == attributes
    assert model.classes_.tolist() == [0, 1]
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_a_fit_that_continues_refuses_another_network_and_takes_another_rate(tones):
    X, y = tones()
    model = fast(TrustRegionDropoutClassifier, max_iter=2, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=r"basis, activation changed since the fit"):
        model.set_params(basis="dct", activation="tanh").fit(X, y)
    model.set_params(basis="fourier", activation="relu", hidden_layer_sizes=np.array([64]))
    model.set_params(learning_rate=1e-12, batch_size=7)
    before = model.predict_proba(X)
    model.fit(X, y)
    assert len(model.net_.history[-1]["batches"]) == 1
    assert model.net_.history[-1, "train_batch_count"] == 12
    np.testing.assert_allclose(model.predict_proba(X), before, atol=1e-6)


def test_parameters_set_after_the_fit_do_not_spoil_what_is_saved(tones, tmp_path):
    X, y = tones()
    model = fast(TrustRegionDropoutClassifier, max_iter=2).fit(X, y)
    before = model.predict_proba(X)
    model.set_params(basis="dwt", hidden_layer_sizes=(3, 3), dropout_on="both").save(tmp_path / "m")
    back = TrustRegionDropoutClassifier.load(tmp_path / "m")
    np.testing.assert_array_equal(back.predict_proba(X), before)
