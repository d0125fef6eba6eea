"""What training by telling segments apart takes: loss, batches and the fall of the rate."""

from __future__ import annotations

import math

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor, nn
from torch.nn import functional

from sklearn_dbt._training import Batches, TensorDataset
from sklearn_dbt.nn.encoders import Restarts, TimeContrastiveNetwork

# Time points that go through a network at once outside training.
POINTS_AT_ONCE = 65536


def contrastive_loss(logits: Tensor, segments: Tensor, reduction: str = "none") -> Tensor:
    """Cross-entropy of the segments under each of several networks.

    Parameters
    ----------
    logits : Tensor of shape (n_points, n_networks, n_segments)
        What the networks say.
    segments : Tensor of int64, shape (n_points,)
        Segment of each point.
    reduction : {"none", "mean", "sum"}, default="none"
        As in :func:`torch.nn.functional.cross_entropy`.

    Returns
    -------
    Tensor of shape (n_points, n_networks)
        Or a scalar, with another `reduction`.
    """
    n_points, n_networks, _ = logits.shape
    repeated = segments[:, None].expand(n_points, n_networks).flatten()
    loss = functional.cross_entropy(logits.flatten(0, 1), repeated, reduction=reduction)
    return loss.reshape(n_points, n_networks) if reduction == "none" else loss


def held_out_losses(restarts: Restarts, watched: TensorDataset) -> np.ndarray:
    """Mean contrastive loss of each network on held-out points.

    Parameters
    ----------
    restarts : Restarts
        The networks.
    watched : TensorDataset
        Points and their segments.

    Returns
    -------
    ndarray of shape (n_networks,)
    """
    with torch.no_grad():
        losses = contrastive_loss(restarts(watched.inputs), watched.targets).mean(dim=0)
    return losses.cpu().numpy()


def chance_loss(train: Tensor, watched: Tensor) -> float:
    """Contrastive loss of guessing by how frequent the segments are.

    Parameters
    ----------
    train, watched : Tensor of int64
        Segments of the points trained on, and of those held out.

    Returns
    -------
    float
    """
    counts = torch.bincount(train, minlength=int(watched.max()) + 1).double()
    return float(-torch.log(counts / counts.sum())[watched].mean())


def network_features(network: TimeContrastiveNetwork, inputs: Tensor) -> np.ndarray:
    """Features of many points, a part at a time.

    Parameters
    ----------
    network : TimeContrastiveNetwork
        The network.
    inputs : Tensor of shape (n_points, n_directions)
        Whitened points.

    Returns
    -------
    ndarray of float64, shape (n_points, n_components)
    """
    with torch.no_grad():
        parts = [network.features(part) for part in inputs.split(POINTS_AT_ONCE)]
    return torch.cat(parts).double().cpu().numpy()


class SampledBatches(Batches):
    """Shuffled batches of some of the rows, drawn anew in each epoch.

    Parameters
    ----------
    dataset : Dataset
        Answers ``dataset[rows]``.
    batch_size : int
        Rows of a batch.
    generator : torch.Generator
        Draws.
    max_samples : int, default=None
        Most rows of an epoch; None is all.
    """

    def __init__(self, dataset, batch_size, generator, max_samples=None):
        super().__init__(dataset, batch_size, generator)
        self.max_samples = max_samples

    def __len__(self) -> int:
        n = len(self.dataset)
        return math.ceil(min(n, self.max_samples or n) / self.batch_size)

    def _permutation(self, n: int) -> Tensor:
        return super()._permutation(n)[: self.max_samples]


class FusedAdam(torch.optim.Adam):
    """Adam in one kernel a step, which matters where networks are small.

    Parameters
    ----------
    params : iterable of Tensor
        What it changes.
    **options
        Of :class:`torch.optim.Adam`.
    """

    def __init__(self, params, **options):
        super().__init__(params, fused=True, **options)


class CosineDecay(Callback):
    r"""Let the learning rate fall along half a cosine, epoch by epoch.

    .. math:: \eta_e = \frac{\eta}{2} \Bigl( 1 + \cos \frac{\pi e}{E} \Bigr),
        \qquad e = 0, \dots, E - 1

    Parameters
    ----------
    learning_rate : float
        Rate :math:`\eta` of the first epoch.
    n_epochs : int
        Number :math:`E` of epochs of a training.
    """

    def __init__(self, learning_rate: float, n_epochs: int):
        self.learning_rate = learning_rate
        self.n_epochs = n_epochs

    def on_train_begin(self, net, **kwargs):  # noqa: ARG002
        """Begin a new half cosine."""
        self.epoch_ = 0

    def on_epoch_begin(self, net, **kwargs):  # noqa: ARG002
        """Set the rate of the epoch."""
        angle = math.pi * self.epoch_ / self.n_epochs
        for group in net.optimizer_.param_groups:
            group["lr"] = self.learning_rate * (1 + math.cos(angle)) / 2
        self.epoch_ += 1


def forget_missing(optimizer: torch.optim.Optimizer, module: nn.Module) -> None:
    """Take parameters that the module no longer has out of the optimizer.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Changed in place.
    module : nn.Module
        What it still trains.
    """
    kept = set(module.parameters())
    for group in optimizer.param_groups:
        for parameter in set(group["params"]) - kept:
            optimizer.state.pop(parameter, None)
        group["params"] = [p for p in group["params"] if p in kept]
