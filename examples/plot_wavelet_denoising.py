"""
Wavelet bands of a heart beat, and noise taken out of them
==========================================================

:class:`~sklearn_dbt.feature_extraction.WaveletEmbedder` looks at a recording band by band: as
series that sum to it, as a table of statistics, or to take noise out. Here it does the first and
the last with an electrocardiogram.
"""

# %%
# The recording comes inside PyWavelets. One recording with one channel is a panel of shape
# (1, 1, 1024).
import matplotlib.pyplot as plt
import numpy as np
import pywt.data
from scipy.ndimage import uniform_filter1d
from scipy.signal import wiener

from sklearn_dbt import WaveletEmbedder
from sklearn_dbt.inspection import ScalogramDisplay

X = pywt.data.ecg().astype(float)[None, None, :]
print(X.shape)

# %%
# **Bands.** Each band becomes a channel, from slow to fast, and together they are the recording.
# The wandering baseline and the slow waves between the beats are in the lowest band, the sharp
# beats in all of them, and what is left in the highest is nearly noise alone.
embedder = WaveletEmbedder(wavelet="sym6", level=4).fit(X)
bands = embedder.transform(X)
print("largest difference of the sum from the input:", np.abs(bands.sum(axis=1) - X[:, 0]).max())

fig, axes = plt.subplots(6, figsize=(7, 6), sharex=True, layout="constrained")
for ax, name, series in zip(axes, ["input", *embedder.bands_], [X[0, 0], *bands[0]], strict=True):
    ax.plot(series, lw=0.8)
    ax.set_ylabel(name)
axes[-1].set_xlabel("Sample")

# %%
# **Scalograms** show how strong each band is when. The discrete transform has few large
# coefficients. The best basis of packets splits a band further where that makes still fewer, here
# around the 60 Hz hum of the mains, which makes a narrow line. The continuous transform shows most,
# and is no basis: it has many coefficients for each sample.
transforms = {
    "discrete": WaveletEmbedder("sym6", 6, sampling_rate=360),
    "best basis": WaveletEmbedder(
        "sym6", 5, transform="packet", best_basis="l1", sampling_rate=360
    ),
    "continuous": WaveletEmbedder(transform="cwt", level=6, n_voices=8, sampling_rate=360),
}
fig, axes = plt.subplots(3, figsize=(7, 8), sharex=True, layout="constrained")
for ax, (name, transform) in zip(axes, transforms.items(), strict=True):
    ScalogramDisplay.from_estimator(transform.fit(X), X, ax=ax)
    ax.set(title=name, xlabel="")
axes[-1].set_xlabel("Time (s)")

# %%
# **Denoising.** White noise is spread evenly over all coefficients; the beats are in a few large
# ones. So small coefficients are set to zero, and the finest band tells what small means.
# ``threshold`` says what becomes of the others: ``"soft"`` shrinks them too, ``"hard"`` keeps them
# as they are, ``"garrote"`` is between. The stationary transform, ``"swt"``, does not depend on
# where the recording begins. ``selection`` says where the threshold lies: the universal one keeps
# noise out, ``"sure"`` and ``"bayes"`` look for the least error in each band.
options = {"wavelet": "sym6", "level": 4, "output": "denoised"}
denoiser = WaveletEmbedder(transform="swt", threshold="hard", **options)
noisy = X + 15 * np.random.default_rng(0).standard_normal(X.shape)
denoised = denoiser.fit_transform(noisy)

fig, axes = plt.subplots(2, figsize=(7, 4), sharex=True, sharey=True, layout="constrained")
axes[0].plot(noisy[0, 0], lw=0.7, color="0.5", label="noisy")
axes[1].plot(X[0, 0], lw=0.8, color="0.5", label="clean")
axes[1].plot(denoised[0, 0], lw=0.8, label="denoised")
for ax in axes:
    ax.legend(loc="upper right")
axes[1].set_xlabel("Sample")

# %%
# The signal-to-noise ratio in decibels, the mean over ten draws of the noise at three strengths.
# Beside it are two classical filters whose width is chosen *with the clean signal at hand*, an
# advantage that nobody has in earnest.


def snr(estimate):
    """Power of the signal's variation over that of the error, in dB."""
    return 10 * np.log10(X.var() / np.mean((estimate - X) ** 2))


def best_width(filter_, series):
    return max(snr(filter_(series, width)) for width in range(3, 30, 2))


contenders = {"input": lambda noisy: snr(noisy)}
for transform, selection, threshold in [
    ("dwt", "universal", "soft"),
    ("dwt", "sure", "soft"),
    ("dwt", "bayes", "soft"),
    ("swt", "universal", "hard"),
    ("swt", "sure", "garrote"),
    ("cwt", "sure", "garrote"),
]:
    wavelet = WaveletEmbedder(
        "morlet" if transform == "cwt" else "sym6",
        4,
        transform=transform,
        output="denoised",
        selection=selection,
        threshold=threshold,
    )
    name = f"{transform}, {selection}, {threshold}"
    contenders[name] = lambda noisy, w=wavelet: snr(w.fit_transform(noisy))
contenders["moving average"] = lambda noisy: best_width(uniform_filter1d, noisy[0, 0])
contenders["Wiener filter"] = lambda noisy: best_width(wiener, noisy[0, 0])

amplitudes = (10, 20, 40)
print(f"{'standard deviation of the noise':32}", *(f"{amplitude:6}" for amplitude in amplitudes))
for name, score in contenders.items():
    means = [
        np.mean(
            [
                score(X + amplitude * np.random.default_rng(seed).standard_normal(X.shape))
                for seed in range(10)
            ]
        )
        for amplitude in amplitudes
    ]
    print(f"{name:32}", *(f"{mean:6.1f}" for mean in means))

plt.show()
