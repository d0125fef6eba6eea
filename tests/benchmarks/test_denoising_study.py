"""The denoising study: its noise is as strong as it says, and settings are chosen on one half."""

import numpy as np
import pytest
import pywt
import scipy.io

from benchmarks import denoising_study as study


def test_noise_is_as_strong_as_asked_for():
    rng = np.random.default_rng(0)
    data = study.mixed("white", rng.normal(size=(5, 200)).cumsum(-1), rng.laplace(2, 3, (5, 200)))
    for noisy, strength in zip(data.noisy, study.STRENGTHS, strict=True):
        np.testing.assert_allclose(study.snr(data.clean, noisy), strength, atol=1e-9)


def test_halves_share_no_signal():
    development, (reporting,) = study.synthetic_sets()
    rows = lambda data: {row.tobytes() for row in data.clean}  # noqa: E731
    assert not rows(development) & rows(reporting)
    assert len(rows(development)) + len(rows(reporting)) >= 16
    assert np.isfinite(development.noisy).all()


def test_twelve_bit_samples(tmp_path):
    samples = np.random.default_rng(0).integers(-2048, 2048, (50, 2))
    first, second = (samples & 0xFFF).T
    packed = np.stack([first & 0xFF, (first >> 8) | ((second >> 8) << 4), second & 0xFF], axis=1)
    packed.astype(np.uint8).tofile(tmp_path / "100.dat")
    np.testing.assert_array_equal(study.read_212(tmp_path / "100.dat"), samples)


def recordings(folder):
    """Files as the databases have them, of random numbers."""
    rng = np.random.default_rng(0)
    rng.integers(0, 256, 3 * 20_000).astype(np.uint8).tofile(folder / "100.dat")
    rng.integers(-3000, 3000, (10_000, 12)).astype("<i2").tofile(folder / "s0010_re.dat")
    for kind in ("BW", "EM", "MA"):
        scipy.io.savemat(folder / f"{kind}.mat", {kind: rng.normal(size=(20_000, 2))})


def test_a_lead_at_another_rate(tmp_path):
    recordings(tmp_path)
    samples = np.zeros((10_000, 12), "<i2")
    samples[:, 1] = 1000 * np.sin(2 * np.pi * 5 * np.arange(10_000) / 1000)
    samples.tofile(tmp_path / "s0010_re.dat")
    found = study.read_ptb(tmp_path / "s0010_re.dat")
    expected = 0.5 * np.sin(2 * np.pi * 5 * np.arange(3600) / 360)
    np.testing.assert_allclose(found[200:-200], expected[200:-200], atol=2e-3)


def test_the_other_person_is_for_reporting_only(tmp_path):
    recordings(tmp_path)
    for development, reporting in study.ecg_sets(tmp_path):
        names = [data.name for data in reporting]
        assert names == [development.name, f"{development.name}, another person"]
        for data in reporting:
            assert not {row.tobytes() for row in data.clean} & {
                row.tobytes() for row in development.clean
            }
    (tmp_path / "s0010_re.dat").unlink()
    assert all(len(reporting) == 1 for _, reporting in study.ecg_sets(tmp_path))


def test_settings_are_chosen_once_for_all_that_is_reported(monkeypatch):
    development, reporting = study.synthetic_sets()
    settings = [("none", lambda x: x), ("worse", lambda x: 0 * x)]
    monkeypatch.setattr(study, "contenders", lambda: {"one": lambda: iter(settings)})
    lines = study.study([(development, reporting * 2)])
    assert [line["settings"] for line in lines] == 2 * ["none", "as it comes"]
    assert [line["0 dB"] for line in lines[::2]] == 2 * ["0.0"]


def test_the_best_settings_of_the_development_half_are_chosen():
    data = study.synthetic_sets()[0]
    settings = [
        ("worse", lambda x: x + 0.1 * np.sign(x)),
        ("none", lambda x: x),
        ("truth", lambda x: x + data.clean - x),
    ]
    assert study.choose(iter(settings[:2]), data)[0] == "none"
    assert study.choose(iter(settings), data)[0] == "truth"
    np.testing.assert_allclose(study.gains(settings[1][1], data), 0)
    assert study.harm(lambda x: 0.5 * x, data) == pytest.approx(20 * np.log10(2))


def test_pywavelets_recipe_is_its_own_threshold():
    x = np.random.default_rng(0).normal(size=(3, 256))
    name, denoise = next(one for one in study.pywavelets() if "wavedec 4" in one[0])
    assert name == "wavedec 4, universal soft, noise finest, keep"
    for row, denoised in zip(x, denoise(x), strict=True):
        bands = pywt.wavedec(row, "sym8", "symmetric", 4)
        sigma = np.median(np.abs(bands[-1])) / 0.6744897501960817
        limit = sigma * np.sqrt(2 * np.log(256))
        bands[1:] = [pywt.threshold(band, limit, "soft") for band in bands[1:]]
        np.testing.assert_allclose(denoised, pywt.waverec(bands, "sym8", "symmetric"), atol=1e-12)


def test_every_setting_of_ours_denoises():
    x = np.sin(np.arange(256) / 9) + 0.1 * np.random.default_rng(0).normal(size=(1, 256))
    names = []
    for name, denoise in study.ours():
        names.append(name)
        assert denoise(x).shape == x.shape
    assert len(set(names)) == len(names)


def test_scikit_image_averages_over_shifts():
    restoration = pytest.importorskip("skimage.restoration")
    x = np.sin(np.arange(64) / 9)[None] + 0.1 * np.random.default_rng(0).normal(size=(1, 64))
    options = {"wavelet": "haar", "wavelet_levels": 2, "method": "VisuShrink", "mode": "hard"}
    found = study._by_scikit_image(restoration, options, 3, x)
    shifted = [
        np.roll(restoration.denoise_wavelet(np.roll(x[0], s), **options), -s) for s in range(4)
    ]
    np.testing.assert_allclose(found[0], np.mean(shifted, axis=0), atol=1e-12)
