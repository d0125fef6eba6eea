"""What every public estimator must do, from one table of fast constructor arguments.

A new estimator joins by one line of ``CASES``. scikit-learn's own checks run on tables (2D); the
rest of this file is the same for what the library is about: panels, frames and pairs.
"""

import inspect
import pickle
from dataclasses import dataclass, field

import joblib
import numpy as np
import pytest
import torch
from numpydoc.docscrape import ClassDoc
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

import sklearn_dbt
from sklearn_dbt import (
    ChannelScaler,
    FrameEmbedder,
    NonlinearICAEncoder,
    SoftDTWPairClassifier,
    TrustRegionDropoutClassifier,
    TrustRegionDropoutRegressor,
    WaveletEmbedder,
)

MASKS = {
    "check_sample_weight_equivalence_on_dense_data": (
        "masks are drawn per row, so a repeated row is masked anew where a weight of 2 is not; "
        "equality is tested at rate 0 in tests/neural_network"
    )
}
FAST_NET = {
    "max_iter": 20,
    "learning_rate": 0.01,
    "hidden_layer_sizes": (16,),
    "update_every": 10,
    "random_state": 0,
}


@dataclass(frozen=True)
class Case:
    """An estimator with fast arguments, and what it is fed."""

    estimator: BaseEstimator
    kind: str = "panel"
    ragged: bool = False
    expected_failures: dict = field(default_factory=dict)


CASES = [
    Case(ChannelScaler(), ragged=True),
    Case(FrameEmbedder(), "frames", ragged=True),
    Case(FrameEmbedder(method="histogram", bins=4), "frames", ragged=True),
    Case(FrameEmbedder(method="eigenframes"), "frames", ragged=True),
    Case(
        FrameEmbedder(method=["moments", "dct", "regions"], bad_frames="interpolate"),
        "frames",
        ragged=True,
    ),
    Case(WaveletEmbedder(wavelet="db2"), ragged=True),
    Case(WaveletEmbedder(wavelet="db2", output="features"), ragged=True),
    Case(WaveletEmbedder(wavelet="db2", output="denoised"), ragged=True),
    Case(WaveletEmbedder(wavelet="db2", transform="swt", level=2), ragged=True),
    Case(WaveletEmbedder(wavelet="db2", transform="packet", level=2), ragged=True),
    Case(
        WaveletEmbedder(wavelet="haar", transform="packet", best_basis="l1", learn_wavelet=True),
        ragged=True,
    ),
    Case(WaveletEmbedder(transform="cwt", level=2, n_voices=2), ragged=True),
    Case(WaveletEmbedder(wavelet="db2", output="denoised", selection="sure"), ragged=True),
    Case(NonlinearICAEncoder(n_init=1, max_iter=2, random_state=0), ragged=True),
    Case(
        NonlinearICAEncoder(n_init=1, max_iter=2, output="features", random_state=0),
        ragged=True,
    ),
    Case(NonlinearICAEncoder(method="pcl", n_init=1, max_iter=2, random_state=0), ragged=True),
    Case(NonlinearICAEncoder(method="gcl", n_init=1, max_iter=2, random_state=0), ragged=True),
    Case(NonlinearICAEncoder(method="ivae", n_init=1, max_iter=2, random_state=0), ragged=True),
    Case(TrustRegionDropoutClassifier(**FAST_NET), expected_failures=MASKS),
    Case(TrustRegionDropoutRegressor(**FAST_NET), expected_failures=MASKS),
    Case(SoftDTWPairClassifier(max_iter=20, random_state=0), "pairs", ragged=True),
]
IDS = [repr(case.estimator).replace("\n", "").replace(" ", "") for case in CASES]
each = pytest.mark.parametrize("case", CASES, ids=IDS)
networks = pytest.mark.parametrize(
    "case", [case for case in CASES if hasattr(case.estimator, "set_callbacks")]
)
# Two epochs are no training; that they do not converge is not what these tests are about.
pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    # A one-channel table cannot identify many sources, and scikit-learn's checks feed such.
    "ignore:NonlinearICAEncoder:UserWarning",
)


def make_data(case, dtype=np.float64, n=12, seed=0):
    """Structured data of the case's kind: two classes that differ in frequency, plus noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    t = np.linspace(0, 1, 48)
    phase = rng.uniform(0, 1, (n, 3, 1))
    clean = np.sin(2 * np.pi * ((3 + 4 * labels)[:, None, None] * t + phase))
    X = clean + 0.3 * rng.standard_normal(clean.shape)
    if case.kind == "frames":
        X = (X.transpose(0, 2, 1)[:, :16, :, None] + rng.standard_normal((n, 16, 3, 5))).copy()
    if case.kind == "pairs":
        partner = np.roll(X, 1 + labels.sum() % 2, axis=0)
        partner[labels == 1] = X[labels == 1] + 0.1 * rng.standard_normal(X[labels == 1].shape)
        X = np.stack([X, partner], axis=1)
    y = labels + 0.1 * rng.standard_normal(n) if is_regressor(case.estimator) else labels
    return X.astype(dtype), y


def result(estimator, X):
    """Return what the estimator says of X, as an array or a list of arrays."""
    for method in ("predict_proba", "predict", "transform"):
        if hasattr(estimator, method):
            return getattr(estimator, method)(X)
    raise AssertionError(f"{estimator} neither predicts nor transforms")


def fitted(case, dtype=np.float64):
    X, y = make_data(case, dtype)
    return clone(case.estimator).fit(X, y), X, y


def as_ragged(case, X):
    if case.kind == "pairs":
        return [(a[:, : 48 - i], b[:, : 46 - i]) for i, (a, b) in enumerate(X)]
    if case.kind == "frames":
        return [recording[: len(recording) - i] for i, recording in enumerate(X)]
    return [recording[..., : 48 - i] for i, recording in enumerate(X)]


def assert_finite(output):
    for array in output if isinstance(output, list) else [output]:
        assert np.isfinite(array).all()


def test_every_public_estimator_is_in_the_table():
    public = {
        name
        for name in sklearn_dbt.__all__
        if inspect.isclass(getattr(sklearn_dbt, name))
        and issubclass(getattr(sklearn_dbt, name), BaseEstimator)
    }
    assert public == {type(case.estimator).__name__ for case in CASES}


def expected_failures(estimator):
    cases = [case for case in CASES if type(case.estimator) is type(estimator)]
    return cases[0].expected_failures


@parametrize_with_checks(
    [case.estimator for case in CASES], expected_failed_checks=expected_failures
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("cls", sorted({type(case.estimator) for case in CASES}, key=str))
def test_tags_hide_no_checks(cls):
    tags = cls().__sklearn_tags__()
    assert tags.input_tags.two_d_array
    assert not tags.non_deterministic
    assert not tags.no_validation
    assert not tags._skip_test
    if tags.classifier_tags is not None:
        assert tags.classifier_tags.poor_score == (cls is SoftDTWPairClassifier)
    if tags.regressor_tags is not None:
        assert not tags.regressor_tags.poor_score


@pytest.mark.parametrize("cls", sorted({type(case.estimator) for case in CASES}, key=str))
def test_constructs_without_arguments_and_shows_itself(cls):
    html = cls()._repr_html_()
    assert cls.__name__ in html
    assert f"{cls.__name__}.html" in html


@each
def test_rank_and_length_of_the_output(case):
    estimator, X, _ = fitted(case)
    output = result(estimator, X)
    assert len(output) == len(X)
    assert_finite(output)
    if hasattr(estimator, "transform"):
        is_features = getattr(estimator, "output", None) == "features"
        assert output.ndim == (2 if is_features else 3)
        assert output.shape[0] == len(X)
    if is_classifier(estimator):
        np.testing.assert_allclose(output.sum(axis=1), 1, rtol=1e-6)
    if case.kind == "panel":
        assert estimator.n_features_in_ == X.shape[1]


@each
def test_ragged_recordings(case):
    X, y = make_data(case)
    estimator = clone(case.estimator)
    if not case.ragged:
        with pytest.raises(ValueError, match="different lengths, from 37 to 48"):
            estimator.fit(as_ragged(case, X), y)
        return
    output = result(estimator.fit(as_ragged(case, X), y), as_ragged(case, X))
    assert len(output) == len(X)
    assert_finite(output)


@each
def test_swapped_axes(case):
    estimator, X, _ = fitted(case)
    swapped = X.swapaxes(-1, -2) if case.kind != "frames" else X.transpose(0, 2, 3, 1)
    with pytest.raises(ValueError, match=r"(?i)swapped|shape"):
        result(estimator, swapped)


@each
@pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (np.inf, "inf")])
def test_nan_and_infinity(case, value, name):
    estimator, X, y = fitted(case)
    X[(1,) + (0,) * (X.ndim - 1)] = value
    with pytest.raises(ValueError, match=name):
        clone(estimator).fit(X, y)
    with pytest.raises(ValueError, match=name):
        result(estimator, X)


@each
def test_empty(case):
    estimator, X, y = fitted(case)
    for empty, labels in ((X[:0], y[:0]), (X[..., :0], y)):
        with pytest.raises(ValueError, match=r"(?i)minimum|at least|0 sample|has 0|empty"):
            clone(estimator).fit(empty, labels)
        with pytest.raises(ValueError, match=r"(?i)minimum|at least|0 sample|has 0|empty|channels"):
            result(estimator, empty)


@each
def test_one_recording(case):
    estimator, X, y = fitted(case)
    np.testing.assert_allclose(
        result(estimator, X[:1])[0], result(estimator, X)[0], rtol=1e-6, atol=1e-9
    )
    refit = clone(estimator)
    # One label is no classification, and one segment has nothing to be told apart from.
    if is_classifier(refit) or getattr(refit, "method", None) in ("tcl", "gcl", "ivae"):
        with pytest.raises(ValueError, match=r"class|at least two are needed"):
            refit.fit(X[:1], y[:1])
    else:
        assert len(result(refit.fit(X[:1], y[:1]), X)) == len(X)


@each
def test_constant_channel(case):
    X, y = make_data(case)
    X[..., 0, :] = 1.5
    assert_finite(result(clone(case.estimator).fit(X, y), X))


@each
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_kept(case, dtype):
    estimator, X, _ = fitted(case, dtype)
    assert result(estimator, X).dtype == dtype


@each
def test_float32_agrees_with_float64(case):
    if hasattr(case.estimator, "net_") or hasattr(case.estimator, "set_callbacks"):
        pytest.skip("training amplifies rounding; precision of the kernels is tested beside them")
    low, X, _ = fitted(case, np.float32)
    high, _, _ = fitted(case, np.float64)
    np.testing.assert_allclose(
        result(low, X), result(high, X.astype(np.float64)), rtol=1e-3, atol=1e-3
    )


@each
def test_read_only_memmap(case, tmp_path):
    X, y = make_data(case)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    output = result(clone(case.estimator).fit(mapped, y), mapped)
    np.testing.assert_array_equal(output, result(fitted(case)[0], X))


@each
def test_input_is_not_changed(case):
    X, y = make_data(case)
    before = X.copy()
    result(clone(case.estimator).fit(X, y), X)
    np.testing.assert_array_equal(X, before)


@each
def test_pickle(case):
    estimator, X, _ = fitted(case)
    back = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(result(back, X), result(estimator, X))


@each
def test_save_and_load(case, tmp_path):
    estimator, X, _ = fitted(case)
    estimator.save(tmp_path / "model")
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert names == {"config.json", "tensors.safetensors"}
    back = type(estimator).load(tmp_path / "model")
    assert vars(back).keys() == vars(estimator).keys()
    np.testing.assert_array_equal(result(back, X), result(estimator, X))


@each
def test_clone_is_unfitted_with_equal_parameters(case):
    estimator, X, _ = fitted(case)
    twin = clone(estimator)
    assert repr(twin) == repr(estimator)
    with pytest.raises(NotFittedError):
        result(twin, X)


@each
def test_same_seed_same_result_and_global_state_untouched(case):
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads()  # noqa: NPY002
    (first, X, _), (second, _, _) = fitted(case), fitted(case)
    np.testing.assert_array_equal(result(first, X), result(second, X))
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    assert before[2] == torch.get_num_threads()
    assert torch.is_grad_enabled()


@each
def test_threads_give_the_same_result(case):
    X, y = make_data(case)
    with joblib.parallel_backend("threading", n_jobs=2):
        outputs = joblib.Parallel()(
            joblib.delayed(lambda: result(clone(case.estimator).fit(X, y), X))() for _ in range(3)
        )
    expected = result(fitted(case)[0], X)
    for output in outputs:
        np.testing.assert_array_equal(output, expected)


@each
def test_fitted_attributes_are_documented(case):
    estimator, _, _ = fitted(case)
    documented = {p.name for p in ClassDoc(type(estimator))["Attributes"]}
    is_public = lambda name: name.endswith("_") and not name.startswith("_")  # noqa: E731
    found = {name for name in vars(estimator) if is_public(name)}
    # What a class offers as a property is an attribute too.
    found |= {
        name
        for name, value in inspect.getmembers(type(estimator))
        if is_public(name) and isinstance(value, property) and hasattr(estimator, name)
    }
    undocumented = found - documented
    assert not undocumented
    # An attribute may exist only with some parameters, but then the text has to say so.
    for missing in documented - found - {"feature_names_in_"}:
        text = " ".join(
            line
            for p in ClassDoc(type(estimator))["Attributes"]
            if p.name == missing
            for line in p.desc
        )
        assert "Only " in text, f"{missing} is documented and absent after fit"


@pytest.mark.parametrize(
    "case", [case for case in CASES if hasattr(type(case.estimator), "transform")]
)
def test_names_align_with_the_columns(case):
    estimator, X, _ = fitted(case)
    output = estimator.set_output(transform="pandas").transform(X)
    names = estimator.get_feature_names_out()
    assert len(set(names)) == len(names) == output.shape[1]
    if output.ndim == 2:
        assert list(output.columns) == list(names)


class StopAt:
    """Stops every fit at the end of an epoch, and looks at the estimator as of then."""

    def __init__(self, epoch):
        self.epoch = epoch
        self.seen = []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        if context.task_name == "epoch":
            assert_finite(result(fitted_estimator, X))
            self.seen.append(context.task_id)
        return context.task_name == "epoch" and context.task_id == self.epoch


@networks
def test_a_callback_stops_training(case):
    X, y = make_data(case)
    stop = StopAt(0)
    estimator = clone(case.estimator).set_callbacks(stop).fit(X, y)
    assert set(stop.seen) == {0}
    assert estimator.n_iter_ == 1
    assert_finite(result(estimator, X))
