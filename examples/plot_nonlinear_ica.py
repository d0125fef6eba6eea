"""
Independent sources behind a nonlinear mixture
==============================================

Three sensors see three independent movements, but each sees a *nonlinear* mixture of them. Linear
methods cannot undo that. :class:`~sklearn_dbt.decomposition.NonlinearICAEncoder` can, when the
strengths of the sources change over time: it learns to tell when a moment was.
"""

# %%
# The sources are real: three channels of a motion sensor, each from another person at another
# time, standing, walking, running or playing badminton, so that they are independent and their
# strengths change from one recording to the next. The mixture is ours, which is how we know the
# truth: a rotation, a leaky rectifier, and both again before a last rotation.
import matplotlib.pyplot as plt
import numpy as np
from aeon.datasets import load_basic_motions
from sklearn.decomposition import FastICA

from sklearn_dbt import NonlinearICAEncoder
from sklearn_dbt.inspection import SourcesDisplay
from sklearn_dbt.metrics import match_components, mean_correlation_coefficient

motions, _ = load_basic_motions()
rng = np.random.default_rng(0)
sources = np.stack([motions[rng.permutation(80), channel] for channel in (0, 2, 4)], axis=1)
sources -= sources.mean(axis=2, keepdims=True)
sources /= sources.std(axis=(0, 2), keepdims=True)


def rotate(panel, seed):
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return np.einsum("ij,njt->nit", rotation, panel)


def bend(panel):
    return np.where(panel > 0, panel, 0.2 * panel)


X = rotate(bend(rotate(bend(rotate(sources, 1)), 2)), 3).astype(np.float32)
print("recordings, channels, times:", X.shape)

# %%
# What is recovered is the magnitude of each source, not its sign, in any order. Components are
# matched with the sources one to one, and correlated with their magnitudes. For a fair comparison
# magnitudes are taken of the linear components.
#
# By default offset and gain of each recording are removed, since in most measurements they tell
# about electrodes and amplifiers. Here there are none, and what is removed would be part of the
# mixture: the strengths are the very thing to learn from.
linear = FastICA(random_state=0, whiten="unit-variance").fit(X.swapaxes(1, 2).reshape(-1, 3))
components = linear.transform(X.swapaxes(1, 2).reshape(-1, 3)).reshape(80, 100, 3).swapaxes(1, 2)
encoder = NonlinearICAEncoder(remove_offset=False, remove_gain=False, random_state=0)
Z = encoder.fit_transform(X)
for name, found in [("channels", X), ("FastICA", components)]:
    print(f"{name:20} {mean_correlation_coefficient(np.abs(sources), np.abs(found)):.3f}")
print(f"{'NonlinearICAEncoder':20} {mean_correlation_coefficient(np.abs(sources), Z):.3f}")

# %%
# The contrastive loss on held-out moments, beside that of guessing. If it does not fall below,
# the components mean nothing, and the estimator says so. Nobody knows the truth in earnest: this
# curve is what there is to look at.
fig, ax = plt.subplots(figsize=(5, 2.8), layout="constrained")
ax.plot(encoder.validation_loss_curve_, label="held out")
ax.axhline(encoder.chance_loss_, color="0.6", label="guessing")
ax.set(xlabel="Epoch", ylabel="Contrastive loss")
ax.legend()

# %%
# Eight recordings side by side: what the sensors saw, and the magnitudes behind it with what was
# found of them.
order = match_components(np.abs(sources), Z).order
shown = slice(0, 8)


def side_by_side(panel):
    return np.concatenate(panel[shown], axis=1)


fig, axes = plt.subplots(4, figsize=(8, 6), sharex=True, layout="constrained")
axes[0].plot(side_by_side(X).T, lw=0.7)
axes[0].set_ylabel("channels")
for i, ax in enumerate(axes[1:]):
    truth, found = side_by_side(np.abs(sources))[i], side_by_side(Z)[order[i]]
    slope, level = np.polyfit(found, truth, 1)
    ax.plot(truth, color="0.6", lw=1, label="magnitude of the source")
    ax.plot(slope * found + level, lw=0.7, label="component")
    ax.set_ylabel(f"source {i + 1}")
axes[1].legend(loc="upper right", ncols=2)
axes[-1].set_xlabel("Sample")

# %%
# On data of your own the truth is not known. :class:`~sklearn_dbt.inspection.SourcesDisplay` draws
# what was found in a recording; after a linear method also how strongly each source is in each
# channel, here of the same recording by FastICA, which draws signs and leaves the mixture.
fig, (above, below) = plt.subplots(2, figsize=(8, 6), layout="constrained")
SourcesDisplay.from_estimator(encoder, X, ax=above, sampling_rate=10)
above.set_title("Magnitudes of sources, time-contrastive learning")
linear = FastICA(whiten="unit-variance", random_state=0).fit(X[0].T)
SourcesDisplay.from_estimator(linear, X[0].T, ax=below, sampling_rate=10)
below.set_title("Sources and their mixing, FastICA")

plt.show()
