"""The encoder: what it recovers, what it is blind to, and what it refuses."""

import math
import pickle

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.stats import ortho_group
from sklearn.decomposition import PCA, FastICA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_dbt.datasets import make_nonlinear_mixture
from sklearn_dbt.decomposition import NonlinearICAEncoder, _points, _trained_encoder
from sklearn_dbt.metrics import mean_correlation_coefficient

quick = pytest.mark.filterwarnings(
    # A few epochs are no training; what these tests are about does not need one.
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:NonlinearICAEncoder:UserWarning",
)


def mixture(n=3, n_layers=4, n_segments=12, n_times=300, seed=3):
    """Sources of changing scale and their mixture, `n_layers - 1` times leaky, then rotated.

    Returns sources and observations of shape (2, n_segments, n, n_times): to fit, to score on.
    """
    rng = np.random.RandomState(seed)
    scales = rng.uniform(0.01, 3, (n_segments, 1, n))
    sources = scales * rng.standard_normal((2, n_segments, n_times, n))
    observed = sources
    for _ in range(n_layers - 1):
        rotation = ortho_group.rvs(n, random_state=rng)
        observed = np.where(observed > 0, observed, 0.2 * observed) @ rotation
    return sources.swapaxes(2, 3).astype(np.float32), observed.swapaxes(2, 3).astype(np.float32)


def in_a_row(segments):
    """Segments of one long recording, shape (1, n_channels, n_segments * n_times)."""
    return np.concatenate(list(segments), axis=1)[None]


def matched_correlation(truth, found):
    """Mean absolute correlation of sources and components over all recordings and times."""
    a, b = (np.concatenate(list(z), axis=1) for z in (truth, found))
    table = np.abs(np.corrcoef(a, b)[: len(a), len(a) :])
    return table[linear_sum_assignment(-table)].mean()


def linear_scores(sources, observed):
    """What PCA and FastICA make of the magnitudes of held-out sources."""
    fitted, held_out = (in_a_row(part)[0].T for part in observed)
    truth = np.abs(in_a_row(sources[1]))
    for model in (PCA(), FastICA(random_state=0, max_iter=1000, tol=1e-3)):
        yield matched_correlation(truth, [np.abs(model.fit(fitted).transform(held_out)).T])


def panel(n=8, n_channels=3, n_times=40, seed=0):
    rng = np.random.default_rng(seed)
    return rng.laplace(size=(n, n_channels, n_times)) * rng.uniform(0.2, 3, (n, n_channels, 1))


def fast(**options):
    return NonlinearICAEncoder(
        **{"n_init": 1, "max_iter": 3, "batch_size": 256, "random_state": 0, **options}
    )


# --- what it recovers ----------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_windows_of_a_recording_reveal_what_linear_models_do_not():
    sources, observed = mixture()
    encoder = NonlinearICAEncoder(segments=12, n_init=1, random_state=0)
    encoder.fit(in_a_row(observed[0]))
    found = encoder.transform(in_a_row(observed[1]))
    score = matched_correlation(np.abs(in_a_row(sources[1])), found)
    assert score > 0.8
    for linear in linear_scores(sources, observed):
        assert score > linear + 0.15
    assert encoder.unmixing_method_ == "joint_diagonalization"
    assert min(encoder.validation_loss_curve_) < encoder.chance_loss_ - 0.3


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_recordings_as_segments_whose_offsets_are_trusted():
    sources, observed = mixture()
    score = {}
    for remove in (False, True):
        encoder = fast(max_iter=50, remove_offset=remove, remove_gain=False).fit(observed[0])
        found = encoder.transform(observed[1])
        score[remove] = matched_correlation(np.abs(sources[1]), found)
    assert score[False] > 0.8
    # Removed offsets tear the mixture; the docstring says so.
    assert score[False] > score[True] + 0.1


@pytest.mark.slow
def test_published_protocol():
    """5 sources, 4 layers, 20 segments of 500, where linear ICA scores about .5 on |s|."""
    scores = []
    for data in (1, 2):
        sources, observed = mixture(5, 4, 20, 500, seed=data)
        encoder = NonlinearICAEncoder(segments=20, max_iter=100, random_state=0)
        encoder.fit(in_a_row(observed[0]))
        found = encoder.transform(in_a_row(observed[1]))
        scores.append(matched_correlation(np.abs(in_a_row(sources[1])), found))
        assert scores[-1] > max(linear_scores(sources, observed)) + 0.2
    assert np.mean(scores) > 0.86


# --- what comes out ------------------------------------------------------------------------------


@quick
def test_components_are_standardised_and_in_order():
    X = panel(20, n_times=200)
    encoder = fast(max_iter=10, remove_gain=False).fit(X)
    series = np.concatenate(list(encoder.transform(X)), axis=1)
    np.testing.assert_allclose(series.mean(axis=1), 0, atol=1e-8)
    np.testing.assert_allclose(series.std(axis=1), 1, rtol=1e-6)
    assert (np.diff(encoder.contrast_) <= 0).all()
    assert (encoder.contrast_ <= 1).all()
    means = series.reshape(3, 20, 200).mean(axis=2)
    np.testing.assert_allclose(means.var(axis=1), encoder.contrast_, rtol=1e-6)


@quick
def test_electrodes_and_amplifier_are_not_seen():
    X = panel()
    gain, offset = np.arange(1.0, 9.0)[:, None, None], np.arange(24.0).reshape(8, 3, 1)
    encoder = fast().fit(X)
    changed = gain * X + offset
    np.testing.assert_allclose(encoder.transform(changed), encoder.transform(X), atol=1e-8)
    again = fast().fit(changed)
    np.testing.assert_allclose(again.transform(X), encoder.transform(X), atol=1e-3)
    trusting = fast(remove_offset=False, remove_gain=False).fit(X)
    assert np.abs(trusting.transform(changed) - trusting.transform(X)).max() > 0.1


@quick
def test_fewer_components_and_other_recordings():
    encoder = fast(n_components=2).fit(panel())
    assert encoder.transform(panel(3, n_times=17)).shape == (3, 2, 17)
    assert encoder.get_feature_names_out().tolist() == ["component0", "component1"]
    assert encoder.whitening_.shape == (3, 3)
    assert encoder.unmixing_.shape == (2, 2)


@quick
def test_a_table_has_one_component():
    X = panel(n_channels=1)[:, 0]
    encoder = fast().fit(X)
    assert encoder.n_components_ == 1
    assert encoder.unmixing_method_ == "none"
    assert encoder.transform(X).shape == X.shape
    assert encoder.get_feature_names_out()[17] == "component0_t17"


@quick
def test_features_are_statistics_of_the_series():
    X = panel()
    encoder = fast(output="features").fit(X)
    table = encoder.set_output(transform="pandas").transform(X)
    assert table.shape == (8, 9)
    series = encoder.set_params(output="series").transform(X)
    np.testing.assert_allclose(table["component1_mean"], series[:, 1].mean(axis=1))
    np.testing.assert_allclose(table["component2_log_variance"], np.log(series[:, 2].var(axis=1)))
    slopes = [np.polyfit(np.arange(40), recording[0], 1)[0] for recording in series]
    np.testing.assert_allclose(table["component0_trend"], 39 * np.array(slopes))


@quick
@pytest.mark.parametrize("segments", ["recording", 3])
def test_ragged_recordings(segments):
    X = [recording[:, : 40 - 3 * i] for i, recording in enumerate(panel())]
    encoder = fast(segments=segments).fit(X)
    assert encoder.n_segments_ == (8 if segments == "recording" else 24)
    series = encoder.transform(X)
    assert [z.shape for z in series] == [x.shape for x in X]
    np.testing.assert_allclose(encoder.transform(X[2][None])[0], series[2], atol=1e-10)
    table = encoder.set_params(output="features").transform(X)
    np.testing.assert_allclose(table[:, 0], [z[0].mean() for z in series], atol=1e-12)


@quick
def test_dependent_channels_are_borne():
    X = panel()
    dependent = np.concatenate([X, X[:, :1] + X[:, 1:2], np.ones((8, 1, 40))], axis=1)
    encoder = fast().fit(dependent)
    assert encoder.n_components_ == 3
    assert encoder.transform(dependent).shape == (8, 3, 40)


@quick
@pytest.mark.parametrize("unmixing", ["joint_diagonalization", "fastica"])
def test_unmixing_can_be_chosen(unmixing):
    X = panel(n_times=100)
    encoder = fast(unmixing=unmixing).fit(X)
    assert encoder.unmixing_method_ == unmixing
    assert np.isfinite(encoder.transform(X)).all()


METHODS = ["tcl", "pcl", "gcl", "ivae"]
each_method = pytest.mark.parametrize("method", METHODS)


@pytest.mark.parametrize(
    ("method", "protocol", "segments", "bar"),
    [("gcl", "ivae", 30, 0.85), ("ivae", "ivae", 30, 0.78), ("pcl", "pcl", "recording", 0.85)],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_sources_are_recovered_with_their_signs(method, protocol, segments, bar):
    X, sources, _ = make_nonlinear_mixture(
        protocol,
        n_recordings=2,
        n_sources=3,
        n_times=9000 if protocol == "pcl" else 300,
        n_segments=1 if protocol == "pcl" else 30,
        random_state=2,
    )
    encoder = NonlinearICAEncoder(method=method, segments=segments, n_init=1, random_state=0)
    encoder.set_params(hidden_layer_sizes=(48, 48), batch_size=256, max_iter=20)
    found = encoder.fit(X[:1].astype(np.float32)).transform(X[1:].astype(np.float32))
    score = mean_correlation_coefficient(sources[1:], found)
    linear = FastICA(whiten="unit-variance", random_state=0, max_iter=1000).fit(X[0].T)
    beside = mean_correlation_coefficient(sources[1], linear.transform(X[1].T).T)
    assert score > max(bar, beside + 0.05)
    # What is lower than the loss of guessing has been learnt.
    assert min(encoder.validation_loss_curve_) < encoder.chance_loss_ - 0.05


@quick
@each_method
def test_every_method_gives_standardised_components_in_order(method):
    X = panel(20, n_times=60)
    encoder = fast(method=method, max_iter=2, remove_gain=False).fit(X)
    series = np.concatenate(list(encoder.transform(X)), axis=1)
    np.testing.assert_allclose(series.mean(axis=1), 0, atol=1e-8)
    np.testing.assert_allclose(series.std(axis=1), 1, rtol=1e-6)
    assert (np.diff(encoder.contrast_) <= 0).all()
    assert encoder.contrast_.min() >= 0
    assert encoder.contrast_.max() <= 1
    ragged = [recording[:, : 50 - i] for i, recording in enumerate(X)]
    assert [z.shape for z in fast(method=method).fit(ragged).transform(ragged)] == [
        (3, 50 - i) for i in range(20)
    ]


@quick
@each_method
def test_every_method_saves_and_loads(method, tmp_path):
    X = panel()
    encoder = fast(method=method, max_iter=2).fit(X)
    encoder.save(tmp_path / "encoder")
    twin = NonlinearICAEncoder.load(tmp_path / "encoder")
    np.testing.assert_array_equal(twin.transform(X), encoder.transform(X))


@quick
@pytest.mark.parametrize("method", ["pcl", "gcl", "ivae"])
def test_a_component_rises_with_the_direction_it_is_closest_to(method):
    X = panel()
    encoder = fast(method=method).fit(X)
    inputs = [x - x.mean(axis=1, keepdims=True) for x in X]
    white = encoder.whitening_ @ np.concatenate(
        [x / np.sqrt(np.square(x).mean()) for x in inputs], axis=1
    )
    loadings = np.concatenate(list(encoder.transform(X)), axis=1) @ white.T
    assert (loadings[np.arange(3), np.abs(loadings).argmax(axis=1)] > 0).all()


@quick
def test_permutations_need_one_recording_only():
    X = panel(1, n_times=300)
    encoder = fast(method="pcl").fit(X)
    assert encoder.n_segments_ == 1
    assert encoder.chance_loss_ == pytest.approx(math.log(2))
    assert encoder.transform(X).shape == X.shape


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_decoding_undoes_encoding():
    X, _, _ = make_nonlinear_mixture(
        "ivae", n_sources=3, n_segments=20, n_times=100, random_state=0
    )
    encoder = fast(method="ivae", segments=20, max_iter=40, remove_gain=False).fit(X)
    back = encoder.inverse_transform(encoder.transform(X))
    assert back.shape == X.shape
    centred = X - X.mean(axis=2, keepdims=True)
    assert np.square(back - centred).mean() < 0.05 * np.square(centred).mean()
    (one,) = encoder.inverse_transform(list(encoder.transform(X)))
    np.testing.assert_allclose(one, back[0], atol=1e-10)


@quick
def test_only_an_autoencoder_decodes():
    table = panel(n_channels=1)[:, 0]
    encoder = fast(method="ivae").fit(table)
    assert encoder.inverse_transform(encoder.transform(table)).shape == table.shape
    with pytest.raises(AttributeError, match=r"inverse_transform") as caught:
        fast().fit(panel()).inverse_transform(panel())
    assert "'tcl' has no decoder" in str(caught.value.__cause__)
    with pytest.raises(ValueError, match="expected 1 components"):
        encoder.inverse_transform(np.ones((2, 2, 9)))
    # What counts is the network that was fitted, not what the next one will be.
    assert hasattr(encoder.set_params(method="tcl"), "inverse_transform")
    assert not hasattr(fast().fit(panel()).set_params(method="ivae"), "inverse_transform")


@quick
@each_method
def test_either_precision_is_encoded_whatever_was_fitted(method):
    X = panel()
    encoder = fast(method=method).fit(X.astype(np.float32))
    double, single = (encoder.transform(X.astype(dtype)) for dtype in (np.float64, np.float32))
    assert (double.dtype, single.dtype) == (np.float64, np.float32)
    np.testing.assert_allclose(double, single, atol=1e-4)
    np.testing.assert_array_equal(
        encoder.transform((X * 100).round().astype(np.int16)).shape, X.shape
    )


# --- recordings that come one after the other, or lie on disk ------------------------------------


@quick
@each_method
def test_partial_fit_goes_on_with_new_recordings(method):
    X = panel(24, n_times=120)
    encoder = fast(method=method)
    assert encoder.partial_fit(X[:8]) is encoder
    assert encoder.n_iter_ == 1
    whitening, first = encoder.whitening_.copy(), encoder.transform(X)
    encoder.partial_fit(X[8:18])
    assert encoder.n_iter_ == len(encoder.loss_curve_) == 2
    np.testing.assert_array_equal(encoder.whitening_, whitening)
    if method != "pcl":
        assert encoder.n_segments_ == 10
    second = encoder.transform(X)
    assert second.shape == X.shape
    if method == "pcl":
        # These recordings have no dependence in time to find anything by.
        return
    # One more epoch changes little; components have kept their places and signs.
    a, b = (np.concatenate(list(z), axis=1) for z in (first, second))
    correlation = np.corrcoef(a, b)[:3, 3:]
    assert (np.abs(correlation).argmax(axis=1) == np.arange(3)).all()
    assert (np.diag(correlation) > 0).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_partial_fit_learns_as_fit_does():
    sources, observed = mixture(n_times=400)
    encoder = fast(segments=12, learning_rate=0.01)
    for _ in range(40):
        encoder.partial_fit(in_a_row(observed[0]))
    found = encoder.transform(in_a_row(observed[1]))
    score = matched_correlation(np.abs(in_a_row(sources[1])), found)
    assert score > max(linear_scores(sources, observed)) + 0.1


@quick
def test_partial_fit_refuses_other_data_and_stays_as_it_was():
    X = panel()
    encoder = fast().partial_fit(X)
    expected = encoder.transform(X)
    with pytest.raises(ValueError, match="X has 2 features"):
        encoder.partial_fit(X[:, :2])
    with pytest.raises(ValueError, match="X is float32, but float64 was seen"):
        encoder.partial_fit(X.astype(np.float32))
    with pytest.raises(ValueError, match=r"method, n_components, hidden_layer_sizes, .* cannot"):
        encoder.set_params(method="gcl").partial_fit(X)
    encoder.set_params(method="tcl")
    assert encoder.n_iter_ == 1
    np.testing.assert_array_equal(encoder.transform(X), expected)


@quick
@each_method
def test_of_very_many_points_some_are_looked_at(method, monkeypatch):
    X = panel(12, n_times=60)
    monkeypatch.setattr(_points, "MOST_LOOKED_AT", 100)
    encoder = fast(method=method).fit(X)
    assert encoder.n_segments_ == 12
    assert np.isfinite(encoder.transform(X)).all()


@quick
@each_method
def test_recordings_on_disk_are_read_on_demand(method, tmp_path, monkeypatch):
    X = panel(10, n_times=80)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    expected = fast(method=method).fit(X).transform(X)
    monkeypatch.setattr(_points, "MOST_BYTES", 1000)
    read = []
    original = _points.Points.read
    monkeypatch.setattr(
        _points.Points, "read", lambda self, rows: read.append(len(rows)) or original(self, rows)
    )
    found = fast(method=method).fit(mapped).transform(mapped)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert len(read) > 6


# --- how it trains -------------------------------------------------------------------------------


@quick
def test_the_network_with_the_lowest_held_out_loss_is_kept(monkeypatch):
    seen = []

    def spy(method, restarts, watched):
        losses = held_out_losses(method, restarts, watched)
        seen.append((losses, method, watched))
        return losses

    held_out_losses = _trained_encoder.held_out_losses
    monkeypatch.setattr(_trained_encoder, "held_out_losses", spy)
    X = panel()
    encoder = fast(n_init=4).fit(X)
    ((losses, method, watched),) = seen
    assert len(losses) == 4
    assert len(set(losses)) == 4
    (kept,) = held_out_losses(method, encoder.net_.module_, watched)
    assert kept == pytest.approx(losses.min(), rel=1e-9)
    assert losses.min() == pytest.approx(min(encoder.validation_loss_curve_), rel=1e-6)


@quick
def test_another_seed_another_start():
    X = panel()
    a, b = (fast(random_state=seed).fit(X).transform(X) for seed in (0, 1))
    assert np.abs(a - b).max() > 1e-3


@quick
def test_held_out_points_are_of_every_segment():
    encoder = fast(segments=2).fit(panel())
    assert encoder.n_segments_ == 16
    assert encoder.chance_loss_ == pytest.approx(math.log(16))


@quick
def test_samples_of_an_epoch():
    X, steps = panel(), []
    for max_samples in (64, None):
        encoder = fast(max_samples=max_samples, batch_size=32, max_iter=2).fit(X)
        state = next(iter(encoder.net_.optimizer_.state.values()))
        steps.append(int(state["step"]))
    # 8 recordings of 40 points, a tenth of them held out: 288 points are trained on.
    assert steps == [2 * 2, 2 * 9]


@quick
def test_warm_start_goes_on():
    X = panel()
    encoder = fast(warm_start=True, max_iter=4).fit(X)
    first = encoder.loss_curve_.copy()
    encoder.fit(X)
    assert encoder.n_iter_ == 8
    assert encoder.loss_curve_[:4] == first
    state = next(iter(encoder.net_.optimizer_.state.values()))
    assert int(state["step"]) == 8 * 2
    fresh = fast(max_iter=4).fit(X)
    assert fresh.fit(X).loss_curve_ == first


@quick
def test_warm_start_takes_new_rates():
    X = panel()
    encoder = fast(warm_start=True).fit(X)
    before = [p.detach().clone() for p in encoder.net_.module_.parameters()]
    encoder.set_params(learning_rate=1e-12, batch_size=16, max_samples=32).fit(X)
    for old, new in zip(before, encoder.net_.module_.parameters(), strict=True):
        np.testing.assert_allclose(old.numpy(), new.detach().numpy(), atol=1e-9)


class Interrupt:
    """Raises what Ctrl-C does, at the end of the second epoch."""

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch" and context.task_id == 1:
            raise KeyboardInterrupt


@quick
def test_ctrl_c_keeps_what_was_learnt():
    X = panel()
    encoder = fast(n_init=2, max_iter=50).set_callbacks(Interrupt())
    with pytest.raises(KeyboardInterrupt, match="stopped after 2 epochs"):
        encoder.fit(X)
    assert encoder.n_iter_ == 2
    assert np.isfinite(encoder.transform(X)).all()
    assert "_training" not in vars(encoder)


@quick
def test_restarts_leave_nothing_behind(tmp_path):
    X = panel()
    encoder = fast(n_init=3).fit(X)
    expected = encoder.transform(X)
    encoder.save(tmp_path / "encoder")
    for twin in (
        NonlinearICAEncoder.load(tmp_path / "encoder"),
        pickle.loads(pickle.dumps(encoder)),
    ):
        assert len(twin.net_.module_.networks) == 1
        np.testing.assert_array_equal(twin.transform(X), expected)
    one = len(pickle.dumps(fast(n_init=1).fit(X)))
    assert len(pickle.dumps(encoder)) < 1.1 * one


@quick
def test_pipeline_and_search():
    X, y = panel(12), np.arange(12) % 2
    pipeline = make_pipeline(fast(output="features"), LogisticRegression())
    search = GridSearchCV(
        pipeline, {"nonlinearicaencoder__n_components": [1, 2]}, cv=2, error_score="raise"
    ).fit(X, y)
    assert search.best_estimator_.predict(X).shape == (12,)


# --- what it says --------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_too_few_segments_are_told():
    X = np.concatenate([np.ones((3, 1, 1)), [[[9.0]], [[3.0]], [[1.0]]]], axis=1) * panel(3, 2)
    with pytest.warns(UserWarning, match="2 segments cannot identify 2 components; at least 3"):
        fast(max_iter=30).fit(X[:2])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_segments_that_look_alike_are_told():
    X = np.random.default_rng(0).normal(size=(30, 2, 40))
    with pytest.warns(UserWarning, match="told apart no better than by guessing"):
        fast(max_iter=2, learning_rate=0.1).fit(X)


@pytest.mark.filterwarnings("ignore:.*segments cannot identify:UserWarning")
def test_segments_of_the_last_part_are_judged_by_its_own_loss():
    """Two segments are guessed with a loss of log 2, which is nothing among thirty."""
    noise = np.random.default_rng(0).normal(size=(30, 2, 40))
    encoder = fast()
    with pytest.warns(UserWarning, match=r"by guessing \(loss 0\."):
        encoder.partial_fit(noise[:2])
    with pytest.warns(UserWarning, match=r"by guessing \(loss 3\..*, chance 3\.4"):
        encoder.partial_fit(noise)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_modulation_of_too_low_rank_is_told():
    """Two of three sources change together: they cannot be told apart."""
    rng = np.random.default_rng(0)
    strength = np.exp(rng.normal(size=(30, 2)))[:, [0, 1, 1]]
    sources = strength[:, :, None] * rng.laplace(size=(30, 3, 200))
    X = np.einsum("ij,njt->nit", np.linalg.qr(rng.normal(size=(3, 3)))[0], sources)
    with pytest.warns(UserWarning, match="the 3 components change in 2 independent ways"):
        fast(max_iter=10, remove_gain=False).fit(X)


@quick
def test_variances_and_means_take_more_segments():
    X = panel(6)
    with pytest.warns(UserWarning, match="6 segments cannot identify 3 components; at least 7"):
        fast(method="ivae").fit(X)


@pytest.mark.filterwarnings("ignore:NonlinearICAEncoder. the strengths:UserWarning")
def test_an_unfinished_training_is_told():
    _, observed = mixture(n_segments=6, n_times=100)
    with pytest.warns(ConvergenceWarning, match=r"3 epochs were run \(max_iter\)"):
        fast(segments=6).fit(in_a_row(observed[0]))


@quick
@pytest.mark.parametrize(
    ("options", "X", "message"),
    [
        ({"n_components": 4}, panel(), "n_components=4 must be at most .* X has 3"),
        ({"n_components": 2}, panel()[:, 0], "at most .* a table is a panel of one channel"),
        (
            {"n_components": 3},
            panel()[:, [0, 1, 1]],
            "n_components=3, but only 2 of the 3 channels are linearly independent",
        ),
        ({}, np.ones((4, 2, 9)), "all recordings of X are constant"),
        ({}, panel(1), "X has one recording .* windows: segments=20"),
        ({"segments": 30}, panel(), "recording 0 of X has n_times=40, too few for segments=30"),
        ({}, panel(n_times=1), r"1 time point\(s\) and at least 2 are required"),
        ({"hidden_layer_sizes": (8, 0)}, panel(), r"hidden_layer_sizes\[1\] must be at least 1"),
        ({"device": "abacus"}, panel(), "device='abacus' is unknown"),
    ],
)
def test_what_fit_refuses(options, X, message):
    encoder = fast(**options)
    with pytest.raises(ValueError, match=message):
        encoder.fit(X)
    assert not hasattr(encoder, "net_")


@pytest.mark.parametrize(
    "options",
    [
        {"method": "sfa"},
        {"segments": "channel"},
        {"segments": 0},
        {"unmixing": "pca"},
        {"output": "table"},
        {"n_init": 0},
        {"max_samples": 0},
        {"validation_fraction": 1.0},
        {"remove_gain": "yes"},
        {"weight_decay": -1.0},
    ],
)
def test_wrong_parameters(options):
    (name,) = options
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter"):
        fast(**options).fit(panel())


@quick
@pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_values_that_are_no_numbers(value, name):
    X = panel()
    X[2, 1, 5] = value
    with pytest.raises(ValueError, match=f"{name}: recording 2, channel 1, time point 5"):
        fast().fit(X)


@quick
def test_encoding_is_that_of_the_fit_whatever_is_set_later(tmp_path):
    X = panel()
    encoder = fast().fit(X)
    Z = encoder.transform(X)
    encoder.set_params(remove_gain=False, remove_offset=False, method="pcl")
    np.testing.assert_array_equal(encoder.transform(X), Z)
    encoder.save(tmp_path / "encoder")
    np.testing.assert_allclose(
        NonlinearICAEncoder.load(tmp_path / "encoder").transform(X), Z, atol=1e-12
    )


@quick
def test_silence_is_refused_where_training_goes_on():
    X = panel()
    encoder = fast().partial_fit(X)
    before = encoder.transform(X)
    with pytest.raises(ValueError, match="all recordings of X are constant"):
        encoder.partial_fit(0 * X)
    np.testing.assert_array_equal(encoder.transform(X), before)


@quick
@pytest.mark.parametrize("unit", [2.0**-100, 2.0**100])
def test_units_of_float32_do_not_matter(unit):
    X = panel().astype(np.float32)
    found = fast().fit(X * np.float32(unit)).transform(X * np.float32(unit))
    np.testing.assert_array_equal(found, fast().fit(X).transform(X))


@quick
def test_swapped_axes():
    X = panel()
    encoder = fast().fit(X)
    with pytest.raises(ValueError, match="axes look swapped"):
        encoder.transform(X.transpose(0, 2, 1))


@quick
def test_warm_start_needs_the_same_segments_network_and_precision():
    X = panel()
    encoder = fast(warm_start=True).fit(X)
    with pytest.raises(ValueError, match="X has 7 and the last fit had 8"):
        encoder.fit(X[:7])
    with pytest.raises(ValueError, match="X is float32, but float64 was seen"):
        encoder.fit(X.astype(np.float32))
    kept = {"n_components": 3, "hidden_layer_sizes": None, "remove_gain": True}
    for change in ({"n_components": 2}, {"hidden_layer_sizes": (4,)}, {"remove_gain": False}):
        with pytest.raises(ValueError, match=r"hidden_layer_sizes, remove_offset and .* change"):
            encoder.set_params(**{**kept, **change}).fit(X)
    assert np.isfinite(encoder.transform(X)).all()
