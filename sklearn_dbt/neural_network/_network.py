"""The network of the dropout faces: standardise, drop in a basis, and a backbone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from sklearn_dbt.nn.dropout import EnsembleDropout, TransformDropout

ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU, "tanh": nn.Tanh}

MakeDropout = Callable[[int], nn.Module]


class DropoutNetwork(nn.Module):
    r"""Backbone on a standardised panel, with dropout in a basis before and within it.

    .. math:: f(x) = F\bigl( D_0((x - \mu) / \sigma) \bigr)

    :math:`D_0` drops along time within each channel; further dropout layers stand in the backbone
    :math:`F`.

    Parameters
    ----------
    mean, scale : Tensor of shape (n_channels, 1)
        Standardisation of each channel; kept as buffers.
    input_dropout : TransformDropout or None
        :math:`D_0`.
    backbone : torch.nn.Module
        Maps ``(n, n_channels, n_times)`` to ``(n, n_outputs)``.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        mean: Tensor,
        scale: Tensor,
        input_dropout: TransformDropout | None,
        backbone: nn.Module,
    ):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.input_dropout: TransformDropout | None = input_dropout
        self.backbone = backbone
        self.to(mean.dtype)

    @property
    def dropouts(self) -> list[TransformDropout | EnsembleDropout]:
        """The dropout layers, from the input on; an ensemble is one, its members are none."""
        found = [m for m in self.modules() if isinstance(m, TransformDropout | EnsembleDropout)]
        ensembles = [layer for layer in found if isinstance(layer, EnsembleDropout)]
        members = {id(member) for ensemble in ensembles for member in ensemble.members}
        return [layer for layer in found if id(layer) not in members]

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
        return self.backbone(x)


def multilayer_perceptron(
    n_channels: int,
    n_times: int,
    n_outputs: int,
    *,
    hidden_layer_sizes: Sequence[int],
    activation: str,
    make_dropout: MakeDropout | None,
) -> nn.Sequential:
    r"""Fully connected layers, :math:`h_l = D_l(a(W_l h_{l-1} + b_l))`, and a linear one.

    Parameters
    ----------
    n_channels, n_times, n_outputs : int
        Shape of a recording, and width of the last layer.
    hidden_layer_sizes : sequence of int
        Width of each hidden layer; none gives a linear model.
    activation : {"relu", "tanh", "gelu"}
        :math:`a`.
    make_dropout : callable or None
        ``make_dropout(n_features)`` returns :math:`D_l`, which drops along the units.

    Returns
    -------
    torch.nn.Sequential
    """
    layers: list[nn.Module] = [nn.Flatten()]
    width = n_channels * n_times
    for size in hidden_layer_sizes:
        layers += [nn.Linear(width, size), ACTIVATIONS[activation]()]
        if make_dropout is not None:
            layers.append(make_dropout(size))
        width = size
    return nn.Sequential(*layers, nn.Linear(width, n_outputs))


def convolutional_network(
    n_channels: int,
    n_times: int,
    n_outputs: int,
    *,
    hidden_layer_sizes: Sequence[int],
    kernel_size: int,
    activation: str,
    make_dropout: MakeDropout | None,
) -> nn.Sequential:
    """Convolutions along time, their mean over time, and a linear layer.

    It does not mind where in a recording a pattern stands. Each convolution keeps the length and is
    followed by batch normalisation.

    Parameters
    ----------
    n_channels, n_times, n_outputs : int
        Shape of a recording, and width of the last layer.
    hidden_layer_sizes : sequence of int
        Number of filters of each convolution.
    kernel_size : int
        Length of the filters in samples.
    activation : {"relu", "tanh", "gelu"}
        After each convolution.
    make_dropout : callable or None
        ``make_dropout(n_times)`` returns the dropout along time of each filter's output.

    Returns
    -------
    torch.nn.Sequential

    References
    ----------
    .. [1] Z. Wang, W. Yan and T. Oates, "Time series classification from scratch with deep neural
       networks: A strong baseline", IJCNN 2017.
    """
    layers: list[nn.Module] = []
    width = n_channels
    for size in hidden_layer_sizes:
        # Padded apart: padding="same" of an even length copies the input and warns of it.
        padding = nn.ConstantPad1d(((kernel_size - 1) // 2, kernel_size // 2), 0.0)
        convolution = nn.Conv1d(width, size, kernel_size, bias=False)
        layers += [padding, convolution, nn.BatchNorm1d(size), ACTIVATIONS[activation]()]
        if make_dropout is not None:
            layers.append(make_dropout(n_times))
        width = size
    pool = [nn.AdaptiveAvgPool1d(1), nn.Flatten()]
    return nn.Sequential(*layers, *pool, nn.Linear(width, n_outputs))


def given_backbone(
    backbone: nn.Module | Callable[[int, int, int], nn.Module],
    n_channels: int,
    n_times: int,
    n_outputs: int,
    *,
    make_dropout: MakeDropout | None,
) -> nn.Module:
    """A user's module, with its own dropout exchanged for dropout in a basis.

    Parameters
    ----------
    backbone : torch.nn.Module or callable
        A module, which is copied, or ``backbone(n_channels, n_times, n_outputs)`` that makes one.
    n_channels, n_times, n_outputs : int
        Shape of a recording, and width of the output.
    make_dropout : callable or None
        ``make_dropout(n_features)`` returns what stands where `torch.nn.Dropout` stood; None leaves
        them.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    TypeError
        If the callable does not return a module.
    ValueError
        If the module fails on recordings of this shape, its output has another shape, or there is
        no dropout to exchange.
    """
    if isinstance(backbone, nn.Module):
        module = copy.deepcopy(backbone)
    else:
        module = backbone(n_channels, n_times, n_outputs)
        if not isinstance(module, nn.Module):
            raise TypeError(
                "backbone(n_channels, n_times, n_outputs) must return a torch.nn.Module, got "
                f"{type(module).__name__}."
            )
    widths, shape = _dry_run(module, n_channels, n_times)
    if shape != (2, n_outputs):
        raise ValueError(
            f"backbone must map (n, {n_channels}, {n_times}) to (n, {n_outputs}); two recordings "
            f"gave shape {shape}."
        )
    if make_dropout is not None:
        _exchange_dropouts(module, widths, make_dropout)
    return module


def _dry_run(
    module: nn.Module, n_channels: int, n_times: int
) -> tuple[dict[str, int], tuple[int, ...]]:
    """What width each `nn.Dropout` of a module sees, and the shape of the output."""
    widths: dict[str, int] = {}
    hooks = [
        child.register_forward_pre_hook(
            lambda _, args, name=name: widths.update({name: args[0].shape[-1]})
        )
        for name, child in module.named_modules()
        if isinstance(child, nn.Dropout)
    ]
    parameter = next(module.parameters(), torch.zeros(0))
    was_training = module.training
    try:
        with torch.no_grad():
            output = module.eval()(torch.zeros(2, n_channels, n_times).to(parameter))
    except Exception as error:
        raise ValueError(
            f"backbone cannot take two recordings of shape ({n_channels}, {n_times}), a tensor of "
            f"shape (2, {n_channels}, {n_times}): {error}"
        ) from error
    finally:
        module.train(was_training)
        for hook in hooks:
            hook.remove()
    return widths, tuple(output.shape)


def _exchange_dropouts(
    module: nn.Module, widths: dict[str, int], make_dropout: MakeDropout
) -> None:
    own = any(isinstance(child, TransformDropout) for child in module.modules())
    if not widths and not own:
        raise ValueError(
            "dropout_on='hidden' or 'both' exchanges the torch.nn.Dropout layers of the backbone, "
            "and it has none in use; add some, or choose dropout_on='input'."
        )
    for name, width in widths.items():
        parent, _, child = name.rpartition(".")
        setattr(module.get_submodule(parent), child, make_dropout(width))


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
