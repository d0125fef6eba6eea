"""Time-contrastive learning as a method of the encoder."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sklearn_dbt.decomposition._method import Method, Recorded, segment_entropy
from sklearn_dbt.decomposition._unmixing import Unmixing, unmix
from sklearn_dbt.nn.encoders import TimeContrastiveNetwork


class TimeContrast(Method):
    """Tell which segment a time point belongs to; components are magnitudes.

    Parameters
    ----------
    unmixing : {"auto", "joint_diagonalization", "fastica"}
        How features are unmixed.
    seed : int
        Seed of FastICA.
    """

    signed = False
    n_epochs = 125

    def __init__(self, unmixing: str, seed: int):
        self.unmixing, self.seed = unmixing, seed

    def network(self, n_channels, n_components, n_segments, sizes):
        return TimeContrastiveNetwork(n_channels, n_components, n_segments, sizes)

    def show(self, recorded: Recorded, rows: Tensor, among: Tensor, generator):  # noqa: ARG002
        return {"x": recorded.inputs[rows]}, recorded.segments[rows]

    def loss(self, output: Tensor, targets: Tensor, reduction: str = "none") -> Tensor:
        n_points, n_networks, _ = output.shape
        repeated = targets[:, None].expand(n_points, n_networks).flatten()
        loss = functional.cross_entropy(output.flatten(0, 1), repeated, reduction=reduction)
        return loss.reshape(n_points, n_networks) if reduction == "none" else loss

    def chance(self, recorded: Recorded, train: Tensor, watched: Tensor) -> float:
        return segment_entropy(recorded, train, watched)

    def unmix(self, features: np.ndarray, recorded: Recorded, rows: np.ndarray) -> Unmixing:
        labels = recorded.labels[rows]
        strength = torch.linalg.vector_norm(recorded.inputs[rows], dim=1).double().cpu().numpy()
        return unmix(features, labels, strength, self.unmixing, self.seed)
