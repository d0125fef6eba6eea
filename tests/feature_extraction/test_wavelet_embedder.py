"""The three outputs against PyWavelets per recording, their names, and every error."""

import pickle

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import pywt
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_dbt.feature_extraction import WaveletEmbedder, _learned_wavelet
from sklearn_dbt.feature_extraction._circular_bands import ContinuousTransform
from sklearn_dbt.feature_extraction._learned_wavelet import learn_filters
from sklearn_dbt.feature_extraction._packet_bands import PacketTransform, best_basis
from sklearn_dbt.feature_extraction._shrinkage import shrink

TRANSFORMS = ("dwt", "swt", "packet")
OUTPUTS = ("series", "features", "denoised")
ALL_STATISTICS = (
    *("mean", "std", "energy", "log_energy"),
    *("relative_energy", "entropy", "kurtosis"),
)
each_transform = pytest.mark.parametrize("transform", TRANSFORMS)
each_output = pytest.mark.parametrize("output", OUTPUTS)


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(5, 3, 64))


def ragged(X):
    return [recording[:, : 64 - 3 * (i % 3)] for i, recording in enumerate(X)]


@parametrize_with_checks(
    [
        WaveletEmbedder(),
        WaveletEmbedder(output="features", statistics=ALL_STATISTICS, sampling_rate=100),
        WaveletEmbedder(output="denoised", noise="level", threshold="garrote"),
        WaveletEmbedder("bior2.2", 1, "reflect", "swt"),
        WaveletEmbedder("sym3", 2, "antireflect", "packet", "denoised", selection="bayes"),
        WaveletEmbedder(transform="cwt", level=2, n_voices=2, output="features"),
        WaveletEmbedder("haar", 2, transform="packet", best_basis="shannon", learn_wavelet=True),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@each_transform
@pytest.mark.parametrize("mode", ["periodization", "symmetric"])
@pytest.mark.parametrize("n_times", [64, 51])
def test_series_are_channel_major_and_sum_to_the_input(X, transform, mode, n_times):
    X = X[..., :n_times]
    embedder = WaveletEmbedder("sym4", 3, mode, transform).fit(X)
    series = embedder.transform(X)
    n_bands = len(embedder.bands_)
    assert series.shape == (5, 3 * n_bands, n_times)
    by_channel = series.reshape(5, 3, n_bands, n_times)
    np.testing.assert_allclose(by_channel.sum(axis=2), X, atol=1e-12)
    np.testing.assert_allclose(embedder.inverse_transform(series), X, atol=1e-12)
    # Each channel of each recording by itself gives the same.
    alone = WaveletEmbedder("sym4", 3, mode, transform).fit_transform(X[2:3, 1:2])
    np.testing.assert_allclose(alone[0], by_channel[2, 1], atol=1e-13)


def test_series_are_the_inverse_of_one_band(X):
    embedder = WaveletEmbedder("db2", 2).fit(X)
    series = embedder.transform(X).reshape(5, 3, 3, 64)
    for i in np.ndindex(5, 3):
        bands = pywt.wavedec(X[i], "db2", "periodization", 2)
        for k in range(3):
            alone = [band if j == k else 0 * band for j, band in enumerate(bands)]
            expected = pywt.waverec(alone, "db2", "periodization")
            np.testing.assert_allclose(series[i][k], expected, atol=1e-12)


@pytest.mark.parametrize("output", ["series", "denoised"])
def test_series_and_denoised_keep_the_rank(X, output):
    embedder = WaveletEmbedder(level=2, output=output)
    assert embedder.fit_transform(X).ndim == 3
    table = embedder.fit_transform(X[:, 0])
    panel = embedder.fit_transform(X[:, :1])
    np.testing.assert_array_equal(table, panel.reshape(5, -1))


def bands_of(x, transform, level):
    if transform == "dwt":
        return pywt.wavedec(x, "db2", "periodization", level)
    if transform == "swt":
        return pywt.swt(x, "db2", level, trim_approx=True)
    packet = pywt.WaveletPacket(x, "db2", "periodization", level)
    return [node.data for node in packet.get_level(level, "freq")]


@each_transform
def test_features_are_statistics_of_pywavelets_bands(X, transform):
    embedder = WaveletEmbedder(
        "db2", 2, transform=transform, output="features", statistics=("std", "log_energy")
    )
    embedder.set_params(trend=()).fit(X)
    table = embedder.transform(X)
    for i, recording in enumerate(X):
        row = []
        for x in recording:
            for band in bands_of(x, transform, 2):
                row += [band.std(), np.log(np.mean(band**2))]
        np.testing.assert_allclose(table[i], row, rtol=1e-10)


def test_trend_is_the_signed_shape_of_the_lowest_band(X):
    embedder = WaveletEmbedder("db2", 2, "symmetric", output="features", sampling_rate=100)
    table = embedder.set_output(transform="pandas").fit_transform(X)
    lowest = WaveletEmbedder("db2", 2, "symmetric").fit_transform(X)[:, ::3]
    u = (2 * np.arange(X.shape[-1]) + 1) / X.shape[-1] - 1
    shapes = {"mean": u**0, "slope": 3 * u, "curvature": 5 * (1.5 * u**2 - 0.5)}
    for c in range(X.shape[1]):
        for name, shape in shapes.items():
            column = table[f"ch{c}_a2_0-12.5Hz_trend_{name}"]
            np.testing.assert_allclose(column, (lowest[:, c] * shape).mean(-1), atol=1e-12)


def test_default_features_are_trend_and_log_energy(X):
    names = WaveletEmbedder(level=1, output="features").fit(X).get_feature_names_out()
    assert names[:6].tolist() == [
        "ch0_a1_trend_mean",
        "ch0_a1_trend_slope",
        "ch0_a1_trend_curvature",
        "ch0_a1_log_energy",
        "ch0_d1_log_energy",
        "ch1_a1_trend_mean",
    ]


def noisy_signals(rng, n=1024):
    t = np.arange(n) / n
    bumps = sum(4 * h / (1 + np.abs((t - p) / 0.02)) ** 4 for p, h in ((0.2, 1), (0.6, -1.2)))
    clean = np.stack([np.sin(2 * np.pi * 6 * t), bumps, np.sign(t - 0.37)])
    return clean, clean + 0.3 * rng.normal(size=(4, 3, n))


@each_transform
@pytest.mark.parametrize("threshold", ["soft", "hard", "garrote"])
def test_denoising_improves_the_signal_to_noise_ratio(transform, threshold):
    clean, noisy = noisy_signals(np.random.default_rng(0))
    embedder = WaveletEmbedder(
        "sym8", 5, transform=transform, output="denoised", threshold=threshold
    )
    denoised = embedder.fit_transform(noisy)
    assert denoised.shape == noisy.shape
    before, after = (np.mean((x - clean) ** 2, axis=-1) for x in (noisy, denoised))
    assert (10 * np.log10(before / after) > 5).all()  # dB


def test_level_noise_follows_coloured_noise():
    rng = np.random.default_rng(0)
    noise = np.cumsum(rng.normal(size=(8, 1, 1024)), axis=-1)
    outputs = {
        name: WaveletEmbedder(level=5, mode="symmetric", output="denoised", noise=name)
        for name in ("finest", "level")
    }
    lowest = WaveletEmbedder(level=5, mode="symmetric").fit_transform(noise)[:, :1]
    kept = {
        name: np.mean((embedder.fit_transform(noise) - lowest) ** 2)
        for name, embedder in outputs.items()
    }
    assert kept["level"] < 0.05 * kept["finest"]


def test_denoising_is_pywavelets_threshold(X):
    options = {"output": "denoised", "noise": "level", "selection": "universal"}
    denoised = WaveletEmbedder("db2", 3, **options).fit_transform(X)
    for i in np.ndindex(5, 3):
        bands = pywt.wavedec(X[i], "db2", "periodization", 3)
        for k in range(1, 4):
            sigma = np.median(np.abs(bands[k])) / 0.6744897501960817
            bands[k] = pywt.threshold(bands[k], sigma * np.sqrt(2 * np.log(64)), "soft")
        expected = pywt.waverec(bands, "db2", "periodization")
        np.testing.assert_allclose(denoised[i], expected, atol=1e-12)


def test_selections_of_the_threshold(X):
    outputs = {}
    for selection in ("universal", "sure", "bayes"):
        embedder = WaveletEmbedder("db2", 3, output="denoised", selection=selection)
        outputs[selection] = embedder.fit_transform(X)
        bands = pywt.wavedec(X, "db2", "periodization", 3, axis=-1)
        bands = shrink(bands, 64, "soft", "finest", selection)
        expected = pywt.waverec(bands, "db2", "periodization", axis=-1)
        np.testing.assert_allclose(outputs[selection], expected, atol=1e-12)
    assert not np.allclose(outputs["universal"], outputs["bayes"])
    assert not np.allclose(outputs["sure"], outputs["bayes"])


@pytest.mark.parametrize("transform", [*TRANSFORMS, "cwt"])
def test_drifts_are_dropped_with_the_lowest_band(X, transform):
    options = {"level": 3, "mode": "symmetric", "transform": transform, "output": "denoised"}
    kept = WaveletEmbedder(**options).fit_transform(X)
    dropped = WaveletEmbedder(**options, lowest="drop").fit_transform(X)
    series = WaveletEmbedder(**options | {"output": "series"}).fit_transform(X)
    lowest = series.reshape(5, 3, -1, 64)[:, :, 0]
    np.testing.assert_allclose(kept - dropped, lowest, atol=1e-9)


# --- what fit learns -----------------------------------------------------------------------------


def chirps(n=128, shape=(6, 2)):
    t, rng = np.arange(n), np.random.default_rng(0)
    rate = rng.uniform(0.001, 0.002, (*shape, 1))
    return np.cos(2 * np.pi * rate * t**2) + 0.1 * rng.normal(size=(*shape, n))


@pytest.mark.parametrize("cost", ["shannon", "log_energy", "l1"])
def test_best_basis_is_learnt_in_fit_and_kept(cost, tmp_path):
    rng = np.random.default_rng(0)
    X = np.cos(0.1 * np.arange(128)) + 3 * (rng.random((6, 2, 128)) < 0.02)
    embedder = WaveletEmbedder("db2", 3, transform="packet", best_basis=cost, sampling_rate=10)
    series = embedder.fit_transform(X)
    packets = PacketTransform("db2", "periodization", 3)
    assert tuple(embedder.bands_) == best_basis(packets, [X], cost)
    assert 2 < len(embedder.bands_) < 8
    np.testing.assert_allclose(embedder.inverse_transform(series), X, atol=1e-12)
    np.testing.assert_allclose(embedder.band_edges_[-1, 1], 5)
    # Other recordings do not change it, and neither do their lengths.
    np.testing.assert_array_equal(embedder.transform(X[:2]), series[:2])
    assert embedder.transform(X[..., :100]).shape[1] == series.shape[1]
    embedder.save(tmp_path / "embedder")
    np.testing.assert_array_equal(WaveletEmbedder.load(tmp_path / "embedder").transform(X), series)
    embedder.set_params(best_basis=None).fit(X)
    assert len(embedder.bands_) == 8


def test_best_basis_of_ragged_recordings(X):
    embedder = WaveletEmbedder("db2", 3, transform="packet", best_basis="l1").fit(ragged(X))
    groups = [X[i::3, :, : 64 - 3 * i] for i in range(3)]
    packets = PacketTransform("db2", "periodization", 3)
    assert tuple(embedder.bands_) == best_basis(packets, groups, "l1")


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_learnt_wavelets_lose_nothing(transform, tmp_path, monkeypatch):
    monkeypatch.setattr(_learned_wavelet, "ROUNDS", ((2, 3),))
    X = chirps()
    embedder = WaveletEmbedder("db2", 3, "symmetric", transform, learn_wavelet=True)
    series = embedder.fit_transform(X)
    filters, curve = learn_filters([X], [None], "db2", 3, "shannon")
    np.testing.assert_allclose(embedder.filters_, filters, atol=1e-12)
    np.testing.assert_allclose(embedder.objective_curve_, curve, rtol=1e-12)
    assert curve[-1] < curve[0]
    np.testing.assert_allclose(embedder.inverse_transform(series), X, atol=1e-12)
    denoiser = clone(embedder).set_params(output="denoised", noise="level").fit(0 * X)
    np.testing.assert_array_equal(denoiser.transform(0 * X), 0 * X)
    embedder.save(tmp_path / "embedder")
    np.testing.assert_array_equal(WaveletEmbedder.load(tmp_path / "embedder").transform(X), series)
    embedder.set_params(learn_wavelet=False).fit(X)
    assert not hasattr(embedder, "filters_")
    assert not hasattr(embedder, "objective_curve_")


def test_a_wavelet_is_learnt_to_tell_classes_apart():
    rng, y = np.random.default_rng(0), np.arange(40) % 2
    t = np.arange(64)
    X = np.cos(2 * np.pi * (0.22 + 0.06 * y[:, None, None]) * t + rng.uniform(0, 6, (40, 1, 1)))
    X += 0.5 * rng.normal(size=X.shape)

    def overlap(bands, y):
        log_energy = torch.stack([band.square().mean((1, 2)).log() for band in bands])
        classes = [log_energy[:, torch.from_numpy(y == k)] for k in (0, 1)]
        between = (classes[0].mean(1) - classes[1].mean(1)).square()
        return -(between / sum(c.var(1) for c in classes)).sum()

    embedder = WaveletEmbedder("db3", 1, learn_wavelet=True, objective=overlap).fit(X, y)
    assert embedder.objective_curve_[-1] < 1.05 * embedder.objective_curve_[0] < 0
    # Labels stay with their recordings when lengths part them.
    seen = []

    def remember(bands, y):
        seen.append((len(bands[0]), y.tolist()))
        return bands[0].square().mean()

    recordings = [X[0], X[1, :, :60], X[2], X[3, :, :60], X[4]]
    embedder.set_params(objective=remember).fit(recordings, [3, 4, 5, 6, 7])
    assert seen[:2] == [(2, [4, 6]), (3, [3, 5, 7])]


# --- the continuous transform --------------------------------------------------------------------


@pytest.mark.parametrize("wavelet", [None, "morlet", "mexican_hat"])
def test_continuous_bands(X, wavelet):
    embedder = WaveletEmbedder(wavelet, 3, transform="cwt", n_voices=2, sampling_rate=64).fit(X)
    series = embedder.transform(X)
    assert embedder.bands_ == ["a3", "s6", "s5", "s4", "s3", "s2", "s1"]
    np.testing.assert_allclose(embedder.band_edges_[[0, -1]], [[0, 4], [32 * 2**-0.5, 32]])
    assert series.shape == (5, 21, 64)
    np.testing.assert_allclose(embedder.inverse_transform(series), X, atol=1e-12)
    table = embedder.set_params(output="features", statistics=["energy", "std"]).transform(X)
    transform = ContinuousTransform(wavelet or "morlet", "periodization", 3, 2)
    bands = transform.analysis(X[1, 2])
    column = embedder.get_feature_names_out().tolist().index("ch2_s6_4-5.65685Hz_energy")
    assert table[1, column] == pytest.approx(np.mean(np.abs(bands[1]) ** 2))
    seen = np.abs(bands[1]) if np.iscomplexobj(bands[1]) else bands[1]
    assert table[1, column + 1] == pytest.approx(np.std(seen))
    embedder.set_params(output="denoised")
    smooth = np.sin(2 * np.pi * np.arange(64) / 32)
    noisy = smooth + 0.3 * X
    assert np.mean((embedder.transform(noisy) - smooth) ** 2) < 0.5 * 0.09


def test_default_level_of_continuous_bands():
    for n, level in ((2, 1), (63, 2), (64, 3), (1024, 7)):
        assert WaveletEmbedder(transform="cwt").fit(np.ones((1, 1, n))).level_ == level


# --- names ---------------------------------------------------------------------------------------


@each_transform
@each_output
def test_names_align_with_columns(X, transform, output):
    embedder = WaveletEmbedder(level=2, transform=transform, output=output)
    for data in (X, X[:, 0]):
        names = embedder.fit(data).get_feature_names_out()
        assert len(set(names)) == len(names) == embedder.transform(data).shape[1]


def test_each_name_is_the_band_it_says():
    t = np.arange(256)
    wave = np.hanning(256) * np.cos(2 * np.pi * 0.09 * t)  # 18 Hz at 200 Hz
    X = np.stack([np.zeros(256), wave])[None]
    for transform, label in (("dwt", "d3_12.5-25Hz"), ("packet", "ada_12.5-25Hz")):
        level = 4 if transform == "dwt" else 3
        embedder = WaveletEmbedder("db8", level, "symmetric", transform, "features")
        embedder.set_params(statistics=["energy"], trend=(), sampling_rate=200)
        frame = embedder.set_output(transform="pandas").fit_transform(X)
        loudest = frame.iloc[0].idxmax()
        low, high = embedder.band_edges_[np.argmax(frame.iloc[0, frame.shape[1] // 2 :])]
        assert low <= 18 < high
        assert loudest.startswith("ch1_")
        if transform == "dwt":
            assert loudest == f"ch1_{label}_energy"


def test_series_names(X):
    embedder = WaveletEmbedder(level=1)
    assert embedder.fit(X).get_feature_names_out().tolist() == [
        *("ch0_a1", "ch0_d1", "ch1_a1", "ch1_d1", "ch2_a1", "ch2_d1")
    ]
    names = embedder.fit(X).get_feature_names_out(["Fz", "Cz", "Pz"])
    assert names[[0, 3]].tolist() == ["Fz_a1", "Cz_d1"]
    names = embedder.fit(X[:, 0]).get_feature_names_out()
    assert names[[0, 63, 64, 127]].tolist() == [
        *("ch0_a1_t0", "ch0_a1_t63", "ch0_d1_t0", "ch0_d1_t63")
    ]


def test_denoised_keeps_the_names(X):
    frame = pd.DataFrame(X[:, 0]).add_prefix("time")
    embedder = WaveletEmbedder(output="denoised").fit(frame)
    assert embedder.get_feature_names_out().tolist() == list(frame.columns)


@each_output
def test_tables_obey_set_output(X, output):
    embedder = WaveletEmbedder(level=2, output=output)
    expected = embedder.fit_transform(X[:, 0])
    for library, kind in (("pandas", pd.DataFrame), ("polars", pl.DataFrame)):
        frame = clone(embedder).set_output(transform=library).fit_transform(X[:, 0])
        assert isinstance(frame, kind)
        np.testing.assert_array_equal(frame.to_numpy(), expected)
        assert list(frame.columns) == embedder.get_feature_names_out().tolist()


# --- lengths -------------------------------------------------------------------------------------


@each_transform
@each_output
def test_ragged_recordings_are_each_alone(X, transform, output):
    embedder = WaveletEmbedder("db2", 2, "symmetric", transform, output).fit(ragged(X))
    result = embedder.transform(ragged(X))
    assert isinstance(result, np.ndarray if output == "features" else list)
    for i, recording in enumerate(ragged(X)):
        alone = embedder.transform(recording[None])[0]
        np.testing.assert_allclose(result[i], alone, atol=1e-13)


def test_inverse_of_ragged_series(X):
    embedder = WaveletEmbedder().fit(ragged(X))
    back = embedder.inverse_transform(embedder.transform(ragged(X)))
    for recording, original in zip(back, ragged(X), strict=True):
        np.testing.assert_allclose(recording, original, atol=1e-12)


def test_inverse_of_a_table(X):
    embedder = WaveletEmbedder(level=2).fit(X[:, 0])
    np.testing.assert_allclose(embedder.inverse_transform(embedder.transform(X[:, 0])), X[:, 0])


def test_panels_may_change_their_length_after_fit(X):
    embedder = WaveletEmbedder(level=3).fit(X)
    other = X[..., :40]
    expected = WaveletEmbedder(level=3).fit_transform(other)
    np.testing.assert_array_equal(embedder.transform(other), expected)
    with pytest.raises(ValueError, match=r"3 time point\(s\) and at least 4 are required"):
        embedder.transform(X[..., :3])


@pytest.mark.parametrize(
    ("n_times", "wavelet", "transform", "level"),
    [
        (2, "db4", "dwt", 1),
        (64, "db4", "dwt", 3),
        (64, "haar", "dwt", 6),
        (64, "haar", "swt", 6),
        (64, "haar", "packet", 4),
    ],
)
def test_default_level(n_times, wavelet, transform, level):
    X = np.random.default_rng(0).normal(size=(2, 1, n_times))
    embedder = WaveletEmbedder(wavelet, transform=transform).fit(X)
    assert embedder.level_ == level
    assert len(embedder.bands_) == (2**level if transform == "packet" else level + 1)


def test_shortest_recording_decides_the_default_level(X):
    assert WaveletEmbedder("haar").fit([X[0], X[1, :, :9]]).level_ == 3


@each_transform
@pytest.mark.parametrize("mode", pywt.Modes.modes)
@pytest.mark.parametrize("n_times", [2, 3, 4, 5])
def test_shortest_recordings(transform, mode, n_times):
    X = np.random.default_rng(0).normal(size=(2, 1, n_times))
    for wavelet in ("haar", "db3"):
        embedder = WaveletEmbedder(wavelet, n_times.bit_length(), mode, transform)
        np.testing.assert_allclose(embedder.fit_transform(X).sum(1), X[:, 0], atol=1e-8)


# --- precision, memory, composition --------------------------------------------------------------


@each_transform
@each_output
def test_precision_is_kept(X, transform, output):
    embedder = WaveletEmbedder(level=2, transform=transform, output=output)
    high = embedder.fit_transform(X)
    low = embedder.fit_transform(X.astype(np.float32))
    assert (high.dtype, low.dtype) == (np.float64, np.float32)
    np.testing.assert_allclose(low, high, atol=1e-4)


@each_transform
@each_output
def test_read_only_memmap(X, transform, output, tmp_path):
    joblib.dump(X, tmp_path / "X")
    mapped = joblib.load(tmp_path / "X", mmap_mode="r")
    embedder = WaveletEmbedder(level=2, transform=transform, output=output)
    np.testing.assert_array_equal(embedder.fit_transform(mapped), embedder.fit_transform(X))


def test_the_parameter_transform_and_the_method_live_together(X):
    embedder = WaveletEmbedder(transform="swt", level=1)
    assert embedder.get_params()["transform"] == "swt"
    assert callable(embedder.transform)
    assert "transform='swt'" in repr(embedder)
    embedder.set_params(transform="packet").fit(X)
    assert embedder.bands_ == ["a", "d"]
    for twin in (clone(embedder).fit(X), pickle.loads(pickle.dumps(embedder))):
        assert twin.get_params() == embedder.get_params()
        np.testing.assert_array_equal(twin.transform(X), embedder.transform(X))
    np.testing.assert_array_equal(WaveletEmbedder.transform(embedder, X), embedder.transform(X))


def test_save_and_load(X, tmp_path):
    embedder = WaveletEmbedder(transform="packet", output="features", sampling_rate=50.0).fit(X)
    embedder.save(tmp_path / "embedder")
    back = WaveletEmbedder.load(tmp_path / "embedder")
    np.testing.assert_array_equal(back.transform(X), embedder.transform(X))
    assert back.get_feature_names_out().tolist() == embedder.get_feature_names_out().tolist()


def test_pipeline_and_grid_search():
    rng, y = np.random.default_rng(0), np.arange(40) % 2
    t = np.arange(128)
    phase = rng.uniform(0, 2 * np.pi, size=(40, 2, 1))
    waves = np.sin(2 * np.pi * (0.05 + 0.1 * y[:, None, None]) * t + phase)
    X = waves + 0.5 * rng.normal(size=waves.shape)
    pipeline = make_pipeline(
        WaveletEmbedder("haar", level=1),
        WaveletEmbedder(output="features"),
        StandardScaler(),
        LogisticRegression(),
    )
    grid = {"waveletembedder-2__transform": TRANSFORMS, "waveletembedder-2__wavelet": ["db2"]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, y)
    assert search.best_score_ > 0.9
    assert len(search.cv_results_["params"]) == 3


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"wavelet": "db99"}, r"wavelet.* must be a str among .*'db4'.*Got 'db99'"),
        ({"wavelet": "morl"}, r"wavelet.* must be a str among .*'db4'.*Got 'morl'"),
        ({"mode": "wrap"}, r"mode.* must be a str among .*'periodization'.*Got 'wrap'"),
        ({"transform": "dft"}, r"transform.* must be a str among .*'packet'.*Got 'dft'"),
        ({"output": "bands"}, r"output.* must be a str among .*'series'.*Got 'bands'"),
        ({"wavelet": "morlet"}, r"transform='dwt' takes discrete wavelets, got 'morlet'"),
        (
            {"wavelet": "db4", "transform": "cwt"},
            r"transform='cwt' takes 'morlet' and 'mexican_hat', got 'db4'",
        ),
        ({"transform": "cwt", "learn_wavelet": True}, "learns discrete filters"),
        ({"learn_wavelet": True, "wavelet": "bior2.2"}, "wavelet must be orthogonal"),
        ({"selection": "sure", "threshold": "hard"}, r"needs threshold='soft' or 'garrote'"),
        ({"selection": "fdr"}, r"selection.* must be a str among .*'universal'.*Got 'fdr'"),
        ({"lowest": "shrink"}, r"lowest.* must be a str among .*'keep'.*Got 'shrink'"),
        ({"best_basis": "gini"}, r"best_basis.* must be a str among .*'shannon'.*Got 'gini'"),
        ({"objective": "gini"}, r"objective.* must be a str among .*'shannon'.*Got 'gini'"),
        ({"n_voices": 0}, r"n_voices.* must be an int in the range \[1, inf\).*Got 0"),
        ({"threshold": "firm"}, r"threshold.* must be a str among .*'soft'.*Got 'firm'"),
        ({"noise": "all"}, r"noise.* must be a str among .*'finest'.*Got 'all'"),
        ({"level": 0}, r"level.* must be an int in the range \[1, inf\).*Got 0"),
        ({"level": 8}, "level must be at most 7 for recordings of 64 time points, got 8"),
        ({"sampling_rate": 0}, r"sampling_rate.* must be a float in the range \(0.0, inf\)"),
        ({"statistics": ["power"]}, r"among mean, std, .*kurtosis; got \['power'\]"),
        ({"trend": "bend"}, r"trend must be .* among mean, slope, curvature; got 'bend'"),
        ({"statistics": []}, r"among mean, std, .*kurtosis; got \[\]"),
        ({"statistics": ["mean", "mean"]}, r"must be different names"),
    ],
)
def test_wrong_parameters_are_told(X, params, message):
    with pytest.raises(ValueError, match=message):
        WaveletEmbedder(**params).fit(X)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X[:, :, :1], r"1 time point\(s\) and at least 2"),
        (lambda X: X[:, 0, :1], r"n_features = 1 and at least 2"),
        (lambda X: X * np.nan, "NaN"),
        (lambda X: X * np.inf, r"infinity|inf"),
        (lambda X: X[:0], "0 sample"),
        (lambda X: X[..., :0], "0 time points"),
        (lambda X: X[None], "4 dimensions"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_wrong_recordings_are_told(X, change, message):
    with pytest.raises(ValueError, match=message):
        WaveletEmbedder().fit(change(X))


def test_other_channels_than_in_fit_are_told(X):
    embedder = WaveletEmbedder().fit(X)
    with pytest.raises(ValueError, match=r"2 features|2 channels"):
        embedder.transform(X[:, :2])
    with pytest.raises(ValueError, match="fitted on a panel"):
        embedder.transform(X[:, 0])


@pytest.mark.parametrize("output", ["features", "denoised"])
def test_only_series_have_an_inverse(X, output):
    embedder = WaveletEmbedder(output=output).fit(X)
    assert not hasattr(embedder, "inverse_transform")
    with pytest.raises(AttributeError) as error:
        embedder.inverse_transform(X)
    assert f"got output='{output}'" in str(error.value.__cause__)


def test_inverse_of_another_shape_is_told(X):
    embedder = WaveletEmbedder(level=2).fit(X)
    series = embedder.transform(X)
    with pytest.raises(ValueError, match=r"shape \(n, 9, n_times\) .*got \(5, 8, 64\)"):
        embedder.inverse_transform(series[:, 1:])
    with pytest.raises(ValueError, match=r"shape \(n, 9, n_times\) .*got \(5, 64\)"):
        embedder.inverse_transform(series[:, 0])
    with pytest.raises(ValueError, match=r"shape \(n, 192\) .*got \(5, 64\)"):
        WaveletEmbedder(level=2).fit(X[:, 0]).inverse_transform(X[:, 0])
    with pytest.raises(ValueError, match="NaN"):
        embedder.inverse_transform(series * np.nan)


def test_wrong_names_are_told(X):
    embedder = WaveletEmbedder().fit(X)
    with pytest.raises(ValueError, match="input_features"):
        embedder.get_feature_names_out(["Fz"])
