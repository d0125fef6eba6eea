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
from sklearn_dbt.inspection import EigenframesDisplay

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
# Ways to describe a frame. Percentiles, histogram and moments know how much ink there is, and not
# where. Eigenframes, the principal components of all frames, keep where, and so do the lowest
# frequencies of the cosine transform and the means of regions, here a grid of four by four.
regions = np.kron(np.arange(1, 17).reshape(4, 4), np.ones((2, 2), dtype=int))
embedders = {
    "percentiles": FrameEmbedder("percentiles"),
    "histogram": FrameEmbedder("histogram", bins=8),
    "moments": FrameEmbedder("moments"),
    "eigenframes": FrameEmbedder("eigenframes", n_components=16),
    "dct": FrameEmbedder("dct", dct_size=4),
    "regions": FrameEmbedder("regions", regions=regions),
    "histogram and dct": FrameEmbedder(["histogram", "dct"], bins=8),
}

fig, axes = plt.subplots(2, 8, figsize=(7, 2), layout="constrained")
for ax, frame in zip(axes.flat, [*X[0], *X[1]], strict=True):
    ax.imshow(frame, cmap="gray_r")
    ax.set(xticks=[], yticks=[])
for row in (0, 1):
    axes[row, 0].set_ylabel(["down", "up"][y[row]])

# %%
# The eigenframes, and the share of the variance that each explains.
EigenframesDisplay.from_estimator(embedders["eigenframes"].fit(X))

# %%
# Sixteen numbers a frame tell what a frame shows: frames made of them again are hardly worse.
embedder = embedders["eigenframes"]
back = embedder.inverse_transform(embedder.transform(X))
print(f"variance kept by 16 of 64 numbers: {1 - (X - back).var() / X.var():.2f}")

# %%
# The same classifier on each panel, laid out as a table, and on the films as they are.


def classify(embedder):
    flatten = FunctionTransformer(lambda panel: panel.reshape(len(panel), -1))
    return make_pipeline(embedder, flatten, StandardScaler(), SVC()).fit(X, y)


for name, embedder in [*embedders.items(), ("pixels", "passthrough")]:
    print(f"{name:18} accuracy {classify(embedder).score(X_test, y_test):.3f}")

plt.show()
