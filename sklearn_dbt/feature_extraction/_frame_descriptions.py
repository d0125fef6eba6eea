"""Ways to describe a frame by a few numbers, each of which is made and learnt by itself."""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

import numpy as np
import scipy.fft

from sklearn_dbt.feature_extraction._eigenframes import eigenframes

Blocks = Callable[[], Iterable[np.ndarray]]


class Description(ABC):
    """A way to describe frames, as the parameters of an estimator say.

    Parameters
    ----------
    estimator : FrameEmbedder
        Whose parameters and fitted attributes are read.
    """

    def __init__(self, estimator) -> None:
        self.estimator = estimator

    def check(self) -> None:
        """Raise ValueError for parameters that make no sense, before anything is read."""
        return

    def learn(self, blocks: Blocks, shape: tuple[int, ...]) -> dict:  # noqa: ARG002
        """Fitted attributes, from flattened frames of this shape."""
        return {}

    @abstractmethod
    def describe(self, pixels: np.ndarray) -> np.ndarray:
        """Numbers ``(n_frames, n_numbers)`` of frames ``(n_frames, n_pixels)``."""

    @abstractmethod
    def names(self) -> list[str]:
        """What the numbers are called."""


class Percentiles(Description):
    def check(self) -> None:
        given = self.estimator.percentiles
        levels = np.asarray(given, dtype=np.float64)
        if levels.ndim != 1 or levels.size == 0:
            raise ValueError(f"FrameEmbedder: percentiles={given!r} must be a list of levels.")
        if not np.all((levels >= 0) & (levels <= 100)) or len(set(levels)) < len(levels):
            raise ValueError(
                f"FrameEmbedder: percentiles={given!r}; levels must lie in [0, 100] and be "
                "distinct."
            )

    def describe(self, pixels: np.ndarray) -> np.ndarray:
        return np.percentile(pixels, np.ravel(self.estimator.percentiles), axis=1).T

    def names(self) -> list[str]:
        levels = np.ravel(self.estimator.percentiles)
        return [f"percentile_{np.format_float_positional(q, trim='-')}" for q in levels]


class Histogram(Description):
    def check(self) -> None:
        bins = self.estimator.bins
        if isinstance(bins, numbers.Integral):
            return
        edges = np.asarray(bins, dtype=np.float64)
        if edges.ndim != 1 or edges.size < 2 or not np.all(np.diff(edges) > 0):
            raise ValueError(
                f"FrameEmbedder: bins={bins!r} must be a number of bins or at least two "
                "increasing edges."
            )
        if not np.isfinite(edges).all():
            raise ValueError(f"FrameEmbedder: bins={bins!r}; edges must be finite.")

    def learn(self, blocks: Blocks, shape: tuple[int, ...]) -> dict:  # noqa: ARG002
        if not isinstance(self.estimator.bins, numbers.Integral):
            return {"bin_edges_": np.array(self.estimator.bins, dtype=np.float64)}
        ends = [(float(block.min()), float(block.max())) for block in blocks()]
        low, high, bins = min(ends)[0], max(e[1] for e in ends), int(self.estimator.bins)
        edges = np.linspace(low, high, bins + 1)
        if not np.all(np.diff(edges) > 0):
            raise ValueError(
                f"FrameEmbedder: all values of X lie between {low:g} and {high:g}, too close for "
                f"{bins} bin(s); a histogram needs values that differ, or edges in `bins`."
            )
        return {"bin_edges_": edges}

    def describe(self, pixels: np.ndarray) -> np.ndarray:
        n_frames, n_pixels = pixels.shape
        edges = self.estimator.bin_edges_
        n_bins = len(edges) - 1
        # Only inner edges are searched: what lies beyond the ends falls in the end bins.
        index = np.searchsorted(edges[1:-1], pixels, side="right")
        index += n_bins * np.arange(n_frames)[:, None]
        counts = np.bincount(index.ravel(), minlength=n_frames * n_bins)
        heights = counts.reshape(n_frames, n_bins) / n_pixels
        return heights / np.diff(edges) if self.estimator.density else heights

    def names(self) -> list[str]:
        return [f"bin_{j}" for j in range(len(self.estimator.bin_edges_) - 1)]


class Eigenframes(Description):
    def learn(self, blocks: Blocks, shape: tuple[int, ...]) -> dict:  # noqa: ARG002
        e = self.estimator
        return eigenframes(blocks, e.n_components, e.svd_solver, e.random_state)

    def describe(self, pixels: np.ndarray) -> np.ndarray:
        mean, components = self.estimator.mean_, self.estimator.components_
        dtype = pixels.dtype
        return (pixels - mean.astype(dtype)) @ components.astype(dtype).T

    def names(self) -> list[str]:
        return [f"eigenframe_{j}" for j in range(len(self.estimator.components_))]


class Moments(Description):
    NAMES = ("mean", "std", "skewness", "kurtosis")

    def describe(self, pixels: np.ndarray) -> np.ndarray:
        x = pixels.astype(np.float64)
        mean = x.mean(axis=1)
        x -= mean[:, None]
        variance = np.square(x).mean(axis=1)
        # What differs by rounding only does not differ.
        floor = (np.finfo(np.float32).eps * (np.abs(mean) + np.sqrt(variance))) ** 2
        varies = variance > floor
        scale = np.sqrt(np.where(varies, variance, 1))
        standardized = x / scale[:, None]
        moments = [mean, np.where(varies, scale, 0)]
        moments += [np.where(varies, (standardized**3).mean(axis=1), 0)]
        moments += [np.where(varies, (standardized**4).mean(axis=1) - 3, 0)]
        return np.stack(moments[: self.estimator.n_moments], axis=1)

    def names(self) -> list[str]:
        return [f"moment_{name}" for name in self.NAMES[: self.estimator.n_moments]]


class SpatialDCT(Description):
    def check(self) -> None:
        size = self.estimator.dct_size
        sizes = (size, size) if isinstance(size, numbers.Integral) else tuple(size)
        if len(sizes) != 2 or not all(isinstance(s, int | np.integer) and s > 0 for s in sizes):
            raise ValueError(
                f"FrameEmbedder: dct_size={size!r} must be one or two positive integers."
            )

    def _sizes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Height and width of a frame, and the frequencies that are kept of each."""
        shape, size = self.estimator.frame_shape_, self.estimator.dct_size
        height, width = shape if len(shape) == 2 else (1, *shape)
        rows, columns = (size, size) if isinstance(size, numbers.Integral) else size
        return (height, width), (min(rows, height), min(columns, width))

    def describe(self, pixels: np.ndarray) -> np.ndarray:
        (height, width), (rows, columns) = self._sizes()
        down = scipy.fft.dct(np.eye(height), norm="ortho", axis=0)[:rows]
        across = scipy.fft.dct(np.eye(width), norm="ortho", axis=0)[:columns]
        return pixels @ np.kron(down, across).T.astype(pixels.dtype)

    def names(self) -> list[str]:
        _, (rows, columns) = self._sizes()
        return [f"dct_{i}_{j}" for i in range(rows) for j in range(columns)]


class Regions(Description):
    def check(self) -> None:
        labels = np.asarray(0 if self.estimator.regions is None else self.estimator.regions)
        if labels.dtype.kind not in "biu":
            raise ValueError(
                f"FrameEmbedder: regions must hold integers or truth values, got {labels.dtype}."
            )
        if self.estimator.regions is not None and not (labels > 0).any():
            raise ValueError("FrameEmbedder: regions has no positive label, so there is no region.")

    def learn(self, blocks: Blocks, shape: tuple[int, ...]) -> dict:  # noqa: ARG002
        given = self.estimator.regions
        if given is not None and np.shape(given) != shape and len(shape) == 2:
            raise ValueError(
                f"FrameEmbedder: regions has the shape {np.shape(given)}, and a frame {shape}."
            )
        if given is not None and np.size(given) != np.prod(shape):
            raise ValueError(
                f"FrameEmbedder: regions has {np.size(given)} labels, and a frame "
                f"{np.prod(shape)} pixels."
            )
        return {}

    def _labels(self) -> tuple[np.ndarray, np.ndarray]:
        """Label of each pixel, and the labels of regions."""
        given = self.estimator.regions
        n_pixels = int(np.prod(self.estimator.frame_shape_))
        labels = np.ones(n_pixels, int) if given is None else np.ravel(given).astype(int)
        return labels, np.unique(labels[labels > 0])

    def describe(self, pixels: np.ndarray) -> np.ndarray:
        labels, regions = self._labels()
        inside = (labels == regions[:, None]).astype(pixels.dtype)
        return pixels @ (inside / inside.sum(axis=1, keepdims=True)).T

    def names(self) -> list[str]:
        return [f"region_{label}" for label in self._labels()[1]]


DESCRIPTIONS: dict[str, type[Description]] = {
    "percentiles": Percentiles,
    "histogram": Histogram,
    "eigenframes": Eigenframes,
    "moments": Moments,
    "dct": SpatialDCT,
    "regions": Regions,
}
