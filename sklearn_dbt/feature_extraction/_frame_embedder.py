"""Heat-map series to panels: each frame becomes a few numbers, and time is kept."""

from __future__ import annotations

import numbers

import numpy as np
from numpy.typing import ArrayLike
from sklearn.decomposition import PCA

from sklearn_dbt._base import DBTEstimator
from sklearn_dbt._compat import (
    Interval,
    StrOptions,
    TableOutputMixin,
    check_feature_names_in,
    check_is_fitted,
    fit_context,
)
from sklearn_dbt.feature_extraction._frames import check_frames


class FrameEmbedder(TableOutputMixin, DBTEstimator):
    """Turn each frame of a heat-map series into a few numbers: maps over time become a panel.

    A frame :math:`F_t` of :math:`P` pixels :math:`F_{t,1}, \\dots, F_{t,P}` is described by

    .. math::
        \\text{percentiles:} \\quad & z_{t,j} = Q_{q_j}(F_{t,1}, \\dots, F_{t,P}) \\\\
        \\text{histogram:} \\quad & z_{t,j} =
            \\tfrac1P \\,\\#\\{p : e_j \\le F_{t,p} < e_{j+1}\\} \\\\
        \\text{eigenframes:} \\quad & z_{t,j} = \\langle v_j, F_t - \\bar F \\rangle

    with :math:`Q_q` the percentile (linearly interpolated), :math:`e_j` bin edges and :math:`v_j`
    the principal components of all frames seen in `fit`. Percentiles and histograms forget where
    on the map a value stands; eigenframes keep it. Each :math:`z_{\\cdot,j}` is one channel of the
    panel.

    Parameters
    ----------
    method : {"percentiles", "histogram", "eigenframes"}, default="percentiles"
        How a frame is described.
    percentiles : array-like of float, default=(5, 25, 50, 75, 95)
        Levels :math:`q_j` in [0, 100], distinct. For ``method="percentiles"``.
    bins : int or array-like of float, default=10
        Number of bins of equal width between the least and the greatest value seen in `fit`, or
        the edges themselves, increasing. Values beyond the ends count in the first and the last
        bin, so that heights always sum to one. For ``method="histogram"``.
    density : bool, default=False
        Divide the height of each bin by its width. For ``method="histogram"``.
    n_components : int or float, default=8
        Number of eigenframes, at most; there are never more than pixels or frames. A float in
        (0, 1) asks for as many as explain that share of the variance. For
        ``method="eigenframes"``.
    svd_solver : {"auto", "full", "covariance_eigh", "randomized"}, default="auto"
        Solver, as in :class:`sklearn.decomposition.PCA`; "auto" may choose the randomized one for
        more than 500 frames of more than 1000 pixels. For ``method="eigenframes"``.
    random_state : int, RandomState instance or None, default=None
        Seed of the randomized solver.

    Attributes
    ----------
    n_features_out_ : int
        Numbers a frame: channels of the panel.
    frame_shape_ : tuple of int
        ``(height, width)``, or ``(n_pixels,)`` when fitted on a table.
    bin_edges_ : ndarray of shape (n_bins + 1,)
        Edges of the bins, float64. Only with ``method="histogram"``.
    components_ : ndarray of shape (n_components, n_pixels)
        Orthonormal principal components; the entry of greatest magnitude of each is positive.
        Only with ``method="eigenframes"``.
    eigenframes_ : ndarray of shape (n_components, height, width)
        ``components_`` as pictures. Only with ``method="eigenframes"``.
    mean_ : ndarray of shape (n_pixels,)
        The mean frame. Only with ``method="eigenframes"``.
    explained_variance_ratio_ : ndarray of shape (n_components,)
        Share of the variance of each component. Only with ``method="eigenframes"``.
    n_features_in_ : int
        Number of pixels of a frame.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, when `fit` was given a data frame.

    See Also
    --------
    WaveletEmbedder : What usually comes next, bands of each channel.
    sklearn_dbt.datasets.scalp_frames : Heat-map series from electrodes.

    Notes
    -----
    Frames are read one by one, so recordings may have different lengths (a list of ``(n_times_i,
    height, width)`` arrays gives a list of ``(n_features, n_times_i)`` ones), also from `fit` to
    `transform`. A 2D `X` holds one flattened frame a row and gives a table.

    References
    ----------
    .. [1] M. Turk and A. Pentland, "Eigenfaces for Recognition", Journal of Cognitive
       Neuroscience 3 (1), 1991.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dbt import FrameEmbedder
    >>> X = np.random.default_rng(0).normal(size=(6, 50, 4, 5))  # 6 recordings of 50 frames
    >>> embedder = FrameEmbedder(percentiles=(25, 50, 75)).fit(X)
    >>> embedder.transform(X).shape
    (6, 3, 50)
    >>> embedder.get_feature_names_out()
    array(['percentile_25', 'percentile_50', 'percentile_75'], dtype=object)
    >>> FrameEmbedder("eigenframes", n_components=2).fit(X).eigenframes_.shape
    (2, 4, 5)
    """

    _parameter_constraints: dict = {
        "method": [StrOptions({"percentiles", "histogram", "eigenframes"})],
        "percentiles": ["array-like"],
        "bins": [Interval(numbers.Integral, 1, None, closed="left"), "array-like"],
        "density": ["boolean"],
        "n_components": [
            Interval(numbers.Integral, 1, None, closed="left"),
            Interval(numbers.Real, 0, 1, closed="neither"),
        ],
        "svd_solver": [StrOptions({"auto", "full", "covariance_eigh", "randomized"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        method="percentiles",
        *,
        percentiles=(5, 25, 50, 75, 95),
        bins=10,
        density=False,
        n_components=8,
        svd_solver="auto",
        random_state=None,
    ):
        self.method = method
        self.percentiles = percentiles
        self.bins = bins
        self.density = density
        self.n_components = n_components
        self.svd_solver = svd_solver
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: object = None) -> FrameEmbedder:  # noqa: ARG002
        """Learn bin edges or eigenframes, and the shape of a frame.

        Parameters
        ----------
        X : array-like of shape (n, n_times, height, width) or (n_frames, n_pixels), or list
            Heat-map series, a list of ``(n_times_i, height, width)`` arrays, or a table of
            flattened frames.
        y : Ignored
            Present for API consistency.

        Returns
        -------
        self : FrameEmbedder
        """
        self._check_options()
        frames = check_frames(self, X, reset=True)
        learn = {
            "percentiles": self._learn_percentiles,
            "histogram": self._learn_bins,
            "eigenframes": self._learn_eigenframes,
        }[self.method]
        learned = learn(frames.pixels)
        for name in ("bin_edges_", "components_", "mean_", "explained_variance_ratio_"):
            self.__dict__.pop(name, None)
        if len(frames.shape) == 2:
            self.__dict__.pop("feature_names_in_", None)
        self.frame_shape_, self.n_features_in_ = frames.shape, frames.pixels.shape[1]
        self.__dict__.update(learned)
        return self

    def transform(self, X: ArrayLike) -> np.ndarray | list[np.ndarray]:
        """Describe each frame.

        Parameters
        ----------
        X : array-like of shape (n, n_times, height, width) or (n_frames, n_pixels), or list
            Heat-map series, a list of ``(n_times_i, height, width)`` arrays, or a table of
            flattened frames.

        Returns
        -------
        ndarray of shape (n, n_features_out_, n_times) or (n_frames, n_features_out_), or list
            A panel in the precision of `X`; a table for a table; for recordings of different
            lengths a list of ``(n_features_out_, n_times_i)`` arrays.
        """
        check_is_fitted(self)
        frames = check_frames(self, X, reset=False)
        describe = {
            "percentiles": self._percentiles,
            "histogram": self._heights,
            "eigenframes": self._scores,
        }[self.method]
        features = describe(frames.pixels).astype(frames.pixels.dtype, copy=False)
        return frames.as_input(features)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Name the channels of the panel, or the columns of the table.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the pixels; only compared with those seen in `fit`.

        Returns
        -------
        ndarray of str
            ``"percentile_<level>"``, ``"bin_<index>"`` or ``"eigenframe_<index>"``.
        """
        check_is_fitted(self, "n_features_out_")
        check_feature_names_in(self, input_features)
        if self.method == "percentiles":
            levels = [np.format_float_positional(q, trim="-") for q in np.ravel(self.percentiles)]
            labels = [f"percentile_{level}" for level in levels]
        else:
            stem = {"histogram": "bin", "eigenframes": "eigenframe"}[self.method]
            labels = [f"{stem}_{j}" for j in range(self.n_features_out_)]
        return np.array(labels, dtype=object)

    @property
    def eigenframes_(self) -> np.ndarray:
        """The principal components as pictures."""
        # Raises AttributeError, as it should, where there are no components.
        return self.components_.reshape(-1, *self.frame_shape_)

    # --- the three descriptions ------------------------------------------------------------------

    def _learn_percentiles(self, pixels: np.ndarray) -> dict:  # noqa: ARG002
        return {"n_features_out_": len(np.ravel(self.percentiles))}

    def _percentiles(self, pixels: np.ndarray) -> np.ndarray:
        return np.percentile(pixels, np.ravel(self.percentiles), axis=1).T

    def _learn_bins(self, pixels: np.ndarray) -> dict:
        if not isinstance(self.bins, numbers.Integral):
            edges = np.array(self.bins, dtype=np.float64)
            return {"bin_edges_": edges, "n_features_out_": len(edges) - 1}
        low, high, bins = float(pixels.min()), float(pixels.max()), int(self.bins)
        edges = np.linspace(low, high, bins + 1)
        if not np.all(np.diff(edges) > 0):
            raise ValueError(
                f"FrameEmbedder: all values of X lie between {low:g} and {high:g}, too close for "
                f"{bins} bin(s); a histogram needs values that differ, or edges in `bins`."
            )
        return {"bin_edges_": edges, "n_features_out_": bins}

    def _heights(self, pixels: np.ndarray) -> np.ndarray:
        n_frames, n_pixels = pixels.shape
        n_bins = self.n_features_out_
        # Only inner edges are searched: what lies beyond the ends falls in the end bins.
        index = np.searchsorted(self.bin_edges_[1:-1], pixels, side="right")
        index += n_bins * np.arange(n_frames)[:, None]
        counts = np.bincount(index.ravel(), minlength=n_frames * n_bins)
        heights = counts.reshape(n_frames, n_bins) / n_pixels
        return heights / np.diff(self.bin_edges_) if self.density else heights

    def _learn_eigenframes(self, pixels: np.ndarray) -> dict:
        if len(pixels) < 2:
            raise ValueError(
                "FrameEmbedder: X has n_samples = 1 frame and at least 2 are required for "
                "eigenframes."
            )
        if not np.any(pixels != pixels[0]):
            raise ValueError(
                f"FrameEmbedder: all {len(pixels)} frames of X are equal; eigenframes need frames "
                "that differ."
            )
        n_components = self.n_components
        if isinstance(n_components, numbers.Integral):
            n_components = min(int(n_components), *pixels.shape)
        pca = PCA(n_components, svd_solver=self.svd_solver, random_state=self.random_state)
        pca.fit(pixels)
        return {
            "components_": pca.components_,
            "mean_": pca.mean_,
            "explained_variance_ratio_": pca.explained_variance_ratio_,
            "n_features_out_": len(pca.components_),
        }

    def _scores(self, pixels: np.ndarray) -> np.ndarray:
        dtype = pixels.dtype
        return (pixels - self.mean_.astype(dtype)) @ self.components_.astype(dtype).T

    def _check_options(self) -> None:
        levels = np.asarray(self.percentiles, dtype=np.float64)
        if levels.ndim != 1 or levels.size == 0:
            raise ValueError(
                f"FrameEmbedder: percentiles={self.percentiles!r} must be a list of levels."
            )
        if not np.all((levels >= 0) & (levels <= 100)) or len(set(levels)) < len(levels):
            raise ValueError(
                f"FrameEmbedder: percentiles={self.percentiles!r}; levels must lie in [0, 100] and "
                "be distinct."
            )
        if isinstance(self.bins, numbers.Integral):
            return
        edges = np.asarray(self.bins, dtype=np.float64)
        if edges.ndim != 1 or edges.size < 2 or not np.all(np.diff(edges) > 0):
            raise ValueError(
                f"FrameEmbedder: bins={self.bins!r} must be a number of bins or at least two "
                "increasing edges."
            )
        if not np.isfinite(edges).all():
            raise ValueError(f"FrameEmbedder: bins={self.bins!r}; edges must be finite.")
