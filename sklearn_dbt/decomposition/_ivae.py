"""The identifiable variational autoencoder as a method of the encoder."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from sklearn_dbt.decomposition._gcl import unmix_signed
from sklearn_dbt.decomposition._method import Method, Recorded
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
        """Negative bound and error of the encoder of x alone, together."""
        loss = output.sum(-1)
        return loss.mean() if reduction == "mean" else loss

    def chance(self, recorded: Recorded, train: Tensor, watched: Tensor) -> float:  # noqa: ARG002
        """Negative log-likelihood of one Gaussian, which for whitened points is a standard one."""
        x = recorded.inputs[watched]
        return float(0.5 * (x.square().sum(1).mean() + x.shape[1] * math.log(2 * math.pi)))

    def unmix(self, features: np.ndarray, recorded: Recorded, rows: np.ndarray) -> Unmixing:
        return unmix_signed(features, recorded, rows)
