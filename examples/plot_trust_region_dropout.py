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
# One fit. Every weak frequency starts with a high rate, every strong one with a low rate; the
# mean is 0.5. With ``sampling_rate`` frequencies are in hertz, and ``locks`` keeps the slowest
# movement, below half a hertz, from ever being dropped.
options = {"learning_rate": 3e-3, "max_iter": 300, "tol": 1e-3, "sampling_rate": 30}
model = TrustRegionDropoutClassifier(locks=[(0, 0.5)], random_state=0, **options).fit(X, y)
print(f"{model.n_iter_} epochs, test accuracy {model.score(X_test, y_test):.3f}")

# %%
# The rates over frequency: as they ended, and how they came there, epoch by epoch. The locked band
# is at zero all the time.
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
DropoutSpectrumDisplay.from_estimator(model, ax=left)
DropoutSpectrumDisplay.from_estimator(model, epochs=True, ax=right, cmap="magma")

# %%
# What the trust region did. Above, the radius and the steps taken, which never exceed it; below,
# the ratio :math:`\rho` of the actual to the predicted reduction. Where it is near one, the model
# of the loss could be believed.
display = TrustRegionDisplay.from_estimator(model)

# %%
# Whether it helps is another question, and not to be answered by one fit. Three seeds beside
# alternatives: a trust region that asks another question (what lowers the loss of held-out rows
# one step ahead, or a variational bound), rates that stay where they are, no dropout at all, and
# logistic regression. On clean data such as these, expect dropout of any kind to make little
# difference.
models = {
    "training loss": {},
    "held-out loss": {"objective": "validation"},
    "variational bound": {"objective": "variational", "controller_options": {"kl_weight": 0.1}},
    "fixed rates": {"controller": "fixed"},
    "no dropout": {"controller": "fixed", "dropout_rate": 0.0},
}
for name, choice in models.items():
    scores = []
    for seed in range(3):
        model = TrustRegionDropoutClassifier(random_state=seed, **options, **choice).fit(X, y)
        scores.append(model.score(X_test, y_test))
    print(f"{name:20} {np.mean(scores):.3f} ± {np.std(scores):.3f}")
linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(X[:, 0], y)
print(f"{'logistic regression':20} {linear.score(X_test[:, 0], y_test):.3f}")

plt.show()
