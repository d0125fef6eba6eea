"""
Dropout rates that are learned under a trust region
===================================================

A small network tells two movements apart: an actor draws a gun, or only points a finger. The
series is the position of the hand along one axis, five seconds at 30 frames a second; there are
fifty recordings to learn from. Dropout acts on the *frequencies* of the movement, and
:class:`~sklearn_dbt.neural_network.TrustRegionDropoutClassifier` moves its rates while it trains.
"""

# %%
# The data come inside the aeon package. They are panels already: recordings, channels, times.
import matplotlib.pyplot as plt
import numpy as np
from aeon.datasets import load_gunpoint
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_dbt import TrustRegionDropoutClassifier
from sklearn_dbt.inspection import DropoutSpectrumDisplay, TrustRegionDisplay

X, y = load_gunpoint(split="train")
X_test, y_test = load_gunpoint(split="test")
X, X_test = X.astype(np.float32), X_test.astype(np.float32)
print("training panel", X.shape, "test panel", X_test.shape)

# %%
# One fit. High frequencies start with high rates, low ones with low rates; the mean is 0.7, and
# an octave is dropped or kept whole. With ``sampling_rate`` frequencies are in hertz, and ``locks``
# keeps the slowest movement, below half a hertz, from ever being dropped.
options = {"learning_rate": 3e-3, "max_iter": 150, "sampling_rate": 30}
model = TrustRegionDropoutClassifier(locks=[(0, 0.5)], random_state=0, **options).fit(X, y)
print(f"{model.n_iter_} epochs, test accuracy {model.score(X_test, y_test):.3f}")

# %%
# The rates over frequency: as they ended, and how they came there, epoch by epoch. The locked band
# is at zero all the time.
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
DropoutSpectrumDisplay.from_estimator(model, ax=left)
right = DropoutSpectrumDisplay.from_estimator(model, epochs=True, ax=right, cmap="magma")

# %%
# What the trust region did. Above, the radius and the steps taken, which never exceed it; below,
# the ratio :math:`\rho` of the actual to the predicted reduction. Where it is near one, the model
# of the loss could be believed.
display = TrustRegionDisplay.from_estimator(model)

# %%
# Whether it helps is another question, and not to be answered by one fit. Three seeds on the data
# as they are, and with noise in all frequencies above a quarter of the sampling rate, as strong as
# the movement, in training and test; beside alternatives: masks of single frequencies, rates that
# low energy makes high, rates that stay where they are, a trust region that asks another question
# (what lowers the loss of held-out rows one step ahead, or a variational bound), no dropout at all,
# and logistic regression. Where nothing is to be ignored, dropout of any kind makes little
# difference.


def noisy(X, seed):
    """Add band-limited noise of the movement's power."""
    noise = np.random.default_rng(seed).standard_normal(X.shape)
    spectrum = np.fft.rfft(noise) * (np.fft.rfftfreq(X.shape[-1]) >= 0.25)
    return (X + X.std() * 2**0.5 * np.fft.irfft(spectrum, X.shape[-1])).astype(np.float32)


models = {
    "octaves (default)": {},
    "single frequencies": {"mask_sharing": "none"},
    "rates by energy": {"policy": "energy"},
    "fixed rates": {"controller": "fixed"},
    "held-out loss": {"objective": "validation"},
    "variational bound": {"objective": "variational", "controller_options": {"kl_weight": 0.1}},
    "no dropout": {"controller": "fixed", "dropout_rate": 0.0},
}
sets = {"clean": (X, X_test), "noisy": (noisy(X, 0), noisy(X_test, 1))}
print(f"{'test accuracy':20} {'clean':16}noisy")
for name, choice in models.items():
    columns = []
    for train, test in sets.values():
        scores = [
            TrustRegionDropoutClassifier(random_state=seed, **options, **choice)
            .fit(train, y)
            .score(test, y_test)
            for seed in range(3)
        ]
        columns.append(f"{np.mean(scores):.3f} ± {np.std(scores):.3f}")
    print(f"{name:20} {'   '.join(columns)}")
linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
columns = [f"{linear.fit(a[:, 0], y).score(b[:, 0], y_test):.3f}" for a, b in sets.values()]
print(f"{'logistic regression':20} {(' ' * 11).join(columns)}")

plt.show()
