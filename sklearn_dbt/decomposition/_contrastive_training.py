"""What training several networks side by side takes: batches, rates and reading features."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor, nn

from sklearn_dbt._training import Batches, WeightedLoss
from sklearn_dbt.decomposition._method import Drawn, Method
from sklearn_dbt.decomposition._points import WhitePoints
from sklearn_dbt.nn.encoders import Restarts, SourceNetwork

# Time points that go through a network at once outside training.
POINTS_AT_ONCE = 65536
# Share of the epochs in which the bound of an autoencoder does not move its message.
HELD = 0.5
# From so many times the samples of an epoch on, drawing with replacement repeats few of them.
MANY_TIMES = 32


def held_out_losses(method: Method, restarts: Restarts, watched: Drawn) -> np.ndarray:
    """Mean loss of each network on held-out examples.

    Parameters
    ----------
    method : Method
        Knows the loss.
    restarts : Restarts
        The networks.
    watched : Drawn
        The examples.

    Returns
    -------
    ndarray of shape (n_networks,)
    """
    with torch.no_grad():
        losses = method.loss(restarts(**watched.shown), watched.targets).mean(dim=0)
    return losses.cpu().numpy()


def network_features(network: nn.Module, inputs: Tensor | WhitePoints) -> np.ndarray:
    """Features of many points, a part at a time.

    Parameters
    ----------
    network : Module
        Has a method ``features``.
    inputs : Tensor of shape (n_points, n_directions) or WhitePoints
        Whitened points.

    Returns
    -------
    ndarray of float64, shape (n_points, n_components)
    """
    features: Callable[[Tensor], Tensor] = network.features  # type: ignore[assignment]
    with torch.no_grad():
        parts = [features(part) for part in inputs.split(POINTS_AT_ONCE)]
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
        Most rows of an epoch; None is all. Where that is a small part of them, a row may come
        twice.
    """

    def __init__(self, dataset, batch_size, generator, max_samples=None):
        super().__init__(dataset, batch_size, generator)
        self.max_samples = max_samples

    def __len__(self) -> int:
        n = len(self.dataset)
        return math.ceil(min(n, self.max_samples or n) / self.batch_size)

    def _permutation(self, n: int) -> Tensor:
        if self.max_samples is not None and n > MANY_TIMES * self.max_samples:
            return torch.randint(n, (self.max_samples,), generator=self.generator)
        return super()._permutation(n)[: self.max_samples]


class LossOfRestarts(WeightedLoss):
    """Mean loss of networks side by side in training, and that of the best of them otherwise.

    Parameters
    ----------
    loss : callable
        Loss of each row and network, see :meth:`Method.loss`.
    """

    def forward(self, output: Tensor, target: tuple[Tensor, Tensor]) -> Tensor:
        wanted, weights = target
        losses = self.loss(output, wanted, reduction="none")
        losses = weights.to(losses) @ losses / weights.sum()
        return losses.mean() if self.training else losses.min()


def parameter_groups(restarts: Restarts) -> list[dict]:
    """Tell what leads from one hidden layer to the next, and is orthogonalised, from the rest.

    Parameters
    ----------
    restarts : Restarts
        The networks.

    Returns
    -------
    list of dict
        For :class:`MuonAdamW`.
    """
    sources = [m for m in restarts.modules() if isinstance(m, SourceNetwork)]
    inner = [matrix for module in sources for matrix in module.inner_weights()]
    apart = set(inner)
    rest = [p for p in restarts.parameters() if p not in apart]
    return [{"params": inner, "orthogonal": True}, {"params": rest, "orthogonal": False}]


def set_decay(optimizer: torch.optim.Optimizer, decay: float) -> None:
    """Let what is orthogonalised decay, and nothing else.

    Parameters
    ----------
    optimizer : Optimizer
        Made of :func:`parameter_groups`; changed in place.
    decay : float
        Share of the weights, times the learning rate, that a step takes off.
    """
    for group in optimizer.param_groups:
        group["weight_decay"] = decay if group["orthogonal"] else 0.0


class CosineDecay(Callback):
    r"""Let the learning rate fall along half a cosine, epoch by epoch.

    .. math:: \eta_e = \frac{\eta}{2} \Bigl( 1 + \cos \frac{\pi e}{E} \Bigr),
        \qquad e = 0, \dots, E - 1

    Parameters
    ----------
    learning_rate : float
        Rate :math:`\eta` of the first epoch.
    n_epochs : int or float
        Number :math:`E` of epochs of a training; infinity keeps the rate.
    """

    def __init__(self, learning_rate: float, n_epochs: float):
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


class HeldMessage(Callback):
    """Let networks that can hold their message do so in the first epochs, a share of `HELD`.

    Parameters
    ----------
    n_epochs : int or float
        Epochs of a training; with infinity it is held throughout.
    """

    def __init__(self, n_epochs: float):
        self.n_epochs = n_epochs

    def on_train_begin(self, net, **kwargs):  # noqa: ARG002
        """Begin a new training."""
        self.epoch_ = 0

    def on_epoch_begin(self, net, **kwargs):  # noqa: ARG002
        """Hold the message, or let it go."""
        for network in net.module_.networks:
            if hasattr(network, "holds_message"):
                network.holds_message = self.epoch_ < HELD * self.n_epochs
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
