"""Generalized contrastive learning as a method of the encoder."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from sklearn_dbt.decomposition._method import (
    Method,
    Recorded,
    first_is_true,
    pick,
    true_and_false,
)
from sklearn_dbt.decomposition._unmixing import Unmixing, contrast_of, scale_components
from sklearn_dbt.nn.encoders import GeneralizedContrastiveNetwork


class GeneralizedContrast(Method):
    """Tell a time point with its segment from one with the segment of another time point."""

    def network(self, n_channels, n_components, n_segments, sizes):
        return GeneralizedContrastiveNetwork(n_channels, n_components, n_segments, sizes)

    def show(self, recorded: Recorded, rows: Tensor, among: Tensor, generator):
        x = recorded.inputs[rows]
        others = pick(among, len(rows), generator)
        u = torch.stack([recorded.segments[rows], recorded.segments[others]], dim=1)
        return {"x": x, "u": u}, true_and_false(len(rows), x)

    loss = staticmethod(first_is_true)

    def chance(self, recorded: Recorded, train: Tensor, watched: Tensor) -> float:  # noqa: ARG002
        return math.log(2)

    def unmix(self, features: np.ndarray, recorded: Recorded, rows: np.ndarray) -> Unmixing:
        return unmix_signed(features, recorded, rows)


def unmix_signed(features: np.ndarray, recorded: Recorded, rows: np.ndarray) -> Unmixing:
    """Order components by how much of the variance of their magnitudes is between segments.

    Parameters
    ----------
    features : ndarray of shape (n_rows, n_components)
        Components in any order, scale and sign.
    recorded : Recorded
        The points they are of.
    rows : ndarray of shape (n_rows,)
        Which of them.

    Returns
    -------
    Unmixing
    """
    labels = recorded.labels[rows]
    magnitudes = np.abs(features - features.mean(axis=0))
    contrast = contrast_of(magnitudes, labels)
    return scale_components(features, recorded.inputs[rows].double().cpu().numpy(), contrast)
