"""What a method of nonlinear ICA is: a network, what it is shown, and how its loss reads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sklearn_dbt.decomposition._points import WhitePoints
from sklearn_dbt.decomposition._unmixing import Unmixing, linear_unmixing


@dataclass
class Recorded:
    """Whitened time points, and where in the recordings each one was.

    Attributes
    ----------
    inputs : Tensor of shape (n_points, n_directions) or WhitePoints
        The points; ``inputs[rows]`` is a tensor.
    segments : Tensor of int64, shape (n_points,)
        Segment of each point, not falling.
    starts : ndarray of shape (n_recordings,)
        Where each recording begins.
    """

    inputs: Tensor | WhitePoints
    segments: Tensor
    starts: np.ndarray

    @property
    def n_segments(self) -> int:
        return int(self.segments[-1]) + 1

    @cached_property
    def labels(self) -> np.ndarray:
        """The segments as an array."""
        return self.segments.cpu().numpy()

    @cached_property
    def bounds(self) -> Tensor:
        """Begin of each recording, and the end of the last, on the device of the segments."""
        return torch.as_tensor([*self.starts, len(self.segments)], device=self.segments.device)


class Examples(torch.utils.data.Dataset):
    """Rows of recordings as a method shows them to its network, drawn when they are asked for.

    Parameters
    ----------
    method : Method
        Says what is shown of a row.
    recorded : Recorded
        The points.
    rows : Tensor of int64
        Those of this set.
    generator : torch.Generator
        Draws what they are contrasted with.
    """

    def __init__(self, method: Method, recorded: Recorded, rows: Tensor, generator):
        self.method, self.recorded = method, recorded
        self.rows, self.generator = rows, generator

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, places):
        rows = self.rows[places]
        shown, targets = self.method.show(self.recorded, rows, self.rows, self.generator)
        return shown, (targets, torch.ones(len(rows), device=rows.device))

    def drawn(self) -> Drawn:
        """Return the same examples at each call, drawn once."""
        shown, (targets, weights) = self[torch.arange(len(self), device=self.rows.device)]
        return Drawn(shown, targets, weights)


@dataclass
class Drawn(torch.utils.data.Dataset):
    """Examples that were drawn before, for held-out losses that can be compared."""

    shown: Mapping[str, Tensor]
    targets: Tensor
    weights: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, rows):
        shown = {name: value[rows] for name, value in self.shown.items()}
        return shown, (self.targets[rows], self.weights[rows])


class Method(ABC):
    """A way of learning components; its subclasses are the names of ``method=``.

    Attributes
    ----------
    signed : bool
        Whether components are estimates of the sources themselves, not of their magnitudes.
    needs_segments : bool
        Whether it tells segments apart.
    n_epochs : int
        Epochs that are enough as a rule.
    """

    signed = True
    needs_segments = True
    n_epochs = 50

    @abstractmethod
    def network(self, n_channels: int, n_components: int, n_segments: int, sizes) -> nn.Module:
        """Build a network with random weights."""

    @abstractmethod
    def show(self, recorded: Recorded, rows: Tensor, among: Tensor, generator):
        """Return what the network is shown of the rows (its arguments by name), and the targets.

        What they are contrasted with is drawn from the rows `among`.
        """

    @abstractmethod
    def loss(self, output: Tensor, targets: Tensor, reduction: str = "none") -> Tensor:
        """Loss of each row and network, shape (n_rows, n_networks); "mean" averages."""

    @abstractmethod
    def chance(self, recorded: Recorded, train: Tensor, watched: Tensor) -> float:
        """Mean loss on the rows `watched` without looking at them."""

    @abstractmethod
    def unmix(self, features: np.ndarray, recorded: Recorded, rows: np.ndarray) -> Unmixing:
        """Find components of the features of some rows, in their standard form."""

    def least_segments(self, n_components: int) -> int:
        """Segments below which components are not identified."""
        return n_components + 1

    def start(
        self, network: nn.Module, recorded: Recorded, rows: np.ndarray, n_components: int
    ) -> None:
        """Let a new network begin at what a linear method finds in some rows."""
        x, segments = recorded.inputs[rows], recorded.segments[rows]
        points = x.double().cpu().numpy()
        matrix = linear_unmixing(points, recorded.labels[rows], n_components)
        begin: Callable[..., None] = network.start  # type: ignore[assignment]
        begin(torch.from_numpy(matrix).to(x), x, segments)


def first_is_true(output: Tensor, targets: Tensor, reduction: str = "none") -> Tensor:
    """Logistic loss of candidates of which the first is the true one.

    Parameters
    ----------
    output : Tensor of shape (n_rows, n_networks, n_candidates)
        Logits of each candidate being true.
    targets : Tensor of shape (n_rows, n_candidates)
        1 for the first, 0 for the others.
    reduction : {"none", "mean"}, default="none"
        Whether it is averaged.

    Returns
    -------
    Tensor of shape (n_rows, n_networks)
        Mean over the candidates; or a scalar.
    """
    wanted = targets[:, None].expand_as(output)
    loss = functional.binary_cross_entropy_with_logits(output, wanted, reduction="none").mean(-1)
    return loss.mean() if reduction == "mean" else loss


def true_and_false(n_rows: int, like: Tensor) -> Tensor:
    """Targets of :func:`first_is_true` for two candidates."""
    return torch.tensor([1.0, 0.0], dtype=like.dtype, device=like.device).expand(n_rows, 2)


def segment_entropy(recorded: Recorded, train: Tensor, watched: Tensor) -> float:
    """Mean loss of guessing segments by how frequent they are.

    Parameters
    ----------
    recorded : Recorded
        The points.
    train, watched : Tensor of int64
        Rows that were counted, and those that are guessed.

    Returns
    -------
    float
    """
    counts = torch.bincount(recorded.segments[train], minlength=recorded.n_segments).double()
    return float(-torch.log(counts / counts.sum())[recorded.segments[watched]].mean())


def pick(among: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Draw `n` of the rows, with replacement."""
    places = torch.randint(len(among), (n,), generator=generator)
    return among[places.to(among.device)]
