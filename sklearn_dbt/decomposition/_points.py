"""Time points of recordings that stay where they are: read, standardised and whitened on demand."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from sklearn_dbt._base import Panel
from sklearn_dbt.decomposition._segments import offset_and_gain, whitening_of

# Recordings of more bytes than this are not copied into memory as a whole.
MOST_BYTES = 2**29
# Time points that a linear start, an unmixing and its checks look at.
MOST_LOOKED_AT = 2**18
# Time points read at once, where all of a recording are needed one after the other.
READ_AT_ONCE = 65_536


class Points:
    """Standardised time points of all recordings, one below the other.

    Parameters
    ----------
    panel : Panel
        The recordings; arrays on disk (memory maps) are not copied.
    offset, gain : bool, default=True
        What of each recording is removed, see
        :func:`~sklearn_dbt.decomposition._segments.standardise`.

    Attributes
    ----------
    starts : ndarray of shape (n_recordings,)
        Where each recording begins.
    """

    def __init__(self, panel: Panel, *, offset: bool = True, gain: bool = True):
        self.recordings, self.dtype = panel.data, panel.dtype
        self.n_channels, self.lengths = panel.n_channels, panel.lengths
        self.starts = np.cumsum(self.lengths) - self.lengths
        removed = [offset_and_gain(r, offset=offset, gain=gain) for r in panel.data]
        self.offsets = np.stack([taken for taken, _ in removed])
        self.gains = np.array([scale for _, scale in removed], dtype=self.dtype)

    def __len__(self) -> int:
        return int(self.lengths.sum())

    @property
    def n_bytes(self) -> int:
        return len(self) * self.n_channels * self.dtype.itemsize

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return some time points, shape (len(rows), n_channels)."""
        which = np.searchsorted(self.starts, rows, side="right") - 1
        found = np.empty((len(rows), self.n_channels), self.dtype)
        for i in np.unique(which):
            mine = which == i
            times = rows[mine] - self.starts[i]
            found[mine] = self._standardised(i, self.recordings[i][:, times])
        return found

    def pieces(self) -> Iterator[np.ndarray]:
        """Return all time points in order, some of one recording at a time."""
        for i, recording in enumerate(self.recordings):
            for begin in range(0, recording.shape[1], READ_AT_ONCE):
                yield self._standardised(i, recording[:, begin : begin + READ_AT_ONCE])

    def whitening(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean of the points, and the matrix that whitens them when it is subtracted."""
        total = sum(piece.sum(axis=0, dtype=np.float64) for piece in self.pieces())
        mean = (total / len(self)).astype(self.dtype)
        scatter = np.zeros((self.n_channels, self.n_channels))
        for piece in self.pieces():
            scatter += (piece - mean).T @ (piece - mean)
        return mean, whitening_of(scatter / len(self), self.dtype)

    def _standardised(self, i: int, values: np.ndarray) -> np.ndarray:
        return ((values - self.offsets[i][:, None]) * self.gains[i]).T


class WhitePoints:
    """Whitened time points as a tensor would give them, computed when they are asked for.

    Parameters
    ----------
    points : Points
        The points.
    mean : ndarray of shape (n_channels,)
        Subtracted first.
    whitening : ndarray of shape (n_directions, n_channels)
        Multiplied then.
    device : str
        Where the tensors go.
    """

    def __init__(self, points: Points, mean: np.ndarray, whitening: np.ndarray, device: str):
        self.points, self.mean, self.matrix = points, mean, whitening
        self.device = torch.device(device)

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, rows) -> Tensor:
        rows = np.asarray(rows.cpu() if isinstance(rows, Tensor) else rows)
        return self._white(self.points.read(rows.ravel())).unflatten(0, rows.shape)

    def split(self, size: int) -> Iterator[Tensor]:
        """Return all points in order, `size` or fewer at a time."""
        for piece in self.points.pieces():
            yield from self._white(piece).split(size)

    def _white(self, points: np.ndarray) -> Tensor:
        # New recordings may be of another precision than those that were fitted.
        white = ((points - self.mean) @ self.matrix.T).astype(self.matrix.dtype, copy=False)
        return torch.from_numpy(white).to(self.device)

    def held(self) -> Tensor | WhitePoints:
        """Return all points as a tensor, or itself where they are too many to hold."""
        if self.points.n_bytes > MOST_BYTES:
            return self
        return torch.cat(list(self.split(READ_AT_ONCE)))


def evenly_spaced(labels: np.ndarray) -> np.ndarray:
    """Rows of all points, or of evenly spaced pairs of adjacent ones where there are very many.

    Parameters
    ----------
    labels : ndarray of shape (n_points,)
        Segment of each point, not falling, each of at least two points.

    Returns
    -------
    ndarray of int64
        Rising; some are of each segment. Pairs, so that what changes from one point to the next
        can be seen.
    """
    stride = -(-len(labels) // MOST_LOOKED_AT)
    if stride == 1:
        return np.arange(len(labels))
    starts = np.flatnonzero(np.diff(labels, prepend=-1))
    begins = np.union1d(np.arange(0, len(labels) - 1, 2 * stride), starts)
    return np.union1d(begins, begins + 1)
