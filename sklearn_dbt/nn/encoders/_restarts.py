"""Several networks that train side by side, so that the best of them can be kept."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

__all__ = ["Restarts"]


class Restarts(nn.Module):
    """Networks that differ by their initial weights and see the same batches.

    Contrastive losses have poor local minima, and which one is reached depends on the start. A sum
    or mean of the networks' losses has for each of them the gradient of its own loss, so that under
    an optimizer that works weight by weight (Adam) or matrix by matrix (Muon), each trains as if
    it were alone.

    Parameters
    ----------
    networks : iterable of torch.nn.Module
        At least one; all give outputs of one shape.

    Attributes
    ----------
    networks : torch.nn.ModuleList
        The networks.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.encoders import Restarts
    >>> restarts = Restarts(torch.nn.Linear(3, 2) for _ in range(4))
    >>> restarts(torch.zeros(10, 3)).shape
    torch.Size([10, 4, 2])
    >>> restarts.keep(1)
    >>> restarts(torch.zeros(10, 3)).shape
    torch.Size([10, 1, 2])
    """

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        if not len(self.networks):
            raise ValueError("networks must hold at least one network, got none.")

    def forward(self, *inputs: Tensor, **named: Tensor) -> Tensor:
        """Return what each network says.

        Parameters
        ----------
        *inputs, **named : Tensor of shape (n_samples, ...)
            Input of every network.

        Returns
        -------
        Tensor of shape (n_samples, n_networks, ...)
        """
        return torch.stack([network(*inputs, **named) for network in self.networks], dim=1)

    def keep(self, index: int) -> None:
        """Drop all networks but one.

        Parameters
        ----------
        index : int
            Which one stays, from 0.

        Raises
        ------
        IndexError
            If there is no such network.
        """
        if not 0 <= index < len(self.networks):
            raise IndexError(f"index must be in 0..{len(self.networks) - 1}, got {index}.")
        self.networks = nn.ModuleList([self.networks[index]])
