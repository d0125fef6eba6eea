"""Thresholds against PyWavelets, scikit-image, brute force and the error they estimate."""

from itertools import product

import numpy as np
import pytest
import pywt
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.feature_extraction._shrinkage import RULES, SELECTIONS, risk_estimate, shrink
from sklearn_dbt.feature_extraction._transform_choice import TRANSFORMS

each = pytest.mark.parametrize("name", TRANSFORMS)
WAVELETS = {"cwt": "morlet"}


def signals(n, seed=0, shape=(2, 3)):
    return np.random.default_rng(seed).normal(size=(*shape, n))


def complex_signals(n, seed=0, shape=(2, 3)):
    return signals(n, seed, shape) + 1j * signals(n, seed + 1, shape)


@pytest.mark.parametrize("rule", RULES)
def test_rules_are_pywavelets(rule):
    c = np.linspace(-3, 3, 61)
    ours = RULES[rule](c, np.array([1.05]))
    np.testing.assert_allclose(ours, pywt.threshold(c, 1.05, rule), atol=1e-15)


def test_threshold_is_the_universal_one():
    rng = np.random.default_rng(0)
    bands = [rng.normal(size=(2, 8)), rng.normal(size=(2, 8)), 3 * rng.normal(size=(2, 16))]
    for noise in ("finest", "level"):
        shrunk = shrink(bands, 32, "hard", noise)
        assert shrunk[0] is bands[0]
        for k in (1, 2):
            source = bands[k if noise == "level" else 2]
            for i in range(2):
                sigma = np.median(np.abs(source[i])) / 0.6744897501960817
                expected = pywt.threshold(bands[k][i], sigma * np.sqrt(2 * np.log(32)), "hard")
                np.testing.assert_array_equal(shrunk[k][i], expected)


@each
def test_white_noise_is_removed_and_silence_stays(name):
    transform = TRANSFORMS[name](WAVELETS.get(name, "db4"), "periodization", 3)
    noise = signals(512)
    bands = shrink(transform.analysis(noise), 512, "soft", "finest")
    assert all(np.square(np.abs(band)).mean() < 0.01 for band in bands[1:])
    silence = shrink(transform.analysis(np.zeros((1, 64))), 64, "soft", "level")
    assert not any(band.any() for band in silence)


@pytest.mark.parametrize(
    ("rule", "selection"), [("soft", "sure"), ("garrote", "sure"), ("hard", "universal")]
)
def test_auto_estimates_the_risk_where_it_can(rule, selection):
    bands = [(1 + k) * signals(64, k) for k in (2, 1, 0)]
    found, expected = (shrink(bands, 64, rule, "finest", s) for s in ("auto", selection))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    other = shrink(bands, 64, rule, "finest", "bayes")
    assert not all(np.array_equal(a, b) for a, b in zip(found, other, strict=True))


@pytest.mark.parametrize("rule", RULES)
def test_rules_shrink_the_magnitude_of_complex_coefficients(rule):
    c = complex_signals(50)
    ours = RULES[rule](c, np.array([1.05]))
    np.testing.assert_allclose(np.abs(ours), pywt.threshold(np.abs(c), 1.05, rule), atol=1e-14)
    kept = ours != 0
    np.testing.assert_allclose(np.angle(ours[kept]), np.angle(c[kept]), atol=1e-12)


def test_bayes_threshold_is_scikit_images():
    thresholding = pytest.importorskip("skimage.restoration._denoise")
    for seed, scale in ((0, 3.0), (1, 1.2)):
        c = scale * signals(64, seed, (4,))
        sigma = np.full((4, 1), 0.7)
        ours = SELECTIONS["bayes"](c, sigma, 64, "soft")
        theirs = [thresholding._bayes_thresh(row, 0.7**2) for row in c]
        np.testing.assert_allclose(ours[:, 0], theirs, rtol=1e-12)


@pytest.mark.parametrize(
    ("method", "selection"), [("VisuShrink", "universal"), ("BayesShrink", "bayes")]
)
@pytest.mark.parametrize("rule", ["soft", "hard"])
def test_denoising_is_scikit_images(method, selection, rule):
    restoration = pytest.importorskip("skimage.restoration")
    clean = np.sin(np.arange(256) / 9) + (np.arange(256) > 100)
    x = clean + 0.2 * np.random.default_rng(0).normal(size=256)
    transform = TRANSFORMS["dwt"]("db4", "symmetric", 3)
    ours = transform.synthesis(shrink(transform.analysis(x), 256, rule, "finest", selection), 256)
    theirs = restoration.denoise_wavelet(
        x, wavelet="db4", mode=rule, wavelet_levels=3, method=method, rescale_sigma=False
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-10)


def test_bayes_keeps_nothing_of_noise_alone_and_all_where_there_is_none():
    c = signals(64)
    assert (SELECTIONS["bayes"](c, np.full((2, 3, 1), 5.0), 64, "soft") == np.inf).all()
    assert not SELECTIONS["bayes"](c, np.zeros((2, 3, 1)), 64, "soft").any()


def estimate_one_by_one(c, sigma, rule, threshold):
    """Stein's estimate, its divergence by finite differences in each component."""
    total, step = 0.0, 1e-6
    for value in c:
        moved = RULES[rule](np.array([value]), threshold)[0]
        total += abs(moved - value) ** 2
        for direction in (1, 1j) if np.iscomplexobj(c) else (1,):
            ends = [
                RULES[rule](np.array([value + s * step * direction]), threshold)[0] for s in (1, -1)
            ]
            slope = (ends[0] - ends[1]) / (2 * step)
            total += 2 * sigma**2 * (slope * np.conj(direction)).real - sigma**2
    return total


@pytest.mark.parametrize("rule", ["soft", "garrote"])
@pytest.mark.parametrize("make", [signals, complex_signals])
def test_risk_is_steins_formula(rule, make):
    c = 2 * make(9, shape=())
    risk, thresholds = risk_estimate(c, np.array([0.8]), rule)
    np.testing.assert_array_equal(thresholds, [0, *np.sort(np.abs(c))])
    for r, threshold in zip(risk, thresholds, strict=True):
        # A little above, where the rule is differentiable at every coefficient.
        expected = estimate_one_by_one(c, 0.8, rule, threshold + 1e-5)
        assert r == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("rule", ["soft", "garrote"])
@pytest.mark.parametrize("make", [signals, complex_signals])
def test_risk_is_the_mean_error(rule, make):
    truth, n_components = np.repeat([0.0, 0.5, 2.0, 5.0], 50), 1 if make is signals else 2
    noisy = truth + 0.9 * make(200, shape=(4000,))
    for threshold in (0.7, 1.5, 3.0):
        # With the threshold itself as one more coefficient, which is set to zero.
        more = np.concatenate([noisy, np.full((4000, 1), threshold)], axis=1)
        risk, thresholds = risk_estimate(more, np.full((4000, 1), 0.9), rule)
        of_last = threshold**2 - n_components * 0.9**2
        estimated = risk[np.isclose(thresholds, threshold, rtol=1e-12)].mean() - of_last
        error = np.square(np.abs(RULES[rule](noisy, threshold) - truth)).sum(axis=1).mean()
        assert estimated == pytest.approx(error, rel=0.01)


@settings(max_examples=40)
@given(st.integers(0, 2**16), st.floats(0.3, 1.2), st.sampled_from(["soft", "garrote"]))
def test_sure_threshold_is_the_best_of_all(seed, sigma, rule):
    rng = np.random.default_rng(seed)
    c = rng.normal(size=40) + 8 * (rng.random(40) < 0.4) * rng.normal(size=40)
    universal = sigma * np.sqrt(2 * np.log(40))
    found = SELECTIONS["sure"](c, np.array([sigma]), 40, rule)[0]
    if np.mean(c**2) <= sigma**2 * (1 + np.log2(40) ** 1.5 / np.sqrt(40)):
        assert found == universal
        return
    candidates = [0.0, *(size for size in np.abs(c) if size <= universal)]

    def risk(threshold):
        above = np.abs(c) > threshold
        loss = {"soft": threshold**2, "garrote": threshold**4 / c**2}[rule]
        divergence = {"soft": 1.0, "garrote": 1 + threshold**2 / c**2}[rule]
        return np.where(above, loss + 2 * sigma**2 * divergence, c**2).sum()

    assert risk(found) == pytest.approx(min(map(risk, candidates)), rel=1e-12)


def test_sure_and_bayes_beat_the_universal_threshold_on_rich_bands():
    rng = np.random.default_rng(0)
    truth = rng.laplace(size=(20, 512))
    noisy = truth + 0.5 * rng.normal(size=truth.shape)
    errors = {}
    for selection in SELECTIONS:
        noise = 0.5 * rng.normal(size=truth.shape)
        (_, kept, _) = shrink([noisy, noisy, noise], 512, "soft", "finest", selection)
        errors[selection] = np.mean((kept - truth) ** 2)
    assert errors["sure"] < errors["bayes"] * 1.05 < 0.5 * errors["universal"]
    assert max(errors["sure"], errors["bayes"]) < 0.25


@pytest.mark.parametrize("selection", SELECTIONS)
def test_silence_is_finite(selection):
    for silence in (np.zeros((2, 16)), np.zeros((2, 16), dtype=complex)):
        for band in shrink([silence] * 3, 16, "soft", "level", selection):
            assert not band.any()


@pytest.mark.parametrize("selection", SELECTIONS)
def test_single_precision_is_kept(selection):
    bands = [signals(32, k).astype(np.float32) for k in range(3)]
    assert {b.dtype for b in shrink(bands, 32, "soft", "finest", selection)} == {np.dtype("f4")}


@pytest.mark.parametrize(
    ("selection", "rule"), sorted({*product(SELECTIONS, RULES)} - {("sure", "hard")})
)
@pytest.mark.parametrize(("dtype", "scale"), [("f4", 1e-20), ("f4", 1e20), ("f8", 1e-200)])
def test_units_do_not_matter(selection, rule, dtype, scale):
    """Magnetometers measure in tesla: squares of squares are beyond single precision."""
    bands = [(1 + k) * signals(64, k).astype(dtype) for k in (2, 1, 0)]
    scaled = [(band * scale).astype(dtype) for band in bands]
    for noise in ("finest", "level"):
        expected = shrink(bands, 64, rule, noise, selection)
        for ours, theirs in zip(shrink(scaled, 64, rule, noise, selection), expected, strict=True):
            np.testing.assert_allclose(ours / np.array(scale, dtype), theirs, atol=1e-4)
