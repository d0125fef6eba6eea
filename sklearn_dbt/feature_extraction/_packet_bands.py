"""Wavelet packets: the bands of one level, or those of the best basis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
import torch

from sklearn_dbt.feature_extraction._sparsity import sparsity_cost
from sklearn_dbt.feature_extraction._wavelet_bands import BandTransform, Coefficients


def _order(path: str) -> int:
    """Place of a packet among those of its level by frequency.

    Filtering and halving a high band mirrors it, so the children of every second packet come
    reversed.
    """
    place = 0
    for step in path:
        place = 2 * place + ((step == "d") != (place % 2 == 1))
    return place


def _children(path: str) -> tuple[str, str]:
    """Both halves of a packet, the lower frequencies first."""
    low, high = path + "a", path + "d"
    return (high, low) if _order(path) % 2 else (low, high)


@dataclass(frozen=True)
class PacketTransform(BandTransform):
    """Wavelet packets in the order of their frequencies.

    Attributes
    ----------
    leaves : tuple of str
        Paths of the packets that are not split further; empty for all of the last level.
    """

    leaves: tuple[str, ...] = ()

    def _is_leaf(self, path: str) -> bool:
        return path in self.leaves if self.leaves else len(path) == self.level

    def _leaves_below(self, path: str) -> Iterator[str]:
        if self._is_leaf(path):
            yield path
        else:
            for child in _children(path):
                yield from self._leaves_below(child)

    @property
    def names(self) -> list[str]:
        return list(self._leaves_below(""))

    @property
    def edges(self) -> np.ndarray:
        places = [(_order(path), 2 ** (len(path) + 1)) for path in self.names]
        return np.array([[place / parts, (place + 1) / parts] for place, parts in places])

    def analysis(self, x: np.ndarray) -> list[np.ndarray]:
        return [c for path, c in self.packets(x) if self._is_leaf(path)]

    def packets(self, x: np.ndarray, path: str = "") -> Iterator[tuple[str, np.ndarray]]:
        """Every packet of the tree down to the leaves, parents first."""
        yield path, x
        if not self._is_leaf(path):
            halves = dict(zip((path + "a", path + "d"), self._split(x), strict=True))
            for child in _children(path):
                yield from self.packets(halves[child], child)

    def synthesis(self, bands: Sequence[Coefficients], n_times: int) -> np.ndarray:
        return cast("np.ndarray", self._merged("", iter(bands), self._lengths(n_times)))

    def _merged(self, path: str, bands: Iterator[Coefficients], lengths: list[int]) -> Coefficients:
        if self._is_leaf(path):
            return next(bands)
        halves = {child: self._merged(child, bands, lengths) for child in _children(path)}
        return self._join(halves[path + "a"], halves[path + "d"], lengths[len(path)])


def best_basis(
    transform: PacketTransform, recordings: Iterable[np.ndarray], cost: str
) -> tuple[str, ...]:
    r"""Leaves of the tree that costs least on all recordings together.

    The cost is a sum over coefficients, so a packet is split if and only if its halves, at their
    best, cost less [1]_:

    .. math:: C^*(b) = \min \bigl( C(b), \; C^*(b_a) + C^*(b_d) \bigr) .

    Parameters
    ----------
    transform : PacketTransform
        Of the deepest level that is allowed.
    recordings : iterable of ndarray of shape (n, n_channels, n_times)
        Arrays of recordings of equal length.
    cost : str
        Key of ``COSTS``.

    Returns
    -------
    tuple of str
        Paths, from low to high frequencies; the signal itself is always split.

    References
    ----------
    .. [1] R. R. Coifman and M. V. Wickerhauser, "Entropy-based algorithms for best basis
       selection", IEEE Transactions on Information Theory 38(2), 713-718, 1992.
    """
    costs: dict[str, float] = {}
    for x in recordings:
        energy = torch.from_numpy(np.square(x.astype(np.float64)).sum(axis=-1))
        for path, c in transform.packets(x):
            packet = torch.from_numpy(c.astype(np.float64))
            price = float(sparsity_cost(packet, energy, cost).sum())
            costs[path] = costs.get(path, 0.0) + price
    low, high = (_cheapest(costs, child)[1] for child in _children(""))
    return low + high


def _cheapest(costs: dict[str, float], path: str) -> tuple[float, tuple[str, ...]]:
    whole = costs[path], (path,)
    if path + "a" not in costs:
        return whole
    first, second = map(partial(_cheapest, costs), _children(path))
    split = first[0] + second[0]
    # Rounding alone is no reason to split.
    return (split, first[1] + second[1]) if split < whole[0] - 1e-9 * abs(whole[0]) else whole
