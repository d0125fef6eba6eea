"""
Short films as channels over time
=================================

A heat-map series is a picture at every moment.
:class:`~sklearn_dbt.feature_extraction.FrameEmbedder` makes channels of it, and what the channels
tell depends on the method. Here the films show handwritten digits that count up or down, and a
classifier has to say which.
"""

# %%
# The digits come with scikit-learn, 8 by 8 pixels each. A film counts eight of them, up or down
# and starting anywhere; every frame is another person's handwriting, and no picture is used in
# both halves.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from sklearn_dbt import FrameEmbedder

digits = load_digits()


def make_films(pictures, n_films, seed):
    """Films (n_films, 8, 8, 8) of digits that count up (1) or down (0)."""
    rng = np.random.default_rng(seed)
    is_up = rng.integers(2, size=n_films)
    start = rng.integers(10, size=n_films)
    shown = (start[:, None] + np.where(is_up, 1, -1)[:, None] * np.arange(8)) % 10
    of_digit = [pictures[digits.target[pictures] == digit] for digit in range(10)]
    chosen = [[rng.choice(of_digit[digit]) for digit in film] for film in shown]
    return digits.images[np.array(chosen)], is_up


half = np.random.default_rng(0).permutation(len(digits.images)) < len(digits.images) // 2
X, y = make_films(np.flatnonzero(half), 1500, seed=1)
X_test, y_test = make_films(np.flatnonzero(~half), 500, seed=2)
print("films", X.shape)

# %%
# Three ways to describe a frame. Percentiles and the histogram know how much ink there is, and
# not where; eigenframes, the principal components of all frames, keep where.
embedders = {
    "percentiles": FrameEmbedder("percentiles"),
    "histogram": FrameEmbedder("histogram", bins=8),
    "eigenframes": FrameEmbedder("eigenframes", n_components=16),
}
eigenframes = embedders["eigenframes"].fit(X).eigenframes_

fig, axes = plt.subplots(4, 8, figsize=(7, 3.8), layout="constrained")
for ax, frame in zip(axes.flat, [*X[0], *X[1], *eigenframes], strict=True):
    ax.imshow(frame, cmap="gray_r" if ax in axes[:2] else "RdBu")
    ax.set(xticks=[], yticks=[])
words = ["down", "up"]
for row, label in enumerate([words[y[0]], words[y[1]], "eigen-", "frames"]):
    axes[row, 0].set_ylabel(label)

# %%
# The same classifier on each panel, laid out as a table, and on the films as they are.


def classify(embedder):
    flatten = FunctionTransformer(lambda panel: panel.reshape(len(panel), -1))
    return make_pipeline(embedder, flatten, StandardScaler(), SVC()).fit(X, y)


for name, embedder in [*embedders.items(), ("pixels", "passthrough")]:
    print(f"{name:12} accuracy {classify(embedder).score(X_test, y_test):.3f}")

plt.show()
