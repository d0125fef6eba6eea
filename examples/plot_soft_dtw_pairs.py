"""
The same person? Pairs of movements of different lengths
========================================================

Ten people picked up a remote control ten times each; an accelerometer in it recorded how. We ask
of *two* recordings whether one person made both. The people of the test have never been seen in
training, so that a classifier of people could not help: what is learnt is what "the same" means.
"""

# %%
# The recordings come inside aeon. They last from 29 to 361 samples; every fourth is enough.
# :class:`~sklearn_dbt.preprocessing.ChannelScaler` takes such lists of unequal length.
import matplotlib.pyplot as plt
import numpy as np
import torch
from aeon.datasets import load_pickup_gesture_wiimoteZ
from scipy.signal import resample
from sklearn.metrics import roc_auc_score

from sklearn_dbt import ChannelScaler, PairGroupKFold, SoftDTWPairClassifier, make_pairs
from sklearn_dbt.nn import soft_dtw_alignment

recordings, person = load_pickup_gesture_wiimoteZ()
X = ChannelScaler().fit_transform([recording[:, ::4] for recording in recordings])
print(len(X), "recordings of", len(np.unique(person)), "people, such as", [x.shape for x in X[:3]])

# %%
# Pairs, and folds that keep people apart: the groups of a pair are the two people in it. Half of
# the people are in each fold, and pairs that cross are dropped.
pairs, same, groups = make_pairs(X, person, groups=person, n_pairs=800, random_state=0)
splits = [
    split
    for deal in range(3)
    for split in PairGroupKFold(2, random_state=deal).split(pairs, groups=groups)
]
train, test = splits[0]
print(f"first split: train on {len(train)} pairs, test on {len(test)} of other people")


def select(rows):
    return [pairs[row] for row in rows]


# %%
# The distance of two recordings is their soft-DTW divergence, over all alignments in a band.
# Learnt are its scale and the threshold above which two are called different. The baseline brings
# all recordings to one length and takes the Euclidean distance. Areas under the ROC curve:
models = {f"soft-DTW, gamma={gamma:g}": SoftDTWPairClassifier(gamma, band=20) for gamma in (0.1, 1)}
for name, model in models.items():
    areas = [
        roc_auc_score(
            same[test], model.fit(select(train), same[train]).decision_function(select(test))
        )
        for train, test in splits
    ]
    print(f"{name:20} {np.mean(areas):.3f} ± {np.std(areas):.3f}")

apart = [np.linalg.norm(resample(a, 60, axis=1) - resample(b, 60, axis=1)) for a, b in pairs]
areas = [roc_auc_score(same[test], -np.array(apart)[test]) for _, test in splits]
print(f"{'stretch and subtract':20} {np.mean(areas):.3f} ± {np.std(areas):.3f}")

# %%
# What the distance does: recordings of one person and of two, and which moment of one is matched
# with which of the other. Dark is a certain match; with a larger ``gamma`` more paths share it.
fig, axes = plt.subplots(2, 3, figsize=(8.4, 4.6), layout="constrained")
for row, wanted in zip(axes, (1, 0), strict=True):
    a, b = pairs[np.flatnonzero(same == wanted)[2]]
    row[0].plot(a[0], label="first")
    row[0].plot(b[0], label="second")
    row[0].set_title("the same person" if wanted else "two people")
    for ax, gamma in zip(row[1:], (0.1, 10.0), strict=True):
        match = soft_dtw_alignment(torch.tensor(a)[None], torch.tensor(b)[None], gamma, band=20)
        ax.imshow(match[0].numpy(), cmap="Greys", vmin=0, vmax=1, aspect="auto")
        ax.set(title=f"gamma = {gamma:g}", xlabel="time in the second", ylabel="time in the first")
axes[0, 0].legend()
axes[1, 0].set_xlabel("time")

plt.show()
