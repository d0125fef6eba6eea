"""
A learned distance for neighbours, clustering and maps
======================================================

Eighty recordings of a wrist sensor: standing, walking, running, badminton. A distance that is
learned from *pairs* of recordings, same or not, is a distance like any other afterwards:
scikit-learn's neighbours, clusterings and embeddings take it as ``metric="precomputed"``.
"""

# %%
# The recordings come inside aeon: accelerometer and gyroscope, six channels of 100 samples. Half of
# them train, the other half is only looked at in the end.
import matplotlib.pyplot as plt
import numpy as np
import torch
from aeon.datasets import load_basic_motions
from sklearn.cluster import AgglomerativeClustering
from sklearn.manifold import MDS
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import KNeighborsClassifier

from sklearn_dbt import ChannelScaler, SoftDTWPairClassifier, make_pairs
from sklearn_dbt.inspection import AlignmentDisplay, PairDistanceDisplay

X_train, y_train = load_basic_motions(split="train")
X_test, y_test = load_basic_motions(split="test")
scaler = ChannelScaler().fit(X_train)
X_train, X_test = (scaler.transform(X).astype(np.float32) for X in (X_train, X_test))
pairs, same, _ = make_pairs(X_train, y_train, n_pairs=300, return_indices=True, random_state=0)
unseen, unseen_same, _ = make_pairs(X_test, y_test, n_pairs=300, random_state=0)

# %%
# Two distances: soft-DTW of the recordings as they are, and of what a small convolutional network
# makes of them. The network is trained end to end, through the alignment, from the pairs alone.
torch.manual_seed(0)
encoder = torch.nn.Sequential(
    torch.nn.Conv1d(6, 16, 9, padding=4), torch.nn.ReLU(), torch.nn.Conv1d(16, 8, 9, padding=4)
)
models = {
    "soft-DTW": SoftDTWPairClassifier(preprocessor=X_train, random_state=0),
    "learned": SoftDTWPairClassifier(
        encoder=encoder,
        learn_gamma=True,
        encoder_learning_rate=0.003,
        batch_size=64,
        max_iter=40,
        preprocessor=X_train,
        random_state=0,
    ),
}
for name, model in models.items():
    model.fit(pairs, same)
    display = PairDistanceDisplay.from_estimator(model, unseen, unseen_same)
    display.figure_.suptitle(f"{name}: pairs of recordings never seen in training")

# %%
# The same distances between *all* recordings, for whatever takes a distance matrix. The neighbours
# of a test recording are training recordings; clusters and maps are made of test recordings only.
fig, axes = plt.subplots(1, 2, figsize=(8.4, 3.8), layout="constrained")
labels, colors = np.unique(y_test, return_inverse=True)
for ax, (name, model) in zip(axes, models.items(), strict=True):
    known = model.pairwise_distances(X_train).clip(0)
    across = model.pairwise_distances(X_test, X_train).clip(0)
    among = model.pairwise_distances(X_test).clip(0)
    neighbours = KNeighborsClassifier(3, metric="precomputed").fit(known, y_train)
    clusters = AgglomerativeClustering(4, metric="precomputed", linkage="average").fit(among)
    accuracy = neighbours.score(across, y_test)
    rand = adjusted_rand_score(y_test, clusters.labels_)
    print(f"{name:10} 3 neighbours: accuracy {accuracy:.3f}; 4 clusters: adjusted Rand {rand:.3f}")
    # A square root makes the differences of a divergence more like those of a metric.
    places = MDS(
        metric="precomputed", n_init=4, init="random", normalized_stress=False, random_state=0
    ).fit_transform(np.sqrt(among))
    for code, label in enumerate(labels):
        ax.scatter(*places[colors == code].T, label=label, s=20)
    ax.set(title=f"{name}: accuracy {accuracy:.2f}, Rand {rand:.2f}", xticks=[], yticks=[])
axes[0].legend(frameon=False)

# %%
# What is compared, and how: two recordings of walking after the network, which moments the soft
# alignment matches, and in red the single path of hard dynamic time warping.
walking = X_test[y_test == "walking"][:2]
display = AlignmentDisplay.from_estimator(models["learned"], walking)
display.ax_.set_title("Two recordings of walking, after the network")

plt.show()
