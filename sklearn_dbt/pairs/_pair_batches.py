"""Pairs as tensors, and batches of them around anchors."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from sklearn_dbt.pairs._pair_data import Pairs


class PairDataset(torch.utils.data.Dataset):
    """Pairs, labels and weights as tensors, indexed by whole batches.

    Parameters
    ----------
    pairs : Pairs
        The pairs.
    same : ndarray of shape (n_pairs,)
        1 or 0.
    weights : ndarray of shape (n_pairs,)
        Weight of each pair in the loss.
    device : str
        Where the tensors go.
    """

    def __init__(self, pairs: Pairs, same: np.ndarray, weights: np.ndarray, device: str):
        dtype = pairs.series.dtype
        self.series = torch.tensor(pairs.series, device=device)
        self.lengths = torch.tensor(pairs.lengths, device=device)
        self.ids = torch.tensor(pairs.ids, device=device)
        self.same = torch.tensor(same.astype(dtype), device=device)
        self.weights = torch.tensor(weights.astype(dtype), device=device)
        self.distance: Tensor | None = None

    def part(self, rows: np.ndarray, distance: Tensor | None) -> PairDataset:
        """Return some of the pairs, with their distances where these are known for good."""
        part = copy.copy(self)
        part.ids, part.same, part.weights = self.ids[rows], self.same[rows], self.weights[rows]
        part.distance = None if distance is None else distance[rows]
        return part

    def __len__(self) -> int:
        return len(self.ids)

    def pair(self, rows) -> dict[str, Tensor]:
        """Return what :meth:`PairNetwork.distance` takes."""
        ids = self.ids[rows]
        left, right = self.series[ids[:, 0]], self.series[ids[:, 1]]
        return {"left": left, "right": right, "lengths": self.lengths[ids], "ids": ids}

    def __getitem__(self, rows):
        known = self.distance is not None
        inputs = {"distance": self.distance[rows]} if known else self.pair(rows)
        return inputs, (self.same[rows], self.weights[rows])


class AnchorBatches:
    """Balanced batches: anchors, each with positives and with negatives chosen by their distance.

    Every recording that occurs in pairs of both kinds is an anchor once an epoch, in random order.
    A batch ends with the anchor that fills it. A pair chosen twice in a batch is computed once and
    weighs twice.

    Parameters
    ----------
    dataset : PairDataset
        The training pairs.
    batch_size : int
        Pairs of a batch, at least.
    generator : torch.Generator
        Draws anchors, positives and negatives.
    distances : callable
        ``distances(dataset)`` gives the distances of all pairs as they are now; asked once an
        epoch. They choose pairs and enter no gradient.
    margin : callable
        ``margin()`` is the margin in the units of the distances.
    mining : {"semi-hard", "hard", "random"}
        How negatives are chosen.
    n_positives : int
        Positives of an anchor.
    n_negatives : int
        Negatives of a positive.
    """

    def __init__(
        self,
        dataset: PairDataset,
        batch_size: int,
        generator: torch.Generator,
        *,
        distances: Callable[[PairDataset], Tensor],
        margin: Callable[[], float],
        mining: str,
        n_positives: int,
        n_negatives: int,
    ):
        self.dataset, self.batch_size, self.generator = dataset, batch_size, generator
        self.distances, self.margin, self.mining = distances, margin, mining
        self.n_positives, self.n_negatives = n_positives, n_negatives

    def __iter__(self) -> Iterator:
        rng = np.random.default_rng(int(torch.randint(2**31, (), generator=self.generator)))
        anchors = pairs_of_anchors(self.dataset.ids.cpu().numpy(), self.dataset.same.cpu().numpy())
        distance = self.distances(self.dataset).cpu().numpy()
        rows: list[int] = []
        for i in rng.permutation(len(anchors)):
            rows += self._around(anchors[i], distance, rng)
            if len(rows) >= self.batch_size:
                yield self._batch(rows)
                rows = []
        if rows:
            yield self._batch(rows)

    def _around(self, anchor, distance, rng) -> list[int]:
        """Choose positives of one anchor, and negatives for each of them."""
        positives, negatives = anchor
        rows: list[int] = []
        for positive in rng.permutation(positives)[: self.n_positives]:
            chosen = choose_negatives(
                distance[positive], distance[negatives], self.margin(), self.mining, rng
            )
            rows += [positive, *negatives[chosen[: self.n_negatives]]]
        return rows

    def _batch(self, rows: list[int]):
        distinct, counts = np.unique(rows, return_counts=True)
        inputs, (same, weights) = self.dataset[torch.from_numpy(distinct)]
        return inputs, (same, weights * torch.from_numpy(counts).to(weights))


def pairs_of_anchors(ids: np.ndarray, same: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the positive and the negative pairs of each series that has both.

    Parameters
    ----------
    ids : ndarray of shape (n_pairs, 2)
        The two series of each pair.
    same : ndarray of shape (n_pairs,)
        1 or 0.

    Returns
    -------
    list of (ndarray, ndarray)
        Rows of pairs.
    """
    # A pair of a series with itself has one end.
    ends = np.concatenate([ids[:, 0], ids[ids[:, 0] != ids[:, 1], 1]])
    rows = np.concatenate([np.arange(len(ids)), np.flatnonzero(ids[:, 0] != ids[:, 1])])
    order = np.argsort(ends, kind="stable")
    cuts = np.flatnonzero(np.diff(ends[order])) + 1
    sides = [(own[same[own] == 1], own[same[own] == 0]) for own in np.split(rows[order], cuts)]
    return [side for side in sides if all(map(len, side))]


def choose_negatives(
    positive: float, negatives: np.ndarray, margin: float, mining: str, rng: np.random.Generator
) -> np.ndarray:
    r"""Order an anchor's negatives, the ones to take first.

    Semi-hard are those with

    .. math:: d(a, p) < d(a, n) < d(a, p) + \text{margin},

    farther than the positive and not yet far enough. They come first, in random order; after them,
    and where there is none, the hardest, which are the nearest.

    Parameters
    ----------
    positive : float
        Distance of the anchor to its positive.
    negatives : ndarray of shape (n,)
        Its distances to the negatives.
    margin : float
        In the same units.
    mining : {"semi-hard", "hard", "random"}
        "hard" orders by distance, "random" not at all.
    rng : numpy.random.Generator
        For the random orders.

    Returns
    -------
    ndarray of int of shape (n,)

    References
    ----------
    .. [1] F. Schroff, D. Kalenichenko and J. Philbin, "FaceNet: A Unified Embedding for Face
       Recognition and Clustering", CVPR 2015.
    """
    order = rng.permutation(len(negatives))
    if mining == "random":
        return order
    nearest = np.argsort(negatives, kind="stable")
    if mining == "hard":
        return nearest
    semi_hard = (positive < negatives) & (negatives < positive + margin)
    return np.concatenate([order[semi_hard[order]], nearest[~semi_hard[nearest]]])
