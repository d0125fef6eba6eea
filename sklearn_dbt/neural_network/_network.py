"""The network of the dropout faces: standardise, drop in a basis, fully connected layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from sklearn_dbt.nn.dropout import TransformDropout

ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU, "tanh": nn.Tanh}


class DropoutNetwork(nn.Module):
    r"""Fully connected network on a panel, with dropout in a basis where it is wished.

    .. math:: f(x) = W_L\, a(D_{L-1}(\dots a(D_0((x - \mu)/\sigma)\, W_1 + b_1) \dots)) + b_L

    :math:`D_0` drops along time within each channel, :math:`D_1, \dots` along hidden units; which
    of them are there is `dropout_on`.

    Parameters
    ----------
    mean, scale : Tensor of shape (n_channels, 1)
        Standardisation of each channel; kept as buffers.
    n_times : int
        Time points of a recording.
    n_outputs : int
        Width of the last layer.
    hidden_layer_sizes : sequence of int
        Width of each hidden layer; none gives a linear model.
    activation : {"relu", "tanh", "gelu"}
        Between the layers.
    dropout_on : {"input", "hidden", "both"}
        Where dropout sits.
    make_dropout : callable
        ``make_dropout(n_features, is_input)`` returns the dropout of a layer.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        mean: Tensor,
        scale: Tensor,
        n_times: int,
        n_outputs: int,
        *,
        hidden_layer_sizes: Sequence[int],
        activation: str,
        dropout_on: str,
        make_dropout: Callable[[int, bool], TransformDropout],
    ):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.input_dropout = make_dropout(n_times, True) if dropout_on != "hidden" else None
        layers: list[nn.Module] = []
        width = mean.numel() * n_times
        for size in hidden_layer_sizes:
            layers += [nn.Linear(width, size), ACTIVATIONS[activation]()]
            if dropout_on != "input":
                layers.append(make_dropout(size, False))
            width = size
        self.layers = nn.Sequential(*layers, nn.Linear(width, n_outputs))
        self.to(mean.dtype)

    @property
    def dropouts(self) -> list[TransformDropout]:
        """The dropout layers, from the input on."""
        return [module for module in self.modules() if isinstance(module, TransformDropout)]

    def observe_input(self, batches: Iterable[Tensor]) -> None:
        """Let the input's dropout know the energies of recordings before training begins."""
        if self.input_dropout is not None:
            for x in batches:
                self.input_dropout.observe((x.to(self.mean) - self.mean) / self.scale)

    def forward(self, x: Tensor) -> Tensor:
        """Map recordings ``(n, n_channels, n_times)`` to outputs ``(n, n_outputs)``."""
        x = (x - self.mean) / self.scale
        if self.input_dropout is not None:
            x = self.input_dropout(x)
        return self.layers(x.flatten(1))


def channel_moments(x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean and standard deviation of each channel, both of shape (n_channels, 1).

    Parameters
    ----------
    x : Tensor of shape (n, n_channels, n_times)
        Recordings.
    weights : Tensor of shape (n,)
        Their weights.

    Returns
    -------
    mean, scale : Tensor of shape (n_channels, 1)
        A channel that does not vary has scale 1.
    """
    share = (weights / weights.sum())[:, None, None]
    mean = (share * x).sum(0).mean(-1, keepdim=True)
    variance = (share * (x - mean).square()).sum(0).mean(-1, keepdim=True)
    # Rounding leaves a constant channel a variance of about eps² times its square.
    floor = (10 * torch.finfo(x.dtype).eps * mean.abs()).square()
    scale = torch.where(variance > floor, variance.sqrt(), torch.ones_like(variance))
    return mean, scale
