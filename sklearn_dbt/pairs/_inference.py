"""A pair network outside training: whole sets, in parts, in evaluation mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from sklearn_dbt.pairs._pair_batches import PairDataset
from sklearn_dbt.pairs._pair_network import Embedded, PairNetwork

# Pairs that are compared, and series that are encoded, at once.
AT_ONCE = 1024


@contextmanager
def in_evaluation(module: nn.Module) -> Iterator[None]:
    """Evaluate without a graph, and train on afterwards if it did before."""
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(was_training)


def embed_all(network: PairNetwork, series: Tensor, lengths: Tensor) -> Embedded:
    """Return all series as they are compared.

    Parameters
    ----------
    network : PairNetwork
        Encodes them.
    series : Tensor of shape (n, n_channels, n_times)
        Padded with 0.
    lengths : Tensor of shape (n,)
        Number of samples of each.

    Returns
    -------
    Embedded
    """
    with in_evaluation(network):
        parts = [
            network.embed(*part)
            for part in zip(series.split(AT_ONCE), lengths.split(AT_ONCE), strict=True)
        ]
    longest = max(part.series.shape[-1] for part in parts)
    padded = [functional.pad(part.series, (0, longest - part.series.shape[-1])) for part in parts]
    return Embedded(
        torch.cat(padded),
        torch.cat([part.lengths for part in parts]),
        torch.cat([part.own for part in parts]),
    )


def distances(network: PairNetwork, data: PairDataset) -> Tensor:
    """Return the distances of all pairs; what series are to themselves is computed once.

    Parameters
    ----------
    network : PairNetwork
        Compares them.
    data : PairDataset
        The pairs.

    Returns
    -------
    Tensor of shape (n_pairs,)
    """
    if data.distance is not None:
        return data.distance
    used, places = torch.unique(data.ids, return_inverse=True)
    embedded = embed_all(network, data.series[used], data.lengths[used])
    with in_evaluation(network):
        return torch.cat([network.between(embedded, part) for part in places.split(AT_ONCE)])


def margin(network: PairNetwork, in_means: float) -> float:
    """Return the margin in the units of the distance."""
    return in_means * network.mean_distance.item()
