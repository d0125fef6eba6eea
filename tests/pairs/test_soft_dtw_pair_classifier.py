"""The classifier learns what it says, from every form of pairs, and refuses what it must."""

import pickle

import numpy as np
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import AgglomerativeClustering
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import adjusted_rand_score, brier_score_loss, log_loss, roc_auc_score
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    TunedThresholdClassifierCV,
    cross_val_score,
    cross_validate,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from torch import nn

from sklearn_dbt import ChannelScaler, WaveletEmbedder
from sklearn_dbt.model_selection import PairGroupKFold
from sklearn_dbt.nn.alignment import soft_dtw
from sklearn_dbt.pairs import SoftDTWPairClassifier, make_pairs
from sklearn_dbt.pairs._platt import fit_line

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def recordings(n=36, n_times=40, noise_channel=False, seed=0):
    """Three shapes, each warped in time by a random monotone path."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    t = np.linspace(0, 1, n_times)
    X = np.empty((n, 1 + noise_channel, n_times))
    for i in range(n):
        warp = np.interp(t, [0, 0.25, 0.5, 0.75, 1], np.r_[0, np.sort(rng.uniform(size=3)), 1])
        wave = np.sin(4 * np.pi * warp)
        X[i, 0] = [wave, 2 * wave * np.exp(-3 * warp), 0.8 * np.sign(wave)][y[i]]
    X[:, 0] += 0.1 * rng.standard_normal((n, n_times))
    if noise_channel:
        X[:, 1] = 2 * rng.standard_normal((n, n_times))
    return X.astype(np.float32), y


@pytest.fixture(scope="module")
def task():
    X, y = recordings()
    return make_pairs(X, y, n_pairs=240, random_state=0)


@pytest.fixture(scope="module")
def noisy_task():
    X, y = recordings(noise_channel=True)
    return make_pairs(X, y, n_pairs=240, random_state=0)


def test_unseen_recordings_are_told_apart_better_than_by_euclid(task):
    pairs, same, groups = task
    model = SoftDTWPairClassifier(gamma=0.1, random_state=0)
    scores, euclid = [], []
    for train, test in PairGroupKFold(3).split(pairs, groups=groups):
        fitted = clone(model).fit(pairs[train], same[train])
        scores.append(roc_auc_score(same[test], fitted.decision_function(pairs[test])))
        difference = pairs[test, 0] - pairs[test, 1]
        euclid.append(roc_auc_score(same[test], -np.square(difference).sum((1, 2))))
    assert np.mean(scores) > 0.93
    assert np.mean(scores) > np.mean(euclid) + 0.2


@pytest.mark.parametrize("loss", ["logistic", "contrastive", "combined"])
@pytest.mark.parametrize("learn_gamma", [False, True])
def test_channel_weights_find_the_channel_that_matters(noisy_task, loss, learn_gamma):
    pairs, same, groups = noisy_task
    train, test = next(PairGroupKFold(3).split(pairs, groups=groups))
    fixed = SoftDTWPairClassifier(gamma=0.3, random_state=0).fit(pairs[train], same[train])
    learned = SoftDTWPairClassifier(
        0.3,
        loss=loss,
        learn_channels=True,
        learn_gamma=learn_gamma,
        max_iter=30,
        batch_size=64,
        random_state=0,
    ).fit(pairs[train], same[train])
    before = roc_auc_score(same[test], fixed.decision_function(pairs[test]))
    after = roc_auc_score(same[test], learned.decision_function(pairs[test]))
    assert after > max(0.9, before + 0.15)
    signal, noise = learned.channel_weights_
    assert signal > 10 * noise
    assert (learned.gamma_ == 0.3) != learn_gamma
    assert learned.loss_curve_[-1] < learned.loss_curve_[0]
    # the probabilities are calibrated whatever the loss: Platt's line on the learned distance
    distance = learned.pair_distance(pairs[train])
    scale, threshold = fit_line(distance, same[train], np.ones(len(train)))
    assert learned.scale_ == pytest.approx(scale, rel=1e-3)
    assert learned.threshold_ == pytest.approx(threshold, rel=1e-3)
    assert log_loss(same[test], learned.predict_proba(pairs[test])) < 0.45


def test_gamma_can_be_all_that_is_learned(task):
    pairs, same, _ = task
    model = SoftDTWPairClassifier(
        5.0, loss="contrastive", learn_channels=False, learn_gamma=True, max_iter=20, random_state=0
    ).fit(pairs, same)
    assert model.gamma_ != 5.0
    np.testing.assert_array_equal(model.channel_weights_, [1.0])


def test_without_learning_the_distance_is_soft_dtws(task):
    pairs, same, _ = task
    model = SoftDTWPairClassifier(gamma=0.3, band=8).fit(pairs, same)
    a, b = torch.from_numpy(pairs[:20]).unbind(1)
    for divergence in (True, False):
        model.set_params(divergence=divergence).fit(pairs, same)
        truth = soft_dtw(a, b, 0.3, band=8, divergence=divergence)
        np.testing.assert_allclose(model.pair_distance(pairs[:20]), truth, rtol=1e-5, atol=1e-4)
    assert model.gamma_ == 0.3
    assert (model.channel_weights_ == 1).all()


def test_the_default_is_a_logistic_regression_of_the_distance(task):
    pairs, same, _ = task
    model = SoftDTWPairClassifier(gamma=0.1, random_state=0).fit(pairs.astype(float), same)
    line = fit_line(model.pair_distance(pairs), same, np.ones(len(same)))
    np.testing.assert_allclose((model.scale_, model.threshold_), line, rtol=1e-4)
    assert model.loss_curve_[0] <= min(model.loss_curve_) + 1e-9  # it starts at its end


def test_score_functions_agree(task):
    pairs, same, _ = task
    labels = np.where(same == 1, "same", "different")
    model = SoftDTWPairClassifier(gamma=0.1, random_state=0).fit(pairs, labels)
    assert model.classes_.tolist() == ["different", "same"]
    logit, proba = model.decision_function(pairs), model.predict_proba(pairs)
    np.testing.assert_allclose(logit, model.threshold_ - model.scale_ * model.pair_distance(pairs))
    np.testing.assert_allclose(proba[:, 1], 1 / (1 + np.exp(-logit)), rtol=1e-5)
    np.testing.assert_array_equal(model.predict(pairs), model.classes_[proba.argmax(1)])
    np.testing.assert_array_equal(model.predict(pairs) == "same", logit > 0)
    assert model.score(pairs, labels) == np.mean(model.predict(pairs) == labels)
    assert proba.dtype == logit.dtype == np.float32


def test_distances_are_symmetric(task):
    pairs, same, _ = task
    model = SoftDTWPairClassifier(gamma=0.1).fit(pairs, same)
    np.testing.assert_allclose(
        model.pair_distance(pairs[:, ::-1]), model.pair_distance(pairs), rtol=1e-4, atol=1e-3
    )
    alike = np.repeat(pairs[:5, :1], 2, axis=1)
    np.testing.assert_allclose(model.pair_distance(alike), 0, atol=1e-4)


def test_every_form_of_pairs_gives_the_same():
    X, y = recordings()
    indices, same, _ = make_pairs(X, y, n_pairs=60, return_indices=True, random_state=0)
    direct = SoftDTWPairClassifier(gamma=0.1, random_state=0).fit(X[indices], same)
    pointing = SoftDTWPairClassifier(gamma=0.1, preprocessor=X, random_state=0).fit(indices, same)
    tuples = [(X[i], X[j]) for i, j in indices]
    listed = SoftDTWPairClassifier(gamma=0.1, random_state=0).fit(tuples, same)
    expected = direct.predict_proba(X[indices])
    np.testing.assert_array_equal(pointing.predict_proba(indices), expected)
    np.testing.assert_array_equal(pointing.predict_proba(X[indices]), expected)
    np.testing.assert_array_equal(listed.predict_proba(tuples), expected)


def test_ragged_pairs():
    X, y = recordings()
    rng = np.random.default_rng(0)
    ragged = [x[:, : rng.integers(30, 41)] for x in X]
    indices, same, groups = make_pairs(ragged, y, n_pairs=200, return_indices=True, random_state=0)
    tuples = [(ragged[i], ragged[j]) for i, j in indices]
    model = SoftDTWPairClassifier(gamma=0.1, band=15, random_state=0).fit(tuples, same)
    assert roc_auc_score(same, model.decision_function(tuples)) > 0.8
    mean = np.mean([a.shape[1] + b.shape[1] for a, b in tuples])
    for (a, b), distance in zip(tuples[:5], model.pair_distance(tuples[:5]), strict=True):
        total = a.shape[1] + b.shape[1]
        a, b = torch.from_numpy(a)[None], torch.from_numpy(b)[None]
        truth = soft_dtw(a, b, 0.1, band=15, divergence=True).item() * mean / total
        assert distance == pytest.approx(truth, rel=1e-3, abs=1e-3)
    scores = cross_val_score(model, tuples, same, groups=groups, cv=PairGroupKFold(2))
    assert scores.mean() > 0.7


def test_grid_search_over_gamma_with_pairs_kept_apart(task):
    pairs, same, groups = task
    grid = {"gamma": [0.1, 1.0, 1000.0]}
    search = GridSearchCV(
        SoftDTWPairClassifier(max_iter=20, random_state=0), grid, cv=PairGroupKFold(3)
    ).fit(pairs, same, groups=groups)
    assert search.best_params_["gamma"] < 1000
    assert search.best_score_ > 0.8
    with sklearn.config_context(enable_metadata_routing=True):
        model = SoftDTWPairClassifier(max_iter=20, random_state=0)
        model.set_fit_request(sample_weight=True, groups=False)
        model.set_score_request(sample_weight=False)
        routed = GridSearchCV(model, grid, cv=PairGroupKFold(3))
        routed.fit(pairs, same, groups=groups, sample_weight=np.ones(len(same)))
    np.testing.assert_allclose(
        routed.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"], atol=0.02
    )


def test_early_stopping_keeps_groups_apart(task):
    pairs, same, groups = task
    model = SoftDTWPairClassifier(
        gamma=0.1, early_stopping=True, validation_fraction=0.2, max_iter=30, random_state=0
    )
    for given in (None, groups):
        model.fit(pairs, same, groups=given)
        assert len(model.validation_loss_curve_) == model.n_iter_
        assert model.score(pairs, same) > 0.8
    train, held_out = model._hold_out(same, np.arange(len(same)), groups, seed=0)
    assert not set(groups[train].ravel()) & set(groups[held_out].ravel())
    assert len(np.intersect1d(train, held_out)) == 0
    with pytest.raises(ValueError, match=r"groups must have shape \(240, 2\).* got \(240,\)"):
        model.fit(pairs, same, groups=groups[:, 0])
    with pytest.raises(ValueError, match="leaves 0 training"):
        model.set_params(validation_fraction=0.99).fit(pairs, same, groups=groups)


def test_weights_of_pairs_and_classes(task):
    pairs, same, _ = task
    pairs, same = pairs[:80].astype(float), same[:80]
    model = SoftDTWPairClassifier(gamma=0.1, max_iter=30, learn_channels=True, random_state=0)
    weights = np.arange(80) % 3
    weighted = clone(model).fit(pairs, same, sample_weight=weights)
    rows = np.repeat(np.arange(80), weights)
    repeated = clone(model).fit(pairs[rows], same[rows])
    np.testing.assert_allclose(
        weighted.predict_proba(pairs), repeated.predict_proba(pairs), rtol=1e-6
    )
    doubled = clone(model).set_params(class_weight={0: 1, 1: 3}).fit(pairs, same)
    by_hand = clone(model).fit(pairs, same, sample_weight=np.where(same == 1, 3, 1))
    np.testing.assert_allclose(doubled.predict_proba(pairs), by_hand.predict_proba(pairs))
    balanced = clone(model).set_params(class_weight="balanced").fit(pairs, same)
    assert np.isfinite(balanced.predict_proba(pairs)).all()


def test_changing_parameters_after_fit_changes_nothing(task, tmp_path):
    pairs, same, _ = task
    model = SoftDTWPairClassifier(gamma=0.1, loss="combined", max_iter=3, random_state=0)
    expected = model.fit(pairs[:50], same[:50]).predict_proba(pairs)
    model.set_params(gamma=3.0, band=30, loss="logistic")
    np.testing.assert_array_equal(model.predict_proba(pairs), expected)
    model.save(tmp_path / "model")
    back = SoftDTWPairClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(back.predict_proba(pairs), expected)
    assert back.gamma_ == model.gamma_


def test_a_preprocessor_is_saved_too(tmp_path):
    X, y = recordings(12)
    ragged = [x[:, : 40 - i] for i, x in enumerate(X)]
    indices, same, _ = make_pairs(X, y, return_indices=True, random_state=0)
    model = SoftDTWPairClassifier(preprocessor=ragged, random_state=0).fit(indices, same)
    model.save(tmp_path / "model")
    back = SoftDTWPairClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(back.predict_proba(indices), model.predict_proba(indices))


def encoder(n_channels, n_out=2, **options):
    torch.manual_seed(0)
    return nn.Conv1d(n_channels, n_out, 3, padding=1, **options)


@pytest.mark.parametrize(
    ("loss", "mining"), [("logistic", None), ("contrastive", "semi-hard"), ("combined", "hard")]
)
def test_an_encoder_is_trained_end_to_end(noisy_task, loss, mining):
    pairs, same, groups = noisy_task
    train, test = next(PairGroupKFold(3).split(pairs, groups=groups))
    module = encoder(2)
    weights = module.weight.detach().clone()
    model = SoftDTWPairClassifier(
        0.3,
        encoder=module,
        loss=loss,
        mining=mining,
        encoder_learning_rate=0.03,
        batch_size=32,
        max_iter=25,
        random_state=0,
    ).fit(pairs[train], same[train])
    plain = SoftDTWPairClassifier(0.3).fit(pairs[train], same[train])
    before, after = (
        roc_auc_score(same[test], fitted.decision_function(pairs[test]))
        for fitted in (plain, model)
    )
    assert after > before + 0.1
    torch.testing.assert_close(module.weight, weights)  # the user's own is left as it was
    signal, noise = model.encoder_.weight.detach().square().sum((0, 2))
    assert signal > 2 * noise
    assert not model.encoder_.training
    assert model.n_iter_ == 25 or mining is None
    again = clone(model).fit(pairs[train], same[train])
    np.testing.assert_array_equal(again.pair_distance(pairs), model.pair_distance(pairs))
    # the line is Platt's on all training pairs, however they were chosen
    line = fit_line(model.pair_distance(pairs[train]), same[train], np.ones(len(train)))
    np.testing.assert_allclose((model.scale_, model.threshold_), line, rtol=1e-3)


def test_dropout_in_an_encoder_is_seeded_and_torchs_generator_left_alone(task):
    pairs, same, _ = task
    module = nn.Sequential(encoder(1), nn.Dropout(0.3))
    model = SoftDTWPairClassifier(0.3, encoder=module, max_iter=2, random_state=0)
    state = torch.random.get_rng_state()
    first = model.fit(pairs[:60], same[:60]).pair_distance(pairs)
    assert (torch.random.get_rng_state() == state).all()
    torch.rand(3)
    np.testing.assert_array_equal(model.fit(pairs[:60], same[:60]).pair_distance(pairs), first)


def test_a_transformer_in_front_can_be_searched_over():
    X, y = recordings(noise_channel=True)
    indices, same, groups = make_pairs(X, y, n_pairs=150, return_indices=True, random_state=0)
    model = SoftDTWPairClassifier(
        0.3, encoder=make_pipeline(ChannelScaler(), WaveletEmbedder(level=2)), preprocessor=X
    )
    grid = {"encoder__waveletembedder__level": [1, 2], "n_components": [1, None]}
    search = GridSearchCV(model, grid, cv=PairGroupKFold(2)).fit(indices, same, groups=groups)
    assert search.best_score_ > 0.6
    best = search.best_estimator_
    assert best.encoder_.named_steps["waveletembedder"].level == best.encoder.steps[1][1].level
    assert (best.components_ is None) == (best.n_components is None)
    # what the distance compares is what the Pipeline gives
    fixed = SoftDTWPairClassifier(0.3, encoder=FrozenEstimator(best.encoder_)).fit(X[indices], same)
    series = torch.from_numpy(best.encoder_.transform(X))
    a, b = series[indices[:5]].unbind(1)
    truth = soft_dtw(a, b, 0.3, divergence=True)
    np.testing.assert_allclose(fixed.pair_distance(X[indices[:5]]), truth, rtol=1e-3, atol=1e-3)


def test_pairwise_distances_plug_into_neighbours_and_clustering():
    X, y = recordings(60)
    ragged = [x[:, : 40 - i % 7] for i, x in enumerate(X)]
    train, test = np.arange(40), np.arange(40, 60)
    known = [ragged[i] for i in train]
    indices, same, _ = make_pairs(known, y[train], return_indices=True, random_state=0)
    model = SoftDTWPairClassifier(0.1, preprocessor=known).fit(indices, same)
    square = model.pairwise_distances(known)
    assert (square == square.T).all()
    assert (np.diag(square) == 0).all()
    assert square.dtype == np.float32
    np.testing.assert_allclose(square[tuple(indices.T)], model.pair_distance(indices), rtol=1e-4)
    across = model.pairwise_distances([ragged[i] for i in test], known)
    neighbours = KNeighborsClassifier(3, metric="precomputed").fit(square.clip(0), y[train])
    assert neighbours.score(across.clip(0), y[test]) > 0.85
    clusters = AgglomerativeClustering(3, metric="precomputed", linkage="average").fit(square)
    assert adjusted_rand_score(y[train], clusters.labels_) > 0.4
    with pytest.raises(ValueError, match="X has 2 channels, but SoftDTWPairClassifier was fitted"):
        model.pairwise_distances(np.zeros((3, 2, 10)))


def test_a_callable_preprocessor_is_asked_for_each_recording_once():
    X, y = recordings(12)
    names = np.array([f"recording-{i}.csv" for i in range(12)])
    asked = []

    def read(which):
        asked.extend(which)
        return [X[int(name[10:-4])] for name in which]

    indices, same, _ = make_pairs(X, y, return_indices=True, random_state=0)
    model = SoftDTWPairClassifier(0.1, preprocessor=read).fit(names[indices], same)
    assert len(asked) == len(set(asked)) <= 12
    direct = SoftDTWPairClassifier(0.1).fit(X[indices], same)
    np.testing.assert_array_equal(
        model.predict_proba(names[indices]), direct.predict_proba(X[indices])
    )
    with pytest.raises(ValueError, match="asked for 12 recordings and gave 3"):
        model.set_params(preprocessor=lambda which: X[: len(which) // 4]).predict(names[indices])


@pytest.mark.parametrize("form", ["array", "list", "indices"])
def test_scikit_learns_calibration_and_threshold_tools(form):
    X, y = recordings()
    indices, same, _ = make_pairs(X, y, n_pairs=150, return_indices=True, random_state=0)
    model = SoftDTWPairClassifier(0.1, preprocessor=X if form == "indices" else None)
    pairs = {"array": X[indices], "list": [(X[i], X[j]) for i, j in indices], "indices": indices}
    given = pairs[form]
    calibrated = CalibratedClassifierCV(model, method="isotonic", cv=3).fit(given, same)
    assert brier_score_loss(same, calibrated.predict_proba(given)[:, 1]) < 0.15
    frozen = FrozenEstimator(model.fit(given, same))
    calibrated = CalibratedClassifierCV(frozen, method="sigmoid").fit(given, same)
    np.testing.assert_allclose(  # Platt on Platt changes nothing
        calibrated.predict_proba(given), model.predict_proba(given), atol=0.02
    )
    tuned = TunedThresholdClassifierCV(model, scoring="balanced_accuracy", cv=3).fit(given, same)
    assert tuned.score(given, same) > 0.8
    strict = FixedThresholdClassifier(frozen, threshold=0.9, response_method="predict_proba")
    assert strict.fit(given, same).predict(given).sum() < model.predict(given).sum()


def test_weights_and_groups_are_routed(task):
    pairs, same, groups = task
    weights = np.random.default_rng(0).uniform(0.1, 2, len(same))
    with sklearn.config_context(enable_metadata_routing=True):
        model = SoftDTWPairClassifier(0.1, early_stopping=True, max_iter=3, random_state=0)
        model.set_fit_request(sample_weight=True, groups=True).set_score_request(sample_weight=True)
        metadata = {"sample_weight": weights, "groups": groups}
        routed = cross_validate(
            model, pairs, same, cv=PairGroupKFold(2), params=metadata, return_estimator=True
        )
    for fold, (train, test) in enumerate(PairGroupKFold(2).split(pairs, groups=groups)):
        by_hand = clone(model).fit(
            pairs[train], same[train], sample_weight=weights[train], groups=groups[train]
        )
        np.testing.assert_array_equal(
            routed["estimator"][fold].predict_proba(pairs), by_hand.predict_proba(pairs)
        )
        score = by_hand.score(pairs[test], same[test], sample_weight=weights[test])
        assert routed["test_score"][fold] == score


def test_a_fitted_model_is_pickled_and_does_not_hold_the_pairs(noisy_task):
    pairs, same, _ = noisy_task
    model = SoftDTWPairClassifier(
        0.3, encoder=encoder(2), mining="hard", early_stopping=True, max_iter=2, random_state=0
    ).fit(pairs, same)
    text = pickle.dumps(model)
    assert len(text) < pairs.nbytes / 3
    np.testing.assert_array_equal(
        pickle.loads(text).predict_proba(pairs), model.predict_proba(pairs)
    )


P = np.random.default_rng(0).normal(size=(8, 2, 2, 10))
S = np.arange(8) % 2


@pytest.mark.parametrize(
    ("arguments", "X", "y", "message"),
    [
        ({"gamma": 0.0}, P, S, "gamma"),
        ({"gamma": -1}, P, S, "gamma"),
        ({"band": -1}, P, S, "band"),
        ({"loss": "hinge"}, P, S, "loss"),
        ({"margin": 0}, P, S, "margin"),
        ({"band": 1}, [(a, b[:, :3]) for a, b in P], S, "10 and 3: .* least radius .* is 2"),
        ({"loss": "contrastive", "learn_channels": False}, P, S, "nothing of it is learned"),
        ({"loss": "combined", "divergence": False}, P, S, "needs divergence=True"),
        ({"mining": "hard"}, P, S, "nothing of it is learned"),
        ({"mining": "easy"}, P, S, "mining"),
        ({"mining": "hard", "learn_gamma": True}, P, S, "needs recordings that are in pairs of"),
        ({"encoder": "conv"}, P, S, "encoder"),
        ({"encoder": nn.Conv1d(3, 1, 1)}, P, S, "encoder cannot take two recordings"),
        ({"encoder": nn.Flatten()}, P, S, "encoder must map"),
        ({"n_components": 3}, P, S, "more than the 2 channel"),
        ({"downsampling": 0}, P, S, "downsampling"),
        ({"downsampling": 10}, P, S, "leaves 1 sample"),
        ({}, P, np.arange(8) % 3, "Only binary classification"),
        ({}, P, S + 0.5, "continuous"),
        ({}, P, np.zeros(8), "only one class: 0"),
        ({}, P, S[:5], "inconsistent"),
        ({}, P, None, "requires y"),
        ({}, P[..., :1], S, "1 time point"),
        ({}, P * np.nan, S, "NaN"),
        ({}, np.where(P > 1, np.inf, P), S, "inf"),
        ({}, P[:0], S[:0], "0 sample"),
        ({}, S[:, None], S, "n_features = 1"),
        ({"preprocessor": P[:, 0]}, np.full((8, 2), 8), S, "points to recording 8"),
        ({"preprocessor": P[:, 0]}, P[:, 0, 0, :2], S, "numbers of recordings; got float64"),
    ],
)
def test_errors(arguments, X, y, message):
    with pytest.raises(ValueError, match=message):
        SoftDTWPairClassifier(**arguments).fit(X, y)


def test_weights_that_leave_one_class():
    with pytest.raises(ValueError, match="only one class: 1"):
        SoftDTWPairClassifier().fit(P, S, sample_weight=S)
    with pytest.raises(ValueError, match="zero"):
        SoftDTWPairClassifier().fit(P, S, sample_weight=np.zeros(8))


def test_a_narrow_band_is_refused_for_new_pairs_too():
    model = SoftDTWPairClassifier(band=1, random_state=0).fit(P, S)
    with pytest.raises(ValueError, match="least radius that works is 2"):
        model.predict([(P[0, 0], P[0, 1, :, :3])])
