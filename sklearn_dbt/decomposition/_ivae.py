"""The identifiable variational autoencoder as a method of the encoder."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from sklearn_dbt.decomposition._gcl import unmix_signed
from sklearn_dbt.decomposition._method import Method, Recorded, segment_entropy
from sklearn_dbt.decomposition._unmixing import Unmixing
from sklearn_dbt.nn.encoders import IdentifiableVAE


class VariationalBound(Method):
    """Maximise the evidence bound of a model whose sources are Gaussian given the segment.

    Parameters
    ----------
    n_components : int
        Number of sources.
    """

    def __init__(self, n_components: int):
        self.n_components = n_components

    def network(self, n_channels, n_components, n_segments, sizes):
        return IdentifiableVAE(n_channels, n_components, n_segments, sizes)

    def show(self, recorded: Recorded, rows: Tensor, among: Tensor, generator):  # noqa: ARG002
        x, u = recorded.inputs[rows], recorded.segments[rows]
        noise = torch.randn(len(rows), self.n_components, generator=generator, dtype=x.dtype)
        return {"x": x, "u": u, "noise": noise.to(x.device)}, u

    def loss(self, output: Tensor, targets: Tensor, reduction: str = "none") -> Tensor:  # noqa: ARG002
        """Sum of the network's terms."""
        loss = output.sum(-1)
        return loss.mean() if reduction == "mean" else loss

    def chance(self, recorded: Recorded, train: Tensor, watched: Tensor) -> float:
        """Loss of one Gaussian for all segments, which for whitened points is a standard one."""
        x = recorded.inputs[watched]
        gaussian = 0.5 * (x.square().sum(1).mean() + x.shape[1] * math.log(2 * math.pi))
        return float(gaussian) + segment_entropy(recorded, train, watched)

    def least_segments(self, n_components: int) -> int:
        return 2 * n_components + 1

    def unmix(self, features: np.ndarray, recorded: Recorded, rows: np.ndarray) -> Unmixing:
        return unmix_signed(features, recorded, rows)
