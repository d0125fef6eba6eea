"""Permutation-contrastive learning as a method of the encoder."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from sklearn_dbt.decomposition._method import Method, Recorded, first_is_true, true_and_false
from sklearn_dbt.decomposition._unmixing import Unmixing, scale_components
from sklearn_dbt.nn.encoders import PermutationContrastiveNetwork


class PermutationContrast(Method):
    """Tell a time point and the one before it from a time point and another one of its recording.

    Components are in falling order of the correlation of their magnitudes at adjacent times.
    """

    needs_segments = False

    def network(self, n_channels, n_components, n_segments, sizes):  # noqa: ARG002
        return PermutationContrastiveNetwork(n_channels, n_components, sizes)

    def show(self, recorded: Recorded, rows: Tensor, among: Tensor, generator):  # noqa: ARG002
        bounds = recorded.bounds
        which = torch.searchsorted(bounds, rows, right=True) - 1
        begin, end = bounds[which], bounds[which + 1]
        # The first point of a recording has none before it and is compared as the second.
        rows = torch.maximum(rows, begin + 1)
        share = torch.rand(len(rows), generator=generator, dtype=torch.float64).to(rows.device)
        other = begin + (share * (end - begin)).long()
        now, before, shuffled = recorded.inputs[torch.cat([rows, rows - 1, other])].chunk(3)
        pairs = torch.stack([torch.stack([now, before], 1), torch.stack([now, shuffled], 1)], 1)
        return {"pairs": pairs}, true_and_false(len(rows), now)

    loss = staticmethod(first_is_true)

    def chance(self, recorded: Recorded, train: Tensor, watched: Tensor) -> float:  # noqa: ARG002
        return math.log(2)

    def least_segments(self, n_components: int) -> int:  # noqa: ARG002
        return 1

    def start(self, network, recorded, rows, n_components) -> None:
        x = recorded.inputs[rows[:1]]
        network.sources.start(torch.eye(n_components, x.shape[1]).to(x))

    def unmix(self, features: np.ndarray, recorded: Recorded, rows: np.ndarray) -> Unmixing:
        which = np.searchsorted(recorded.starts, rows, side="right")
        adjacent = (np.diff(rows) == 1) & (np.diff(which) == 0)
        energy = np.abs(features - features.mean(axis=0))
        energy -= energy.mean(axis=0)
        lagged = (energy[1:] * energy[:-1])[adjacent].sum(axis=0)
        contrast = np.abs(lagged) / np.maximum((energy[1:] ** 2)[adjacent].sum(axis=0), 1e-300)
        inputs = recorded.inputs[rows].double().cpu().numpy()
        return scale_components(features, inputs, np.clip(contrast, 0, 1))
